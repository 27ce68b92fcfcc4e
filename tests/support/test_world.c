// tests/support/test_world.c: makes a platform for a test, and compares its record with its cell.
#include "tests/support/test_world.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "provisioner/address.h"
#include "provisioner/cell.h"
#include "provisioner/http_client.h"
#include "tests/support/free_port.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

enum {
    ARENA_BUDGET = 256 * MIB,
    READY_MS = 30000,
    READY_PAUSE_MS = 20,
    STOP_MS = 10000,
    ANSWER_MS = 10000,
    ANSWER_PAUSE_MS = 5,
    NUMBERS_PER_WORLD = 2000,
    WORLDS_PER_PROCESS = 50
};

// Ends shopd and removes the directory when the test's process is gone, however that went.
static void guard_start(const TestWorld *world, const Process *child)
{
    static const char SCRIPT[] = "while kill -0 \"$1\" 2>/dev/null && [ -d \"$3\" ]; do sleep 0.5; done; "
                                 "[ \"$2\" = 0 ] || kill -9 \"$2\" 2>/dev/null; rm -rf \"$3\"";
    Str self = str_format(world->arena, "%d", (int)getpid()), shopd = str_format(world->arena, "%d", child->pid);
    const char *argv[] = {"sh", "-c", SCRIPT, "sh", self.data, shopd.data, world->data.data, NULL};
    Error err = {0};
    Process guard;
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv, .is_session = true}, &guard, &err), &err);
    process_close(&guard);
}

static void shopd_start(TestWorld *world, Str cell_dsn, unsigned port, Process *out)
{
    const char *build = getenv("TEST_BUILD");
    ck_assert_msg(build != NULL, "TEST_BUILD is unset: run this by `make check`");
    Str program = str_format(world->arena, "%s/bin/shopd", build);
    Str listen = str_format(world->arena, "127.0.0.1:%u", port);
    const char *argv[] = {program.data,    "--cell", cell_dsn.data, "--listen", listen.data, "--threads",  "1",
                          "--connections", "4",      "--log-level", "error",    "--modules", "storefront", NULL};
    Error err = {0};
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv, .output = STDERR_FILENO}, out, &err), &err);
}

static void shopd_wait(TestWorld *world, unsigned port)
{
    Str listen = str_format(world->arena, "127.0.0.1:%u", port);
    int64_t until_ms = clock_ms() + READY_MS;
    while (!is_address_ready(listen, READY_MS) && clock_ms() < until_ms)
        clock_sleep_ms(READY_PAUSE_MS);
    ck_assert_msg(clock_ms() < until_ms, "shopd isn't ready at %s", listen.data);
}

// Answers all with 200, what is below /broken with 500, as long as the process lives: new shops are asked for, and most
// tests need no shopd.
static void *answer_all(void *context)
{
    static const char FINE[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    static const char BROKEN[] = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    int listener = (int)(intptr_t)context;
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0; fd_close(&fd)) {
        char request[KIB * 4];
        ssize_t count = recv(fd, request, sizeof(request), 0);
        bool is_broken = count > 0 && str_has_prefix((Str){request, (size_t)count}, S("GET /broken"));
        const char *answer = is_broken ? BROKEN : FINE;
        if (count > 0)
            (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
        (void)!recv(fd, request, sizeof(request), 0);
    }
    return NULL;
}

static unsigned answerer_port(void)
{
    static pid_t owner = 0;    // a fork has no threads of its parent
    static unsigned port = 0;
    if (owner == getpid())
        return port;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    pthread_t thread;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, SOMAXCONN), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, answer_all, (void *)(intptr_t)listener), 0);
    ck_assert_int_eq(pthread_detach(thread), 0);
    owner = getpid();
    port = ntohs(address.sin_port);
    return port;
}

Platform *test_world_platform(const TestWorld *world, int64_t takeover_ms)
{
    Error err = {0};
    Platform *platform = NULL;
    ck_assert_ok(platform_open_with(&(PlatformOptions){.control_dsn = world->control_dsn,
                                                       .data = world->data,
                                                       .operator_name = S("tester"),
                                                       .takeover_ms = takeover_ms},
                                    &platform, &err),
                 &err);
    return platform;
}

void test_world_open(TestWorld *world, const char *noun, bool is_served)
{
    static int64_t count = 0;    // of this process
    Error err = {0};
    *world = (TestWorld){.arena = arena_open(ARENA_BUDGET)};
    char directory[] = "/tmp/shop-world.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    world->data = str_copy(world->arena, str_of(directory));
    world->control_dsn = test_database(noun);
    world->cell_dsn = test_database(noun);
    int64_t start = ((int64_t)getpid() * WORLDS_PER_PROCESS + count++ % WORLDS_PER_PROCESS) * NUMBERS_PER_WORLD;
    ck_assert_ok(platform_migrate(world->control_dsn, start, &err), &err);
    world->platform = test_world_platform(world, 0);
    Plans plans;
    ck_assert_ok(plans_read(S(""), world->arena, &plans, &err) && plans_get(&plans, S("free"), &world->plan, &err),
                 &err);
    world->port = is_served ? test_free_port() : 0;
    world->url = str_format(world->arena, "http://127.0.0.1:%u", is_served ? world->port : answerer_port());
    CellSpec spec = {.name = S("main"), .dsn = world->cell_dsn, .url = world->url};
    ck_assert_ok(cell_add(world->platform, &spec, &err), &err);
    world->control = test_db_open(world->control_dsn);
    world->cell = test_db_open(world->cell_dsn);
    if (is_served)
        shopd_start(world, world->cell_dsn, world->port, &world->shopd);
    guard_start(world, &world->shopd);
    if (is_served)
        shopd_wait(world, world->port);
}

void test_world_open_other(TestWorld *world)
{
    Error err = {0};
    WorldCell *other = &world->other;
    *other = (WorldCell){.name = S("other"), .dsn = test_database("other"), .port = world->port ? test_free_port() : 0};
    Str url = other->port ? str_format(world->arena, "http://127.0.0.1:%u", other->port) : world->url;
    ck_assert_ok(cell_add(world->platform, &(CellSpec){.name = other->name, .dsn = other->dsn, .url = url}, &err),
                 &err);
    other->db = test_db_open(other->dsn);
    if (other->port)
        test_world_start_other(world);
}

void test_world_stop_other(TestWorld *world) { ck_assert(process_stop(&world->other.shopd, SIGTERM, STOP_MS)); }

void test_world_start_other(TestWorld *world)
{
    WorldCell *other = &world->other;
    shopd_start(world, other->dsn, other->port, &other->shopd);
    guard_start(world, &other->shopd);
    shopd_wait(world, other->port);
}

// The shop's cell, by the record.
static bool is_in_other(TestWorld *world, const char *slug)
{
    Str sql = str_format(world->arena, "select coalesce((control.tenant_of('%s')).cell, '')", slug);
    return world->other.name.len && str_eq(test_value(world->control, world->arena, sql.data), world->other.name);
}

// `head` schema `tail`
static Str shop_value(TestWorld *world, const char *slug, const char *head, const char *tail)
{
    Str number = test_value(world->control, world->arena,
                            str_format(world->arena, "select (control.tenant_of('%s')).number", slug).data);
    Str whole = str_format(world->arena, "%s t_%.*s%s", head, STR_ARG(number), tail);
    return test_value(is_in_other(world, slug) ? world->other.db : world->cell, world->arena, whole.data);
}

void test_world_mark(TestWorld *world, const char *slug)
{
    Error err = {0};
    (void)shop_value(world, slug, "insert into",
                     ".customers (email) select gen_random_uuid() || '@buyer.example' returning id");
    ck_assert_ok(
        str_int64(shop_value(world, slug, "select count(*) from", ".customers"), 1, INT64_MAX, &world->marked, &err),
        &err);
}

void test_world_check_marked(TestWorld *world, const char *slug, const char *moment)
{
    Str rows = shop_value(world, slug, "select count(*) from", ".customers");
    ck_assert_msg(str_eq(rows, str_int(world->arena, world->marked)), "%s: '%s' has %.*s rows, not %lld", moment, slug,
                  STR_ARG(rows), (long long)world->marked);
}

void test_world_close(TestWorld *world)
{
    if (world->shopd.pid)
        (void)process_stop(&world->shopd, SIGTERM, STOP_MS);
    if (world->other.shopd.pid)
        (void)process_stop(&world->other.shopd, SIGTERM, STOP_MS);
    db_close(&world->control);
    db_close(&world->cell);
    db_close(&world->other.db);
    platform_close(&world->platform);
    const char *argv[] = {"rm", "-rf", world->data.data, NULL};
    Error err = {0};
    Str output;
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, STOP_MS, world->arena, &output, &err), &err);
    arena_close(&world->arena);
}

TenantSpec test_world_spec(const TestWorld *world, const char *slug)
{
    return (TenantSpec){.slug = str_of(slug),
                        .name = S("Bazar Sur"),
                        .email = S("owner@bazar.example"),
                        .language = S("es"),
                        .country = S("ES"),
                        .plan = world->plan};
}

Slug test_slug(const char *slug)
{
    Error err = {0};
    Slug result = {0};
    ck_assert_ok(slug_parse(str_of(slug), &result, &err), &err);
    return result;
}

Str test_world_status(TestWorld *world, const char *slug)
{
    Str sql = str_format(world->arena, "select coalesce((control.tenant_of('%s')).status, '')", slug);
    return test_value(world->control, world->arena, sql.data);
}

static bool step_on(TestWorld *world, const char *slug, Str status, bool is_active_wanted, Error *err)
{
    if (str_eq(status, S("")))
        return tenant_create(
            world->platform,
            &(TenantSpec){
                .slug = str_of(slug), .name = S("Bazar Sur"), .email = S("owner@bazar.example"), .plan = world->plan},
            NULL, err);
    if (str_eq(status, S("active")))
        return tenant_suspend(world->platform, test_slug(slug), err);
    if (str_eq(status, S("suspended")))
        return is_active_wanted ? tenant_resume(world->platform, test_slug(slug), err)
                                : tenant_archive(world->platform, test_slug(slug), err);
    if (str_eq(status, S("archived")))
        return tenant_delete(world->platform, test_slug(slug), err);
    return tenant_restore(world->platform, test_slug(slug), err);
}

void test_world_bring(TestWorld *world, const char *slug, const char *status)
{
    Str wanted = str_of(status);
    for (Str now = test_world_status(world, slug); !str_eq(now, wanted); now = test_world_status(world, slug)) {
        Error err = {0};
        ck_assert_ok(step_on(world, slug, now, str_eq(wanted, S("active")), &err), &err);
    }
}

// ---- whether record and cell agree

// $1: the cell. What has moved away and may come back is there, without hosts.
static const char RECORD[] =
    "select coalesce(string_agg(concat_ws(' ', number, slug, status, hosts, limits), E'\\n' order by number), '') from "
    "("
    "select t.number, t.slug, t.status, array(select h from unnest(t.domains || (t.slug || '.localhost')) h order by "
    "h) "
    "hosts, control.tenant_limits(p.document, t.overrides) limits "
    "from control.tenants t join control.plans p on p.name = t.plan and p.version = t.plan_version "
    "where t.cell = $1 and (t.number is not null or t.status not in ('requested', 'rejected', 'approved', 'deleted')) "
    "union all select m.source_number, t.slug, 'moved', '{}', control.tenant_limits(p.document, t.overrides) "
    "from control.moves m join control.tenants t on t.id = m.tenant_id "
    "join control.plans p on p.name = m.source_plan and p.version = m.source_plan_version "
    "where m.is_switched and m.source_cell = $1) r";
static const char CELL[] =
    "select coalesce(string_agg(concat_ws(' ', t.number, t.slug, t.state, array(select host from cell.domains d where "
    "d.tenant = t.number order by host), t.limits), E'\\n' order by t.number), '') from cell.tenants t where state <> "
    "'spare'";

// What no moment may have; the answer is empty or names it.
static const char *const CONTROL_NEVER[] = {
    "select coalesce(string_agg(slug, ' '), '') from control.leases",
    "select coalesce(string_agg(id::text, ' '), '') from control.operations where state not in ('done', 'reverted')",
    "select coalesce(string_agg(c.name || ' counts ' || c.placed, ' '), '') from control.cells c "
    "where placed <> (select count(*) from control.tenants t where t.cell = c.name) "
    "+ (select count(*) from control.moves m where m.source_cell = c.name and m.is_switched)",
    "select coalesce(string_agg(operation::text, ' '), '') from control.moves where not is_switched",
    "select coalesce(string_agg(host, ' '), '') from control.domains d join control.tenants t on t.id = d.tenant_id "
    "where t.status in ('deleted', 'rejected') or d.host <> all (t.domains)",
};
static const char *const CELL_NEVER[] = {
    "select coalesce(string_agg(nspname, ' '), '') from pg_namespace n where nspname ~ '^t_[0-9]+$' "
    "and not exists (select from cell.tenants where 't_' || number = nspname)",
    "select coalesce(string_agg(rolname, ' '), '') from pg_roles r where shobj_description(r.oid, 'pg_authid') = "
    "'tenant of the cell in database ' || current_database() "
    "and not exists (select from cell.tenants where 't_' || number = rolname)",
    "select coalesce(string_agg(number::text, ' '), '') from cell.tenants where to_regnamespace('t_' || number) is "
    "null "
    "or to_regrole('t_' || number) is null",
    "select coalesce(string_agg(tenant, ' '), '') from cell.bell b "
    "where not exists (select from cell.tenants where 't_' || number = tenant)",
    "select coalesce(string_agg(tenant::text, ' '), '') from cell.gates "
    "where tenant not in (select number from cell.tenants where state = 'moved')",
    "select coalesce(string_agg(tenant::text, ' '), '') from cell.replicas "
    "where tenant not in (select number from cell.tenants where state = 'moved')",
};
// Of all cells: what keeps the changes of a shop that has no way back to keep them for.
static const char SLOTS_WANTED[] =
    "select coalesce(string_agg('shop_t_' || t.number, ' ' order by t.number), '') "
    "from control.moves m join control.tenants t on t.id = m.tenant_id where t.cell = $1";
static const char SLOTS[] = "select coalesce(string_agg(slot_name, ' ' order by slot_name), '') "
                            "from pg_replication_slots where database = current_database()";
static const char PUBLICATIONS[] = "select coalesce(string_agg(pubname, ' ' order by pubname), '') from pg_publication";

static void check_never(Db *db, Arena *arena, const char *const *rows, size_t count, const char *moment)
{
    for (size_t i = 0; i < count; i++) {
        Str found = test_value(db, arena, rows[i]);
        ck_assert_msg(found.len == 0, "%s: left over: %.*s (%s)", moment, STR_ARG(found), rows[i]);
    }
}

static void check_settings(TestWorld *world, const char *slug, const char *moment)
{
    Error err = {0};
    CLEANUP(rows_close) Rows *wanted = NULL;
    CLEANUP(rows_close) Rows *served = NULL;
    ck_assert_ok(
        db_query(world->control, S("select number, settings, limits from control.tenant_context($1, null, null)"),
                 PARAMS(str_of(slug)), &wanted, &err) &&
            db_query(is_in_other(world, slug) ? world->other.db : world->cell,
                     S("select cell.tenant_has_settings($1::bigint, $2::jsonb, $3::jsonb)"),
                     PARAMS(rows_str(wanted, 0, 0), rows_str(wanted, 0, 1), rows_str(wanted, 0, 2)), &served, &err),
        &err);
    ck_assert_msg(rows_bool(served, 0, 0), "%s: '%s' has other settings in its cell than in the record", moment, slug);
}

static size_t entries_of(Str path)
{
    DIR *directory = opendir(path.data);
    size_t count = 0;
    for (const struct dirent *entry = NULL; directory && (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    if (directory)
        (void)closedir(directory);
    return count;
}

static int answer_wanted(Str status)
{
    return str_eq(status, S("active")) ? 200 : str_eq(status, S("suspended")) ? 503 : 404;
}

static void check_answer(TestWorld *world, unsigned port, const char *slug, int wanted, const char *moment)
{
    Str url = str_format(world->arena, "http://127.0.0.1:%u/", port);
    Str host = str_format(world->arena, "%s.localhost", slug);
    int answer = 0;
    for (int64_t until_ms = clock_ms() + ANSWER_MS; clock_ms() < until_ms; clock_sleep_ms(ANSWER_PAUSE_MS)) {
        Error err = {0};
        ck_assert_ok(http_get_status(url, host, ANSWER_MS, &answer, &err), &err);
        if (answer == wanted)
            return;
    }
    ck_abort_msg("%s: '%s' answers at port %u with %d, not %d", moment, slug, port, answer, wanted);
}

static Str cell_record(TestWorld *world, const char *sql, Str cell)
{
    Error err = {0};
    CLEANUP(rows_close) Rows *rows = NULL;
    ck_assert_ok(db_query(world->control, str_of(sql), PARAMS(cell), &rows, &err), &err);
    return str_copy(world->arena, rows_str(rows, 0, 0));
}

static void check_cell(TestWorld *world, Str name, Db *db, const char *moment)
{
    Str record = cell_record(world, RECORD, name), cell = test_value(db, world->arena, CELL);
    ck_assert_msg(str_eq(record, cell), "%s: the record has\n%.*s\nand the cell '%.*s'\n%.*s", moment, STR_ARG(record),
                  STR_ARG(name), STR_ARG(cell));
    check_never(db, world->arena, CELL_NEVER, COUNT(CELL_NEVER), moment);
    Str wanted = cell_record(world, SLOTS_WANTED, name), slots = test_value(db, world->arena, SLOTS);
    Str publications = test_value(db, world->arena, PUBLICATIONS);
    ck_assert_msg(str_eq(wanted, slots) && str_eq(wanted, publications),
                  "%s: the cell '%.*s' has the slots '%.*s' and the publications '%.*s', not '%.*s'", moment,
                  STR_ARG(name), STR_ARG(slots), STR_ARG(publications), STR_ARG(wanted));
}

void test_world_check(TestWorld *world, const char *slug, const char *moment)
{
    check_cell(world, S("main"), world->cell, moment);
    if (world->other.name.len)
        check_cell(world, world->other.name, world->other.db, moment);
    check_never(world->control, world->arena, CONTROL_NEVER, COUNT(CONTROL_NEVER), moment);
    Str status = test_world_status(world, slug);
    if (str_eq(status, S("active")) || str_eq(status, S("suspended")) || str_eq(status, S("archived")))
        check_settings(world, slug, moment);
    size_t dumps = entries_of(str_format(world->arena, "%.*s/dumps", STR_ARG(world->data)));
    Str recorded = test_value(world->control, world->arena, "select count(*) from control.dumps");
    ck_assert_msg(str_eq(recorded, str_format(world->arena, "%zu", dumps)), "%s: %zu dumps, recorded are %.*s", moment,
                  dumps, STR_ARG(recorded));
    bool is_other = is_in_other(world, slug);
    if (world->port)
        check_answer(world, is_other ? world->other.port : world->port, slug, answer_wanted(status), moment);
    if (world->other.port)
        check_answer(world, is_other ? world->port : world->other.port, slug, 404, moment);
}
