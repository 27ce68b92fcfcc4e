// provisioner/lifecycle.c: the table of allowed moves.
#include "provisioner/lifecycle.h"

static const char *const STATUS_NAMES[TENANT_STATUS_COUNT] = {
    [TENANT_REQUESTED] = "requested",       [TENANT_REJECTED] = "rejected",
    [TENANT_APPROVED] = "approved",         [TENANT_ACTIVE] = "active",
    [TENANT_PROVISIONING] = "provisioning", [TENANT_SUSPENDED] = "suspended",
    [TENANT_ARCHIVED] = "archived",         [TENANT_DELETED] = "deleted"};

typedef struct Move {
    TenantStatus from, to;
    const char *verb;    // shopctl tenant VERB; NULL: an operation does it on its way
} Move;

static const Move MOVES[] = {
    {TENANT_REQUESTED, TENANT_APPROVED, "approve"},
    {TENANT_REQUESTED, TENANT_REJECTED, "reject"},
    {TENANT_APPROVED, TENANT_PROVISIONING, "create"},
    {TENANT_PROVISIONING, TENANT_ACTIVE, NULL},
    {TENANT_PROVISIONING, TENANT_APPROVED, NULL},    // a creation that was reverted
    {TENANT_ACTIVE, TENANT_SUSPENDED, "suspend"},
    {TENANT_SUSPENDED, TENANT_ACTIVE, "resume"},
    {TENANT_SUSPENDED, TENANT_ARCHIVED, "archive"},
    {TENANT_ARCHIVED, TENANT_DELETED, "delete"},
    {TENANT_DELETED, TENANT_PROVISIONING, "restore"},
    {TENANT_PROVISIONING, TENANT_DELETED, NULL},    // a restoration that was reverted
};

const char *tenant_status_name(TenantStatus status) { return STATUS_NAMES[status]; }

bool tenant_status_parse(Str name, TenantStatus *out, Error *err)
{
    for (TenantStatus status = 0; status < TENANT_STATUS_COUNT; status++)
        if (str_eq(name, str_of(STATUS_NAMES[status]))) {
            *out = status;
            return true;
        }
    return error_set(err, ERR_INVALID, "'%.*s' is no status of a tenant", STR_ARG(name));
}

static const char *verb_from(TenantStatus from)
{
    for (size_t i = 0; i < COUNT(MOVES); i++)
        if (MOVES[i].from == from && MOVES[i].verb)
            return MOVES[i].verb;
    return NULL;
}

bool lifecycle_check(Str slug, TenantStatus from, TenantStatus to, Error *err)
{
    for (size_t i = 0; i < COUNT(MOVES); i++)
        if (MOVES[i].from == from && MOVES[i].to == to)
            return true;
    error_set(err, ERR_STATE, "the tenant '%.*s' is %s and can't become %s", STR_ARG(slug), STATUS_NAMES[from],
              STATUS_NAMES[to]);
    error_why(err, "the way is requested, approved, active, suspended, archived, deleted");
    const char *verb = verb_from(from);
    if (verb)
        return error_next(err, "what can be done now: shopctl tenant %s %.*s", verb, STR_ARG(slug));
    if (from == TENANT_PROVISIONING)
        return error_next(err, "see what it waits for: shopctl operation list");
    return error_next(err, "ask for it again: shopctl tenant request %.*s", STR_ARG(slug));
}
