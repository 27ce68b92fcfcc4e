// tests/test_existing.c: the same commands with a PostgreSQL that was there before, by a login that is no superuser.

#include "base/clock.h"
#include "provisioner/server.h"
#include "tests/support/existing_stage.h"
#include "tests/support/pg_server.h"

enum { READY_MS = 10000 };

TEST(a_dry_run_of_up_says_what_is_not_at_this_version)
{
    Stage one, *stage = &one;
    Error err = {0};
    stage_open(stage);
    SAYS(stage, "$S up && $S down", "stopped");
    for (size_t i = 0; i < 2; i++) {
        static const char *const DATABASES[][2] = {{"shop_control", "control"}, {"cell_main", "cell"}};
        CLEANUP(db_close)
        Db *db = test_db_open(stage_dsn(stage, DATABASES[i][0]));
        Str sql = str_format(stage->arena, "update %s.migrations set checksum = 'old' where name like 'functions/t%%'",
                             DATABASES[i][1]);
        ck_assert_ok(db_script(db, sql, &err), &err);
    }
    SAYS(stage, "$S up --dry-run",
         "would bring control to this version: files 1, shops 0\n"
         "would bring cell main to this version: files 1, shops 0\n"
         "would start shopd-main, controller, supervisor\nexit 0");
    SAYS(stage, "$S up", "started shopd-main");
    SAYS(stage, "$S up --dry-run", "nothing to start\nexit 0");
    stage_close(stage);
}

TEST(a_shop_lives_its_whole_life_in_a_server_that_was_there)
{
    Stage one, *stage = &one;
    stage_open(stage);
    SAYS(stage, "$S up --dry-run",
         "would make database shop_control, cell main\nwould start shopd-main, controller, supervisor");
    SAYS(stage, "$S status | head -n 1", ": stopped");
    SAYS(stage, "$S up", "started shopd-main, controller, supervisor");
    SAYS(stage, "$S up --dry-run", "nothing to start");
    SAYS(stage, "$S up", "nothing to start");
    SAYS(stage, "$S status | head -n 1", ": running");
    stage_shop_make(stage);
    Str order = stage_buy(stage, stage->platform.port);
    ck_assert_int_eq(stage_status(stage, "GET", order.data), 200);
    static const struct {
        const char *text, *says;
    } ROWS[] = {
        {"$S tenant list -o name", "acme"},
        {"$S tenant set acme --name 'Acme & Sons' -o json", "\"name\": \"Acme & Sons\""},
        {"$S order list acme", "ana@buyer.example"},
        {"$S product export acme | head -n 2", "scarce,Scarce"},
        {"$S tenant suspend acme -o json", "\"status\": \"suspended\""},
        {"$S tenant resume acme -o json", "\"status\": \"active\""},
        {"$S down", "stopped controller, shopd-main, supervisor"},
        {"$S status | head -n 1", ": stopped"},
        {"$S status", "cell main: 1 of "},
        {"$S up --dry-run", "would start shopd-main, controller, supervisor\nexit 0"},
        {"$S up", "started shopd-main, controller, supervisor"},
        {"$S order list acme", "ana@buyer.example"},
        {"$S tenant suspend acme && $S tenant archive acme -o json", "\"status\": \"archived\""},
        {"$S tenant delete acme --yes && $S tenant show acme", "deleted"},
        {"$S tenant restore acme -o json", "\"status\": \"active\""},
        {"$S operation list -o name | wc -l", "8"},
        {"$S cell show main -o json | tr -d ' \\n'", "\"tenants\":1"},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        Str said = stage_script(stage, ROWS[i].text);
        ck_assert_msg(str_find(said, str_of(ROWS[i].says)) < said.len, "%s: '%.*s' doesn't say '%s'", ROWS[i].text,
                      STR_ARG(said), ROWS[i].says);
    }
    ck_assert_int_eq(stage_status(stage, "GET", order.data), 200);
    stage_close(stage);
}

TEST(a_cell_that_is_added_is_served_at_once)
{
    Stage one, *stage = &one;
    stage_open(stage);
    (void)stage_script(stage, "$S up");
    SAYS(stage, "$S cell add second --url http://$L", "another process listens there");
    SAYS(stage, "$S cell show second", "there is no cell");
    SAYS(stage, "$S cell add second --url http://$M --spares 1 2>/dev/null; $S status -o json | tr -d ' \\n'",
         "\"cell\":\"second\"");
    SAYS(stage,
         "psql -qAtX \"$(dirname $SHOPCTL_CONFIG | sed 's/^/host=/') port=$P user=postgres dbname=cell_second\" "
         "-c 'select count(*) from cell.tenants'",
         "exit 0");
    SAYS(stage, "$S cell list -o name | xargs", "main second");
    SAYS(stage, "$S down", "stopped controller, gateway, shopd-second, shopd-main, supervisor");
    SAYS(stage, "$S up", "started shopd-main, shopd-second, gateway, controller, supervisor");
    stage_close(stage);
}

// Whoever reads command lines, environments, logs, records and answers learns no password; shopd hasn't the operator's.
TEST(no_password_is_to_be_seen)
{
    Stage one, *stage = &one;
    stage_open(stage);
    (void)stage_script(stage, "$S up");
    ck_assert_str(
        stage_script(stage, "grep -rls secret $D; $S status -o json | grep secret; $S cell list -o json | grep secret; "
                            "for p in $(cut -d' ' -f1 $D/run/*.pid); do tr '\\0' '\\n' </proc/$p/environ | grep "
                            "-i 'secret\\|password'; done; true"),
        S("exit 0"));
    SAYS(stage, "stat -c '%a %U' $D/run/shopd-main.pgpass", "600 ");
    ck_assert_str(stage_script(stage,
                               "s=$(cut -d: -f5 $D/run/shopd-main.pgpass); [ ${#s} = 48 ] && grep -rls $s $D "
                               "$(dirname $SHOPCTL_CONFIG)/log; for p in $(cut -d' ' -f1 $D/run/*.pid); do tr '\\0' ' "
                               "' </proc/$p/cmdline; done | grep -c $s"),
                  str_format(stage->arena, "%.*s/run/shopd-main.pgpass\n0\nexit 1", STR_ARG(stage->platform.data)));
    ck_assert_str(
        stage_script(stage, "tr '\\0' '\\n' </proc/$(cut -d' ' -f1 $D/run/shopd-main.pid)/environ | grep SHOPCTL"),
        S("exit 1"));
    stage_close(stage);
}

TEST(a_lost_file_of_shopds_password_is_made_again)
{
    Stage one, *stage = &one;
    stage_open(stage);
    (void)stage_script(stage, "$S up && $S down && rm $D/run/shopd-main.pgpass");
    SAYS(stage, "$S up", "started shopd-main");
    SAYS(stage, "$S down && echo '*:*:*:cell_main_shopd:another' >$D/run/shopd-main.pgpass && $S up",
         "started shopd-main");    // the file counts, not what the server had
    stage_close(stage);
}

TEST(a_killed_server_comes_back_and_the_shops_with_it)
{
    Stage one, *stage = &one;
    stage_open(stage);
    (void)stage_script(stage, "$S up");
    stage_shop_make(stage);
    ck_assert_int_eq(stage_status(stage, "GET", "/products/scarce"), 200);
    own_server_kill(&stage->server);
    ck_assert_int_eq(stage_status(stage, "GET", "/products/scarce"), 200);    // warm
    ck_assert_int_eq(stage_status(stage, "POST", "/api/v1/store/carts"), 503);
    SAYS(stage, "$S tenant list", "exit 69");
    SAYS(stage, "$S status | head -n 1", ": running");
    own_server_restart(&stage->server);
    int64_t start_ms = clock_ms();
    while (stage_status(stage, "POST", "/api/v1/store/carts") != 201) {
        ck_assert_msg(clock_ms() - start_ms < READY_MS, "the shop isn't back after %d ms", READY_MS);
        clock_sleep_ms(20);
    }
    printf("carts are made again %lld ms after the server is back\n", (long long)(clock_ms() - start_ms));
    SAYS(stage, "$S tenant create beta --plan free --email o@beta.example", "active");
    stage_close(stage);
}

TEST(what_stands_in_the_way_is_named_and_nothing_is_begun)
{
    static const struct {
        const char *sql;    // beforehand
        const char *text;
        const char *says[3];
    } ROWS[] = {
        {"alter role ops nocreatedb", "$S up", {"lacks CREATEDB", "alter role \"ops\" createdb;", "exit 77"}},
        {"alter role ops createdb nocreaterole",
         "$S up",
         {"lacks CREATEROLE", "alter role \"ops\" createrole;", "exit 77"}},
        {"alter role ops createrole password 'other'",
         "$S up",
         {"refuses 'ops'", "password authentication failed", "exit 77"}},
        {"select 1",
         "SHOPCTL_CONTROL_DSN=\"host=127.0.0.1 port=$P dbname=shop_control user=ops\" PGPASSWORD=other $S up",
         {"asks for the password", "passfile=", "exit 77"}},
        {"select 1",
         "SHOPCTL_CONTROL_DSN='host=127.0.0.1 port=1 dbname=shop_control user=ops' $S up",
         {"can't be reached", "refused", "exit 69"}},
        {"select 1",
         "SHOPCTL_CONTROL_DSN=\"host=127.0.0.1 port=$P user=ops\" $S up",
         {"names no database", "dbname=", "exit 65"}},
        {"select 1", "SHOPCTL_CONTROL_DSN='hots=127.0.0.1' $S up", {"connection string", "hots", "exit 65"}},
        {"create database latin template template0 encoding 'LATIN1' locale 'C'",
         "SHOPCTL_CONTROL_DSN=\"host=$(dirname $SHOPCTL_CONFIG) port=$P user=postgres dbname=latin\" $S up",
         {"can't hold the platform", "LATIN1", "exit 1"}},
    };
    Stage one, *stage = &one;
    stage_open(stage);
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        own_server_run(&stage->server, ROWS[i].sql);
        Str said = stage_script(stage, ROWS[i].text);
        for (size_t j = 0; j < COUNT(ROWS[i].says); j++)
            ck_assert_msg(str_find(said, str_of(ROWS[i].says[j])) < said.len, "%s (%s): '%.*s' doesn't say '%s'",
                          ROWS[i].text, ROWS[i].sql, STR_ARG(said), ROWS[i].says[j]);
        ck_assert_str(stage_script(stage, "ls $D/run/*.pid $D/run/platform.json 2>/dev/null"), S("exit 2"));
    }
    own_server_run(&stage->server, "alter role ops password 'op''s \\secret'");
    SAYS(stage, "$S up", "started shopd-main");
    stage_close(stage);
}

TEST(a_folder_is_of_one_platform)
{
    Stage one, *stage = &one;
    stage_open(stage);
    (void)stage_script(stage, "$S up && $S down");
    SAYS(stage, "unset SHOPCTL_CONFIG; $S up --listen $M", "works for an existing PostgreSQL: user=ops");
    SAYS(stage, "mkdir -p $D-other/pg && $S up --data $D-other", "has a PostgreSQL of its own");
    SAYS(stage,
         "$S up --data $D-third --setting control_dsn=\"host=$(dirname $SHOPCTL_CONFIG) port=$P user=postgres "
         "dbname=another_control\"",
         "cell_main' belongs to the platform");
    stage_close(stage);
}

// By a socket, with a superuser's advice followed: no warning is left.
TEST(what_only_a_superuser_can_do_is_said_until_he_has_done_it)
{
    Stage one, *stage = &one;
    stage_open(stage);
    stage_config(stage, str_format(stage->arena, "host=%.*s port=%u dbname=shop_control",
                                   STR_ARG(stage->server.directory), stage->server.port)
                            .data);
    SAYS(stage, "$S up", "warning: in the database 'cell_main' every login may take advisory locks");
    SAYS(stage,
         "sed -n '/^do \\$\\$/,/^end \\$\\$;/p' docs/platform.md >$D.sql && [ -s $D.sql ] && psql -qX -v "
         "ON_ERROR_STOP=1 "
         "\"host=$(dirname $SHOPCTL_CONFIG) port=$P user=postgres dbname=cell_main\" -f $D.sql",
         "exit 0");
    ck_assert_str(stage_script(stage, "$S down >/dev/null && $S up 2>&1 >/dev/null"), S("exit 0"));
    stage_shop_make(stage);
    (void)stage_buy(stage, stage->platform.port);
    stage_close(stage);
}

static const ServerFacts GOOD = {.version = 150004,
                                 .version_text = S("15.4"),
                                 .login = S("ops"),
                                 .database = S("shop_control"),
                                 .encoding = S("UTF8"),
                                 .has_createdb = true,
                                 .has_createrole = true,
                                 .has_unaccent = true};

TEST(a_server_that_will_not_do_is_refused)
{
    Error err = {0};
    ck_assert_ok(server_facts_check(&GOOD, &err), &err);
    ServerFacts old = GOOD, bare = GOOD, poor = GOOD, super = GOOD;
    old.version = 140011;
    old.version_text = S("14.11");
    ck_assert(!server_facts_check(&old, &err));
    ck_assert_says(&err, ERR_STATE, "14.11");
    error_clear(&err);
    bare.has_unaccent = false;
    ck_assert(!server_facts_check(&bare, &err));
    ck_assert_says(&err, ERR_STATE, "postgresql-15");
    error_clear(&err);
    poor.has_createdb = poor.has_createrole = false;
    ck_assert(!server_facts_check(&poor, &err));
    ck_assert_says(&err, ERR_FORBIDDEN, "alter role \"ops\" createdb createrole;");
    error_clear(&err);
    super.has_createdb = super.has_createrole = false;
    super.is_superuser = true;
    ck_assert_ok(server_facts_check(&super, &err), &err);
}

SUITE(existing, ONCE(a_shop_lives_its_whole_life_in_a_server_that_was_there),
      ONCE(a_dry_run_of_up_says_what_is_not_at_this_version), ONCE(a_cell_that_is_added_is_served_at_once),
      ONCE(no_password_is_to_be_seen), ONCE(a_lost_file_of_shopds_password_is_made_again),
      ONCE(a_killed_server_comes_back_and_the_shops_with_it),
      ONCE(what_stands_in_the_way_is_named_and_nothing_is_begun), ONCE(a_folder_is_of_one_platform),
      ONCE(what_only_a_superuser_can_do_is_said_until_he_has_done_it), ONCE(a_server_that_will_not_do_is_refused))
