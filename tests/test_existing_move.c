// tests/test_existing_move.c: shops that move on a PostgreSQL that was there before, by a login that is no superuser.
#include "tests/support/existing_stage.h"
#include "tests/support/pg_server.h"

static void restart_with(Stage *stage, const char *sql)
{
    own_server_run(&stage->server, sql);
    own_server_kill(&stage->server);
    own_server_restart(&stage->server);
}

// Two cells, and the shop 'acme' in the first one; ops may replicate where `can_move` says so.
static void open_two_cells(Stage *stage, bool can_move)
{
    stage_open(stage);
    if (can_move) {
        own_server_run(&stage->server, "alter role ops replication");
        restart_with(stage, "alter system set wal_level = logical");
    }
    SAYS(stage, "$S up", "started shopd-main");
    stage_shop_make(stage);
    SAYS(stage, "$S cell add second --url http://$M", "exit 0");
}

TEST(a_shop_moves_and_goes_back_and_moves_for_good)
{
    Stage one, *stage = &one;
    open_two_cells(stage, true);
    Str first = stage_buy(stage, stage->platform.port);
    SAYS(stage, "$S tenant move acme --dry-run", "copy");
    SAYS(stage, "$S tenant move acme -o json | tr -d ' \\n'", "\"checksums_equal\":true");
    ck_assert_int_eq(stage_status(stage, "GET", first.data), 200);
    Str second = stage_buy(stage, stage->platform.port);
    SAYS(stage, "$S tenant show acme -o json | tr -d ' \\n'", "\"cell\":\"second\"");
    SAYS(stage, "$S tenant move acme --rollback -o json | tr -d ' \\n'", "\"checksums_equal\":true");
    SAYS(stage, "$S tenant show acme -o json | tr -d ' \\n'", "\"cell\":\"main\"");
    ck_assert_int_eq(stage_status(stage, "GET", second.data), 200);
    SAYS(stage, "$S tenant move acme --cell second && $S tenant move acme --finalize -o json | tr -d ' \\n'",
         "\"cell\":\"second\",\"is_pending\":false");
    ck_assert_int_eq(stage_status(stage, "GET", first.data), 200);
    (void)stage_buy(stage, stage->platform.port);
    SAYS(stage, "[ $($S order list acme -o name | wc -l) = 3 ]", "exit 0");
    CLEANUP(db_close) Db *db = test_db_open(stage->server.admin_dsn);
    ck_assert_str(test_value(db, stage->arena, "select count(*) from pg_replication_slots"), S("0"));
    stage_close(stage);
}

TEST(what_a_move_lacks_is_named_and_nothing_is_begun)
{
    static const char *const COMMANDS[] = {"$S tenant move acme", "$S tenant move acme --dry-run"};
    static const struct {
        const char *sql;    // beforehand
        const char *says[3];
    } ROWS[] = {
        {"alter system reset wal_level", {"lacks REPLICATION", "alter role \"ops\" replication;", "exit 77"}},
        {"alter role ops replication",
         {"wal_level is replica", "alter system set wal_level = logical; then restart it", "exit 1"}},
        {"alter system set wal_level = logical", {NULL}},
        {"alter system set max_replication_slots = 2",
         {"max_replication_slots is 2, of which 2 are free", "alter system set max_replication_slots = 64;", "exit 1"}},
        {"alter system reset max_replication_slots", {NULL}},
        {"alter system set max_wal_senders = 1", {"max_wal_senders is 1", "max_wal_senders = 64;", "exit 1"}},
    };
    Stage one, *stage = &one;
    open_two_cells(stage, false);
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        restart_with(stage, ROWS[i].sql);
        for (size_t j = 0; ROWS[i].says[0] && j < COUNT(COMMANDS); j++) {
            Str said = stage_script(stage, COMMANDS[j]);
            for (size_t k = 0; k < COUNT(ROWS[i].says); k++)
                ck_assert_msg(str_find(said, str_of(ROWS[i].says[k])) < said.len, "%s (%s): '%.*s' doesn't say '%s'",
                              COMMANDS[j], ROWS[i].sql, STR_ARG(said), ROWS[i].says[k]);
        }
    }
    SAYS(stage, "$S operation list -o name | wc -l", "1\nexit 0");    // that made the shop
    own_server_run(&stage->server, "alter system reset max_wal_senders");
    restart_with(stage, "alter system set max_replication_slots = 3");
    SAYS(stage, "$S tenant move acme -o json | tr -d ' \\n'", "\"checksums_equal\":true");
    own_server_run(&stage->server, "alter role ops noreplication");
    SAYS(stage, "$S tenant move acme --rollback --dry-run", "lacks REPLICATION");
    SAYS(stage, "$S tenant move acme --rollback", "lacks REPLICATION");
    SAYS(stage, "$S operation list -o name | wc -l", "2\nexit 0");
    own_server_run(&stage->server, "alter role ops replication");
    SAYS(stage, "$S tenant move acme --rollback -o json | tr -d ' \\n'", "\"checksums_equal\":true");
    stage_close(stage);
}

// $A is the superuser's way to the first cell.
#define ADMIN "A=\"host=$(dirname $SHOPCTL_CONFIG) port=$P user=postgres dbname=cell_main\"; "

TEST(who_writes_is_named_to_a_login_that_may_not_see_all)
{
    Stage one, *stage = &one;
    open_two_cells(stage, true);
    Str said = stage_script(stage, ADMIN "mkfifo $D.in; psql -qAtX \"$A\" <$D.in >$D.writer & exec 3>$D.in; "
                                         "echo 'begin; select pg_current_xact_id();' >&3; "
                                         "until [ -s $D.writer ]; do sleep 0.1; done; "
                                         "$S tenant move acme -o json >$D.said 2>&1 & move=$!; "
                                         "until grep -q 'warning: ' $D.said || ! kill -0 $move; do sleep 0.1; done; "
                                         "echo 'commit;' >&3; exec 3>&-; wait $move; cat $D.said");
    ck_assert_contains(said, S("waits for who writes in the cell 'main': process "));
    ck_assert_contains(said, S("(postgres, cell_main"));
    ck_assert_contains(said, S("\"checksums_equal\": true"));
    stage_close(stage);
}

// A transaction that is prepared at the very moment when the gate closes, on a connection of its own.
static const char LATE_ONE[] =
    ADMIN "cat >$D.sql <<END\n"
          "create extension dblink schema public;\n"
          "create function public.late() returns trigger language plpgsql security definer as \\$\\$ begin\n"
          "    perform public.dblink_exec('$A', format('begin; insert into t_%s.customers (email) values "
          "(''late@buyer.example''); prepare transaction ''late''', new.tenant));\n"
          "    return null;\n"
          "end \\$\\$;\n"
          "create trigger late after insert on cell.gates for each row execute function public.late();\n"
          "END\n"
          "psql -qX -v ON_ERROR_STOP=1 -f $D.sql \"$A\"";

TEST(what_is_prepared_when_the_gate_closes_is_waited_for)
{
    Stage one, *stage = &one;
    open_two_cells(stage, true);
    restart_with(stage, "alter system set max_prepared_transactions = 4");
    SAYS(stage, LATE_ONE, "exit 0");
    Str said = stage_script(stage, "$S tenant move acme");
    ck_assert_contains(said, S("the prepared transaction 'late' (postgres, cell_main"));
    ck_assert_contains(said, S("exit 75"));
    SAYS(stage, "$S operation list | grep ' move '", "reverted");
    (void)stage_buy(stage, stage->platform.port);
    SAYS(stage, ADMIN "psql -qX \"$A\" -c \"rollback prepared 'late'\"", "exit 0");
    said = stage_script(stage, ADMIN "(until psql -qX \"$A\" -c \"commit prepared 'late'\" 2>/dev/null; do sleep 0.1; "
                                     "done) & $S tenant move acme -o json | tr -d ' \\n'; wait");
    ck_assert_contains(said, S("\"checksums_equal\":true"));
    CLEANUP(db_close) Db *db = test_db_open(stage_dsn(stage, "cell_second"));
    Str schema = test_value(db, stage->arena, "select 't_' || number from cell.tenants where slug = 'acme'");
    Str sql =
        str_format(stage->arena, "select count(*) from %.*s.customers where email like 'late@%%'", STR_ARG(schema));
    ck_assert_str(test_value(db, stage->arena, sql.data), S("1"));
    stage_close(stage);
}

SUITE(existing_move, ONCE(a_shop_moves_and_goes_back_and_moves_for_good),
      ONCE(what_a_move_lacks_is_named_and_nothing_is_begun), ONCE(who_writes_is_named_to_a_login_that_may_not_see_all),
      ONCE(what_is_prepared_when_the_gate_closes_is_waited_for))
