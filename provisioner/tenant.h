// provisioner/tenant.h: what is done with a tenant: each is an operation, or a transition of its record.
#pragma once
#include "base/json.h"
#include "provisioner/plan.h"
#include "provisioner/platform.h"

// What a new shop is made of. Empty texts have their defaults.
typedef struct TenantSpec {
    Str slug;
    Str name;                    // the slug
    Str email;                   // required
    Str currency;                // EUR: an ISO 4217 code
    Str language;                // en, or es
    Str country;                 // US: an ISO 3166-1 code
    Str cell;                    // the one with the most room; of tier shared alone
    Str host;                    // the one with the most room; of the other tiers alone
    const Json *labels;          // that the host must have, an object of texts; NULL: any
    Str logo;                    // none
    Str payment_instructions;    // where to pay by bank transfer, in lines; none
    const Json *shipping;        // {"express": "4.90", ...} as shipping_read takes it; NULL: standard at 0
    const Json *colors;          // {"primary": "#8a3f26", ...}; NULL: the theme's
    const Str *domains;          // hosts beside SLUG.BASE_DOMAIN
    size_t domain_count;
    const Plan *plan;
} TenantSpec;

// Of what making a tenant checks, what the platform alone knows: that the slug, or a host, is another tenant's, and
// that there is room in the cell. Needs the spec's slug; the other values may be missing or wrong. A creation that a
// crash left is gone on with, whatever they are.
MUST_CHECK bool tenant_place_check(Platform *platform, const TenantSpec *spec, Error *err);

// Makes a shop by its tier's driver: returns when it answers. Run again after a crash it goes on. *out_id (may be NULL)
// is the operation's.
MUST_CHECK bool tenant_create(Platform *platform, const TenantSpec *spec, int64_t *out_id, Error *err);

MUST_CHECK bool tenant_request(Platform *platform, const TenantSpec *spec, Error *err);    // records the wish
MUST_CHECK bool tenant_approve(Platform *platform, Slug slug, Error *err);    // and makes the shop that was requested
MUST_CHECK bool tenant_reject(Platform *platform, Slug slug, Error *err);

MUST_CHECK bool tenant_suspend(Platform *platform, Slug slug, Error *err);    // answers 503, data untouched
MUST_CHECK bool tenant_resume(Platform *platform, Slug slug, Error *err);
MUST_CHECK bool tenant_archive(Platform *platform, Slug slug, Error *err);
// Writes a dump, then removes schema, role and rows.
MUST_CHECK bool tenant_delete(Platform *platform, Slug slug, Error *err);
// Brings a deleted shop back from its dump: same slug, hosts, data.
MUST_CHECK bool tenant_restore(Platform *platform, Slug slug, Error *err);

// What --dry-run says: what the command would do, or its error, by the same checks. *out is {"steps":[...]} of an
// operation that would begin, an operation_preview of one that was left and would be gone on with, or
// {"changes":[{"key","from","to"}]} of the record; the caller closes it. `verb` is one of those that take a slug alone:
// approve, reject, suspend, resume, archive, delete, restore.
MUST_CHECK bool tenant_preview(Platform *platform, const char *verb, Slug slug, Json **out, Error *err);
MUST_CHECK bool tenant_create_preview(Platform *platform, const TenantSpec *spec, Json **out, Error *err);
MUST_CHECK bool tenant_request_preview(Platform *platform, const TenantSpec *spec, Json **out, Error *err);
// Whether tenant_delete would begin, or go on; fails as it would.
MUST_CHECK bool tenant_delete_check(Platform *platform, Slug slug, Error *err);

// Changes to a tenant; a text whose data is NULL stays. Limits: NAME=N, where 0 is none, N < 0 is the plan's again.
typedef struct TenantChange {
    Str name, email, language, country, logo, payment_instructions;
    const Json *colors;
    const Json *shipping;    // all of it, as in a TenantSpec
    const Plan *plan;
    const char *limit_names[4];
    int64_t limits[4];
    size_t limit_count;
    const Str *domains_added;
    size_t domains_added_count;
    const Str *domains_removed;
    size_t domains_removed_count;
} TenantChange;
MUST_CHECK bool tenant_set(Platform *platform, Slug slug, const TenantChange *change, Error *err);
// What tenant_set would change, with its refusals: {"changes":[{"key","from","to"},...]}; the caller closes *out.
MUST_CHECK bool tenant_set_changes(Platform *platform, Slug slug, const TenantChange *change, Json **out, Error *err);

// For scripts: {"slug","name","status","plan","tier","cell","schema","url","created_at",...}; the caller closes *out.
MUST_CHECK bool tenant_show(Platform *platform, Slug slug, Json **out, Error *err);
// {"items":[...],"total":N}, by slug; `limit` 0: all, N counts those beyond it too; empty texts: any. Deleted and
// rejected ones only where `status` names them.
MUST_CHECK bool tenant_list(Platform *platform, Str status, Str cell, int64_t limit, Json **out, Error *err);

// The names of the steps that an operation of this kind has, for --dry-run: {"steps":["reserve",...]}.
MUST_CHECK bool tenant_steps(const char *kind, Json **out, Error *err);
