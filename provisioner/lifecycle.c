// provisioner/lifecycle.c: the table of allowed transitions.
#include "provisioner/lifecycle.h"

enum { ADVICE_MAX = 256 };

static const char *const STATUS_NAMES[TENANT_STATUS_COUNT] = {
    [TENANT_REQUESTED] = "requested",       [TENANT_REJECTED] = "rejected",
    [TENANT_APPROVED] = "approved",         [TENANT_ACTIVE] = "active",
    [TENANT_PROVISIONING] = "provisioning", [TENANT_SUSPENDED] = "suspended",
    [TENANT_ARCHIVED] = "archived",         [TENANT_DELETED] = "deleted"};

typedef struct Transition {
    TenantStatus from, to;
    const char *verb;    // shopctl tenant VERB; NULL: an operation does it on its way
} Transition;

static const Transition TRANSITIONS[] = {
    {TENANT_REQUESTED, TENANT_APPROVED, "approve"},
    {TENANT_REQUESTED, TENANT_REJECTED, "reject"},
    {TENANT_APPROVED, TENANT_PROVISIONING, "approve"},
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

enum { FAR = TENANT_STATUS_COUNT };    // farther than any way that visits a status once

// how many transitions lead from one to the other, FAR where none do; ways of more than `limit` transitions aren't
// tried.
static int distance(TenantStatus from, TenantStatus to, int limit)
{
    int shortest = from == to ? 0 : FAR;
    for (size_t i = 0; i < COUNT(TRANSITIONS) && limit > 0; i++)
        if (TRANSITIONS[i].from == from)
            shortest = MIN(shortest, 1 + distance(TRANSITIONS[i].to, to, limit - 1));
    return shortest;
}

// What can be done with it now, what leads to `to` first: "shopctl tenant archive acme, shopctl tenant resume acme".
static bool transitions_advise(Str slug, TenantStatus from, TenantStatus to, Error *err)
{
    char text[ADVICE_MAX] = "";
    size_t length = 0;
    for (int far = 0; far <= FAR; far++)
        for (size_t i = 0; i < COUNT(TRANSITIONS); i++)
            if (TRANSITIONS[i].from == from && TRANSITIONS[i].verb && distance(TRANSITIONS[i].to, to, FAR - 1) == far &&
                length < sizeof(text))
                length += (size_t)snprintf(text + length, sizeof(text) - length, "%sshopctl tenant %s %.*s",
                                           length ? ", " : "", TRANSITIONS[i].verb, STR_ARG(slug));
    return error_next(err, "what can be done now: %s", text);
}

static bool has_verb(TenantStatus from)
{
    for (size_t i = 0; i < COUNT(TRANSITIONS); i++)
        if (TRANSITIONS[i].from == from && TRANSITIONS[i].verb)
            return true;
    return false;
}

bool lifecycle_check(Str slug, TenantStatus from, TenantStatus to, Error *err)
{
    for (size_t i = 0; i < COUNT(TRANSITIONS); i++)
        if (TRANSITIONS[i].from == from && TRANSITIONS[i].to == to)
            return true;
    error_set(err, ERR_FORBIDDEN, "the tenant '%.*s' is %s and can't become %s", STR_ARG(slug), STATUS_NAMES[from],
              STATUS_NAMES[to]);
    error_why(err, "the way is requested, approved, active, suspended, archived, deleted");
    if (has_verb(from))
        return transitions_advise(slug, from, to, err);
    if (from == TENANT_PROVISIONING)
        return error_next(err, "see what it waits for: shopctl operation list");
    return error_next(err, "ask for it again: shopctl tenant request %.*s", STR_ARG(slug));
}
