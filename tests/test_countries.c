// tests/test_countries.c: the countries of the checkout, found by code and listed by name.
#include "runtime/storefront/countries.h"

#include "base/country.h"
#include "base/pg.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

TEST(a_country_is_found_by_its_code_alone)
{
    static const Str NONE[] = {S(""), S("E"), S("ESP"), S("es"), S("ZZ"), S("AA"), S("\xff\xff")};
    for (const Country *country = COUNTRIES; country->code; country++)
        ck_assert(country_find(str_of(country->code)) == country && is_country(str_of(country->code)));
    for (size_t i = 0; i < COUNT(NONE); i++)
        ck_assert(!country_find(NONE[i]) && !is_country(NONE[i]));
}

// PostgreSQL's ICU knows how each language sorts.
static const struct {
    Language language;
    const char *collation;
} LANGUAGES[] = {{LANGUAGE_EN, "en-x-icu"}, {LANGUAGE_ES, "es-x-icu"}};

TEST(the_list_is_sorted_as_the_language_sorts)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(db_close) Db *db = test_db_open(test_database("countries"));
    CLEANUP(rows_close) Rows *rows = NULL;
    Error err = {0};
    StrBuf sql = {.arena = arena};
    strbuf_add(&sql, S("select code from (values "));
    for (const Country *country = COUNTRIES; country->code; country++)
        strbuf_format(&sql, "%s('%s', $$%s$$)", country == COUNTRIES ? "" : ", ", country->code,
                      country->names[LANGUAGES[_i].language]);
    strbuf_format(&sql, ") c (code, name) order by name collate \"%s\"", LANGUAGES[_i].collation);
    ck_assert_ok(db_query(db, strbuf_str(&sql), NO_PARAMS, &rows, &err), &err);
    ck_assert_uint_gt(rows_count(rows), 200);
    for (size_t i = 0; i < rows_count(rows); i++)
        ck_assert_str(str_of(country_by_name(LANGUAGES[_i].language, i)->code), rows_str(rows, i, 0));
    ck_assert_ptr_null(country_by_name(LANGUAGES[_i].language, rows_count(rows)));
}

SUITE(countries, ONCE(a_country_is_found_by_its_code_alone), EACH(the_list_is_sorted_as_the_language_sorts, LANGUAGES))
