// tests/test_compress.c: texts made smaller, whole and in pieces, and how much of an Accept-Encoding header is read.
#include "runtime/core/compress.h"

#include "base/arena.h"
#include "tests/support/more_check.h"

static const char TEXT[] =
    "a text that says the same again: a text that says the same again, a text that says the same";

static const struct {
    Str text;
    Encoding encoding;
    bool is_made;
} TEXTS[] = {
    {{TEXT, sizeof(TEXT) - 1}, ENCODING_GZIP, true},
    {{TEXT, sizeof(TEXT) - 1}, ENCODING_BROTLI, true},
    {{TEXT, sizeof(TEXT) - 1}, ENCODING_NONE, false},
    {S(""), ENCODING_GZIP, false},
    {S("x"), ENCODING_GZIP, false},
    {S("x"), ENCODING_BROTLI, false},
};

TEST(a_form_is_made_where_it_is_smaller)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str made = S("?");
    ck_assert_ok(encoding_make(TEXTS[_i].text, TEXTS[_i].encoding, arena, &made, &err), &err);
    ck_assert_int_eq(made.len > 0, TEXTS[_i].is_made);
    ck_assert(made.len < TEXTS[_i].text.len || made.len == 0);
}

static bool forms_of_text(Arena *arena, Error *err)
{
    Str made;
    GzipPiece piece;
    if (!encoding_make(str_of(TEXT), ENCODING_GZIP, arena, &made, err) ||
        !encoding_make(str_of(TEXT), ENCODING_BROTLI, arena, &made, err) ||
        !gzip_piece(str_of(TEXT), arena, &piece, err))
        return false;
    ck_assert_uint_eq(piece.length, sizeof(TEXT) - 1);
    return true;
}

TEST(forms_are_made_or_memory_ran_out)
{
    check_every_budget(forms_of_text);
}

static const struct {
    Str accept;
    Encoding encoding;
} WEIGHTS[] = {
    {S("gzip;q=0.5, br;q=0.75"), ENCODING_BROTLI},
    {S("gzip;q=1, br;q=1"), ENCODING_BROTLI},
    {S("gzip;q=0.001, br;q=0"), ENCODING_GZIP},
    {S("gzip;q=0.999, br;q=1.000"), ENCODING_BROTLI},
    {S("gzip;level=9;q=0.5"), ENCODING_GZIP},
    {S("gzip;level=9"), ENCODING_GZIP},
    {S("gzip;q=0.5, identity;q=0.5"), ENCODING_GZIP},
    {S("gzip;q=0.4, identity;q=0.5"), ENCODING_NONE},
    {S("*;q=0.5"), ENCODING_BROTLI},
    {S("*;q=0"), ENCODING_NONE},
    {S("gzip;q="), ENCODING_NONE},
    {S("gzip;q=-1"), ENCODING_NONE},
    {S("gzip;q=/.5"), ENCODING_NONE},
    {S("gzip;q=0.1234"), ENCODING_NONE},
    {S("gzip;q=0.1x"), ENCODING_NONE},
    {S("gzip;q=0.1/"), ENCODING_NONE},
    {S("gzip;q=00.5"), ENCODING_NONE},
    {S("gzip;q=0."), ENCODING_NONE},
    {S("gzip;q=1."), ENCODING_GZIP},
    {S("gzip;q=1.999"), ENCODING_GZIP},
    {S(",, ,gzip"), ENCODING_GZIP},
    {S(";q=1"), ENCODING_NONE},
};

TEST(weights_are_read_as_the_rfc_has_them_and_others_are_none)
{
    static const Str OFFERED[ENCODING_COUNT] = {S("plain"), S("gzip"), S("br")};
    ck_assert_int_eq(encoding_accepted(WEIGHTS[_i].accept, OFFERED), WEIGHTS[_i].encoding);
}

TEST(what_is_not_offered_is_not_chosen)
{
    static const Str ONE[ENCODING_COUNT] = {[ENCODING_GZIP] = S("gzip")}, NONE[ENCODING_COUNT] = {0};
    ck_assert_int_eq(encoding_accepted(S("br, gzip;q=0.1"), ONE), ENCODING_GZIP);
    ck_assert_int_eq(encoding_accepted(S("br"), ONE), ENCODING_NONE);
    ck_assert_int_eq(encoding_accepted(S("br, gzip"), NONE), ENCODING_NONE);
    ck_assert_str(encoding_name(ENCODING_NONE), S(""));
}

SUITE(compress, EACH(a_form_is_made_where_it_is_smaller, TEXTS), ONCE(forms_are_made_or_memory_ran_out),
      EACH(weights_are_read_as_the_rfc_has_them_and_others_are_none, WEIGHTS), ONCE(what_is_not_offered_is_not_chosen))
