// runtime/storefront/page.c: pages, from the cache or freshly made.
#include "runtime/storefront/page.h"

#include "base/arena.h"

enum { ETAG_TEXT = 48 };

// Without the database, a page that another thread has is asked for there.
typedef struct Search {
    Task task;
    Request *r;
    CellThread *at;       // the one that is asked
    CachedPage *found;    // a copy, on its way
} Search;

// What a request for a page keeps while it waits.
typedef struct PageWork {
    Page page;
    Miss miss;
    MissWaiter waiter;
    Search search;
    Error *shown;    // of an error page: what it is about
} PageWork;

static const Str HTML = S("text/html; charset=utf-8");

Session *page_session(Request *r)
{
    if (!r->database.session) {
        Session *session = arena_new(r->arena, Session);
        if (session)
            *session = session_read(request_cookie(r, S("shop")), &cell_thread(r)->tokens);
        r->database.session = session;
    }
    return r->database.session;
}

void page_set_cookie(Request *r, const Session *session)
{
    respond_header(r, S("Set-Cookie"), session_cookie(session, r->is_secure, r->arena));
}

// ---- filling in ----

static bool has_hole(const PagePart *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (parts[i].hole != HOLE_NONE)
            return true;
    return false;
}

static bool parts_fill(Request *r, const PagePart *parts, size_t count, const Session *session, Str **out, Error *err)
{
    Str *filled = arena_array(r->arena, count, Str);
    char *csrf = arena_bytes(r->arena, CSRF_LEN);
    if (!arena_ok(r->arena, err))
        return false;
    if (has_hole(parts, count))
        csrf_make(session, csrf);
    Str shown = session->count > 0 ? str_int(r->arena, session->count) : S("");
    for (size_t i = 0; i < count; i++)
        switch (parts[i].hole) {
        case HOLE_NONE: filled[i] = parts[i].text; break;
        case HOLE_CART_COUNT: filled[i] = shown; break;
        case HOLE_CSRF: filled[i] = (Str){csrf, CSRF_LEN}; break;
        }
    *out = filled;
    return arena_ok(r->arena, err);
}

// The filled page as gzip: its pieces as they are, what is in the holes between them.
static bool parts_gzip(Request *r, const CachedPage *page, const GzipPiece *pieces, const Str *filled, Str **out,
                       size_t *out_count, Error *err)
{
    size_t stored = 0, count = 0;
    for (size_t i = 0; i < page->part_count; i++)
        stored += page->parts[i].hole == HOLE_NONE ? 0 : GZIP_STORED + filled[i].len;
    Str *parts = arena_array(r->arena, page->part_count + 2, Str);
    char *room = arena_bytes(r->arena, stored + GZIP_END);
    if (!arena_ok(r->arena, err))
        return false;
    GzipSum sum = {0};
    parts[count++] = GZIP_START;
    for (size_t i = 0; i < page->part_count; i++)
        if (page->parts[i].hole != HOLE_NONE && filled[i].len > 0) {
            parts[count] = gzip_stored(&sum, filled[i], room);
            room += parts[count++].len;
        } else if (pieces[i].length > 0) {
            gzip_add(&sum, &pieces[i]);
            parts[count++] = pieces[i].bytes;
        }
    parts[count++] = gzip_end(&sum, room);
    *out = parts;
    *out_count = count;
    return true;
}

// The page's pieces where the client takes gzip, else NULL.
static const GzipPiece *gzip_wanted(const Request *r, CachedPage *page)
{
    static const Str OFFERED[ENCODING_COUNT] = {[ENCODING_GZIP] = S("gzip")};
    Str accept = request_header(r, S("Accept-Encoding"));
    return accept.len > 0 && encoding_accepted(accept, OFFERED) == ENCODING_GZIP
               ? page_gzip(cell_thread(r)->cache, page)
               : NULL;
}

static char *hex_put(char *at, uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[value >> shift & 15];
    return at;
}

static uint64_t shopper_hash(const Request *r, const Session *session)
{
    Str token = session_token(session);
    int64_t seen[] = {session->count, r->tenant.number};
    char bytes[sizeof(Session) + sizeof(seen)];
    memcpy(bytes, token.data, token.len);
    memcpy(bytes + token.len, seen, sizeof(seen));
    return token_hash(&cell_thread(r)->key, (Str){bytes, token.len + sizeof(seen)});
}

// The page's bytes and what was filled in decide, so a changed cart is another page, as is a coding of it.
static Str page_etag(Request *r, const CachedPage *page, const Session *session, bool is_gzip)
{
    char text[64], *at = text;
    *at++ = '"';
    at = hex_put(at, page->hash);
    if (page->hole_count > 0) {
        *at++ = '-';
        at = hex_put(at, shopper_hash(r, session));
    }
    at = stpcpy(at, is_gzip ? "-gzip\"" : "\"");
    return str_copy(r->arena, (Str){text, (size_t)(at - text)});
}

// RFC 9110, section 13.1.2: a list of entity tags, compared weakly, or a star.
static bool etag_is_known(const Request *r, Str etag)
{
    Str item, rest = request_header(r, S("If-None-Match"));
    while (str_cut(&rest, ',', &item)) {
        item = str_trim(item);
        if (str_has_prefix(item, S("W/")))
            item = str_skip(item, 2);
        if (str_eq(item, etag) || str_eq(item, S("*")))
            return true;
    }
    return false;
}

// Answers with a cached page; takes over the caller's hold.
static bool page_send(Request *r, const Page *shown, CachedPage *page, Error *err)
{
    static const Session NOBODY = {0};
    Hold hold = {page, page_release};
    const Session *session = page->hole_count ? page_session(r) : &NOBODY;
    const GzipPiece *pieces = page->is_text ? gzip_wanted(r, page) : NULL;
    size_t count = page->part_count;
    Str *parts = NULL;
    if (!session || !parts_fill(r, page->parts, count, session, &parts, err) ||
        (pieces && !parts_gzip(r, page, pieces, parts, &parts, &count, err))) {
        page_release(page);
        return session || arena_ok(r->arena, err);
    }
    Str etag = page_etag(r, page, session, pieces);
    respond_header(r, S("ETag"), etag);
    if (page->is_text)
        respond_header(r, S("Vary"), S("Accept-Encoding"));
    Str control = page->hole_count ? S("private, no-cache") : S("no-cache");
    respond_header(r, S("Cache-Control"), shown->cache_control.len ? shown->cache_control : control);
    if (shown->policy.len > 0)
        respond_policy(r, shown->policy);
    if (session->is_new)
        page_set_cookie(r, session);
    else if (etag_is_known(r, etag)) {
        page_release(page);
        return respond_empty(r, 304);
    }
    if (pieces)
        respond_header(r, S("Content-Encoding"), encoding_name(ENCODING_GZIP));
    return respond_parts(r, 200, page->content_type, parts, count, hold);
}

bool page_answer(Request *r, int status, const char *template, Context *context, Error *err)
{
    const PagePart *parts = NULL;
    size_t count = 0;
    Str *filled = NULL;
    const Session *session = page_session(r);
    if (!arena_ok(r->arena, err) ||
        !theme_render(context->theme, template, context->data, r->arena, &parts, &count, err) ||
        !parts_fill(r, parts, count, session, &filled, err))
        return false;
    if (session->is_new && has_hole(parts, count))
        page_set_cookie(r, session);
    if (r->err.code == ERR_NONE)    // an error's page has it already
        respond_header(r, S("Cache-Control"), S("private, no-store"));
    return respond_parts(r, status, HTML, filled, count, (Hold){0});
}

bool page_render(Request *r, const Page *page, const Rows *rows, Error *err)
{
    CLEANUP(context_close) Context context = {0};
    return context_open(r, rows, &context, err) && page->make(r, page, &context, err) &&
           page_answer(r, 200, page->template, &context, err);
}

// ---- cached pages ----

static PageWork *work_of(Request *r) { return r->database.context; }

static bool page_keep(Request *r, const PageWork *work, const Rows *rows, CachedPage **out, Error *err)
{
    PageKey key = {r->tenant.number, work->page.key};
    Cache *cache = cell_thread(r)->cache;
    int64_t version = rows_int64(rows, 0, 0);
    cache_confirm(cache, r->tenant.number, version, work->miss.begun);
    if (work->page.read) {
        Str content_type = S("");
        PagePart part = {0};
        return work->page.read(r, rows, &content_type, &part.text, err) &&
               cache_put(cache, key, version, content_type, &part, 1, out, err);
    }
    const PagePart *parts = NULL;
    size_t count = 0;
    CLEANUP(context_close) Context context = {0};
    return context_open(r, rows, &context, err) && work->page.make(r, &work->page, &context, err) &&
           theme_render(context.theme, work->page.template, context.data, r->arena, &parts, &count, err) &&
           cache_put(cache, key, version, work->page.content_type.len ? work->page.content_type : HTML, parts, count,
                     out, err);
}

static bool is_away(const Error *err) { return err->code == ERR_UNREACHABLE || err->code == ERR_BUSY; }

// Without the database, from what is known of the shop; not to be kept.
static bool page_of_shop(Request *r, const Error *why)
{
    const Page *page = &work_of(r)->page;
    const PagePart *parts = NULL;
    size_t count = 0;
    Str *filled = NULL;
    Error err = {0};
    CLEANUP(context_close) Context context = {0};
    if (!page->is_of_shop || !is_away(why) ||
        !context_open_shop(r, cache_shop(cell_thread(r)->cache, r->tenant.number), &context, &err) ||
        !theme_render(context.theme, page->template, context.data, r->arena, &parts, &count, &err) ||
        !parts_fill(r, parts, count, page_session(r), &filled, &err))
        return false;
    respond_header(r, S("Cache-Control"), S("no-store"));
    return respond_parts(r, 200, page->content_type, filled, count, (Hold){0});
}

// Those who waited for the same page get it, or the same error.
static void waiters_answer(Request *r, CachedPage *page, const Error *err)
{
    PageWork *work = work_of(r);
    miss_end(cell_thread(r)->cache, &work->miss);
    MissWaiter *next = NULL;
    for (MissWaiter *waiter = work->miss.waiters; waiter; waiter = next) {
        Request *other = waiter->who;
        next = waiter->next;    // the waiter ends with its request
        bool ok = false;
        if (page) {
            page->holders++;
            ok = page_send(other, &work_of(other)->page, page, &other->err);
        } else {
            ok = page_of_shop(other, err);
            if (!ok)
                other->err = *err;
        }
        request_resume(other, ok);
    }
    work->miss.waiters = NULL;
}

static bool page_read(Request *r, const Rows *rows, Error *err)
{
    PageWork *work = work_of(r);
    CachedPage *page = NULL;
    bool ok = page_keep(r, work, rows, &page, err);
    waiters_answer(r, ok ? page : NULL, err);
    return ok && page_send(r, &work->page, page, err);
}

// The query has failed: an old page, held, or the error.
static bool old_answer(Request *r, CachedPage *old, Error *err)
{
    Error why = *err;
    waiters_answer(r, old, &why);
    if (!old && !page_of_shop(r, &why))
        return false;
    error_clear(err);
    return !old || page_send(r, &work_of(r)->page, old, err);
}

static PageKey key_of(Request *r) { return (PageKey){r->tenant.number, work_of(r)->page.key}; }

static void search_end(Task *task)
{
    Search *search = container_of(task, Search, task);
    Request *r = search->r;
    CachedPage *found = TAKE(search->found);
    if (found)
        cache_adopt(cell_thread(r)->cache, found);
    request_resume(r, old_answer(r, found, &r->err));
}

// On the thread that is asked: what it has goes home, else the next one is asked.
static void search_run(Task *task)
{
    Search *search = container_of(task, Search, task);
    CellThread *home = cell_thread(search->r), *next = cell_neighbour(search->at);
    search->found = cache_copy(search->at->cache, key_of(search->r));
    bool goes_home = search->found || !next || next == home;
    search->at = goes_home ? home : next;
    task->run = goes_home ? search_end : search_run;
    loop_post(search->at->thread->loop, task);
}

static bool page_failed(Request *r, Error *err)
{
    PageWork *work = work_of(r);
    CellThread *own = cell_thread(r), *next = cell_neighbour(own);
    CachedPage *old = is_away(err) ? cache_find_old(own->cache, key_of(r)) : NULL;
    if (old || !is_away(err) || !next)
        return old_answer(r, old, err);
    work->search = (Search){.task.run = search_run, .r = r, .at = next};
    request_wait(r);    // err is the request's own and stays
    loop_post(next->thread->loop, &work->search.task);
    return true;
}

static bool page_start(Request *r, const Page *page, Str sql, Params params, Error *err)
{
    Cache *cache = cell_thread(r)->cache;
    PageKey key = {r->tenant.number, page->key};
    CachedPage *kept = cache_find(cache, key);
    if (kept)
        return page_send(r, page, kept, err);
    PageWork *work = arena_new(r->arena, PageWork);
    if (!arena_ok(r->arena, err))
        return false;
    work->page = *page;
    Miss *under_way = miss_find(cache, key);
    if (under_way) {
        r->database.context = work;
        work->waiter = (MissWaiter){r, under_way->waiters};
        under_way->waiters = &work->waiter;
        request_wait(r);
        return true;
    }
    if ((page->is_guessed && !request_has_rate(r, err)) || !request_query(r, sql, params, page_read, err))
        return false;
    r->database.context = work;
    request_query_or(r, page_failed);
    miss_start(cache, &work->miss, key);
    return true;
}

static bool page_of_shopper(Request *r, const Rows *rows, Error *err)
{
    return page_render(r, &work_of(r)->page, rows, err);
}

bool page_serve(Request *r, const Page *page, Str sql, Params params, Error *err)
{
    if (page->key.len > 0)
        return page_start(r, page, sql, params, err);
    PageWork *work = arena_new(r->arena, PageWork);
    if (!arena_ok(r->arena, err) || !request_query(r, sql, params, page_of_shopper, err))
        return false;
    work->page = *page;
    r->database.context = work;
    return true;
}

// ---- error pages ----

static const struct {
    ErrorCode code;
    const char *title, *text;
    bool retry;
} ERROR_WORDS[] = {
    {ERR_UNREACHABLE, "error_busy_title", "error_busy_text", true},
    {ERR_BUSY, "error_busy_title", "error_busy_text", true},
    {ERR_NO_MEMORY, "error_busy_title", "error_busy_text", true},
    {ERR_RATE_LIMIT, "error_limit_title", "error_limit_text", true},
    {ERR_FORBIDDEN, "error_forbidden_title", "error_forbidden_text", false},
    {ERR_FAILED, "error_title", "error_text", false},
};

static void error_words(const Error *err, const char **title, const char **text, bool *retry)
{
    *title = "error_request_title";
    *text = "error_request_text";
    *retry = false;
    for (size_t i = 0; i < COUNT(ERROR_WORDS); i++)
        if (ERROR_WORDS[i].code == err->code) {
            *title = ERROR_WORDS[i].title;
            *text = ERROR_WORDS[i].text;
            *retry = ERROR_WORDS[i].retry;
        }
}

// Where "Try again" leads.
static Str again_address(const Request *r)
{
    if (!is_own_path(r->path))
        return S("/");
    return r->query.len ? STR_CONCAT(r->arena, r->path, S("?"), r->query) : r->path;
}

static bool error_render(Request *r, const Error *about, const Json *shop, Error *err)
{
    CLEANUP(context_close) Context context = {0};
    if (!context_open_shop(r, shop, &context, err))
        return false;
    const char *template = "error", *title = NULL, *text = NULL;
    bool retry = false;
    error_words(about, &title, &text, &retry);
    if (about->code == ERR_NOT_FOUND) {
        template = "not_found";
        title = "not_found_title";
    } else if (about->code == ERR_SUSPENDED) {
        template = "suspended";
        title = "suspended_title";
    }
    Str title_word = context_word(&context, title), text_word = context_word(&context, text);
    bool has_field = about->code == ERR_INVALID && about->where[0];
    Json *error = json_build("{s:i, s:s%, s:s%, s:b, s:o}", "status", error_http_status(about->code), "title",
                             title_word.data, title_word.len, "message", text_word.data, text_word.len, "retry",
                             (int)(retry && r->method == METHOD_GET), "field",
                             has_field ? json_from_str(str_of(about->where)) : json_build("n"));
    return json_set(context.data, "error", error, err) && context_page(&context, title_word, S(""), S(""), err) &&
           json_set(context_member(context.data, "page"), "path", json_from_str(again_address(r)), err) &&
           page_answer(r, error_http_status(about->code), template, &context, err);
}

// An error page never fails: core's plain one is what is left.
static bool error_answer(Request *r, const Error *about, const Json *shop)
{
    Error err = {0};
    return error_render(r, about, shop, &err);
}

static bool shop_read(Request *r, const Rows *rows, Error *err)
{
    Error *about = work_of(r)->shown;
    CLEANUP(context_close) Context context = {0};
    bool ok = context_open(r, rows, &context, err);    // keeps what it reads
    error_clear(err);
    *err = *about;    // for the log
    return (ok && error_answer(r, about, cache_shop(cell_thread(r)->cache, r->tenant.number))) ||
           error_answer(r, about, NULL);
}

static bool shop_failed(Request *r, Error *err)
{
    Error *about = work_of(r)->shown;
    *err = *about;
    return error_answer(r, about, NULL);
}

// Of a shop that has rendered no page yet, the name and colours are asked for first.
static bool shop_ask(Request *r, const Error *about)
{
    PageWork *work = arena_new(r->arena, PageWork);
    Error *shown = arena_new(r->arena, Error);
    Error err = {0};
    if (!work || !shown || !request_query(r, S("select " PAGE_COLUMNS), NO_PARAMS, shop_read, &err))
        return false;
    *shown = *about;
    work->shown = shown;
    r->database.context = work;
    request_query_or(r, shop_failed);
    return true;
}

bool storefront_error_page(Request *r, const Error *err, const Faults *faults)
{
    (void)faults;
    const Json *shop = cache_shop(cell_thread(r)->cache, r->tenant.number);
    bool is_shown = err->code == ERR_NOT_FOUND || err->code == ERR_SUSPENDED || err->code == ERR_METHOD;
    if (!shop && is_shown && !r->database.is_waiting && shop_ask(r, err))
        return true;
    return error_answer(r, err, shop);
}
