// tests/test_view.c: the theme in the binary, money and dates, tokens, encodings.
#include "runtime/core/token.h"
#include "runtime/core/view.h"
#include "tests/support/more_check.h"

static const struct {
    int64_t amount;
    Str currency;
    Language language;
    Str text;
} MONEYS[] = {
    {1900, S("EUR"), LANGUAGE_ES, S("19,00 \xe2\x82\xac")},
    {1900, S("EUR"), LANGUAGE_EN,
     S("\xe2\x82\xac"
       "19.00")},
    {1900, S("GBP"), LANGUAGE_EN,
     S("\xc2\xa3"
       "19.00")},
    {5, S("USD"), LANGUAGE_EN, S("$0.05")},
    {123456, S("EUR"), LANGUAGE_ES, S("1234,56 \xe2\x82\xac")},
    {1234567, S("EUR"), LANGUAGE_ES, S("12.345,67 \xe2\x82\xac")},
    {123456, S("USD"), LANGUAGE_EN, S("$1,234.56")},
    {1500, S("JPY"), LANGUAGE_EN,
     S("\xc2\xa5"
       "1,500")},
    {1234, S("KWD"), LANGUAGE_EN, S("KWD 1.234")},
    {1900, S("CHF"), LANGUAGE_ES, S("19,00 CHF")},
    {-1, S("USD"), LANGUAGE_EN, S("-$0.01")},
    {INT64_MIN, S("USD"), LANGUAGE_EN, S("-$92,233,720,368,547,758.08")},
};

TEST(money_is_written_as_the_language_has_it)
{
    CLEANUP(arena_close) Arena *arena = arena_open(KIB * 4);
    ck_assert_str(format_money(MONEYS[_i].amount, MONEYS[_i].currency, MONEYS[_i].language, arena), MONEYS[_i].text);
}

TEST(a_date_is_written_as_the_language_has_it)
{
    CLEANUP(arena_close) Arena *arena = arena_open(KIB * 4);
    ck_assert_str(format_date(S("2026-11-25T01:02:03Z"), LANGUAGE_ES, arena), S("25 de noviembre de 2026"));
    ck_assert_str(format_date(S("2026-03-01T01:02:03Z"), LANGUAGE_EN, arena), S("1 March 2026"));
    ck_assert_str(format_date(S("soon"), LANGUAGE_EN, arena), S("soon"));
}

TEST(the_theme_compiles_and_each_language_has_the_same_words)
{
    CLEANUP(arena_close) Arena *arena = arena_open(16 * MIB);
    Error err = {0};
    const Theme *theme = NULL;
    ck_assert_ok(token_start(&err) && theme_open(arena, &theme, &err), &err);
    for (JsonIter it = json_iter(theme_words(theme, LANGUAGE_EN)); json_next(&it);)
        ck_assert_msg(json_member(theme_words(theme, LANGUAGE_ES), it.key), "es.json has no '%.*s'", STR_ARG(it.key));
    ck_assert_uint_eq(json_count(theme_words(theme, LANGUAGE_EN)), json_count(theme_words(theme, LANGUAGE_ES)));
    Str css = str_skip(json_str(json_get(theme_assets(theme), "shop_css")), sizeof("/assets/") - 1);
    const Asset *asset = theme_asset(theme, css);
    ck_assert_ptr_nonnull(asset);
    ck_assert_uint_lt(asset->forms[ENCODING_BROTLI].len, asset->forms[ENCODING_NONE].len);
    ck_assert_ptr_null(theme_asset(theme, S("shop.css")));
    theme_close(&theme);
}

TEST(a_rendered_page_has_holes_where_shoppers_differ)
{
    CLEANUP(arena_close) Arena *arena = arena_open(16 * MIB);
    Error err = {0};
    const Theme *theme = NULL;
    ck_assert_ok(token_start(&err) && theme_open(arena, &theme, &err), &err);
    CLEANUP(json_close)
    Json *data = json_build("{s:{s:b, s:[], s:s}}", "product", "is_available", true, "variants", "title", "<hole>");
    const PagePart *parts = NULL;
    size_t count = 0, csrf = 0, counts = 0;
    ck_assert_ok(theme_render(theme, "product", data, arena, &parts, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        csrf += parts[i].hole == HOLE_CSRF;
        counts += parts[i].hole == HOLE_CART_COUNT;
    }
    ck_assert_uint_eq(csrf, 1);
    ck_assert_uint_eq(counts, 1);
    ck_assert(!theme_render(theme, "none", data, arena, &parts, &count, &err));
    ck_assert_says(&err, ERR_FAILED, "'none'");
    theme_close(&theme);
}

static const struct {
    Str accept;
    Encoding encoding;
} ACCEPTED[] = {
    {S("gzip, deflate, br"), ENCODING_BROTLI},
    {S("gzip"), ENCODING_GZIP},
    {S("br;q=0, gzip;q=0.5"), ENCODING_GZIP},
    {S("*"), ENCODING_BROTLI},
    {S("identity"), ENCODING_NONE},
    {S(""), ENCODING_NONE},
    {S("br;q=0.000"), ENCODING_NONE},
    {S("GZIP;q=1.0"), ENCODING_GZIP},
    {S("*;q=0, gzip"), ENCODING_GZIP},
    {S("*, br;q=0"), ENCODING_GZIP},
    {S("br;q=0.2, gzip;q=0.8"), ENCODING_GZIP},
    {S("gzip;q=0.5, identity"), ENCODING_NONE},
    {S("gzip ; Q=0"), ENCODING_NONE},
    {S("gzip;q=2"), ENCODING_NONE},
    {S("gzip;q=one"), ENCODING_NONE},
    {S("gzippy, xgzip"), ENCODING_NONE},
};

TEST(the_best_encoding_that_is_accepted_is_chosen)
{
    static const Str OFFERED[ENCODING_COUNT] = {S("plain"), S("gzip"), S("br")};
    ck_assert_int_eq(encoding_accepted(ACCEPTED[_i].accept, OFFERED), ACCEPTED[_i].encoding);
}

static const struct {
    Str cookie;
    bool is_new;
} COOKIES[] = {
    {S("AAAAAAAAAAAAAAAAAAAAAA.3"), false},      {S("AAAAAAAAAAAAAAAAAAAAAA"), true},
    {S("AAAAAAAAAAAAAAAAAAAAAA."), true},        {S("AAAAAAAAAAAAAAAAAAAAAA.x"), true},
    {S("AAAAAAAAAAAAAAAAAAAAA.1"), true},        {S("AAAAAAAAAAAAAAAAAAAAA'.1"), true},
    {S("AAAAAAAAAAAAAAAAAAAAAA.1234567"), true}, {S(""), true},
};

TEST(a_broken_cookie_starts_a_new_session)
{
    Error err = {0};
    TokenSource source = {0};
    ck_assert_ok(token_start(&err), &err);
    Session session = session_read(COOKIES[_i].cookie, &source);
    ck_assert_int_eq(session.is_new, COOKIES[_i].is_new);
    ck_assert_int_eq(session.count, COOKIES[_i].is_new ? 0 : 3);
}

TEST(a_csrf_token_is_of_one_session)
{
    Error err = {0};
    ck_assert_ok(token_start(&err), &err);
    Session session = session_read(S("AAAAAAAAAAAAAAAAAAAAAA.0"), &(TokenSource){.left = 0});
    char csrf[CSRF_LEN];
    csrf_make(&session, csrf);
    Str text = {csrf, CSRF_LEN};
    ck_assert(csrf_is(&session, text));
    ck_assert(!csrf_is(&session, str_slice(text, 1, CSRF_LEN)));
    for (size_t i = 0; i < TOKEN_LEN; i++) {    // each character counts
        Session other = session;
        other.token[i] = 'B';
        ck_assert_msg(!csrf_is(&other, text), "character %zu", i);
    }
}

SUITE(view, EACH(money_is_written_as_the_language_has_it, MONEYS), ONCE(a_date_is_written_as_the_language_has_it),
      ONCE(the_theme_compiles_and_each_language_has_the_same_words),
      ONCE(a_rendered_page_has_holes_where_shoppers_differ),
      EACH(the_best_encoding_that_is_accepted_is_chosen, ACCEPTED), EACH(a_broken_cookie_starts_a_new_session, COOKIES),
      ONCE(a_csrf_token_is_of_one_session))
