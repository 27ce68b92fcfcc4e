// tests/test_lifecycle.c: which transitions between a tenant's states there are, and what a refusal says.
#include "provisioner/lifecycle.h"
#include "tests/support/more_check.h"

// A row per state that is left, a column per state that is entered, in the order of TenantStatus.
static const char *const MAY[TENANT_STATUS_COUNT] = {
    [TENANT_REQUESTED] = ".xx.....",    [TENANT_REJECTED] = "........", [TENANT_APPROVED] = "...x....",
    [TENANT_PROVISIONING] = "..x.x..x", [TENANT_ACTIVE] = ".....x..",   [TENANT_SUSPENDED] = "....x.x.",
    [TENANT_ARCHIVED] = ".......x",     [TENANT_DELETED] = "...x....",
};

TEST(a_tenant_moves_by_the_table_alone)
{
    for (TenantStatus from = 0; from < TENANT_STATUS_COUNT; from++)
        for (TenantStatus to = 0; to < TENANT_STATUS_COUNT; to++) {
            Error err = {0};
            bool is_allowed = lifecycle_check(S("acme"), from, to, &err);
            ck_assert_msg(is_allowed == (MAY[from][to] == 'x'), "%s -> %s is %s", tenant_status_name(from),
                          tenant_status_name(to), is_allowed ? "allowed" : "refused");
            if (is_allowed)
                continue;
            ck_assert_says(&err, ERR_FORBIDDEN, "'acme' is");
            ck_assert_says(&err, ERR_FORBIDDEN, tenant_status_name(from));
            ck_assert_says(&err, ERR_FORBIDDEN, tenant_status_name(to));
            ck_assert_int_ne(err.next[0], '\0');
        }
}

typedef struct Advice {
    TenantStatus from, to;
    const char *next;
} Advice;

static const Advice ADVICE[] = {
    {TENANT_REQUESTED, TENANT_ACTIVE, "now: shopctl tenant approve acme, shopctl tenant reject acme"},
    {TENANT_APPROVED, TENANT_ACTIVE, "now: shopctl tenant approve acme"},
    {TENANT_ACTIVE, TENANT_DELETED, "now: shopctl tenant suspend acme"},
    {TENANT_SUSPENDED, TENANT_DELETED, "now: shopctl tenant archive acme, shopctl tenant resume acme"},
    {TENANT_SUSPENDED, TENANT_REJECTED, "now: shopctl tenant resume acme, shopctl tenant archive acme"},
    {TENANT_ARCHIVED, TENANT_ACTIVE, "shopctl tenant delete acme"},
    {TENANT_DELETED, TENANT_SUSPENDED, "shopctl tenant restore acme"},
    {TENANT_PROVISIONING, TENANT_SUSPENDED, "shopctl operation list"},
    {TENANT_REJECTED, TENANT_APPROVED, "shopctl tenant request acme"},
};

TEST(a_refusal_says_what_can_be_done_now)
{
    Error err = {0};
    ck_assert(!lifecycle_check(S("acme"), ADVICE[_i].from, ADVICE[_i].to, &err));
    ck_assert_says(&err, ERR_FORBIDDEN, ADVICE[_i].next);
}

TEST(every_status_is_read_back_by_its_name)
{
    for (TenantStatus status = 0; status < TENANT_STATUS_COUNT; status++) {
        Error err = {0};
        TenantStatus again = TENANT_STATUS_COUNT;
        ck_assert_ok(tenant_status_parse(str_of(tenant_status_name(status)), &again, &err), &err);
        ck_assert_int_eq((int)again, (int)status);
    }
    static const Str UNKNOWN[] = {S(""), S("Active"), S("activ"), S("active "), S("spare")};
    for (size_t i = 0; i < COUNT(UNKNOWN); i++) {
        Error err = {0};
        TenantStatus status = TENANT_STATUS_COUNT;
        ck_assert(!tenant_status_parse(UNKNOWN[i], &status, &err));
        ck_assert_says(&err, ERR_INVALID, "no status");
        ck_assert_int_eq((int)status, (int)TENANT_STATUS_COUNT);
    }
}

SUITE(lifecycle, ONCE(a_tenant_moves_by_the_table_alone), EACH(a_refusal_says_what_can_be_done_now, ADVICE),
      ONCE(every_status_is_read_back_by_its_name))
