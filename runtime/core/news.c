// runtime/core/news.c: LISTEN, and reading the directory again.
#include "runtime/core/news.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/pg_pipe.h"

enum {
    CHANGED_MAX = 64,    // single tenants to be read again; more: all of them
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 250,
    ANSWER_TIMEOUT_MS = 10000,
    QUIET_MS = 5000,    // then the connection is asked whether it lives, and has as long again to say so
    SCRATCH_BUDGET = 1 * MIB,
};

typedef enum Step {
    STEP_LISTEN_TENANTS,
    STEP_LISTEN_CATALOG,
    STEP_READ_ALL,
    STEP_READ_ONE,
    STEP_HEAR,
    STEP_PROBE,
} Step;

struct News {
    Arena *arena;
    Arena *scratch;
    Loop *loop;
    Str dsn;
    NewsReaders readers;
    Directory *directory;
    Pipe *pipe;
    Watch watch;
    Timer timer;    // no answer, or the next attempt
    Step step;
    int64_t changed[CHANGED_MAX];
    size_t changed_count;
    bool is_all_changed;
    bool is_up;    // atomic: it hears
    int64_t backoff_ms;
};

static void news_connect(News *news);
static void news_go_on(News *news);

static void news_lost(News *news, const Error *why)
{
    if (news->is_up)
        log_error("news_lost", why);
    __atomic_store_n(&news->is_up, false, __ATOMIC_RELAXED);
    loop_unwatch(news->loop, &news->watch);
    pipe_close(&news->pipe);
    timer_start(news->loop, &news->timer, news->backoff_ms);
    news->backoff_ms = MIN(MAX(news->backoff_ms * 2, (int64_t)BACKOFF_FIRST_MS), (int64_t)BACKOFF_MAX_MS);
}

static void news_watch(News *news)
{
    Error err = {0};
    if (news->watch.is_watched)
        loop_watch_change(news->loop, &news->watch, pipe_wants(news->pipe));
    else if (!loop_watch(news->loop, &news->watch, pipe_socket(news->pipe), pipe_wants(news->pipe), &err))
        news_lost(news, &err);
}

static int64_t answer_timeout_ms(const News *news) { return news->step == STEP_PROBE ? QUIET_MS : ANSWER_TIMEOUT_MS; }

static bool news_ask(News *news, Error *err)
{
    PipeCall call = {.sql = S("listen cell_tenants")};
    char number[24];
    Str value[1];
    if (news->step == STEP_LISTEN_CATALOG)
        call.sql = S("listen cell_catalog");
    if (news->step == STEP_READ_ALL)
        call.sql = S("select * from cell.directory(null)");
    if (news->step == STEP_READ_ONE) {
        int length = snprintf(number, sizeof(number), "%lld", (long long)news->changed[0]);
        value[0] = (Str){number, (size_t)length};
        call.sql = S("select * from cell.directory($1)");
        call.params = (Params){value, 1};
    }
    if (news->step == STEP_PROBE)
        call.sql = S("select 1");
    timer_start(news->loop, &news->timer, answer_timeout_ms(news));
    return pipe_send(news->pipe, &call, err);
}

static void change_add(News *news, int64_t number)
{
    for (size_t i = news->step == STEP_READ_ONE; i < news->changed_count; i++)    // the first one is being read already
        if (news->changed[i] == number)
            return;
    if (news->changed_count < CHANGED_MAX)
        news->changed[news->changed_count++] = number;
    else
        news->is_all_changed = true;
}

static void notifications_take(News *news)
{
    Str channel, payload;
    arena_reset(news->scratch);
    while (pipe_notification(news->pipe, news->scratch, &channel, &payload)) {
        Error err = {0};
        int64_t number = 0;
        if (!str_int64(payload, 1, INT64_MAX, &number, &err))
            continue;    // not one of ours
        if (str_eq(channel, S("cell_catalog")))
            news->readers.catalog(news->readers.context, number);
        else
            change_add(news, number);
        arena_reset(news->scratch);
    }
}

static bool directory_read(News *news, int64_t changed, const Rows *rows, Error *err)
{
    Directory *made = NULL;
    if (!directory_build(changed ? news->directory : NULL, changed, rows, &made, err))
        return false;
    directory_release(&news->directory);
    news->directory = made;
    news->readers.directory(news->readers.context, made);
    return true;
}

static void next_step(News *news)
{
    bool is_asking = true;
    if (news->step == STEP_LISTEN_TENANTS)
        news->step = STEP_LISTEN_CATALOG;
    else if (news->step == STEP_LISTEN_CATALOG || news->is_all_changed) {
        news->step = STEP_READ_ALL;
        news->changed_count = 0;
        news->is_all_changed = false;
    } else {
        is_asking = news->changed_count > 0;
        news->step = is_asking ? STEP_READ_ONE : STEP_HEAR;
    }
    Error err = {0};
    if (!is_asking)
        timer_start(news->loop, &news->timer, QUIET_MS);
    else if (!news_ask(news, &err))
        news_lost(news, &err);
}

static bool step_end(News *news, PipeAnswer *answer, Error *err)
{
    if (!answer->rows) {
        *err = answer->err;
        return error_wrap(err, "the cell's directory can't be read");
    }
    bool ok = true;
    if (news->step == STEP_READ_ALL) {
        ok = directory_read(news, 0, answer->rows, err);
        if (ok && !news->is_up) {
            news->readers.catalog(news->readers.context, 0);
            news->backoff_ms = 0;
            __atomic_store_n(&news->is_up, true, __ATOMIC_RELAXED);
        }
    } else if (news->step == STEP_READ_ONE) {
        ok = directory_read(news, news->changed[0], answer->rows, err);
        news->changed_count--;
        memmove(news->changed, news->changed + 1, news->changed_count * sizeof(news->changed[0]));
    }
    rows_close(&answer->rows);
    return ok;
}

static void news_go_on(News *news)
{
    Error err = {0};
    if (pipe_state(news->pipe) == PIPE_CONNECTING)
        loop_unwatch(news->loop, &news->watch);
    bool was_connecting = pipe_state(news->pipe) == PIPE_CONNECTING;
    bool ok = pipe_go_on(news->pipe, &err);
    if (ok && was_connecting && pipe_state(news->pipe) == PIPE_IDLE) {
        news->step = STEP_LISTEN_TENANTS;
        ok = news_ask(news, &err);
    }
    if (ok && !was_connecting)
        notifications_take(news);
    PipeAnswer answer;
    if (ok && pipe_answer(news->pipe, &answer)) {
        ok = step_end(news, &answer, &err);
        if (ok)
            next_step(news);
    } else if (ok && news->step == STEP_HEAR && (news->changed_count > 0 || news->is_all_changed)) {
        next_step(news);
    }
    if (!ok)
        news_lost(news, &err);
    else if (news->pipe)
        news_watch(news);
}

static void news_ready(Watch *watch, uint32_t events)
{
    (void)events;
    news_go_on(container_of(watch, News, watch));
}

static void news_due(Timer *timer)
{
    News *news = container_of(timer, News, timer);
    if (!news->pipe) {
        news_connect(news);
        return;
    }
    Error err = {0};
    if (news->step == STEP_HEAR) {
        news->step = STEP_PROBE;
        if (news_ask(news, &err))
            news_watch(news);
        else
            news_lost(news, &err);
        return;
    }
    error_set(&err, ERR_UNREACHABLE, "the database doesn't answer");
    error_why(&err, "nothing came within %lld ms", (long long)answer_timeout_ms(news));
    news_lost(news, &err);
}

static void news_connect(News *news)
{
    Error err = {0};
    timer_start(news->loop, &news->timer, ANSWER_TIMEOUT_MS);
    if (pipe_open(news->dsn, "shopd news", &news->pipe, &err)) {
        news->watch = (Watch){.ready = news_ready, .is_late = true};
        news_watch(news);
        return;
    }
    news->backoff_ms = MIN(MAX(news->backoff_ms * 2, (int64_t)BACKOFF_FIRST_MS), (int64_t)BACKOFF_MAX_MS);
    timer_start(news->loop, &news->timer, news->backoff_ms);
}

bool news_open(Loop *loop, Str dsn, Directory *first, const NewsReaders *readers, News **out, Error *err)
{
    Arena *arena = arena_open(SCRATCH_BUDGET);
    News *news = arena_new(arena, News);
    if (!arena_ok(arena, err)) {
        arena_close(&arena);
        return false;
    }
    *news = (News){.arena = arena, .loop = loop, .dsn = dsn, .readers = *readers, .timer.due = news_due};
    news->scratch = arena_open(SCRATCH_BUDGET);
    news->directory = directory_hold(first);
    news_connect(news);
    *out = news;
    return true;
}

void news_close(News **news)
{
    if (!*news)
        return;
    timer_stop((*news)->loop, &(*news)->timer);
    if ((*news)->pipe)
        loop_unwatch((*news)->loop, &(*news)->watch);
    pipe_close(&(*news)->pipe);
    directory_release(&(*news)->directory);
    arena_close(&(*news)->scratch);
    Arena *arena = (*news)->arena;
    arena_close(&arena);
    *news = NULL;
}

bool news_is_up(const News *news) { return __atomic_load_n(&news->is_up, __ATOMIC_RELAXED); }
