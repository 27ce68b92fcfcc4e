// tests/test_metrics.c: counters, their text, the access log and the rate limit.
#include "runtime/core/metrics.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "runtime/core/access.h"
#include "runtime/core/limit.h"
#include "tests/support/more_check.h"

TEST(all_threads_are_added_up_per_tenant_and_class)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    Error err = {0};
    Metrics *threads[2] = {0};
    for (size_t i = 0; i < COUNT(threads); i++)
        ck_assert_ok(metrics_open(&threads[i], &err), &err);
    metrics_request(threads[0], S("acme"), CLASS_PAGE, 200, 700, 1000);
    metrics_request(threads[1], S("acme"), CLASS_PAGE, 200, 30000, 500);
    metrics_request(threads[1], S("acme"), CLASS_PAGE, 404, 10000000, 1);
    metrics_request(threads[1], S("beta"), CLASS_API, 503, 1, 7);
    metrics_request(threads[0], S(""), CLASS_CORE, 200, 1, 1);
    metrics_add(threads[0], COUNTER_CONNECTIONS_OPEN, 3);
    metrics_add(threads[1], COUNTER_CONNECTIONS_OPEN, -1);
    StrBuf out = {.arena = arena};
    metrics_write(threads, COUNT(threads), &out);
    const Str lines[] = {
        S("# TYPE shopd_requests_total counter\n"),
        S("\nshopd_requests_total{tenant=\"acme\",class=\"page\",status=\"2xx\"} 2\n"),
        S("\nshopd_requests_total{tenant=\"acme\",class=\"page\",status=\"4xx\"} 1\n"),
        S("\nshopd_requests_total{tenant=\"beta\",class=\"api\",status=\"5xx\"} 1\n"),
        S("\nshopd_request_duration_seconds_bucket{tenant=\"acme\",class=\"page\",le=\"0.0005\"} 0\n"),
        S("\nshopd_request_duration_seconds_bucket{tenant=\"acme\",class=\"page\",le=\"0.001\"} 1\n"),
        S("\nshopd_request_duration_seconds_bucket{tenant=\"acme\",class=\"page\",le=\"0.1\"} 2\n"),
        S("\nshopd_request_duration_seconds_bucket{tenant=\"acme\",class=\"page\",le=\"+Inf\"} 3\n"),
        S("\nshopd_request_duration_seconds_count{tenant=\"acme\",class=\"page\"} 3\n"),
        S("\nshopd_request_duration_seconds_sum{tenant=\"acme\",class=\"page\"} 10.030700\n"),
        S("\nshopd_response_bytes_total{tenant=\"acme\",class=\"page\"} 1501\n"),
        S("\nshopd_connections_open 2\n"),
    };
    for (size_t i = 0; i < COUNT(lines); i++)
        ck_assert_contains(strbuf_str(&out), lines[i]);
    for (size_t i = 0; i < COUNT(threads); i++)
        metrics_close(&threads[i]);
}

// Each line is a comment or `name{labels} value`, and each metric's lines stand together.
TEST(the_text_is_of_prometheus_format)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    Error err = {0};
    Metrics *metrics = NULL;
    ck_assert_ok(metrics_open(&metrics, &err), &err);
    metrics_request(metrics, S("acme"), CLASS_PAGE, 200, 700, 1000);
    StrBuf out = {.arena = arena};
    metrics_write(&metrics, 1, &out);
    Str text = strbuf_str(&out), line, metric = S("");
    ck_assert(str_has_suffix(text, S("\n")));
    while (text.len > 0 && str_cut(&text, '\n', &line)) {
        if (str_has_prefix(line, S("# HELP "))) {
            Str rest = str_skip(line, 7);
            metric = str_slice(rest, 0, str_find_char(rest, ' '));
        } else if (!str_has_prefix(line, S("# TYPE "))) {
            ck_assert_msg(str_has_prefix(line, metric), "'%.*s' under '%.*s'", STR_ARG(line), STR_ARG(metric));
            ck_assert_uint_lt(str_find_char(line, ' '), line.len);
        }
    }
    metrics_close(&metrics);
}

TEST(tenants_beyond_the_table_are_counted_together)
{
    CLEANUP(arena_close) Arena *arena = arena_open(64 * (size_t)MIB);
    Error err = {0};
    Metrics *metrics = NULL;
    ck_assert_ok(metrics_open(&metrics, &err), &err);
    for (int i = 0; i < METRICS_TENANTS_MAX + 10; i++) {
        char slug[16];
        int len = snprintf(slug, sizeof(slug), "shop-%d", i);
        metrics_request(metrics, (Str){slug, (size_t)len}, CLASS_PAGE, 200, 1, 1);
    }
    StrBuf out = {.arena = arena};
    metrics_write(&metrics, 1, &out);
    ck_assert_contains(strbuf_str(&out),
                       S("\nshopd_requests_total{tenant=\"other\",class=\"page\",status=\"2xx\"} 10\n"));
    ck_assert_contains(strbuf_str(&out), S("\nshopd_requests_total{tenant=\"shop-1499\",class"));
    metrics_close(&metrics);
}

// ---- the access log ----

TEST(each_line_is_json_and_a_full_pipe_drops_whole_lines)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    Error err = {0};
    Loop *loop = NULL;
    Metrics *metrics = NULL;
    AccessLog *log = NULL;
    Stamp now = {0};
    int ends[2];
    stamp_update(&now, 1764032523456);
    ck_assert_int_eq(pipe(ends), 0);
    log_level_set(LOG_INFO);
    ck_assert_ok(loop_open(arena, &loop, &err), &err);
    ck_assert_ok(metrics_open(&metrics, &err), &err);
    ck_assert_ok(access_open(loop, ends[1], metrics, arena, &log, &err), &err);
    enum { LINES = 2000 };
    for (int i = 0; i < LINES; i++)
        access_add(log,
                   &(AccessLine){.request_id = S("id\"\\\n"),
                                 .client = S("192.0.2.255"),
                                 .tenant = S("acme"),
                                 .route = S("/products/{handle}"),
                                 .method = S("GET"),
                                 .status = 200,
                                 .duration_us = 1234,
                                 .bytes = 5},
                   &now);
    access_flush(log);
    fd_close(&ends[1]);
    char *bytes = arena_array(arena, MIB, char);
    size_t len = 0;
    for (ssize_t got = 1; got > 0; len += got > 0 ? (size_t)got : 0)
        got = read(ends[0], bytes + len, MIB - len);
    Str text = {bytes, len}, line;
    int64_t count = 0;
    while (text.len > 0 && str_cut(&text, '\n', &line)) {
        CLEANUP(json_close) Json *json = NULL;
        ck_assert_ok(json_parse(line, &json, &err), &err);
        ck_assert_str(json_str(json_get(json, "event")), S("request"));
        ck_assert_str(json_str(json_get(json, "time")), S("2025-11-25T01:02:03.456Z"));
        ck_assert_int_eq(json_int64(json_get(json, "duration_us")), 1234);
        ck_assert_str(json_str(json_get(json, "client")), S("192.0.2.255"));
        count++;
    }
    StrBuf out = {.arena = arena};
    metrics_write(&metrics, 1, &out);
    Str dropped = str_format(arena, "\nshopd_log_lines_dropped_total %lld\n", (long long)(LINES - count));
    ck_assert_int_gt(count, 100);
    ck_assert_int_lt(count, LINES);
    ck_assert_contains(strbuf_str(&out), dropped);
    fd_close(&ends[0]);
    metrics_close(&metrics);
    loop_close(&loop);
}

// ---- the rate ----

enum { TAKERS = 4, TAKES = 20000 };

typedef struct Taker {
    pthread_t thread;
    Limits *limits;
    int passed;
} Taker;

static void *taker_main(void *argument)
{
    Taker *taker = argument;
    int64_t wait_ms;
    for (int i = 0; i < TAKES; i++)    // all within the same second
        taker->passed += limits_take(taker->limits, 7, 100, 1000, 1000000 + i * 50, &wait_ms);
    return NULL;
}

TEST(the_rate_holds_for_all_threads_together)
{
    Error err = {0};
    Limits *limits = NULL;
    Taker takers[TAKERS] = {0};
    ck_assert_ok(limits_open(&limits, &err), &err);
    int passed = 0;
    for (int i = 0; i < TAKERS; i++) {
        takers[i].limits = limits;
        ck_assert_int_eq(pthread_create(&takers[i].thread, NULL, taker_main, &takers[i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        ck_assert_int_eq(pthread_join(takers[i].thread, NULL), 0);
        passed += takers[i].passed;
    }
    ck_assert_int_ge(passed, 1000);          // the burst ...
    ck_assert_int_le(passed, 1000 + 100);    // ... and the second's
    limits_close(&limits);
}

TEST(a_bucket_fills_again_and_says_how_long_that_takes)
{
    Error err = {0};
    Limits *limits = NULL;
    int64_t wait_ms = 0;
    ck_assert_ok(limits_open(&limits, &err), &err);
    for (int i = 0; i < 2; i++)
        ck_assert(limits_take(limits, 1, 2, 0, 0, &wait_ms));
    ck_assert(!limits_take(limits, 1, 2, 0, 0, &wait_ms));
    ck_assert_int_eq(wait_ms, 500);
    ck_assert(limits_take(limits, 2, 2, 0, 0, &wait_ms));    // another tenant's bucket is its own
    ck_assert(!limits_take(limits, 1, 2, 0, 499999, &wait_ms));
    ck_assert(limits_take(limits, 1, 2, 0, 500000, &wait_ms));
    for (int i = 0; i < 10000; i++)
        ck_assert(limits_take(limits, 3, 0, 0, 0, &wait_ms));    // without a rate
    limits_close(&limits);
}

static bool takes(Limits *limits)
{
    int64_t wait_ms;
    return limits_take(limits, 1, 1, 2, 0, &wait_ms);
}

TEST(processes_that_share_an_id_share_their_rates)
{
    Error err = {0};
    Limits *limits[3] = {0};
    uint64_t id = (uint64_t)getpid() << 32 | (uint64_t)clock_us();
    char path[64];
    (void)snprintf(path, sizeof(path), "/dev/shm/shopd-%u-%016llx", geteuid(), (unsigned long long)id);
    for (size_t i = 0; i < COUNT(limits); i++) {
        ck_assert_ok(limits_open(&limits[i], &err), &err);
        ck_assert_ok(limits_share(limits[i], i < 2 ? id : id + 1, &err), &err);
    }
    ck_assert(takes(limits[0]));
    ck_assert(takes(limits[1]));
    ck_assert(!takes(limits[0]));
    ck_assert(!takes(limits[1]));
    ck_assert(takes(limits[2]));    // of another cell
    int child = fork();
    if (child == 0)
        _exit(takes(limits[1]));
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);    // nothing is left for a third one
    limits_close(&limits[0]);
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert(!takes(limits[1]));
    limits_close(&limits[1]);
    ck_assert_int_ne(access(path, F_OK), 0);    // the last one has removed it
    limits_close(&limits[2]);
}

TEST(a_table_that_others_may_write_is_not_taken)
{
    Error err = {0};
    Limits *limits = NULL;
    uint64_t id = (uint64_t)getpid() << 32 | (uint64_t)clock_us();
    char path[64];
    (void)snprintf(path, sizeof(path), "/dev/shm/shopd-%u-%016llx", geteuid(), (unsigned long long)id);
    ck_assert_ok(file_write(str_of(path), S(""), 0666, &err), &err);
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_ok(limits_open(&limits, &err), &err);
    ck_assert(!limits_share(limits, id, &err));
    ck_assert_says(&err, ERR_FORBIDDEN, "open to others");
    ck_assert(takes(limits));    // by itself
    limits_close(&limits);
    ck_assert_int_eq(unlink(path), 0);
}

SUITE(metrics, ONCE(all_threads_are_added_up_per_tenant_and_class), ONCE(the_text_is_of_prometheus_format),
      ONCE(tenants_beyond_the_table_are_counted_together), ONCE(each_line_is_json_and_a_full_pipe_drops_whole_lines),
      ONCE(the_rate_holds_for_all_threads_together), ONCE(a_bucket_fills_again_and_says_how_long_that_takes),
      ONCE(processes_that_share_an_id_share_their_rates), ONCE(a_table_that_others_may_write_is_not_taken))
