// tests/test_cell.c: a cell is opened or changed as --dry-run has said, and what --dry-run refuses is refused.
#include "provisioner/cell.h"

#include <unistd.h>

#include "base/arena.h"
#include "provisioner/address.h"
#include "provisioner/spare.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/test_world.h"

// Names of this process have its number; other suites' come and go in the same server.
static Str recorded(TestWorld *world)
{
    Str sql = str_format(world->arena,
                         "select concat(string_agg(c::text, ';'), (select string_agg(datname, ' ' order by datname) "
                         "from pg_database where datname ~ 'cell|late' and datname ~ '%1$d'), (select count(*) from "
                         "pg_roles where rolname ~ '_shopd$' and rolname ~ '%1$d')) from control.cells c",
                         (int)getpid());
    return test_value(world->control, world->arena, sql.data);
}

static void check_preview(TestWorld *world, const CellSpec *spec, Str wanted)
{
    Error err = {0};
    CLEANUP(json_close) Json *answer = NULL;
    Str before = recorded(world), changes = S("");
    ck_assert_ok(cell_preview(world->platform, spec, &answer, &err), &err);
    ck_assert_ok(json_print(json_get(answer, "changes"), 0, world->arena, &changes, &err), &err);
    ck_assert_str(changes, wanted);
    ck_assert_str(recorded(world), before);
}

TEST(a_cell_is_opened_and_changed_as_it_was_said)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "cell", false);
    CellSpec spec = {.name = str_format(world.arena, "p%d", (int)getpid()), .url = S("http://127.0.0.1:1")};
    Str name = str_format(world.arena, "cell_%.*s", STR_ARG(spec.name)), changes = S("");
    CLEANUP(json_close) Json *answer = NULL;
    ck_assert_ok(cell_preview(world.platform, &spec, &answer, &err), &err);
    ck_assert_ok(json_print(json_get(answer, "changes"), 0, world.arena, &changes, &err), &err);
    ck_assert_contains(changes, S("{\"key\":\"state\",\"from\":null,\"to\":\"open\"}"));
    ck_assert_contains(changes, S("{\"key\":\"url\",\"from\":null,\"to\":\"http://127.0.0.1:1\"}"));
    ck_assert_contains(changes, S("{\"key\":\"capacity\",\"from\":null,\"to\":1000}"));
    ck_assert_contains(changes,
                       str_format(world.arena, "{\"key\":\"database\",\"from\":null,\"to\":\"%.*s\"}", STR_ARG(name)));
    check_preview(&world, &spec, changes);
    ck_assert_ok(cell_add(world.platform, &spec, &err), &err);
    check_preview(&world, &spec, S("[]"));
    spec = (CellSpec){.name = spec.name, .capacity = 7};
    check_preview(&world, &spec, S("[{\"key\":\"capacity\",\"from\":1000,\"to\":7}]"));
    ck_assert_ok(cell_add(world.platform, &spec, &err), &err);
    check_preview(&world, &spec, S("[]"));
    test_world_close(&world);
}

static const struct {
    const char *name, *dsn;    // "$S": the server; "$O": the database of another platform
    int64_t capacity;
    ErrorCode code;
    const char *says, *url;
} REFUSED[] = {
    {"No", "", 0, ERR_INVALID, "the cell's name 'No' is refused", ""},
    {"new", "$S dbname=x password=secret", 0, ERR_INVALID, "holds a password", ""},
    {"new", "$S dbname=''", 0, ERR_INVALID, "names no database", ""},
    {"new", "host=/nowhere dbname=x", 0, ERR_UNREACHABLE, "the cell 'new' can't be opened", ""},
    {"main", "$S dbname=another", 0, ERR_EXISTS, "its database is another one", ""},
    {"main", "", 1, ERR_INVALID, "cell_capacity", ""},
    {"new", "$O", 0, ERR_EXISTS, "the cell is another platform's", ""},
    {"new", "$S dbname=cell_ascii", 0, ERR_STATE, "its encoding is SQL_ASCII", ""},
    {"new", "$S dbname=x user=cell_poor", 0, ERR_FORBIDDEN, "alter role", ""},
    {"new", "", 0, ERR_INVALID, "the URL 'foo' is refused", "foo"},
    {"main", "", 0, ERR_INVALID, "http://HOST[:PORT]", "ftp://a.example"},
    {"new", "", 0, ERR_INVALID, "http://HOST[:PORT]", "http://x y"},
    {"new", "", 0, ERR_INVALID, "http://HOST[:PORT]", "http://"},
    {"new", "", 0, ERR_INVALID, "http://HOST[:PORT]", "http://a.example/path"},
    {"new", "", 0, ERR_INVALID, "http://HOST[:PORT]", "http://a.example?q"},
    {"new", "", 0, ERR_INVALID, "http://HOST[:PORT]", "http://user@a.example"},
    {"new", "", 0, ERR_INVALID, "http://HOST[:PORT]", "http://a.example:0"},
    {"new", "", 0, ERR_INVALID, "http://HOST[:PORT]", "http://a.example:"},
    {"new", "", 0, ERR_INVALID, "http://HOST[:PORT]", "http://::1:8080"},
    {"new", "", 0, ERR_INVALID, "http://HOST[:PORT]", "http://[::1"},
};

TEST(what_is_refused_with_dry_run_is_refused_without)
{
    TestWorld world, other;
    Error err = {0}, real = {0};
    Json *answer = NULL;
    test_world_open(&world, "cell", false);
    test_world_open(&other, "cell", false);
    test_world_bring(&world, "one", "active");
    test_world_bring(&world, "two", "active");
    ck_assert_ok(db_script(world.control,
                           S("create database cell_ascii template template0 encoding 'SQL_ASCII' locale 'C'"), &err) &&
                     db_script(world.control, S("create role cell_poor login"), &err),
                 &err);
    Str host = S(""), server;
    ck_assert_ok(dsn_value(world.control_dsn, "host", world.arena, &host, &err), &err);
    server = str_format(world.arena, "user=postgres host=%.*s", STR_ARG(host));
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        Str dsn = str_of(REFUSED[i].dsn);
        if (str_has_prefix(dsn, S("$S")))
            dsn = str_format(world.arena, "%.*s%.*s", STR_ARG(server), STR_ARG(str_skip(dsn, 2)));
        else if (str_eq(dsn, S("$O")))
            dsn = other.cell_dsn;
        CellSpec spec = {.name = str_of(REFUSED[i].name),
                         .dsn = dsn,
                         .capacity = REFUSED[i].capacity,
                         .url = str_of(REFUSED[i].url)};
        Str before = recorded(&world);
        ck_assert_msg(!cell_preview(world.platform, &spec, &answer, &err), "%s isn't refused", REFUSED[i].says);
        ck_assert_says(&err, REFUSED[i].code, REFUSED[i].says);
        ck_assert_str(recorded(&world), before);
        ck_assert_msg(!cell_add(world.platform, &spec, &real), "%s is done", REFUSED[i].says);
        ck_assert_int_eq(real.code, err.code);
        ck_assert_str(str_of(real.what), str_of(err.what));
        ck_assert_str(str_of(real.why), str_of(err.why));
        ck_assert_str(recorded(&world), before);
        error_clear(&err);
        error_clear(&real);
    }
    test_world_close(&other);
    test_world_close(&world);
}

static const char *const URLS[] = {"https://shops.example", "http://shops.example:8080/", "http://[::1]:8081",
                                   "http://127.0.0.1:8081", "http://[fe80::1]"};

TEST(a_url_of_scheme_host_and_port_is_taken)
{
    for (size_t i = 0; i < COUNT(URLS); i++) {
        Error err = {0};
        ck_assert_ok(address_url_check(str_of(URLS[i]), &err), &err);
    }
}

// Tables can't be made in that tablespace: the database and shopd's role are there by then.
TEST(nothing_is_left_of_a_cell_that_fails_after_its_database_was_made)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "cell", false);
    Str host = S(""), login = str_format(world.arena, "late_%d", (int)getpid());
    Str sql =
        str_format(world.arena, "create role %.*s login superuser; alter role %.*s set default_tablespace = pg_global",
                   STR_ARG(login), STR_ARG(login));
    ck_assert_ok(db_script(world.control, sql, &err), &err);
    ck_assert_ok(dsn_value(world.control_dsn, "host", world.arena, &host, &err), &err);
    CellSpec spec = {.name = S("late"),
                     .dsn = str_format(world.arena, "host=%.*s user=%.*s dbname=%.*s_cell", STR_ARG(host),
                                       STR_ARG(login), STR_ARG(login))};
    Str before = recorded(&world);
    ck_assert(!cell_add(world.platform, &spec, &err));
    ck_assert_says(&err, ERR_FORBIDDEN, "the cell 'late' can't be opened");
    ck_assert_str(recorded(&world), before);
    test_world_close(&world);
}

TEST(a_cell_that_was_never_opened_gets_no_shops)
{
    TestWorld world;
    Error err = {0};
    test_world_open(&world, "cell", false);
    ck_assert_ok(db_script(world.cell, S("delete from cell.meta"), &err), &err);
    ck_assert(!spares_make(world.platform, S("main"), 1, &err));
    ck_assert_says(&err, ERR_STATE, "the cell isn't open yet");
    error_clear(&err);
    TenantSpec spec = test_world_spec(&world, "shop");
    ck_assert(!tenant_create(world.platform, &spec, NULL, &err));
    ck_assert_says(&err, ERR_STATE, "the cell isn't open yet");
    ck_assert_str(test_value(world.cell, world.arena, "select count(*) from cell.tenants"), S("0"));
    test_world_close(&world);
}

SUITE(cell, ONCE(a_cell_is_opened_and_changed_as_it_was_said), ONCE(a_url_of_scheme_host_and_port_is_taken),
      ONCE(nothing_is_left_of_a_cell_that_fails_after_its_database_was_made),
      ONCE(what_is_refused_with_dry_run_is_refused_without), ONCE(a_cell_that_was_never_opened_gets_no_shops))
