// tests/test_cache.c: what is kept of rendered pages, for how long, and who waits for a render.
#include "runtime/core/cache.h"
#include "tests/support/more_check.h"

enum { BUDGET = 64 * KIB };

static Cache *cache_new(size_t budget)
{
    Error err = {0};
    Cache *cache = NULL;
    TokenKey key = token_key(S("secret"));
    ck_assert_ok(token_start(&err), &err);
    ck_assert_ok(cache_open(budget, &key, &cache, &err), &err);
    return cache;
}

static PageKey key_of(int64_t tenant, Str text) { return (PageKey){tenant, text}; }

static void put(Cache *cache, PageKey key, int64_t version, Str text)
{
    Error err = {0};
    CachedPage *page = NULL;
    const PagePart parts[] = {{text, HOLE_NONE}, {S(""), HOLE_CSRF}, {S("end"), HOLE_NONE}};
    ck_assert_ok(cache_put(cache, key, version, S("text/html"), parts, COUNT(parts), &page, &err), &err);
    ck_assert_uint_eq(page->hole_count, 1);
    page_release(page);
}

static bool has(Cache *cache, PageKey key)
{
    CachedPage *page = cache_find(cache, key);
    if (page)
        page_release(page);
    return page;
}

TEST(a_page_is_found_under_its_own_key_alone)
{
    Cache *cache = cache_new(BUDGET);
    put(cache, key_of(1, S("home")), 1, S("acme"));
    CachedPage *page = cache_find(cache, key_of(1, S("home")));
    ck_assert_ptr_nonnull(page);
    ck_assert_str(page->parts[0].text, S("acme"));
    ck_assert_str(page->content_type, S("text/html"));
    page_release(page);
    ck_assert(!has(cache, key_of(2, S("home"))));
    ck_assert(!has(cache, key_of(1, S("hom"))));
    cache_close(&cache);
}

TEST(pages_of_an_older_catalogue_are_gone_or_never_kept)
{
    Cache *cache = cache_new(BUDGET);
    cache_confirm(cache, 1, 5, cache_begin(cache));
    put(cache, key_of(1, S("a")), 5, S("new"));
    put(cache, key_of(1, S("b")), 4, S("old"));
    ck_assert(has(cache, key_of(1, S("a"))));
    ck_assert(!has(cache, key_of(1, S("b"))));
    cache_confirm(cache, 1, 6, cache_begin(cache));
    ck_assert(!has(cache, key_of(1, S("a"))));
    CachedPage *old = cache_find_old(cache, key_of(1, S("a")));    // for when the database is away
    ck_assert_ptr_nonnull(old);
    page_release(old);
    cache_close(&cache);
}

TEST(news_make_pages_doubtful_until_a_later_query_has_told_the_version)
{
    Cache *cache = cache_new(BUDGET);
    put(cache, key_of(1, S("a")), 5, S("text"));
    put(cache, key_of(2, S("a")), 5, S("text"));
    uint64_t before = cache_begin(cache);
    cache_suspect(cache, 1);
    ck_assert(!has(cache, key_of(1, S("a"))));
    ck_assert(has(cache, key_of(2, S("a"))));
    cache_confirm(cache, 1, 5, before);    // it may have read what was there before the news
    ck_assert(!has(cache, key_of(1, S("a"))));
    cache_confirm(cache, 1, 5, cache_begin(cache));    // nothing had changed: what was kept is right
    ck_assert(has(cache, key_of(1, S("a"))));
    cache_suspect(cache, 0);
    ck_assert(!has(cache, key_of(1, S("a"))));
    ck_assert(!has(cache, key_of(2, S("a"))));
    cache_close(&cache);
}

static PageKey numbered(int64_t tenant, int number, char name[16])
{
    return key_of(tenant, (Str){name, (size_t)snprintf(name, 16, "%d", number)});
}

// As a shopper's request does: a page that isn't there is made.
static bool ask(Cache *cache, PageKey key)
{
    static char text[4096];
    if (has(cache, key))
        return true;
    put(cache, key, 1, (Str){text, sizeof(text)});
    ck_assert_uint_le(cache_counts(cache).bytes, 1 * MIB);
    return false;
}

TEST(a_shop_that_is_read_from_end_to_end_costs_others_no_page_that_they_use)
{
    enum { USED = 50, READ = 5000 };
    Cache *cache = cache_new(1 * MIB);
    char name[16];
    for (int i = 0; i < READ; i++) {
        bool was_there = ask(cache, numbered(1, i % USED, name));
        ck_assert_int_eq(was_there, i >= USED);
        ck_assert(!ask(cache, numbered(2, i, name)));
    }
    ck_assert_uint_gt(cache_counts(cache).evicted, READ - 256);
    cache_close(&cache);
}

TEST(of_what_is_asked_for_in_a_circle_half_stays_though_there_is_no_room_for_all)
{
    enum { PAGES = 240, ROUNDS = 20 };
    Cache *cache = cache_new(1 * MIB);    // for some 213
    char name[16];
    int hits = 0;
    for (int i = 0; i < PAGES * ROUNDS; i++)
        hits += ask(cache, numbered(1, i % PAGES, name));
    ck_assert_int_gt(hits, PAGES * ROUNDS / 2);
    cache_close(&cache);
}

TEST(a_page_that_is_made_anew_is_used_as_much_as_before)
{
    Cache *cache = cache_new(1 * MIB);
    char name[16];
    put(cache, key_of(1, S("a")), 1, S("old"));
    for (int i = 0; i < 8; i++)
        ck_assert(has(cache, key_of(1, S("a"))));
    put(cache, key_of(1, S("a")), 2, S("new"));
    for (int i = 0; i < 400; i++)
        ask(cache, numbered(2, i, name));
    ck_assert(has(cache, key_of(1, S("a"))));
    cache_close(&cache);
}

TEST(the_budget_counts_compressed_forms)
{
    Cache *cache = cache_new(BUDGET);
    Error err = {0};
    char text[4096];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i * i % 23);
    for (int i = 0; i < 100; i++) {
        char name[8];
        int len = snprintf(name, sizeof(name), "%d", i);
        const PagePart parts[] = {{{text, sizeof(text)}, HOLE_NONE}, {{0}, HOLE_CSRF}, {{text, 1000}, HOLE_NONE}};
        CachedPage *page = NULL;
        ck_assert_ok(cache_put(cache, key_of(1, (Str){name, (size_t)len}), 1, S("text/html"), parts, 3, &page, &err),
                     &err);
        unsigned long long before = cache_counts(cache).bytes;
        const GzipPiece *pieces = page_gzip(cache, page);
        ck_assert_ptr_nonnull(pieces);
        ck_assert_ptr_eq(page_gzip(cache, page), pieces);    // made once
        ck_assert_uint_eq(pieces[1].bytes.len, 0);
        ck_assert(i > 0 || cache_counts(cache).bytes >= before + pieces[0].bytes.len + pieces[2].bytes.len);
        ck_assert_uint_le(cache_counts(cache).bytes, BUDGET);
        page_release(page);
    }
    cache_close(&cache);
}

TEST(pages_and_tenants_that_fall_together_are_told_apart)
{
    enum { PAGES = 4000, TENANTS = 1500, ROOM = 16 * MIB };
    Cache *cache = cache_new(ROOM);
    char name[16] = "";
    for (int64_t tenant = 1; tenant <= TENANTS; tenant++)
        put(cache, key_of(tenant, S("home")), tenant, S("text"));
    for (int i = 0; i < PAGES; i++)
        put(cache, key_of(1, (Str){name, (size_t)snprintf(name, sizeof(name), "%d", i)}), 1, (Str){name, 8});
    for (int64_t tenant = 2; tenant <= TENANTS; tenant += 7)    // its older pages go, and no other's
        cache_confirm(cache, tenant, tenant + 1, cache_begin(cache));
    for (int64_t tenant = 1; tenant <= TENANTS; tenant++)
        ck_assert_int_eq(has(cache, key_of(tenant, S("home"))), tenant % 7 != 2);
    for (int i = 0; i < PAGES; i++) {
        Str text = {name, (size_t)snprintf(name, sizeof(name), "%d", i)};
        CachedPage *page = cache_find(cache, key_of(1, text));
        ck_assert_ptr_nonnull(page);
        ck_assert_str(str_slice(page->parts[0].text, 0, text.len), text);
        page_release(page);
    }
    cache_budget_set(cache, BUDGET);    // most of them go, out of the middle of their lists
    ck_assert_uint_le(cache_counts(cache).bytes, BUDGET);
    unsigned kept = 0;
    for (int i = 0; i < PAGES; i++)
        kept += has(cache, numbered(1, i, name));
    ck_assert_uint_gt(kept, 0);
    ck_assert_uint_gt(kept + cache_counts(cache).evicted, PAGES);
    cache_suspect(cache, TENANTS + 1);    // of nobody that is known
    cache_close(&cache);
    cache_close(&cache);
}

static const struct {
    Str content_type;
    size_t len;
    bool is_smaller;
} FORMS[] = {
    {S("text/html"), 2000, true},  {S("application/json"), 2000, true}, {S("image/svg+xml"), 2000, true},
    {S("image/png"), 2000, false}, {S("text/html"), 10, false},         {S("text/html"), 0, false},
};

TEST(a_page_has_a_compressed_form_where_it_is_text_and_smaller_so)
{
    Cache *cache = cache_new(BUDGET);
    Error err = {0};
    char text[2000];
    CachedPage *page = NULL;
    memset(text, 'x', sizeof(text));
    const PagePart parts[] = {{{text, FORMS[_i].len}, HOLE_NONE}, {{0}, HOLE_CSRF}};
    ck_assert_ok(cache_put(cache, key_of(1, S("a")), 1, FORMS[_i].content_type, parts, 2, &page, &err), &err);
    ck_assert_int_eq(page_gzip(cache, page) != NULL, FORMS[_i].is_smaller);
    ck_assert_int_eq(page_gzip(cache, page) != NULL, FORMS[_i].is_smaller);
    page_release(page);
    cache_close(&cache);
}

TEST(a_page_beyond_the_budget_is_sent_but_not_kept)
{
    Cache *cache = cache_new(1), *other = cache_new(BUDGET);
    Error err = {0};
    CachedPage *page = NULL;
    const PagePart part = {S("text"), HOLE_NONE};
    ck_assert_ok(cache_put(cache, key_of(1, S("a")), 1, S("text/html"), &part, 1, &page, &err), &err);
    ck_assert_ptr_null(page_gzip(cache, page));
    ck_assert(!has(cache, key_of(1, S("a"))));
    page_release(page);
    put(other, key_of(1, S("a")), 1, S("text"));
    ck_assert_ptr_null(cache_copy(other, key_of(2, S("a"))));
    CachedPage *copy = cache_copy(other, key_of(1, S("a"))), *again = cache_copy(other, key_of(1, S("a")));
    cache_adopt(cache, copy);    // too large
    ck_assert_ptr_null(cache_find_old(cache, key_of(1, S("a"))));
    cache_budget_set(cache, BUDGET);
    cache_adopt(cache, copy);
    cache_adopt(cache, again);    // there is one by now
    CachedPage *old = cache_find_old(cache, key_of(1, S("a")));
    ck_assert_ptr_eq(old, copy);
    ck_assert(!has(cache, key_of(1, S("a"))));    // nobody here knows whether it is right
    page_release(old);
    page_release(copy);
    page_release(again);
    cache_close(&cache);
    cache_close(&other);
}

TEST(a_page_outlives_its_place_while_it_is_held)
{
    Cache *cache = cache_new(BUDGET);
    put(cache, key_of(1, S("a")), 1, S("text"));
    CachedPage *page = cache_find(cache, key_of(1, S("a")));
    put(cache, key_of(1, S("a")), 1, S("other"));
    cache_close(&cache);
    ck_assert_str(page->parts[0].text, S("text"));
    page_release(page);
}

TEST(simultaneous_misses_meet_unless_news_came_between)
{
    Cache *cache = cache_new(BUDGET);
    Miss miss;
    miss_start(cache, &miss, key_of(1, S("a")));
    ck_assert_ptr_eq(miss_find(cache, key_of(1, S("a"))), &miss);
    ck_assert_ptr_null(miss_find(cache, key_of(2, S("a"))));
    cache_suspect(cache, 1);
    ck_assert_ptr_null(miss_find(cache, key_of(1, S("a"))));
    Miss later;
    miss_start(cache, &later, key_of(1, S("a")));
    ck_assert_ptr_eq(miss_find(cache, key_of(1, S("a"))), &later);
    miss_end(cache, &miss);
    miss_end(cache, &later);
    ck_assert_ptr_null(miss_find(cache, key_of(1, S("a"))));
    cache_close(&cache);
}

SUITE(cache, ONCE(a_page_is_found_under_its_own_key_alone), ONCE(pages_of_an_older_catalogue_are_gone_or_never_kept),
      ONCE(news_make_pages_doubtful_until_a_later_query_has_told_the_version),
      ONCE(a_shop_that_is_read_from_end_to_end_costs_others_no_page_that_they_use),
      ONCE(of_what_is_asked_for_in_a_circle_half_stays_though_there_is_no_room_for_all),
      ONCE(a_page_that_is_made_anew_is_used_as_much_as_before), ONCE(the_budget_counts_compressed_forms),
      ONCE(pages_and_tenants_that_fall_together_are_told_apart),
      EACH(a_page_has_a_compressed_form_where_it_is_text_and_smaller_so, FORMS),
      ONCE(a_page_beyond_the_budget_is_sent_but_not_kept), ONCE(a_page_outlives_its_place_while_it_is_held),
      ONCE(simultaneous_misses_meet_unless_news_came_between))
