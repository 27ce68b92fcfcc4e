// tests/test_str.c: views, numbers, UTF-8, what a terminal may see, and the nearest name.
#include "base/str.h"
#include "tests/support/more_check.h"

static const struct {
    Str text;
    bool is_utf8;
} UTF8_ROWS[] = {
    {S("plain"), true},
    {S("Ca\xc3\xb1"
       "a"),
     true},
    {S("\xf0\x9f\x8d\x8b"), true},
    {S("\xc0\xaf"), false},
    {S("\xed\xa0\x80"), false},
    {S("\xed\x9f\xbf\xee\x80\x80"), true},
    {S("\xe0\x9f\xbf"), false},
    {S("\xe0\xa0\x80"), true},
    {S("\xf0\x8f\xbf\xbf"), false},
    {S("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true},
    {S("\xf5\x80\x80\x80"), false},
    {S("\xc3("), false},
    {S("\x80"), false},
    {S("\xf4\x90\x80\x80"), false},
    {S("cut \xe2\x82"), false},
    {S("a\0b"), false},
};

TEST(utf8_is_told_from_what_is_not)
{
    ck_assert_int_eq(str_is_utf8(UTF8_ROWS[_i].text), UTF8_ROWS[_i].is_utf8);
}

static const struct {
    Str text, seen;
} VISIBLE[] = {
    {S("ok Ca\xc3\xb1"
       "a \xf0\x9f\x8d\x8b \\x"),
     S("ok Ca\xc3\xb1"
       "a \xf0\x9f\x8d\x8b \\x")},
    {S("\x7f\xc2\x9b\x1b[31m\n\0"), S("\\x7f\\x9b\\x1b[31m\\x0a\\x00")},
    {S("\xff\xc3"), S("\\xff\\xc3")},
    {S("\xe2\x82"), S("\\xe2\\x82")},
    {S(""), S("")},
};

TEST(a_text_that_is_made_visible_can_do_nothing_to_a_terminal)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    ck_assert_str(str_visible(arena, VISIBLE[_i].text), VISIBLE[_i].seen);
}

static const Refused REFUSED_NUMBERS[] = {
    {S(""), "''"},          {S("-"), "'-'"}, {S("12a"), "'12a'"}, {S("+1"), "'+1'"}, {S("9223372036854775808"), "922"},
    {S("-11"), "from -10"},
};

TEST(what_is_not_a_number_in_bounds_is_refused)
{
    Error err = {0};
    int64_t value = 7;
    ck_assert(!str_int64(REFUSED_NUMBERS[_i].text, -10, INT64_MAX, &value, &err));
    ck_assert_says(&err, ERR_INVALID, REFUSED_NUMBERS[_i].says);
    ck_assert_int_eq(value, 7);
}

static const struct {
    Str text;
    int64_t value;
} NUMBERS[] = {
    {S("0"), 0}, {S("-9223372036854775808"), INT64_MIN}, {S("9223372036854775807"), INT64_MAX}, {S("007"), 7}};

TEST(a_number_is_read)
{
    Error err = {0};
    int64_t value = 1;
    ck_assert_ok(str_int64(NUMBERS[_i].text, INT64_MIN, INT64_MAX, &value, &err), &err);
    ck_assert_int_eq(value, NUMBERS[_i].value);
}

static const Str PRINTED[] = {S("0"), S("-9223372036854775808"), S("9223372036854775807"), S("-10")};

TEST(a_number_is_printed_as_it_is_read)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    int64_t value = 1;
    ck_assert_ok(str_int64(PRINTED[_i], INT64_MIN, INT64_MAX, &value, &err), &err);
    ck_assert_str(str_int(arena, value), PRINTED[_i]);
}

TEST(texts_are_put_one_after_the_other)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    static const Str PARTS[] = {S("a"), S(""), S("bc")};
    ck_assert_str(str_join(arena, PARTS, COUNT(PARTS), S(", ")), S("a, , bc"));
    ck_assert_str(str_join(arena, PARTS, 0, S(", ")), S(""));
    ck_assert_str(STR_CONCAT(arena, S("x"), (Str){0}, S("y")), S("xy"));
}

static const struct {
    Str a, b;
    size_t edits;
} DISTANCES[] = {{S("tenant"), S("tenant"), 0},
                 {S("tenat"), S("tenant"), 1},
                 {S("tennat"), S("tenant"), 1},
                 {S(""), S("abc"), 3},
                 {S("kitten"), S("sitting"), 3},
                 {S("ca"), S("abc"), 3},
                 {S("1234567890123456789012345678901234567890123456789012345678901234567890"), S("a"), SIZE_MAX},
                 {S("a"), S("1234567890123456789012345678901234567890123456789012345678901234567890"), SIZE_MAX}};

TEST(edits_between_two_words_are_counted)
{
    ck_assert_uint_eq(str_distance(DISTANCES[_i].a, DISTANCES[_i].b), DISTANCES[_i].edits);
    ck_assert_uint_eq(str_distance(DISTANCES[_i].b, DISTANCES[_i].a), DISTANCES[_i].edits);
}

TEST(the_nearest_name_is_found_or_none)
{
    static const Str NAMES[] = {S("tenant"), S("plan"), S("product")};
    ck_assert_str(str_nearest(S("prodcut"), NAMES, COUNT(NAMES)), S("product"));
    ck_assert_str(str_nearest(S("zebra"), NAMES, COUNT(NAMES)), S(""));
    static const Str SHELLS[] = {S("bash"), S("zsh"), S("fish")};
    ck_assert_str(str_nearest(S("fsh"), SHELLS, COUNT(SHELLS)), S("fish"));    // 'zsh' is as near
}

TEST(a_text_is_cut_at_each_separator)
{
    Str rest = S("a,,b"), part = S("");
    ck_assert(str_cut(&rest, ',', &part));
    ck_assert_str(part, S("a"));
    ck_assert(str_cut(&rest, ',', &part));
    ck_assert_str(part, S(""));
    ck_assert(str_cut(&rest, ',', &part));
    ck_assert_str(part, S("b"));
    ck_assert(!str_cut(&rest, ',', &part));
}

static bool built_text(Arena *arena, Error *err)
{
    StrBuf buf = {.arena = arena};
    for (int i = 0; i < 100; i++)
        strbuf_format(&buf, "%d,", i);
    Str text = STR_CONCAT(arena, str_format(arena, "%.*s", STR_ARG(strbuf_str(&buf))), S("!"), str_int(arena, 7));
    if (!arena_ok(arena, err))
        return false;
    ck_assert_uint_eq(text.len, 292);
    ck_assert(str_has_suffix(text, S("98,99,!7")));
    return true;
}

TEST(a_text_is_built_whole_or_memory_ran_out)
{
    check_every_budget(built_text);
}

SUITE(str, EACH(utf8_is_told_from_what_is_not, UTF8_ROWS),
      EACH(a_text_that_is_made_visible_can_do_nothing_to_a_terminal, VISIBLE),
      EACH(what_is_not_a_number_in_bounds_is_refused, REFUSED_NUMBERS), EACH(a_number_is_read, NUMBERS),
      EACH(a_number_is_printed_as_it_is_read, PRINTED), ONCE(texts_are_put_one_after_the_other),
      EACH(edits_between_two_words_are_counted, DISTANCES), ONCE(the_nearest_name_is_found_or_none),
      ONCE(a_text_is_cut_at_each_separator), ONCE(a_text_is_built_whole_or_memory_ran_out))
