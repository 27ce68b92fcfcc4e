// tests/test_limit.c: a table of rates that processes come to and go from, whose file is not what it should be, or that
// has more tenants than places.
#include "runtime/core/limit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tests/support/more_check.h"

enum { THREADS = 4, ROUNDS = 500, TAKES = 200000, TENANTS = 70000, NAMES = 64 };

typedef struct Name {
    uint64_t id;
    char text[NAMES];    // below /dev/shm
} Name;

// Of this process and this test alone.
static Name name_new(void)
{
    static unsigned count;
    Name name = {.id = (uint64_t)getpid() << 32 | ++count};
    (void)snprintf(name.text, sizeof(name.text), "/shopd-%u-%016llx", geteuid(), (unsigned long long)name.id);
    return name;
}

static bool is_there(const Name *name)
{
    CLEANUP(fd_close) int fd = shm_open(name->text, O_RDONLY | O_CLOEXEC, 0);
    return fd >= 0;
}

static Limits *limits_new(void)
{
    Error err = {0};
    Limits *limits = NULL;
    ck_assert_ok(limits_open(&limits, &err), &err);
    return limits;
}

static unsigned passed_of(Limits *limits, int64_t tenant, unsigned count, int64_t now_us)
{
    unsigned passed = 0;
    int64_t wait_ms = 0;
    for (unsigned i = 0; i < count; i++)
        passed += limits_take(limits, tenant, 10, 5, now_us, &wait_ms);
    return passed;
}

TEST(the_last_one_that_shares_a_table_removes_it)
{
    Name name = name_new();
    Error err = {0};
    Limits *first = limits_new(), *second = limits_new(), *none = NULL;
    int64_t now_us = clock_us();
    ck_assert_ok(limits_share(first, name.id, &err), &err);
    ck_assert_ok(limits_share(second, name.id, &err), &err);
    ck_assert_uint_eq(passed_of(first, 7, 3, now_us), 3);
    ck_assert_uint_eq(passed_of(second, 7, 9, now_us), 2);    // 5 of both
    limits_close(&first);
    ck_assert(is_there(&name));
    ck_assert_uint_eq(passed_of(second, 7, 1, now_us), 0);
    limits_close(&second);
    ck_assert(!is_there(&name));
    limits_close(&none);
    ck_assert_ptr_null(second);
}

// In a process of its own, which ends as a killed one does.
static void share_and_vanish(const Name *name)
{
    pid_t child = fork();
    if (child == 0) {
        Error err = {0};
        Limits *limits = NULL;
        _exit(limits_open(&limits, &err) && limits_share(limits, name->id, &err) ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

TEST(who_comes_removes_what_killed_ones_left_and_nothing_else)
{
    Name killed = name_new(), living = name_new(), ours = name_new();
    Error err = {0};
    share_and_vanish(&killed);
    Limits *one = limits_new(), *other = limits_new();
    ck_assert_ok(limits_share(one, living.id, &err), &err);
    ck_assert(!is_there(&killed));
    ck_assert_ok(limits_share(other, ours.id, &err), &err);
    ck_assert(is_there(&living));
    limits_close(&one);
    limits_close(&other);
}

// ---- what may lie in its place ----

static void lay_open(const Name *name)
{
    CLEANUP(fd_close) int fd = shm_open(name->text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    ck_assert(fd >= 0 && fchmod(fd, 0666) == 0);
}

static void lay_directory(const Name *name)
{
    char path[NAMES + 16];
    (void)snprintf(path, sizeof(path), "/dev/shm%s", name->text);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void lay_link(const Name *name)
{
    char path[NAMES + 16];
    (void)snprintf(path, sizeof(path), "/dev/shm%s", name->text);
    ck_assert_int_eq(symlink("/tmp/shopd-not-there", path), 0);
}

static const struct {
    void (*lay)(const Name *name);
    ErrorCode code;
} LAID[] = {{lay_open, ERR_FORBIDDEN}, {lay_directory, ERR_FAILED}, {lay_link, ERR_FAILED}};

TEST(what_is_not_a_file_of_ours_alone_is_not_taken_and_rates_hold_in_the_process)
{
    Name name = name_new();
    Error err = {0};
    Limits *limits = limits_new();
    LAID[_i].lay(&name);
    ck_assert(!limits_share(limits, name.id, &err));
    ck_assert_int_eq(err.code, LAID[_i].code);
    ck_assert_uint_eq(passed_of(limits, 7, 9, clock_us()), 5);
    limits_close(&limits);
    char path[NAMES + 16];
    (void)snprintf(path, sizeof(path), "/dev/shm%s", name.text);
    ck_assert_int_eq(remove(path), 0);    // it was left as it was
}

TEST(a_table_for_which_there_is_no_room_is_an_error)
{
    Name name = name_new();
    Error err = {0};
    Limits *limits = limits_new();
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max}), 0);
    bool ok = limits_share(limits, name.id, &err);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    ck_assert(!ok);
    ck_assert_says(&err, ERR_FAILED, "rate limits");
    ck_assert_uint_eq(passed_of(limits, 7, 9, clock_us()), 5);
    limits_close(&limits);
    (void)shm_unlink(name.text);
}

// ---- all at once ----

static Name shared;

static void *come_and_go(void *failed)
{
    for (int i = 0; i < ROUNDS; i++) {
        Error err = {0};
        Limits *limits = NULL;
        int64_t wait_ms = 0;
        if (!limits_open(&limits, &err) || !limits_share(limits, shared.id, &err))
            atomic_fetch_add((atomic_int *)failed, 1);
        (void)limits_take(limits, 1 + i, 10, 5, clock_us(), &wait_ms);
        limits_close(&limits);
    }
    return NULL;
}

static void run_threads(void *(*main)(void *context), void *context)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, main, context), 0);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

TEST(who_comes_while_another_goes_has_a_table)
{
    atomic_int failed = 0;
    shared = name_new();
    run_threads(come_and_go, &failed);
    ck_assert_int_eq(atomic_load(&failed), 0);
    ck_assert(!is_there(&shared));
}

typedef struct Crowd {
    Limits *limits;
    int64_t now_us;
    atomic_long passed;
} Crowd;

static void *take_much(void *context)
{
    Crowd *crowd = context;
    int64_t wait_ms = 0;
    long passed = 0;
    for (int64_t i = 0; i < TAKES; i++)    // now and then of a tenant that nobody knew before
        passed += limits_take(crowd->limits, 1 + i / 10, 1000, 3, crowd->now_us, &wait_ms);
    atomic_fetch_add(&crowd->passed, passed);
    return NULL;
}

TEST(threads_that_meet_a_tenant_at_once_count_together)
{
    Crowd crowd = {.limits = limits_new(), .now_us = clock_us()};
    run_threads(take_much, &crowd);
    ck_assert_int_eq(atomic_load(&crowd.passed), TAKES / 10 * 3);
    limits_close(&crowd.limits);
}

TEST(tenants_beyond_the_table_share_places_and_are_served)
{
    Limits *limits = limits_new();
    int64_t now_us = clock_us(), wait_ms = 0;
    for (int64_t tenant = 1; tenant <= TENANTS; tenant++)
        ck_assert(limits_take(limits, tenant, 1000, 1000, now_us, &wait_ms));
    limits_close(&limits);
}

SUITE(limit, ONCE(the_last_one_that_shares_a_table_removes_it),
      ONCE(who_comes_removes_what_killed_ones_left_and_nothing_else),
      EACH(what_is_not_a_file_of_ours_alone_is_not_taken_and_rates_hold_in_the_process, LAID),
      ONCE(a_table_for_which_there_is_no_room_is_an_error), ONCE(who_comes_while_another_goes_has_a_table),
      ONCE(threads_that_meet_a_tenant_at_once_count_together),
      ONCE(tenants_beyond_the_table_share_places_and_are_served))
