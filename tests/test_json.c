// tests/test_json.c: JSON is read strictly, with a place for each fault, and printed back.
#include "base/json.h"

#include <pthread.h>

#include "tests/support/more_check.h"

enum { HOLDERS = 2, HOLDS = 5000 };

static const Refused REFUSED[] = {
    {S(""), ""},
    {S("{\"a\":1,\"a\":2}"), "duplicate"},
    {S("{\"a\":\n  1,}"), "2:"},
    {S("[1]x"), "1:"},
    {S("\"\\ud800\""), ""},
    {S("\"\\u0000\""), ""},
    {S("\"\xff\""), ""},
    {S("123456789012345678901234567890"), ""},
    {S("1e999"), ""},
    {S("nul"), ""},
    {S("'a'"), ""},
};

TEST(a_broken_document_is_refused_with_its_place)
{
    Error err = {0};
    Json *json = NULL;
    ck_assert(!json_parse(REFUSED[_i].text, &json, &err));
    ck_assert_ptr_null(json);
    ck_assert_says(&err, ERR_MALFORMED, REFUSED[_i].says);
    ck_assert_uint_gt(strlen(err.where), 0);
}

TEST(a_document_may_be_64_levels_deep_and_no_deeper)
{
    for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        char text[2 * (JSON_DEPTH_MAX + 1)];
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        Error err = {0};
        CLEANUP(json_close) Json *json = NULL;
        ck_assert_int_eq(json_parse((Str){text, 2 * (size_t)depth}, &json, &err), depth == JSON_DEPTH_MAX);
        if (depth > JSON_DEPTH_MAX)
            ck_assert_says(&err, ERR_MALFORMED, "64 levels");
    }
}

TEST(brackets_in_strings_are_no_depth)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    StrBuf buf = {.arena = arena};
    strbuf_add(&buf, S("\"\\\""));
    for (int i = 0; i < 1000; i++)
        strbuf_add_char(&buf, '[');
    strbuf_add_char(&buf, '"');
    Error err = {0};
    CLEANUP(json_close) Json *json = NULL;
    ck_assert_ok(json_parse(strbuf_str(&buf), &json, &err), &err);
    ck_assert_uint_eq(json_str(json).len, 1001);
}

static const Str SAME[] = {S("null"), S("[]"), S("{\"b\":1,\"a\":[true,false,null,-5,\"\xc3\xb1\"]}"), S("1.5"),
                           S("\"\"")};

TEST(what_is_read_is_printed_the_same)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    CLEANUP(json_close) Json *json = NULL;
    Str text = S("");
    ck_assert_ok(json_parse(SAME[_i], &json, &err), &err);
    ck_assert_ok(json_print(json, 0, arena, &text, &err), &err);
    ck_assert_str(text, SAME[_i]);
}

TEST(members_are_walked_in_order)
{
    Error err = {0};
    CLEANUP(json_close) Json *json = NULL;
    ck_assert_ok(json_parse(S("{\"z\":1,\"a\":2,\"m\":3}"), &json, &err), &err);
    const char *keys = "zam";
    JsonIter it = json_iter(json);
    for (int64_t i = 0; json_next(&it); i++) {
        ck_assert_str(it.key, ((Str){keys + i, 1}));
        ck_assert_int_eq(json_int64(it.value), i + 1);
    }
    ck_assert_uint_eq(json_count(json), 3);
    ck_assert_ptr_null(json_get(json, "q"));
    ck_assert_ptr_null(json_element(json, 0));
}

static const struct {
    Str text;
    Str printed;
} NUMBERS[] = {{S("1.21"), S("1.21")},
               {S("100"), S("100")},
               {S("0.1"), S("0.1")},
               {S("1e21"), S("1e+21")},
               {S("-0.5"), S("-0.5")},
               {S("0"), S("0")},
               {S("-0.0"), S("-0")},
               {S("100.0"), S("100")},
               {S("1e-7"), S("0.0000001")},
               {S("1e-8"), S("1e-08")},
               {S("1e20"), S("100000000000000000000")},
               {S("1234567.25e2"), S("123456725")},
               {S("1.7976931348623157e308"), S("1.7976931348623157e+308")},
               {S("5e-324"), S("5e-324")}};

TEST(a_number_prints_as_the_shortest_text)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    CLEANUP(json_close) Json *json = NULL;
    ck_assert_ok(json_parse(NUMBERS[_i].text, &json, &err), &err);
    ck_assert_str(json_number_text(json, arena), NUMBERS[_i].printed);
}

// Each keeps the document for a moment, as threads do with a page's texts; ThreadSanitizer watches.
static void *hold_often(void *json)
{
    for (int i = 0; i < HOLDS; i++) {
        CLEANUP(json_close) Json *held = json_hold(json);
        CLEANUP(json_close) Json *nothing = json_hold((Json *)json_get(held, "nothing"));
        ck_assert_uint_eq(json_count(held), 1);
        ck_assert_int_eq(json_kind(nothing), JSON_KIND_NULL);
    }
    return NULL;
}

TEST(a_document_is_held_by_threads_at_once)
{
    Error err = {0};
    CLEANUP(json_close) Json *json = NULL;
    CLEANUP(json_close) Json *absent = json_hold(NULL);
    ck_assert_ok(json_parse(S("{\"nothing\":null}"), &json, &err), &err);
    pthread_t holders[HOLDERS];
    for (size_t i = 0; i < HOLDERS; i++)
        ck_assert_int_eq(pthread_create(&holders[i], NULL, hold_often, json), 0);
    for (size_t i = 0; i < HOLDERS; i++)
        ck_assert_int_eq(pthread_join(holders[i], NULL), 0);
    ck_assert_uint_eq(json_count(json), 1);
    ck_assert_ptr_null(absent);
}

SUITE(json, EACH(a_broken_document_is_refused_with_its_place, REFUSED),
      ONCE(a_document_may_be_64_levels_deep_and_no_deeper), ONCE(brackets_in_strings_are_no_depth),
      EACH(what_is_read_is_printed_the_same, SAME), ONCE(members_are_walked_in_order),
      ONCE(a_document_is_held_by_threads_at_once), EACH(a_number_prints_as_the_shortest_text, NUMBERS))
