// tests/support/operation_kind.c: every kind of operation, and how a command runs it.
#include "tests/support/operation_kind.h"

#include "provisioner/move_driver.h"
#include "provisioner/schema_driver.h"
#include "provisioner/tenant_move.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

static bool run_create(Platform *platform, const TestWorld *world, const char *slug, Error *err)
{
    TenantSpec spec = test_world_spec(world, slug);
    return tenant_create(platform, &spec, NULL, err);
}

static bool run_set(Platform *platform, const TestWorld *world, const char *slug, Error *err)
{
    Str host = str_format(world->arena, "%s.example", slug);
    return tenant_set(platform, test_slug(slug),
                      &(TenantChange){.name = S("After"),
                                      .payment_instructions = S("After"),
                                      .limit_names = {"requests_per_second"},
                                      .limits = {7},
                                      .limit_count = 1,
                                      .domains_added = &host,
                                      .domains_added_count = 1},
                      err);
}

#define RUN(verb)                                                                                                      \
    static bool run_##verb(Platform *platform, const TestWorld *world, const char *slug, Error *err)                   \
    {                                                                                                                  \
        (void)world;                                                                                                   \
        return tenant_##verb(platform, test_slug(slug), err);                                                          \
    }
RUN(suspend)
RUN(resume)
RUN(archive)
RUN(delete)
RUN(restore)

static bool run_move(Platform *platform, const TestWorld *world, const char *slug, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    (void)world;
    return tenant_move(platform, test_slug(slug), &(TenantMove){.plan = NULL}, &answer, err);
}

static bool run_move_back(Platform *platform, const TestWorld *world, const char *slug, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    (void)world;
    return tenant_move_rollback(platform, test_slug(slug), &answer, err);
}

static bool run_finalize(Platform *platform, const TestWorld *world, const char *slug, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    (void)world;
    return tenant_move_finalize(platform, test_slug(slug), &answer, err);
}

const OperationKind KINDS[KIND_COUNT] = {
    {&SCHEMA_CREATE, "", "active", run_create},
    {&TENANT_SET, "active", "active", run_set},
    {&TENANT_SUSPEND, "active", "suspended", run_suspend},
    {&TENANT_RESUME, "suspended", "active", run_resume},
    {&TENANT_ARCHIVE, "suspended", "archived", run_archive},
    {&SCHEMA_DELETE, "archived", "deleted", run_delete},
    {&SCHEMA_RESTORE, "deleted", "active", run_restore},
    {&TENANT_MOVE, "active", "active", run_move},
    {&TENANT_MOVE_BACK, "active", "active", run_move_back},
    {&TENANT_FINALIZE, "active", "active", run_finalize},
};

static bool is_of_move(const OperationKind *kind)
{
    return kind->driver == &TENANT_MOVE || kind->driver == &TENANT_MOVE_BACK || kind->driver == &TENANT_FINALIZE;
}

// A move begins with none before it, its end with one that was switched.
static void move_prepare(TestWorld *world, const OperationKind *kind, const char *slug)
{
    Error err = {0};
    if (!world->other.name.len)
        test_world_open_other(world);
    ck_assert_ok(run_finalize(world->platform, world, slug, &err), &err);
    if (kind->driver != &TENANT_MOVE)
        ck_assert_ok(run_move(world->platform, world, slug, &err), &err);
    test_world_mark(world, slug);
}

const char *kind_prepare(TestWorld *world, const OperationKind *kind, size_t count)
{
    const char *slug = str_format(world->arena, "%s-%zu", kind->driver->kind, kind->before[0] ? 0 : count).data;
    test_world_bring(world, slug, kind->before);
    if (is_of_move(kind))
        move_prepare(world, kind, slug);
    if (kind->driver == &TENANT_SET) {
        Error err = {0};
        Str host = str_format(world->arena, "%s.example", slug);
        Str there = str_format(world->arena, "select count(*) from control.domains where host = '%s.example'", slug);
        bool has_host = str_eq(test_value(world->control, world->arena, there.data), S("1"));
        ck_assert_ok(tenant_set(world->platform, test_slug(slug),
                                &(TenantChange){.name = S("Before"),
                                                .payment_instructions = S(""),
                                                .limit_names = {"requests_per_second"},
                                                .limits = {-1},
                                                .limit_count = 1,
                                                .domains_removed = &host,
                                                .domains_removed_count = has_host},
                                &err),
                     &err);
    }
    return slug;
}

void kind_check_end(TestWorld *world, const OperationKind *kind, const char *slug, bool is_reverted, const char *moment)
{
    Str status = test_world_status(world, slug);
    const char *wanted = is_reverted ? kind->before : kind->after;
    ck_assert_msg(str_eq(status, str_of(wanted)), "%s: '%s' is '%.*s', not '%s'", moment, slug, STR_ARG(status),
                  wanted);
    test_world_check(world, slug, moment);
    if (is_of_move(kind))
        test_world_check_marked(world, slug, moment);
    if (kind->driver == &TENANT_SET) {
        Str sql = str_format(world->arena, "select name from control.tenants where slug = '%s'", slug);
        Str name = test_value(world->control, world->arena, sql.data);
        ck_assert_msg(str_eq(name, is_reverted ? S("Before") : S("After")), "%s: the name is '%.*s'", moment,
                      STR_ARG(name));
    }
}
