// tests/test_survival.c: buyers buy while shopd, shopctl, backends and the whole PostgreSQL are killed: no order is
// lost, doubled or half, and each command goes on. TEST_KILLS, TEST_SEED and TEST_READY_MS (a bound) change it.
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/pg.h"
#include "base/process.h"
#include "tests/support/buyers.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_client.h"
#include "tests/support/test_platform.h"

enum {
    BUYERS = 16,
    SCARCE = 100,
    PLENTY = 1000000,
    IMPORTED = 300,    // products of each shop that the killed commands are about
    KILLS_DEFAULT = 15,
    PAUSE_MS = 600,      // at most, between two kills
    COMMAND_MS = 400,    // at most, until a command is killed
    RETRY_MS = 60000,    // within this, a retry must get its answer
    HANG_MS = 60000,     // what isn't ready by then never will be; how long it takes is a figure, not a test
};

static const char CATALOGUE_HEAD[] = "Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant Inventory "
                                     "Tracker,Variant Inventory Qty,Variant Inventory Policy\n";

typedef struct Survival {
    TestPlatform platform;
    Str cell_dsn, control_dsn;
    Str catalogue;    // a file of IMPORTED products
    uint64_t seed;
    size_t commands;    // that were killed
} Survival;

static Survival survival;

// ---- the killer ----

// xorshift64: the same seed draws the same kills and pauses.
static uint64_t draw(uint64_t below)
{
    survival.seed ^= survival.seed << 13;
    survival.seed ^= survival.seed >> 7;
    survival.seed ^= survival.seed << 17;
    return survival.seed % below;
}

static int64_t number_of(const char *name, int64_t otherwise)
{
    Error err = {0};
    int64_t number = otherwise;
    const char *text = getenv(name);
    if (text && *text)
        ck_assert_ok(str_int64(str_of(text), 1, INT64_MAX, &number, &err), &err);
    return number;
}

static void signal_postmaster(int signal, Arena *arena)
{
    Error err = {0};
    Str text = S(""), line = S("");
    int64_t pid = 0;
    Str path = str_format(arena, "%.*s/pg/postmaster.pid", STR_ARG(survival.platform.data));
    if (file_read(path, 4 * KIB, arena, &text, &err) && str_cut(&text, '\n', &line) &&
        str_int64(line, 1, INT32_MAX, &pid, &err))
        (void)kill((int)pid, signal);
}

static void kill_postmaster(Arena *arena) { signal_postmaster(SIGKILL, arena); }
static void shut_cluster_down(Arena *arena) { signal_postmaster(SIGQUIT, arena); }

static void kill_shopd(Arena *arena)
{
    Error err = {0};
    Process shopd = {0};
    Str path = str_format(arena, "%.*s/run/shopd-main.pid", STR_ARG(survival.platform.data));
    ck_assert_ok(process_open(path.data, &shopd, &err), &err);
    process_signal(&shopd, SIGKILL);
    process_close(&shopd);
}

static void kill_backend(Arena *arena)
{
    (void)arena;
    Error err = {0};
    CLEANUP(db_close) Db *db = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    if (db_open(survival.cell_dsn, NULL, &db, &err) &&
        db_query(db, S("select pid from pg_stat_activity where usename like '%\\_shopd' order by random() limit 1"),
                 NO_PARAMS, &rows, &err) &&
        rows_count(rows) > 0)
        (void)kill((int)rows_int64(rows, 0, 0), SIGKILL);
}

// The life of a shop beside the buyers' one: each command, where "SLUG" is the shop, and the status that it leads to.
typedef struct Command {
    const char *words[8];
    const char *status;
} Command;

static const Command COMMANDS[] = {
    {{"tenant", "create", "SLUG", "--plan", "standard", "--email", "owner@other.example"}, "active"},
    {{"product", "import", "SLUG", "CATALOGUE"}, "active"},
    {{"tenant", "suspend", "SLUG"}, "suspended"},
    {{"tenant", "resume", "SLUG"}, "active"},
    {{"tenant", "set", "SLUG", "--name", "Other"}, "active"},
    {{"tenant", "suspend", "SLUG"}, "suspended"},
    {{"tenant", "archive", "SLUG"}, "archived"},
    {{"tenant", "delete", "SLUG", "--yes"}, "deleted"},
    {{"tenant", "restore", "SLUG"}, "active"},
};
enum { IMPORT = 1, WORDS_MAX = 12 };

static void command_start(const Command *command, const char *slug, Process *out)
{
    const char *argv[WORDS_MAX] = {survival.platform.shopctl.data};
    size_t count = 1;
    for (size_t i = 0; i < COUNT(command->words) && command->words[i]; i++) {
        const char *word = command->words[i];
        argv[count++] = strcmp(word, "SLUG") == 0        ? slug
                        : strcmp(word, "CATALOGUE") == 0 ? survival.catalogue.data
                                                         : word;
    }
    argv[count++] = "--data";
    argv[count] = survival.platform.data.data;
    Error err = {0};
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv}, out, &err), &err);
}

// Whether the shop is in this state, and nothing goes on with it.
static bool is_settled(const char *slug, const char *status)
{
    Error err = {0};
    CLEANUP(db_close) Db *db = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    return db_open(survival.control_dsn, NULL, &db, &err) &&
           db_query(db,
                    S("select 1 from control.tenants t where slug = $1 and status = $2 and not exists (select 1 from "
                      "control.operations o where o.slug = t.slug and o.state not in ('done', 'reverted'))"),
                    PARAMS(str_of(slug), str_of(status)), &rows, &err) &&
           rows_count(rows) == 1;
}

// A command is killed, or the database below it; the same command again ends it.
static void kill_shopctl(Arena *arena)
{
    size_t turn = survival.commands++, number = turn % COUNT(COMMANDS);
    const Command *command = &COMMANDS[number];
    const char *slug = str_format(arena, "other-%zu", turn / COUNT(COMMANDS)).data;
    Process shopctl = {0};
    ProcessEnd end = {.exit_code = -1};
    command_start(command, slug, &shopctl);
    clock_sleep_ms((int64_t)draw(COMMAND_MS));
    if (draw(3) == 0)
        kill_postmaster(arena);
    else
        process_signal(&shopctl, SIGKILL);
    ck_assert(has_process_ended(&shopctl, HANG_MS, &end));
    for (int64_t until_ms = clock_ms() + RETRY_MS; end.exit_code != 0; clock_sleep_ms(100)) {
        command_start(command, slug, &shopctl);
        ck_assert(has_process_ended(&shopctl, HANG_MS, &end));
        if (end.exit_code == 0 || (number != IMPORT && is_settled(slug, command->status)))
            break;    // it had come to its end before it was killed
        ck_assert_msg(clock_ms() < until_ms, "%s %s %s was killed and doesn't go on: exit code %d", command->words[0],
                      command->words[1], slug, end.exit_code);
    }
    int64_t settled_ms = clock_ms() + RETRY_MS;
    while (!is_settled(slug, command->status) && clock_ms() < settled_ms)    // the database may be on its way back
        clock_sleep_ms(100);
    ck_assert_msg(is_settled(slug, command->status), "%s isn't %s after %s", slug, command->status, command->words[1]);
}

static const struct {
    const char *what;
    void (*kill)(Arena *arena);
} VICTIMS[] = {
    {"shopd", kill_shopd},           {"a backend", kill_backend},
    {"PostgreSQL", kill_postmaster}, {"the cluster", shut_cluster_down},
    {"shopctl", kill_shopctl},
};

static bool is_ready(Arena *arena)
{
    ShopClient *client = shop_client_open(survival.platform.port, "acme.localhost");
    ShopAnswer answer;
    bool is_there = shop_call(client, &(ShopRequest){.method = "POST", .path = "/api/v1/store/carts", .body = "{}"},
                              arena, &answer) &&
                    answer.status == 201;
    shop_answer_close(&answer);
    shop_client_close(&client);
    return is_there;
}

// Milliseconds from the kill until the shop sold again; of a command, until it was done too.
static int64_t kill_one(size_t victim, Arena *arena)
{
    int64_t begun_ms = clock_ms();
    VICTIMS[victim].kill(arena);
    while (!is_ready(arena)) {
        ck_assert_msg(clock_ms() - begun_ms < RETRY_MS + HANG_MS, "%s was killed and the shop isn't ready",
                      VICTIMS[victim].what);
        clock_sleep_ms(20);
    }
    return clock_ms() - begun_ms;
}

// Kills in rounds, each of which has every victim once, in an order of its own.
static void kill_many(Arena *arena)
{
    int64_t kills = number_of("TEST_KILLS", KILLS_DEFAULT), bound_ms = number_of("TEST_READY_MS", INT64_MAX);
    int64_t longest_ms[COUNT(VICTIMS)] = {0};
    size_t order[COUNT(VICTIMS)] = {0};
    survival.seed = (uint64_t)number_of("TEST_SEED", clock_ms() | 1);
    printf("repeat with: TEST_SEED=%llu TEST_KILLS=%lld\n", (unsigned long long)survival.seed, (long long)kills);
    for (size_t i = 0; i < COUNT(VICTIMS); i++)
        order[i] = i;
    for (int64_t i = 0; i < kills; i++) {
        size_t at = (size_t)i % COUNT(VICTIMS), other = at + (size_t)draw(COUNT(VICTIMS) - at), victim = order[other];
        order[other] = order[at];
        order[at] = victim;
        clock_sleep_ms((int64_t)draw(PAUSE_MS));
        int64_t ready_ms = kill_one(victim, arena);
        longest_ms[victim] = MAX(longest_ms[victim], ready_ms);
        ck_assert_msg(ready_ms <= bound_ms, "%s was killed and all was ready after %lld ms", VICTIMS[victim].what,
                      (long long)ready_ms);
    }
    for (size_t i = 0; i < COUNT(VICTIMS); i++)
        printf("%s was killed: ready within %lld ms\n", VICTIMS[i].what, (long long)longest_ms[i]);
}

// ---- the count ----

static Db *schema_open(const char *slug, Arena *arena)
{
    Error err = {0};
    CLEANUP(json_close) Json *tenant = NULL;
    ck_assert_ok(json_parse(SHOPCTL(&survival.platform, "tenant", "show", slug, "-o", "json"), &tenant, &err), &err);
    Db *db = test_db_open(survival.cell_dsn);
    Str path = str_format(arena, "set search_path = %.*s", STR_ARG(json_str(json_get(tenant, "schema"))));
    ck_assert_ok(db_script(db, path, &err), &err);
    return db;
}

// Every command came to its end, and each import made each product once.
static void check_commands(Arena *arena)
{
    CLEANUP(db_close) Db *control = test_db_open(survival.control_dsn);
    ck_assert_str(
        test_value(control, arena, "select count(*) from control.operations where state not in ('done', 'reverted')"),
        S("0"));
    for (size_t i = 0; i * COUNT(COMMANDS) + IMPORT < survival.commands; i++) {
        size_t last = MIN(survival.commands - i * COUNT(COMMANDS), COUNT(COMMANDS)) - 1;
        if (strcmp(COMMANDS[last].status, "deleted") == 0)
            continue;
        CLEANUP(db_close) Db *db = schema_open(str_format(arena, "other-%zu", i).data, arena);
        ck_assert_str(test_value(db, arena,
                                 "select count(*) || ' ' || count(distinct v.product_id) || ' ' || sum(k.quantity) "
                                 "from variants v join stock k on k.variant_id = v.id"),
                      str_format(arena, "%d %d %d", IMPORTED, IMPORTED, IMPORTED));
    }
}

static Str catalogue_write(const char *name, Str rows, Arena *arena)
{
    Error err = {0};
    Str path = str_format(arena, "%.*s/../%s.csv", STR_ARG(survival.platform.data), name);
    ck_assert_ok(file_write(path, str_format(arena, "%s%.*s", CATALOGUE_HEAD, STR_ARG(rows)), 0644, &err), &err);
    return path;
}

static void shop_open(Arena *arena)
{
    StrBuf rows = {.arena = arena};
    test_platform_up(&survival.platform);
    for (int i = 0; i < IMPORTED; i++)
        strbuf_format(&rows, "thing-%d,Thing %d,Title,Default Title,3.00,shopify,1,deny\n", i, i);
    survival.catalogue = catalogue_write("other", strbuf_str(&rows), arena);
    Str csv = catalogue_write("acme",
                              str_format(arena,
                                         "scarce,Scarce,Title,Default Title,5.00,shopify,%d,deny\n"
                                         "plenty,Plenty,Title,Default Title,7.00,shopify,%d,deny\n",
                                         SCARCE, PLENTY),
                              arena);
    CLEANUP(json_close) Json *status = test_platform_status(&survival.platform);
    survival.cell_dsn = str_copy(arena, json_str(json_get(json_element(json_get(status, "cells"), 0), "dsn")));
    survival.control_dsn = str_copy(arena, json_str(json_get(json_get(status, "control"), "dsn")));
    (void)SHOPCTL(&survival.platform, "tenant", "create", "acme", "--plan", "standard", "--email",
                  "owner@acme.example");
    (void)SHOPCTL(&survival.platform, "tenant", "set", "acme", "--limit", "requests_per_second=0");
    (void)SHOPCTL(&survival.platform, "product", "import", "acme", csv.data);
}

TEST(no_order_is_lost_doubled_or_half_when_anything_is_killed)
{
    CLEANUP(arena_close) Arena *arena = arena_open(512 * MIB);
    shop_open(arena);
    Buyers *buyers = buyers_start(BUYERS, "acme.localhost", &survival.platform.port, 1);
    kill_many(arena);
    buyers_stop(buyers);
    CLEANUP(db_close) Db *db = schema_open("acme", arena);
    buyers_check(buyers, db);
    buyers_close(&buyers);
    check_commands(arena);
    test_platform_down(&survival.platform);
}

SUITE(survival, ONCE(no_order_is_lost_doubled_or_half_when_anything_is_killed))
