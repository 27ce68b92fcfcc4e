// tests/test_news.c: what a process hears of its cell, and what it can't have heard.
#include "runtime/core/news.h"

#include "tests/support/database_proxy.h"
#include "tests/support/more_check.h"
#include "tests/support/shop_cell.h"

enum { CUT_MS = 100, GIVE_UP_MS = 30000 };

typedef struct Stage {
    TestCell cell;
    DatabaseProxy *proxy;
    Loop *loop;
    Directory *first;
    News *news;
    Timer opens, gives_up;
    size_t directories, forgotten;
} Stage;

static void directory_heard(void *context, Directory *directory)
{
    Stage *stage = context;
    ck_assert_ptr_nonnull(directory);
    stage->directories++;
}

static void catalog_heard(void *context, int64_t tenant)
{
    Stage *stage = context;
    ck_assert_int_eq(tenant, 0);
    stage->forgotten++;
    loop_stop(stage->loop);
}

static void proxy_opens(Timer *timer) { database_proxy_set(container_of(timer, Stage, opens)->proxy, PROXY_FLOWS); }
static void gives_up(Timer *timer) { loop_stop(container_of(timer, Stage, gives_up)->loop); }

static void stage_open(Stage *stage)
{
    Error err = {0};
    Str dsn;
    *stage = (Stage){.opens.due = proxy_opens, .gives_up.due = gives_up};
    test_cell_open(&stage->cell, "news");
    stage->proxy = database_proxy_open(stage->cell.dsn, stage->cell.arena, &dsn);
    database_proxy_set(stage->proxy, PROXY_CUT);
    CLEANUP(rows_close) Rows *rows = NULL;
    NewsReaders readers = {.context = stage, .directory = directory_heard, .catalog = catalog_heard};
    ck_assert_ok(db_query(stage->cell.db, S("select * from cell.directory(null)"), NO_PARAMS, &rows, &err) &&
                     directory_build(NULL, 0, rows, &stage->first, &err) &&
                     loop_open(stage->cell.arena, &stage->loop, &err) &&
                     news_open(stage->loop, dsn, stage->first, &readers, &stage->news, &err),
                 &err);
}

static void stage_close(Stage *stage)
{
    news_close(&stage->news);
    loop_close(&stage->loop);
    directory_release(&stage->first);
    database_proxy_close(&stage->proxy);
    test_cell_close(&stage->cell);
}

// A page may be kept from the first request on; what changed before the first LISTEN is told by nobody.
TEST(what_was_kept_before_the_first_connection_is_forgotten_too)
{
    Stage stage;
    stage_open(&stage);
    timer_start(stage.loop, &stage.opens, CUT_MS);
    timer_start(stage.loop, &stage.gives_up, GIVE_UP_MS);
    loop_run(stage.loop);
    ck_assert(news_is_up(stage.news));
    ck_assert_uint_eq(stage.directories, 1);
    ck_assert_uint_eq(stage.forgotten, 1);
    stage_close(&stage);
}

SUITE(news, ONCE(what_was_kept_before_the_first_connection_is_forgotten_too))
