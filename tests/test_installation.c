// tests/test_installation.c: a platform on one machine comes up, stays up whatever is killed, and goes down whole.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "tests/support/free_port.h"
#include "tests/support/more_check.h"
#include "tests/support/platform_script.h"
#include "tests/support/test_platform.h"

enum {
    RESTART_MAX_MS = 5000,    // it is 1,000 on a machine that does nothing else; each is printed
    BUDGET = 16 * MIB,
};

// ---- helpers ----

static const char *const NAMES[] = {"postgres", "shopd-main", "controller", "supervisor"};

static void all_run(const TestPlatform *platform)
{
    for (size_t i = 0; i < COUNT(NAMES); i++)
        ck_assert_msg(pid_of(platform, NAMES[i]) > 0, "%s doesn't run", NAMES[i]);
}

// ---- tests ----

TEST(what_runs_is_private_and_holds_nothing_of_its_caller)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_prepare(platform);
    // `cat` ends when the last writer is gone.
    (void)script(platform, arena, "$S up --data $D --listen $L 2>&1 | cat");
    all_run(platform);
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        int pid = pid_of(platform, NAMES[i]);
        ck_assert_int_eq(getsid(pid), pid);
        Str fds = script(platform, arena,
                         str_format(arena,
                                    "readlink /proc/%d/fd/0 /proc/%d/fd/1 /proc/%d/fd/2 | grep -v '^/dev/null$' |"
                                    " grep -vF $D/log/ || :",
                                    pid, pid, pid)
                             .data);
        ck_assert_str(fds, S(""));
    }
    static const struct {
        const char *text, *says;
    } ROWS[] = {
        {"$S up --data $D 2>&1", "nothing to start"},
        {"$S up --data $D --listen $L -o json | grep changed", "false"},
        {"stat -c '%a %U' $(dirname $(ls -d $C/.s.PGSQL.5432))", "700 postgres"},
        {"stat -c '%a %U %G' $C-shopd", "750 postgres shopd"},
        {"psql -qAtX \"$DSN\" -c 'select current_user'", "shop_owner"},
        {"psql -qAtX \"$CELL\" -c 'select current_user'", "shop_owner"},
        {"runuser -u postgres -- psql -qAtX \"$DSN\" -c 'select current_user'", "shop_owner"},
        {"runuser -u nobody -- psql -qAtX \"$DSN\" -c 'select 1' 2>&1", "Permission denied"},
        {"runuser -u shopd -- psql -qAtX \"host=$C-shopd dbname=shop_control user=shop_owner\" 2>&1", "authentication"},
        {"runuser -u shopd -- psql -qAtX \"host=$C-shopd dbname=cell_main user=cell_main_shopd\" -c 'select 41+1'",
         "42"},
        {"psql -qAtX \"$DSN\" -c \"select count(*) from pg_hba_file_rules where auth_method <> 'peer'\"", "0"},
        {"psql -qAtX \"$DSN\" -c 'show data_checksums' -c 'show jit' -c 'show wal_level' | xargs", "on off logical"},
        {"psql -qAtX \"$DSN\" -c \"select '[' || current_setting('listen_addresses') || ']'\"", "[]"},
        {"psql -qAtX \"$DSN\" -c \"select pg_encoding_to_char(encoding), datcollate from pg_database where datname = "
         "'cell_main'\"",
         "UTF8|C.UTF-8"},
        {"$S status --data $D -o json | tr -d ' \\n' | grep -oE '\"listen\":\"[^\"]*\",\"cell\":\"main\"'",
         "127.0.0.1"},
    };
    for (size_t i = 0; i < COUNT(ROWS) && geteuid() == 0; i++) {
        Str text = str_format(arena,
                              "J=$($S status --data $D -o json); DSN=$(echo \"$J\" | grep -m1 'dbname=shop_control' | "
                              "cut -d'\"' -f4); CELL=$(echo \"$J\" | grep -m1 'dbname=cell_main' | cut -d'\"' -f4); "
                              "C=${DSN#host=}; C=${C%%%% *}; export DSN CELL C; cd /; %s || :",
                              ROWS[i].text);
        Str output = script(platform, arena, text.data);
        ck_assert_msg(str_find(output, str_of(ROWS[i].says)) < output.len, "%s: '%.*s' doesn't say '%s'", ROWS[i].text,
                      STR_ARG(output), ROWS[i].says);
    }
    ck_assert_contains(script(platform, arena, "$S down --data $D"), S("supervisor"));
    nothing_is_left(platform, arena);
    ck_assert_contains(script(platform, arena, "$S down --data $D"), S("nothing to stop"));
    test_platform_down(platform);
}

// Waits for another process than `pid` under this name, and prints how long it took.
static void restarted(const TestPlatform *platform, const char *name, int pid, int64_t since_ms)
{
    Arena *arena = platform->arena;
    Str path = str_format(arena, "%.*s/run/%s.pid", STR_ARG(platform->data), name);
    for (;;) {
        Error err = {0};
        Process process;
        ck_assert_ok(process_open(path.data, &process, &err), &err);
        int now = process.pid;
        process_close(&process);
        int64_t took_ms = clock_ms() - since_ms;
        if (now && now != pid) {
            printf("%s runs again after %lld ms\n", name, (long long)took_ms);
            return;
        }
        ck_assert_msg(took_ms < RESTART_MAX_MS, "%s isn't running again after %lld ms", name, (long long)took_ms);
        clock_sleep_ms(5);
    }
}

TEST(what_is_killed_runs_again_within_the_second)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_up(platform);
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT(NAMES) - 1; i++) {
            int pid = pid_of(platform, NAMES[i]);
            int64_t now_ms = clock_ms();
            kill_hard(platform, NAMES[i]);
            restarted(platform, NAMES[i], pid, now_ms);
        }
    // A backend in the middle of its work, then its server: the backend has to go first.
    (void)script(
        platform, arena,
        "DSN=$($S status --data $D -o json | grep -m1 'dbname=shop_control' | cut -d'\"' -f4); "
        "psql -qAtX \"$DSN\" -c 'select count(*) from generate_series(1, 2000000000)' >/dev/null 2>&1 & sleep 1");
    int pid = pid_of(platform, "postgres");
    int64_t now_ms = clock_ms();
    kill_hard(platform, "postgres");
    restarted(platform, "postgres", pid, now_ms);
    test_platform_down(platform);
}

static void kill_masked(const TestPlatform *platform, unsigned mask)
{
    for (size_t i = COUNT(NAMES); i-- > 0;)    // the supervisor first, so that it mends nothing
        if (mask & 1U << i)
            kill_hard(platform, NAMES[i]);
}

enum { POSTGRES = 1, SHOPD = 2, CONTROLLER = 4, SUPERVISOR = 8, ALL = 15 };

static const struct {
    bool is_up;    // what comes after the kills: up, or down
    unsigned killed[4];
} KILLS[] = {
    {true, {POSTGRES | SHOPD | CONTROLLER, SUPERVISOR | POSTGRES, SUPERVISOR | SHOPD, SUPERVISOR | CONTROLLER}},
    {true, {ALL}},
    {false, {SUPERVISOR, POSTGRES, SHOPD, CONTROLLER}},
    {false, {SUPERVISOR | POSTGRES, SUPERVISOR | SHOPD, SUPERVISOR | CONTROLLER, ALL}},
    {false, {POSTGRES | SHOPD, POSTGRES | CONTROLLER, SHOPD | CONTROLLER}},
};

TEST(whatever_is_killed_up_mends_it_and_down_ends_it)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_up(platform);
    for (size_t i = 0; i < COUNT(KILLS[_i].killed) && KILLS[_i].killed[i]; i++) {
        (void)SHOPCTL(platform, "up");
        kill_masked(platform, KILLS[_i].killed[i]);
        (void)SHOPCTL(platform, "status");
        (void)SHOPCTL(platform, KILLS[_i].is_up ? "up" : "down");
        if (KILLS[_i].is_up)
            all_run(platform);
        else
            nothing_is_left(platform, arena);
    }
    test_platform_down(platform);
}

TEST(a_killed_supervisors_children_are_adopted)
{
    TestPlatform one, *platform = &one;
    test_platform_up(platform);
    int pids[COUNT(NAMES)];
    for (size_t i = 0; i < COUNT(NAMES); i++)
        pids[i] = pid_of(platform, NAMES[i]);
    kill_hard(platform, "supervisor");
    ck_assert_contains(SHOPCTL(platform, "status"),
                       S("not running: supervisor; 'shopctl up' starts what is missing\n"));
    Str said = SHOPCTL(platform, "up");
    ck_assert_contains(said, S("started supervisor\n"));
    for (size_t i = 0; i < COUNT(NAMES) - 1; i++)
        ck_assert_int_eq(pid_of(platform, NAMES[i]), pids[i]);
    int64_t now_ms = clock_ms();
    kill_hard(platform, "shopd-main");    // one that isn't the supervisor's child
    restarted(platform, "shopd-main", pids[1], now_ms);
    test_platform_down(platform);
}

TEST(two_ups_at_once_start_one_platform)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_prepare(platform);
    Str said = script(platform, arena,
                      "$S up --data $D --listen $L 2>/dev/null & a=$!; $S up --data $D --listen $L 2>/dev/null; b=$?; "
                      "wait $a && exit $b");
    ck_assert_contains(said, S("nothing to start"));
    ck_assert_contains(said, S("started postgres, shopd-main, controller, supervisor"));
    all_run(platform);
    test_platform_down(platform);
}

TEST(an_up_that_is_killed_halfway_is_gone_on_with_by_the_next)
{
    static const char *const MOMENTS[] = {"while ! [ -e $D/pg.new/base ]; do sleep 0.01; done", "sleep 1"};
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_prepare(platform);
    for (size_t i = 0; i < COUNT(MOMENTS); i++) {
        Str text = str_format(arena,
                              "$S up --data $D --listen $L >/dev/null 2>&1 & p=$!; %s; kill -KILL $p; "
                              "wait $p 2>/dev/null; $S up --data $D --listen $L",
                              MOMENTS[i]);
        ck_assert_contains(script(platform, arena, text.data), S("the platform runs"));
        all_run(platform);
        (void)SHOPCTL(platform, "down");
        nothing_is_left(platform, arena);
    }
    test_platform_down(platform);
}

TEST(a_cell_is_served_as_soon_as_it_is_added)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_up(platform);
    Str url = str_format(arena, "http://127.0.0.1:%u", test_free_port());
    Str taken = script_fails(platform, arena, "$S cell add second --data $D --url http://$L");
    ck_assert_contains(taken, S("another process listens there"));
    ck_assert_contains(script_fails(platform, arena, "$S cell show second --data $D"), S("exit 66"));
    (void)SHOPCTL(platform, "cell", "add", "second", "--url", url.data);
    Str status = script(platform, arena, "$S status --data $D -o json | tr -d ' \n'");
    ck_assert_contains(status, S("\"cell\":\"second\""));
    int pid = pid_of(platform, "shopd-second");
    int64_t now_ms = clock_ms();
    kill_hard(platform, "shopd-second");
    restarted(platform, "shopd-second", pid, now_ms);
    url = str_format(arena, "http://127.0.0.1:%u", test_free_port());
    (void)SHOPCTL(platform, "cell", "add", "second", "--url", url.data);    // it moves
    status = script(platform, arena, "$S status --data $D -o json | tr -d ' \n'");
    ck_assert_contains(status,
                       str_format(arena, "\"%.*s\",\"cell\":\"second\"", STR_ARG(str_skip(url, strlen("http://")))));
    // One without a URL is for whoever starts its shopd by hand, as its login.
    (void)SHOPCTL(platform, "cell", "add", "third");
    Str who =
        script(platform, arena,
               "DSN=$($S cell show third --data $D -o json | grep '\"dsn\"' | cut -d'\"' -f4); "
               "for i in 1 2 3 4 5 6 7 8 9; do psql -qAtX \"$DSN user=cell_third_shopd\" -c 'select current_user' "
               "2>/dev/null && exit; sleep 0.5; done; false");
    ck_assert_str(who, S("cell_third_shopd"));
    // As systemd's unit starts it: told by its environment.
    status = script(
        platform, arena,
        "DSN=$($S cell show third --data $D -o json | grep '\"dsn\"' | cut -d'\"' -f4); "
        "SHOPD_CELL=$DSN SHOPD_LISTEN=127.0.0.1:0 $(dirname $S)/shopd >/dev/null 2>&1 & "
        "for i in 1 2 3 4 5 6 7 8 9; do $S status --data $D -o json | tr -d ' \n' >$D.third; "
        "grep -q 'cell\":\"third' $D.third && break; sleep 0.3; done; kill $!; wait $!; cat $D.third; rm $D.third");
    ck_assert_contains(status, S("\"listen\":\"127.0.0.1:0\",\"cell\":\"third\",\"modules\":[\"all\"]"));
    ck_assert_contains(script(platform, arena, "$S down --data $D"), S("shopd-second"));
    nothing_is_left(platform, arena);
    test_platform_down(platform);
}

TEST(a_directory_that_bars_the_way_is_named)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_prepare(platform);
    if (geteuid() == 0) {
        Str said = script_fails(platform, arena, "mkdir -p $D/a/b; chmod 700 $D/a; $S up --data $D/a/b/c --listen $L");
        ck_assert_contains(said, str_format(arena, "'%.*s/a' bars it", STR_ARG(platform->data)));
        ck_assert_contains(said, S("--data /var/lib/shopctl"));
        ck_assert_contains(said, S("exit 77"));
        ck_assert_str(script(platform, arena, "ls $D/a/b"), S(""));
    }
    test_platform_down(platform);
}

TEST(what_cannot_start_says_why_and_leaves_nothing)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_prepare(platform);
    static const struct {
        const char *text, *says;
    } ROWS[] = {
        {"$S up --data $D --listen nowhere", "isn't ADDRESS:PORT"},
        {"$S up --data $D --listen $L --setting postgres_bin=/nowhere", "postgres_bin"},
        {"$S up --data $D --listen $L --setting shopd=/nowhere/shopd", "/nowhere/shopd"},
        {"$S up --data $D --listen $L --setting shopd=/bin/false", "shopd-main doesn't start"},
        {"printf 'no_such_setting = 1\\n' >$D/custom.conf; $S up --data $D --listen $L", "no_such_setting"},
        {"rm $D/custom.conf; $S up --data $D --listen 192.0.2.1:80", "192.0.2.1:80"},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        Str said = script_fails(platform, arena, ROWS[i].text);
        ck_assert_msg(str_find(said, str_of(ROWS[i].says)) < said.len, "%s: %.*s", ROWS[i].text, STR_ARG(said));
        ck_assert_contains(said, S("exit "));
        nothing_is_left(platform, arena);
    }
    (void)script(platform, arena, "$S up --data $D --listen $L");
    Str said = script_fails(platform, arena, "mkdir $D/../other; $S up --data $D/../other/d --listen $L");
    ck_assert_contains(said, S("another process listens there"));
    ck_assert_contains(said, S("exit 73"));
    said = script_fails(platform, arena, "$S up --data $D --listen 127.0.0.1:1");
    ck_assert_contains(said, S("runs already, on"));
    test_platform_down(platform);
}

static const char THERE[] = "find $D -path $D/pg -prune -o -print | sort; $S tenant list -o name --data $D 2>&1 || :";

// With --dry-run and without: the exit code is the same, and nothing is made.
static void fails_alike(const TestPlatform *platform, Arena *arena, const char *command, const char *code)
{
    Str before = script(platform, arena, THERE);
    const char *dry = str_format(arena, "%s --dry-run", command).data;
    ck_assert_contains(script_fails(platform, arena, dry), str_format(arena, "exit %s", code));
    ck_assert_str(script(platform, arena, THERE), before);
    ck_assert_contains(script_fails(platform, arena, command), str_format(arena, "exit %s", code));
}

TEST(a_dry_run_fails_as_the_run_would)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_prepare(platform);
    if (geteuid() == 0) {
        (void)script(platform, arena, "mkdir -p $D/a/b; chmod 700 $D/a");
        fails_alike(platform, arena, "$S up --data $D/a/b/c --listen $L", "77");
        (void)script(platform, arena, "rm -r $D/a");
    }
    (void)script(platform, arena, "touch $D/file");
    fails_alike(platform, arena, "$S up --data $D/file --listen $L", geteuid() == 0 ? "77" : "65");
    fails_alike(platform, arena, "$S up --data $D/d --listen 192.0.2.1:80", "1");
    fails_alike(platform, arena, "$S up --data $D/d --listen nowhere", "65");
    fails_alike(platform, arena, "$S up --data $D/d --listen $L --setting control_dsn='host=/nowhere dbname=d'", "69");
    (void)script(platform, arena, "rm -rf $D/file $D/d; $S up --data $D --listen $L");
    fails_alike(platform, arena, "$S up --data $D/../other --listen $L", "73");
    fails_alike(platform, arena, "$S up --data $D --listen 127.0.0.1:1", "1");
    fails_alike(platform, arena, "$S up --data $D --foreground", "1");
    (void)script(platform, arena,
                 "$S tenant create acme --plan free --email a@b.example --data $D; cd $D; printf '%s\\n' "
                 "'{\"slug\":\"acme\",\"plan\":\"free\",\"email\":\"a@b.example\"}' >there.json; "
                 "printf '%s\\n' '{\"slug\":\"beta\",\"plan\":\"free\",\"email\":\"nobody\"}' | cat there.json - "
                 ">wrong.json");
    fails_alike(platform, arena, "$S tenant create -f $D/there.json --data $D", "73");
    fails_alike(platform, arena, "$S tenant create -f $D/wrong.json --data $D", "65");
    Str said = script_fails(platform, arena, "$S tenant create -f $D/wrong.json --data $D");
    ck_assert_contains(said, S("wrong.json:2:38: email"));
    ck_assert_contains(said, S("wrong.json:1:9: slug: there is a tenant 'acme' already"));
    test_platform_down(platform);
}

TEST(in_the_foreground_it_stays_until_a_signal_and_stops_all)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_prepare(platform);
    Str said = script(platform, arena,
                      "$S up --foreground --data $D --listen $L >$D.out 2>&1 & p=$!; "
                      "until grep -q 'the platform runs' $D.out; do sleep 0.1; kill -0 $p || break; done; "
                      "$S status --data $D | head -n 1; kill -TERM $p; wait $p; echo \"exit $?\"");
    ck_assert_contains(said, S("running"));
    ck_assert_contains(said, S("exit 0"));
    nothing_is_left(platform, arena);
    said = script_fails(platform, arena,
                        "$S up --foreground --data $D --listen $L --setting shopd=/bin/false >$D.out 2>&1");
    ck_assert_contains(said, S("exit 69"));
    nothing_is_left(platform, arena);
    test_platform_down(platform);
}

TEST(another_user_than_root_runs_all_of_it_under_his_own_name)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    TestPlatform one, *platform = &one;
    test_platform_prepare(platform);
    if (geteuid() == 0) {
        (void)script(platform, arena,
                     "mkdir $D; cp $S $(dirname $S)/shopd $D; chmod 755 $D $D/shop*; chown nobody $D; echo ok");
        Str said = script(platform, arena,
                          "R='runuser -u nobody -- env HOME='$D; cd /; $R $D/shopctl up --data $D/p --listen $L && "
                          "$R $D/shopctl up --data $D/p && DSN=$($D/shopctl status --data $D/p -o json | grep -m1 "
                          "'dbname=shop_control' | cut -d'\"' -f4) && $R psql -qAtX \"$DSN\" -c 'select 41+1' && "
                          "psql -qAtX \"$DSN\" -c 'select current_user' && "
                          "ps -o user= -p $(cut -d' ' -f1 $D/p/run/postgres.pid) && "
                          "ps -o user= -p $(cut -d' ' -f1 $D/p/run/shopd-main.pid); e=$?; "
                          "$R $D/shopctl down --data $D/p; ls -d ${DSN#host=} 2>/dev/null; exit $e");
        ck_assert_contains(said, S("nothing to start"));
        ck_assert_contains(said, S("\n42\nshop_owner\nnobody\nnobody\nstopped controller"));
    }
    test_platform_down(platform);
}

SUITE(installation, ONCE(what_runs_is_private_and_holds_nothing_of_its_caller),
      ONCE(a_killed_supervisors_children_are_adopted), ONCE(two_ups_at_once_start_one_platform),
      ONCE(an_up_that_is_killed_halfway_is_gone_on_with_by_the_next), ONCE(a_cell_is_served_as_soon_as_it_is_added),
      ONCE(a_directory_that_bars_the_way_is_named), ONCE(what_cannot_start_says_why_and_leaves_nothing),
      ONCE(a_dry_run_fails_as_the_run_would), ONCE(in_the_foreground_it_stays_until_a_signal_and_stops_all),
      ONCE(another_user_than_root_runs_all_of_it_under_his_own_name), ONCE(what_is_killed_runs_again_within_the_second),
      LONG_EACH(whatever_is_killed_up_mends_it_and_down_ends_it, KILLS))
