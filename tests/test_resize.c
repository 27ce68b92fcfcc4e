// tests/test_resize.c: a shop with containers of its own gets other amounts of CPU and memory while it sells.
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "provisioner/cell.h"
#include "provisioner/container.h"
#include "provisioner/container_driver.h"
#include "provisioner/tenant_resize.h"
#include "tests/support/more_check.h"
#include "tests/support/own_kind.h"
#include "tests/support/pg_server.h"

enum { WAIT_MS = 10000 };

static OwnShops shops;

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

static void prepare(void)
{
    (void)command_ends(&shops.runner, 0, "tenant create bazar --plan own --email a@b.example");
}

static void open_all(void) { own_shops_borrow(&shops, prepare); }
static void close_all(void) { own_shops_give_back(); }
static Str run(int exit_code, const char *line) { return command_ends(&shops.runner, exit_code, line); }
static Str value(const char *sql) { return test_value(shops.runner.world.control, shops.runner.world.arena, sql); }
static Str name_of(const char *end) { return own_shops_name(&shops, end); }
static Str mended(ErrorCode code, const char *says) { return own_shops_mended(&shops, code, says); }

static void answers(void)
{
    for (int64_t deadline_ms = clock_ms() + WAIT_MS; own_shops_status(&shops, "bazar", "/") != 200;)
        ck_assert_msg(clock_ms() < deadline_ms, "the shop doesn't answer");
}

static const struct {
    const char *line;
    int exit_code;
    const char *says;
} SIZES_REFUSED[] = {
    {"tenant resize stall --cpu 1", 1, "has no containers of its own"},
    {"tenant resize nobody --cpu 1", 66, "there is no tenant 'nobody'"},
    {"tenant resize bazar", 64, "no size is given"},
    {"tenant resize bazar --plan-size --cpu 1", 64, "goes with no other amount"},
    {"tenant resize bazar --memory 100MiB", 65, "it would be 50MiB, not 128MiB to 4TiB"},
    {"tenant resize bazar --memory 64TiB", 65, "it would be 32TiB, not 128MiB to 4TiB"},
    {"tenant resize bazar --memory 3TiB", 1, "here: memory "},
    {"tenant resize bazar --cpu 200 --memory 1GiB", 1, "here: CPU "},
};

static Str setting(const char *name)
{
    return run(0, LINE("tenant psql bazar -c select(current_setting('%s'))", name));
}

static Str started(const char *end)
{
    Engine *connection = engine_server_connect(shops.engine);
    Json *container = NULL;
    Error err = {0};
    ck_assert_ok(thing_find(connection, THING_CONTAINER, name_of(end), &container, &err), &err);
    Str at = str_copy(shops.runner.world.arena, json_str(json_get(json_get(container, "State"), "StartedAt")));
    json_close(&container);
    engine_close(&connection);
    return at;
}

static void check_limits(const char *end, int64_t millicpu, int64_t memory_mb)
{
    Engine *connection = engine_server_connect(shops.engine);
    Json *container = NULL;
    Error err = {0};
    ck_assert_ok(thing_find(connection, THING_CONTAINER, name_of(end), &container, &err), &err);
    ck_assert_msg(has_container_limits(container, millicpu, memory_mb * MIB), "%s has other limits", end);
    json_close(&container);
    engine_close(&connection);
}

TEST(a_shop_gets_another_size_while_it_sells_and_keeps_it)
{
    open_all();
    (void)run(0, "tenant create stall --plan free --email a@b.example");
    for (size_t i = 0; i < COUNT(SIZES_REFUSED); i++) {
        ck_assert_contains(run(SIZES_REFUSED[i].exit_code, SIZES_REFUSED[i].line), str_of(SIZES_REFUSED[i].says));
        ck_assert_contains(run(SIZES_REFUSED[i].exit_code, LINE("%s --dry-run", SIZES_REFUSED[i].line)),
                           str_of(SIZES_REFUSED[i].says));
    }
    check_limits("postgres", 600, 256);
    ck_assert_contains(run(0, "tenant resize bazar --memory 768MiB --dry-run"),
                       S("postgres.memory_bytes: 268435456 -> 402653184"));
    check_limits("postgres", 600, 256);

    // Nothing of CPU below a core is for PostgreSQL's start.
    Str shopd = started("shopd"), postgres = started("postgres");
    Str said = run(0, "tenant resize bazar --cpu 1500m -o json");
    ck_assert_contains(said, S("\"changed\": true"));
    ck_assert_contains(said, S("\"away_ms\": 0"));
    check_limits("postgres", 900, 256);
    check_limits("shopd", 600, 256);
    ck_assert_str(started("postgres"), postgres);
    ck_assert_contains(run(0, "tenant resize bazar --cpu 1500m -o json"), S("\"changed\": false"));

    said = run(0, "tenant resize bazar --memory 768MiB --disk 2GiB -o json");
    ck_assert(str_find(said, S("\"away_ms\": 0")) == said.len);
    ck_assert_contains(said, S("\"upgrade_wanted\": true"));    // of its cache
    answers();
    check_limits("postgres", 900, 384);
    check_limits("shopd", 600, 384);
    ck_assert_contains(setting("shared_buffers"), S("96MB"));
    ck_assert_str(started("shopd"), shopd);
    ck_assert_str(mended(ERR_NONE, ""), S("[]"));
    ck_assert_uint_eq(own_shops_things(&shops, "bazar"), 5);
    ck_assert_contains(run(0, "tenant show bazar -o json"), S("\"disk_bytes\": 2147483648"));
    ck_assert_str(value("select (control.cell_takes(resources, 'memory_bytes') / 1048576)::text from control.cells "
                        "where host is not null"),
                  S("768"));

    (void)run(0, "tenant restart bazar --postgres");
    ck_assert_contains(setting("shared_buffers"), S("96MB"));
    own_shops_do(&shops, "DELETE", LINE("/containers/%s?force=true", name_of("postgres").data), NULL);
    ck_assert_contains(mended(ERR_NONE, ""), S("made the container"));
    answers();
    check_limits("postgres", 900, 384);
    (void)run(0, "tenant suspend bazar");
    (void)run(0, "tenant archive bazar");
    (void)run(0, "tenant delete bazar --yes");
    (void)run(0, "tenant restore bazar");
    check_limits("postgres", 900, 384);
    check_limits("shopd", 600, 384);
    ck_assert_contains(setting("shared_buffers"), S("96MB"));

    ck_assert_contains(run(0, "tenant resize bazar --plan-size -o json"), S("\"changed\": true"));
    check_limits("postgres", 600, 256);
    check_limits("shopd", 400, 256);
    ck_assert_contains(setting("shared_buffers"), S("64MB"));
    ck_assert_str(value("select count(*) from control.tenants where resources is not null"), S("0"));
    ck_assert_str(mended(ERR_NONE, ""), S("[]"));
    close_all();
}

// Whoever mends by an older record would take back what an operation does.
TEST(an_operation_begins_when_nobody_mends_and_nobody_mends_while_one_is_under_way)
{
    open_all();
    command_sql(shops.runner.world.control, S("select control.mend_begin('bazar')"));
    ck_assert_str(mended(ERR_NONE, ""), S("[]"));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error err = {0};
        Json *answer = NULL;
        Platform *platform = own_shops_platform(&shops);
        _exit(tenant_resize(platform, test_slug("bazar"), &(TenantSize){.millicpu = 1500}, &answer, &err) ? 0 : 1);
    }
    Str waiting = S("0");
    for (int64_t deadline_ms = clock_ms() + WAIT_MS; !str_eq(waiting, S("1")) && clock_ms() < deadline_ms;)
        waiting = value("select count(*) from pg_locks where locktype = 'advisory' and not granted");
    ck_assert_str(waiting, S("1"));
    check_limits("postgres", 600, 256);
    ck_assert_str(value("select count(*) from control.leases"), S("0"));
    command_sql(shops.runner.world.control, S("select control.mend_end('bazar')"));
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    check_limits("postgres", 900, 256);
    (void)run(0, "tenant resize bazar --plan-size");
    close_all();
}

// ---- kills

// Not killed: it was done, or taken back, to its end.
static void check_size(bool is_resized, const char *moment)
{
    ck_assert_msg(own_shops_status(&shops, "bazar", "/") == 200, "%s: the shop doesn't answer", moment);
    check_limits("postgres", is_resized ? 900 : 600, is_resized ? 240 : 256);
    check_limits("shopd", is_resized ? 600 : 400, is_resized ? 240 : 256);
    ck_assert_contains(setting("shared_buffers"), is_resized ? S("60MB") : S("64MB"));
    ck_assert_str(mended(ERR_NONE, ""), S("[]"));
    ck_assert_msg(own_shops_things(&shops, "bazar") == 5, "%s: something is left", moment);
    ck_assert_str(
        value("select (control.cell_takes(resources, 'millicpu'))::text || ' ' || control.cell_takes(resources, "
              "'memory_bytes') / 1048576 from control.cells where host is not null"),
        is_resized ? S("1500 480") : S("1000 512"));
    ck_assert_str(value("select count(*) from control.leases"), S("0"));
}

static void disk_set(const char *bytes)
{
    Error err = {0};
    ck_assert_ok(db_script(shops.runner.world.control,
                           str_of(LINE("update control.cells set resources = jsonb_set(resources, "
                                       "'{postgres,disk_bytes}', '%s') where host is not null",
                                       bytes)),
                           &err),
                 &err);
}

static void warned(void *context, const char *text)
{
    *(Str *)context = str_copy(shops.runner.world.arena, str_of(text));
}

// What the controller does each minute; gives the warning.
static Str tidied(void)
{
    Error err = {0};
    Str warning = S("");
    Platform *platform = own_shops_platform(&shops);
    platform_warned(platform, warned, &warning);
    Str cell = value("select name from control.cells where host is not null");
    ck_assert_ok(cell_tidy(platform, cell, &err), &err);
    platform_close(&platform);
    return warning;
}

static bool can_write(void)
{
    Error err = {0};
    Str answer = S(""), url = value("select url || '/api/v1/store/carts' from control.cells where host is not null");
    const char *argv[] = {"curl",
                          "-s",
                          "-H",
                          "Host: bazar.localhost",
                          "-H",
                          "Content-Type: application/json",
                          "-d",
                          "{}",
                          str_copy(shops.runner.world.arena, url).data,
                          NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, WAIT_MS, shops.runner.world.arena, &answer, &err), &err);
    if (str_find(answer, S("nothing can be written in the shop")) < answer.len)
        return false;
    ck_assert_contains(answer, S("\"subtotal\""));
    return true;
}

TEST(a_shop_that_has_used_its_disk_is_read_and_not_written)
{
    open_all();
    Str size = value("select resources #>> '{postgres,disk_bytes}' from control.cells where host is not null");
    ck_assert_str(tidied(), S(""));
    ck_assert(can_write());
    disk_set("1000000");
    ck_assert_contains(tidied(), S("tenant resize bazar --disk"));
    ck_assert(!can_write());
    ck_assert_int_eq(own_shops_status(&shops, "bazar", "/collections/all"), 200);
    ck_assert_contains(run(0, "tenant show bazar -o json"), S("\"is_full\": true"));
    Error err = {0};
    Str catalogue = str_format(shops.runner.world.arena, "%s/one.csv", shops.runner.world.data.data);
    ck_assert_ok(file_write(catalogue, S("Handle,Title,Variant Price\nmug,Mug,9.50\n"), 0644, &err), &err);
    ck_assert_contains(run(77, LINE("product import bazar %s", catalogue.data)), S("it has used the disk of its plan"));
    ck_assert_str(tidied(), S(""));    // it is said once
    disk_set(str_copy(shops.runner.world.arena, size).data);
    ck_assert_contains(tidied(), S("has room on its disk again"));
    ck_assert(can_write());
    ck_assert_contains(run(0, "tenant show bazar -o json"), S("\"is_full\": false"));
    close_all();
}

TEST(a_resize_that_is_killed_at_any_step_goes_on_or_back)
{
    open_all();
    (void)run(0, "tenant restart bazar");    // one that has served for long may use more than it is to have
    for (size_t step = 0; step < CONTAINER_RESIZE.count;
         step += getenv("TEST_ALL") ? 1 : 2) {    // torture has all, and both sides
        EventPhase phase = step % 2 ? EVENT_BEFORE : EVENT_AFTER;
        bool is_past = step == CONTAINER_RESIZE.count - 1, is_resumed = step % 3 == 1;
        own_shops_killed(&shops, OWN_KINDS[OWN_RESIZE].act, (StepMoment){step, phase});
        const char *id = value("select max(id) from control.operations").data;
        if (is_past)
            ck_assert_contains(run(1, LINE("operation revert %s", id)), S("only goes forward"));
        if (is_past || is_resumed)
            (void)run(0,
                      is_resumed ? LINE("operation resume %s", id) : "tenant resize bazar --cpu 1500m --memory 480MiB");
        else
            (void)run(0, LINE("operation revert %s", id));
        check_size(is_past || is_resumed, CONTAINER_RESIZE.steps[step].name);
        if (is_past || is_resumed)
            (void)run(0, "tenant resize bazar --plan-size");
    }
    check_size(false, "at the end");
    close_all();
}

// Of a PostgreSQL that was stopped, or removed, while it lasts.
TEST(a_resize_ends_whatever_became_of_the_container)
{
    static const char *const GONE[] = {"stopped", "removed"};
    open_all();
    for (size_t i = 0; i < COUNT(GONE); i++) {
        own_shops_killed(&shops, OWN_KINDS[OWN_RESIZE].act, (StepMoment){1, EVENT_AFTER});
        Str postgres = name_of("postgres");
        if (i == 0)
            own_shops_do(&shops, "POST", LINE("/containers/%.*s/stop", STR_ARG(postgres)), NULL);
        else
            own_shops_do(&shops, "DELETE", LINE("/containers/%.*s?force=true", STR_ARG(postgres)), NULL);
        (void)run(0, LINE("operation resume %.*s", STR_ARG(value("select max(id) from control.operations"))));
        if (i == 1)
            ck_assert_contains(mended(ERR_NONE, ""), S("made the container"));
        answers();
        for (int64_t until_ms = clock_ms() + WAIT_MS;
             command_runner_run(&shops.runner, "tenant psql bazar -c select(1)", S(""), NULL, NULL).exit_code != 0;)
            ck_assert_msg(clock_ms() < until_ms, "its PostgreSQL doesn't answer");
        check_size(true, GONE[i]);
        (void)run(0, "tenant resize bazar --plan-size");
    }
    close_all();
}

SUITE(resize, ONCE(a_shop_gets_another_size_while_it_sells_and_keeps_it),
      ONCE(an_operation_begins_when_nobody_mends_and_nobody_mends_while_one_is_under_way),
      ONCE(a_shop_that_has_used_its_disk_is_read_and_not_written),
      ONCE(a_resize_that_is_killed_at_any_step_goes_on_or_back), ONCE(a_resize_ends_whatever_became_of_the_container))
