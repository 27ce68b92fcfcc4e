// tests/support/own_kind.c: the kinds of operations on a shop with containers of its own.
#include "tests/support/own_kind.h"

#include "base/clock.h"
#include "provisioner/container_driver.h"
#include "provisioner/move_driver.h"
#include "provisioner/tenant.h"
#include "provisioner/tenant_move.h"
#include "provisioner/tenant_resize.h"
#include "provisioner/tenant_upgrade.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

#define LINE(...) str_format(shops->runner.world.arena, __VA_ARGS__).data

// ---- acts

static bool create(const OwnShops *shops, Platform *platform, Error *err)
{
    const TenantSpec spec = {.slug = S("bazar"), .email = S("a@b.example"), .plan = own_shops_plan(shops)};
    return tenant_create(platform, &spec, NULL, err);
}

static bool delete_(const OwnShops *shops, Platform *platform, Error *err)
{
    (void)shops;
    return tenant_delete(platform, test_slug("bazar"), err);
}

static bool restore(const OwnShops *shops, Platform *platform, Error *err)
{
    (void)shops;
    return tenant_restore(platform, test_slug("bazar"), err);
}

static bool resize(const OwnShops *shops, Platform *platform, Error *err)
{
    (void)shops;
    CLEANUP(json_close) Json *answer = NULL;
    const TenantSize size = {.millicpu = 1500, .memory_bytes = 480 * (int64_t)MIB};    // more of one, less of the other
    return tenant_resize(platform, test_slug("bazar"), &size, &answer, err);
}

static bool upgrade(Platform *platform, bool is_moved, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    return tenant_upgrade(platform, test_slug("bazar"), is_moved, &answer, err);
}
static bool upgrade_in_place(const OwnShops *shops, Platform *platform, Error *err)
{
    (void)shops;
    return upgrade(platform, false, err);
}

static bool upgrade_moved(const OwnShops *shops, Platform *platform, Error *err)
{
    (void)shops;
    return upgrade(platform, true, err);
}

static bool set_plan(const OwnShops *shops, Platform *platform, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    return tenant_set_plan(platform, test_slug("bazar"), &(TenantMove){.plan = own_shops_plan(shops)}, &answer, err);
}

static bool rollback(const OwnShops *shops, Platform *platform, Error *err)
{
    (void)shops;
    CLEANUP(json_close) Json *answer = NULL;
    return tenant_move_rollback(platform, test_slug("bazar"), &answer, err);
}

static bool finalize(const OwnShops *shops, Platform *platform, Error *err)
{
    (void)shops;
    CLEANUP(json_close) Json *answer = NULL;
    return tenant_move_finalize(platform, test_slug("bazar"), &answer, err);
}

// ---- kinds

#define CREATE "tenant create bazar --plan own --email a@b.example"
#define CREATE_FREE "tenant create bazar --plan free --email a@b.example"
#define SUSPEND "tenant suspend bazar"
#define ARCHIVE "tenant archive bazar"
#define DELETE "tenant delete bazar --yes"
#define RESTORE "tenant restore bazar"
#define FINALIZE "tenant move bazar --finalize"
#define SET_OWN "tenant set-plan bazar own"
#define SET_FREE "tenant set-plan bazar free"
#define USUAL "1000 512"

enum { WHOLE = 5 };    // things: two containers, a network and two volumes
enum { START_MS = 60000 };

const OwnKind OWN_KINDS[OWN_KIND_COUNT] = {
    [OWN_CREATE] = {"create",
                    &CONTAINER_CREATE,
                    create,
                    {NULL},
                    {SUSPEND, ARCHIVE, DELETE},
                    false,
                    {0, false, ""},
                    {WHOLE, true, USUAL}},
    [OWN_DELETE] = {"delete",
                    &CONTAINER_DELETE,
                    delete_,
                    {CREATE, SUSPEND, ARCHIVE},
                    {RESTORE, SUSPEND, ARCHIVE},
                    false,
                    {WHOLE, false, USUAL},
                    {0, false, ""}},
    [OWN_RESTORE] = {"restore",
                     &CONTAINER_RESTORE,
                     restore,
                     {CREATE, SUSPEND, ARCHIVE, DELETE},
                     {SUSPEND, ARCHIVE, DELETE},
                     false,
                     {0, false, ""},
                     {WHOLE, true, USUAL}},
    [OWN_RESIZE] = {"resize",
                    &CONTAINER_RESIZE,
                    resize,
                    {CREATE},
                    {"tenant resize bazar --plan-size"},
                    false,
                    {WHOLE, true, USUAL},
                    {WHOLE, true, "1500 480"}},
    [OWN_UPGRADE_IN_PLACE] = {"upgrade in place",
                              &CONTAINER_UPGRADE,
                              upgrade_in_place,
                              {CREATE},
                              {NULL},
                              true,
                              {WHOLE, true, USUAL},
                              {WHOLE, true, USUAL}},
    [OWN_UPGRADE_MOVED] = {"upgrade moved",
                           &CONTAINER_UPGRADE,
                           upgrade_moved,
                           {CREATE},
                           {NULL},
                           true,
                           {WHOLE, true, USUAL},
                           {WHOLE, true, USUAL}},
    [OWN_MOVE] = {"move",
                  &TENANT_MOVE_DEDICATED,
                  set_plan,
                  {CREATE_FREE},
                  {"tenant move bazar --rollback"},
                  false,
                  {0, true, ""},
                  {WHOLE, true, USUAL}},
    [OWN_ROLLBACK] = {"rollback",
                      &TENANT_MOVE_BACK,
                      rollback,
                      {CREATE_FREE, SET_OWN},
                      {SET_OWN},
                      false,
                      {WHOLE, true, USUAL},
                      {0, true, ""}},
    [OWN_FINALIZE] = {"finalize",
                      &TENANT_FINALIZE_DEDICATED,
                      finalize,
                      {CREATE, SET_FREE},
                      {SET_OWN, FINALIZE, SET_FREE},
                      false,
                      {WHOLE, true, USUAL},
                      {0, true, ""}},
};

static void run(OwnShops *shops, const OwnKind *kind, const char *const lines[OWN_LINES_MAX])
{
    for (size_t i = 0; i < OWN_LINES_MAX && lines[i]; i++)
        (void)command_ends(&shops->runner, 0, lines[i]);
    if (kind->has_old_images)
        own_shops_age(shops, true, true);
}

void own_kind_first(OwnShops *shops, const OwnKind *kind) { run(shops, kind, kind->first); }

void own_kind_again(OwnShops *shops, const OwnKind *kind, bool is_done)
{
    if (is_done)
        run(shops, kind, kind->again);
}

// ---- to its end

const char *const OWN_WAYS[OWN_WAY_COUNT] = {"asked for again", "resumed", "taken back"};

static Str value(const OwnShops *shops, const char *sql)
{
    return test_value(shops->runner.world.control, shops->runner.world.arena, sql);
}

int64_t own_operation_newest(const OwnShops *shops)
{
    return strtoll(value(shops, "select coalesce(max(id), 0) from control.operations").data, NULL, 10);
}

static bool is_operation(const OwnShops *shops, int64_t id, const char *condition)
{
    const char *sql =
        LINE("select exists (select from control.operations where id = %lld and %s)::text", (long long)id, condition);
    return str_eq(value(shops, sql), S("true"));
}

bool has_own_operation_ended(const OwnShops *shops, int64_t id)
{
    return is_operation(shops, id, "state in ('done', 'reverted')");
}

bool own_kind_go(const OwnShops *shops, const OwnKind *kind, int64_t id, OwnWay way, Platform *platform, Error *err)
{
    if (id == 0 || way == OWN_ASKED_AGAIN)
        return kind->act(shops, platform, err);
    return way == OWN_RESUMED ? operation_resume(platform, id, err) : operation_revert(platform, id, err);
}

static void check_preview(const OwnShops *shops, int64_t id, OwnWay way, const char *moment)
{
    Error err = {0};
    CLEANUP(json_close) Json *answer = NULL;
    Platform *platform = own_shops_platform(shops);
    ck_assert_msg(operation_preview(platform, id, way == OWN_TAKEN_BACK, &answer, &err) ||
                      err.code == ERR_UNREACHABLE || error_says(&err, "only goes forward"),
                  "%s: its preview: %s: %s (%s)", moment, error_name(err.code), err.what, err.why);
    platform_close(&platform);
}

// An engine that was killed needs a while until it has started its containers again.
static void must_go(const OwnShops *shops, const OwnKind *kind, int64_t id, OwnWay way, const char *moment)
{
    Error err = {0};
    Platform *platform = own_shops_platform(shops);
    bool ok = own_kind_go(shops, kind, id, way, platform, &err);
    for (int64_t deadline_ms = clock_ms() + START_MS; !ok && err.code == ERR_UNREACHABLE && clock_ms() < deadline_ms;
         clock_sleep_ms(100)) {
        error_clear(&err);
        ok = own_kind_go(shops, kind, id, way, platform, &err);
    }
    ck_assert_msg(ok || (way == OWN_TAKEN_BACK && error_says(&err, "only goes forward")), "%s: %s: %s (%s) %s", moment,
                  error_name(err.code), err.what, err.why, err.cause_count ? err.causes[0] : "");
    platform_close(&platform);
}

// Of a command with two operations the second one may be what was cut short, or all that is left to do.
bool own_kind_finish(const OwnShops *shops, const OwnKind *kind, int64_t id, OwnWay way, const char *moment)
{
    if (id && !has_own_operation_ended(shops, id)) {
        check_preview(shops, id, way, moment);
        must_go(shops, kind, id, way, moment);
    }
    if (id && !has_own_operation_ended(shops, id))
        must_go(shops, kind, id, OWN_RESUMED, moment);
    if (is_operation(shops, id, LINE("kind = '%s' and state = 'reverted'", kind->driver->kind)))
        return false;
    if (!is_operation(shops, id, "state = 'done'") || own_shops_things(shops, "bazar") != kind->after.things)
        must_go(shops, kind, 0, way, moment);
    return true;
}

static void check_images(OwnShops *shops, bool is_done, const char *moment)
{
    Str would = command_ends(&shops->runner, 0, "tenant upgrade bazar --dry-run -o json");
    ck_assert_msg((str_find(would, S(":old")) == would.len) == is_done, "%s: %.*s", moment, STR_ARG(would));
}

void own_kind_check(OwnShops *shops, const OwnKind *kind, bool is_done, const char *moment)
{
    const OwnState *state = is_done ? &kind->after : &kind->before;
    size_t things = own_shops_things(shops, "bazar");
    ck_assert_msg(things == state->things, "%s: %zu things are there, not %zu", moment, things, state->things);
    Str size =
        test_value(shops->runner.world.control, shops->runner.world.arena,
                   "select coalesce(string_agg(control.cell_takes(resources, 'millicpu')::text || ' ' || "
                   "control.cell_takes(resources, 'memory_bytes') / 1048576, ', '), '') from control.cells where "
                   "host is not null");
    ck_assert_msg(str_eq(size, str_of(state->size)), "%s: by the record it has '%.*s', not '%s'", moment, STR_ARG(size),
                  state->size);
    if (state->is_served)
        ck_assert_msg(own_shops_status(shops, "bazar", "/") == 200, "%s: the shop doesn't answer", moment);
    if (state->is_served && state->things) {
        Str mended = own_shops_mended(shops, ERR_NONE, "");
        ck_assert_msg(str_eq(mended, S("[]")), "%s: it had to be mended: %.*s", moment, STR_ARG(mended));
    }
    if (kind->has_old_images)
        check_images(shops, is_done, moment);
}
