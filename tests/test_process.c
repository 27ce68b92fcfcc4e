// tests/test_process.c: programs are started with what they are given alone, found again, and ended.
#include "base/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/support/more_check.h"

enum { TIMEOUT_MS = 20000 };

static const char *work_path(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof(path), "%s/process-%d-%s", getenv("TEST_WORK"), (int)getpid(), name);
    return path;
}

static Str run(Arena *arena, const char *const *argv)
{
    Error err = {0};
    Str output = S("");
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, TIMEOUT_MS, arena, &output, &err), &err);
    return output;
}

TEST(a_program_holds_no_descriptor_but_its_streams)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(fd_close) int held = open("/dev/null", O_RDONLY);    // not close-on-exec
    ck_assert_int_ge(held, 0);
    const char *const argv[] = {"sh", "-c", "ls /proc/$$/fd; readlink /proc/$$/fd/0; pwd", NULL};
    ck_assert_str(run(arena, argv), S("0\n1\n2\n/dev/null\n/\n"));
}

TEST(a_program_gets_the_descriptors_that_are_passed_and_is_told_of_them)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    int ends[2], others[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC) + pipe2(others, O_CLOEXEC), 0);
    ck_assert_int_eq(write(ends[1], "first\n", 6) + write(others[1], "second\n", 7), 13);
    const int passed[] = {others[0], ends[0]};    // the second one may be where the first one goes
    const char *const environment[] = {"LISTEN_FDS=7", "A=b", NULL};
    const char *const argv[] = {"sh", "-c",
                                "read a <&3; echo $a; read a <&4; echo $a; test $LISTEN_PID = $$ && echo "
                                "\"$LISTEN_FDS$A\"; ls /proc/$$/fd",
                                NULL};
    Error err = {0};
    Str output = S("");
    for (size_t i = 0; i < 2; i++) {
        ck_assert_ok(process_run(&(ProcessSpec){.argv = argv,
                                                .passed = passed,
                                                .passed_count = COUNT(passed),
                                                .environment = i ? environment : NULL},
                                 TIMEOUT_MS, arena, &output, &err),
                     &err);
        ck_assert_str(output, i ? S("second\nfirst\n2b\n0\n1\n2\n3\n4\n") : S("second\nfirst\n2\n0\n1\n2\n3\n4\n"));
        ck_assert_int_eq(write(ends[1], "first\n", 6) + write(others[1], "second\n", 7), 13);
    }
    for (size_t i = 0; i < 2; i++) {
        fd_close(&ends[i]);
        fd_close(&others[i]);
    }
}

TEST(a_signal_that_is_ignored_or_blocked_here_works_there)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR1);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigprocmask(SIG_BLOCK, &blocked, NULL);
    // 32 and 33 are glibc's own, whatever a parent did with them.
    const char *const argv[] = {"grep", "-Ec", "^Sig(Blk:.0{16}|Ign:.0{7}[01][08]0{7})$", "/proc/self/status", NULL};
    ck_assert_str(run(arena, argv), S("2\n"));
    (void)sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

TEST(what_fails_says_why)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    static const struct {
        const char *argv[4];
        ErrorCode code;
        const char *says;
    } ROWS[] = {
        {{"/nowhere/program"}, ERR_NOT_FOUND, "it can't be run"},
        {{"/etc/passwd"}, ERR_FORBIDDEN, "it can't be run"},
        {{"sh", "-c", "echo first; echo the reason >&2; exit 3"}, ERR_FAILED, "the reason"},
        {{"sh", "-c", "exit 3"}, ERR_FAILED, "exit code is 3"},
        {{"sh", "-c", "kill -KILL $$"}, ERR_FAILED, "signal 9"},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        Error err = {0};
        Str output = S("untouched");
        ck_assert(!process_run(&(ProcessSpec){.argv = ROWS[i].argv}, TIMEOUT_MS, arena, &output, &err));
        ck_assert_says(&err, ROWS[i].code, ROWS[i].says);
        ck_assert_str(output, S("untouched"));
    }
    Error err = {0};
    Process process;
    const char *const argv[] = {"true", NULL};
    ck_assert(!process_start(&(ProcessSpec){.argv = argv, .user = "no-such-user"}, &process, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "'no-such-user'");
}

TEST(a_program_that_takes_too_long_is_killed_with_its_children)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str output = S("");
    const char *const argv[] = {"sh", "-c", "sleep 600 & echo $!; wait", NULL};
    int64_t started_ms = clock_ms();
    ck_assert(!process_run(&(ProcessSpec){.argv = argv}, 300, arena, &output, &err));
    ck_assert_says(&err, ERR_FAILED, "more than 300 ms");
    ck_assert_int_lt(clock_ms() - started_ms, TIMEOUT_MS);
}

TEST(a_child_that_keeps_the_output_open_holds_nobody_up)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    const char *const argv[] = {"sh", "-c", "sleep 5 & echo done", NULL};
    int64_t started_ms = clock_ms();
    ck_assert_str(run(arena, argv), S("done\n"));
    ck_assert_int_lt(clock_ms() - started_ms, 4000);
}

TEST(a_process_is_found_again_by_its_file_until_it_ends)
{
    Error err = {0};
    const char *const argv[] = {"sleep", "600", NULL};
    const char *path = work_path("sleep.pid");
    Process process, found;
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv, .pid_path = path, .is_session = true}, &process, &err),
                 &err);
    ck_assert_int_eq(getsid(process.pid), process.pid);
    ck_assert_ok(process_open(path, &found, &err), &err);
    ck_assert_int_eq(found.pid, process.pid);
    ck_assert_uint_eq(found.started, process.started);
    ck_assert(is_process_alive(&found));
    ck_assert(process_stop(&process, SIGTERM, TIMEOUT_MS));
    ck_assert_int_eq(process.pid, 0);
    ck_assert(!is_process_alive(&found));
    process_close(&found);
    ck_assert_ok(process_open(path, &found, &err), &err);
    ck_assert_int_eq(found.pid, 0);
    (void)unlink(path);
}

static void *number_tell(void *pipe_fd)
{
    int number = gettid(), fd = *(const int *)pipe_fd;
    (void)!write(fd, &number, sizeof(number));
    (void)pause();
    return NULL;
}

TEST(a_thread_with_the_same_number_is_no_process)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    const char *path = work_path("thread.pid");
    Process found;
    pthread_t thread;
    Str text = S(""), rest, pid;
    int pipe_fds[2], number = 0;
    ck_assert_int_eq(pipe(pipe_fds), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, number_tell, &pipe_fds[1]), 0);
    ck_assert_int_eq(read(pipe_fds[0], &number, sizeof(number)), sizeof(number));
    ck_assert_ok(process_write_self(path, &err), &err);
    ck_assert_ok(file_read(str_of(path), KIB, arena, &text, &err), &err);
    rest = text;
    ck_assert(str_cut(&rest, ' ', &pid));
    ck_assert_ok(file_write(str_of(path), str_format(arena, "%d %.*s", number, STR_ARG(rest)), 0644, &err), &err);
    ck_assert_ok(process_open(path, &found, &err), &err);
    ck_assert_int_eq(found.pid, 0);
    ck_assert_int_eq(pthread_cancel(thread), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)unlink(path);
}

TEST(another_process_with_the_same_number_is_another_one)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    const char *path = work_path("self.pid");
    Process found;
    ck_assert_ok(process_write_self(path, &err), &err);
    ck_assert_ok(process_open(path, &found, &err), &err);
    ck_assert_int_eq(found.pid, getpid());
    process_close(&found);
    Str text = S(""), rest, pid, started;
    ck_assert_ok(file_read(str_of(path), KIB, arena, &text, &err), &err);
    rest = text;
    ck_assert(str_cut(&rest, ' ', &pid) && str_cut(&rest, ' ', &started));
    const Str others[] = {
        str_format(arena, "%.*s 1 %.*s", STR_ARG(pid), STR_ARG(rest)),    // began at another time
        str_format(arena, "%.*s %.*s another-boot\n", STR_ARG(pid), STR_ARG(started)),
        S("99999999 5 x\n"),
        S("-1 5 x\n"),
        S("words\n"),
        S(""),
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        ck_assert_ok(file_write(str_of(path), others[i], 0644, &err), &err);
        ck_assert_ok(process_open(path, &found, &err), &err);
        ck_assert_int_eq(found.pid, 0);
    }
    (void)unlink(path);
}

TEST(the_end_says_how_it_came)
{
    Error err = {0};
    static const struct {
        const char *script;
        int exit_code, signal;
    } ROWS[] = {{"exit 0", 0, 0}, {"exit 7", 7, 0}, {"kill -KILL $$", -1, SIGKILL}};
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        Process process;
        ProcessEnd end;
        const char *const argv[] = {"sh", "-c", ROWS[i].script, NULL};
        ck_assert_ok(process_start(&(ProcessSpec){.argv = argv}, &process, &err), &err);
        ck_assert(has_process_ended(&process, TIMEOUT_MS, &end));
        ck_assert_int_eq(end.exit_code, ROWS[i].exit_code);
        ck_assert_int_eq(end.signal, ROWS[i].signal);
    }
}

TEST(one_that_does_not_listen_is_killed)
{
    Error err = {0};
    Process process;
    const char *const argv[] = {"sh", "-c", "trap '' TERM; kill -STOP $$; sleep 600", NULL};
    ck_assert_ok(process_start(&(ProcessSpec){.argv = argv}, &process, &err), &err);
    clock_sleep_ms(200);
    ck_assert(!process_stop(&process, SIGTERM, 100));
}

static int is_root(void *context)
{
    (void)context;
    return geteuid() == 0 || getegid() == 0;
}

TEST(a_call_runs_as_another_user)
{
    Error err = {0};
    int answer = -1;
    if (geteuid() != 0) {    // then another user can't be had, and that is said
        ck_assert(!process_call_as("nobody", is_root, NULL, &answer, &err));
        ck_assert_says(&err, ERR_FORBIDDEN, "nobody");
        return;
    }
    ck_assert_ok(process_call_as("nobody", is_root, NULL, &answer, &err), &err);
    ck_assert_int_eq(answer, 0);
    ck_assert_ok(process_call_as(NULL, is_root, NULL, &answer, &err), &err);
    ck_assert_int_eq(answer, 1);
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    const char *const argv[] = {"id", "-un", NULL};
    Str output = S("");
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv, .user = "nobody"}, TIMEOUT_MS, arena, &output, &err), &err);
    ck_assert_str(output, S("nobody\n"));
}

SUITE(process, ONCE(a_program_holds_no_descriptor_but_its_streams),
      ONCE(a_program_gets_the_descriptors_that_are_passed_and_is_told_of_them),
      ONCE(a_signal_that_is_ignored_or_blocked_here_works_there), ONCE(what_fails_says_why),
      ONCE(a_program_that_takes_too_long_is_killed_with_its_children),
      ONCE(a_child_that_keeps_the_output_open_holds_nobody_up),
      ONCE(a_process_is_found_again_by_its_file_until_it_ends),
      ONCE(another_process_with_the_same_number_is_another_one), ONCE(a_thread_with_the_same_number_is_no_process),
      ONCE(the_end_says_how_it_came), ONCE(one_that_does_not_listen_is_killed), ONCE(a_call_runs_as_another_user))
