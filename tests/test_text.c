// tests/test_text.c: what handles are made of titles, and Unicode's form C.
#include "base/text.h"
#include "tests/support/more_check.h"

enum { BUDGET = 1 * MIB };

typedef struct Case {
    Str text;
    Str slug;
} Case;

static const Case CASES[] = {
    {S(""), S("")},
    {S("Shirts"), S("shirts")},
    {S("Ocean Blue Shirt"), S("ocean-blue-shirt")},
    {S("  --Café & Té!  "), S("cafe-te")},
    {S("Piñata ÑANDÚ"), S("pinata-nandu")},
    {S("Cafe\xCC\x81"), S("cafe")},
    {S("Größe 42/43"), S("grosse-42-43")},
    {S("Ærø øl"), S("ærø-øl")},
    {S("«Oferta»"), S("oferta")},
    {S("हिन्दी"), S("हिन्दी")},
    {S("Ελλάδα"), S("ελλαδα")},
    {S("日本 茶"), S("日本-茶")},
    {S("½ ﬁn"), S("1-2-fin")},
    {S("a\xC2\xAD"
       "b"),
     S("ab")},
    {S("***"), S("")},
};

TEST(a_title_becomes_a_handle)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str slug = {0}, again = {0};
    ck_assert_ok(text_slug(CASES[_i].text, arena, &slug, &err), &err);
    ck_assert_str(slug, CASES[_i].slug);
    ck_assert_ok(text_slug(slug, arena, &again, &err), &err);
    ck_assert_str(again, slug);
}

TEST(a_handle_is_cut_at_a_letter)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf title = {.arena = arena};
    for (int i = 0; i < TEXT_SLUG_MAX; i++)
        strbuf_add(&title, S("茶"));
    Error err = {0};
    Str slug = {0};
    ck_assert_ok(text_slug(strbuf_str(&title), arena, &slug, &err), &err);
    ck_assert_uint_eq(slug.len, 99);
    ck_assert(str_is_utf8(slug));
}

TEST(form_c_joins_what_was_apart)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str text = {0};
    ck_assert_ok(text_nfc(S("Cafe\xCC\x81 A"), arena, &text, &err), &err);
    ck_assert_str(text, S("Café A"));
    ck_assert(!text_nfc(S("\xFF"), arena, &text, &err));
    ck_assert_says(&err, ERR_MALFORMED, "isn't UTF-8");
}

static bool slug_of_a_title(Arena *arena, Error *err)
{
    Str slug = {0};
    if (!text_slug(S("Café & Té"), arena, &slug, err))
        return false;
    ck_assert_str(slug, S("cafe-te"));
    return true;
}

TEST(a_handle_is_whole_or_memory_ran_out)
{
    check_every_budget(slug_of_a_title);
}

SUITE(text, EACH(a_title_becomes_a_handle, CASES), ONCE(a_handle_is_cut_at_a_letter), ONCE(form_c_joins_what_was_apart),
      ONCE(a_handle_is_whole_or_memory_ran_out))
