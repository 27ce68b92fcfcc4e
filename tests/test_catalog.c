// tests/test_catalog.c: what a shopper reads of a catalogue: search, order, categories, and nothing that isn't on sale.
#include "base/json.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/shop_schema.h"

static const struct {
    const char *query;
    const char *handles;
} SEARCHES[] = {
    {"taza", "taza-azul"},
    {"tazas", "taza-azul"},
    {"TAZA azul", "taza-azul"},
    {"lampara", "lampara"},
    {"L\xc3\xa1mparas", "lampara"},
    {"l\xc3\xa1mp", "lampara"},
    {"ceramica", "taza-azul"},
    {"acme", "taza-azul"},
    {"TA-S", "taza-azul"},
    {"taza -azul", ""},
    {"nada", ""},
    {"de la", ""},
    {"", ""},
    {"' or 1=1; --", ""},
    {"\"mesa de\"", "lampara"},
    {"azul mesa", ""},
    {"& | ! : * ( )", ""},
    {"mesa or azul", "taza-azul,lampara"},
};

TEST(a_search_finds_words_in_any_form_and_only_what_is_on_sale)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("catalog"));
    CLEANUP(rows_close) Rows *rows = NULL;
    Error err = {0};
    ck_assert_ok(db_run(db,
                        S("update products p set search = product_search_1('es', title, vendor, product_type, tags, "
                          "(select string_agg(sku, ' ') from variants v where v.product_id = p.id), description)"),
                        NO_PARAMS, &err),
                 &err);
    ck_assert_ok(
        db_query(
            db,
            S("select coalesce(string_agg(p.handle, ',' order by o.place), ''), max(l.total) from product_page_1(1, "
              "10, 'default', $1, null) l "
              "left join unnest(l.ids) with ordinality o (id, place) on true left join products p on p.id = o.id"),
            PARAMS(str_of(SEARCHES[_i].query)), &rows, &err),
        &err);
    ck_assert_str(rows_str(rows, 0, 0), str_of(SEARCHES[_i].handles));
}

TEST(another_language_finds_other_forms_of_a_word)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("catalog"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    static const char FOUND[] = "select total from product_page_1(1, 10, 'default', 'runs', null)";
    Error err = {0};
    ck_assert_ok(
        db_script(db, S("update products set title = 'Running shoes' where id = 1; select search_rebuild_1()"), &err),
        &err);
    ck_assert_str(test_value(db, arena, FOUND), S("0"));
    ck_assert_ok(db_script(db, S("update settings set language = 'en'; select search_rebuild_1()"), &err), &err);
    ck_assert_str(test_value(db, arena, FOUND), S("1"));
}

static const struct {
    const char *sort;
    const char *handles;
} SORTS[] = {{"default", "taza-azul,lampara"}, {"price", "taza-azul,lampara"},  {"-price", "lampara,taza-azul"},
             {"title", "lampara,taza-azul"},   {"-title", "taza-azul,lampara"}, {"newest", "lampara,taza-azul"}};

TEST(a_list_comes_in_the_order_that_was_asked_for)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("catalog"));
    CLEANUP(rows_close) Rows *rows = NULL;
    Error err = {0};
    ck_assert_ok(db_query(db,
                          S("select string_agg(i ->> 'handle', ',') from json_array_elements(summary_list_1(1, 10, $1, "
                            "null, null) -> 'items') i"),
                          PARAMS(str_of(SORTS[_i].sort)), &rows, &err),
                 &err);
    ck_assert_str(rows_str(rows, 0, 0), str_of(SORTS[_i].handles));
}

TEST(titles_come_in_the_order_of_a_dictionary)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("catalog"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    ck_assert_ok(db_script(db,
                           S("update products set title = '\xC3\xA1mbar' where handle = 'lampara';"
                             "update products set title = 'Zumo' where handle = 'taza-azul';"
                             "update products set title = 'Yema', is_published = true where handle = 'secreto'"),
                           &err),
                 &err);
    ck_assert_str(test_value(db, arena,
                             "select string_agg(i ->> 'title', ' ') from json_array_elements("
                             "summary_list_1(1, 10, 'title', null, null) -> 'items') i"),
                  S("\xC3\xA1mbar Yema Zumo"));
}

static const struct {
    const char *sql;
    const char *answer;
} ANSWERS[] = {
    {"select product_list_1(2, 1, 'default', null, null) #>> '{items,0,handle}'", "lampara"},
    {"select product_list_1(3, 1, 'default', null, null) ->> 'total'", "2"},
    {"select json_array_length(product_list_1(3, 1, 'default', null, null) -> 'items')", "0"},
    {"select product_list_1(1, 10, 'default', null, 'luz') #>> '{items,0,handle}'", "lampara"},
    {"select product_list_1(1, 10, 'default', null, 'nowhere') is null", "t"},
    {"select product_list_1(1, 10, 'relevance', 'taza', 'luz') ->> 'total'", "0"},
    {"select product_show_1('secreto') is null", "t"},
    {"select product_show_1('nowhere') is null", "t"},
    {"select product_show_1('taza-azul') #>> '{variants,0,available}'", "true"},
    {"select product_show_1('taza-azul') #>> '{variants,1,available}'", "false"},
    {"select product_show_1('taza-azul') #>> '{options,0,values,0}'", "S"},
    {"select product_show_1('lampara') -> 'options'", "[]"},
    {"select product_show_1('lampara') #>> '{variants,0,title}'", "L\xc3\xa1mpara de mesa"},
    {"select string_agg(i ->> 'handle', ',') from json_array_elements(navigation_list_1() -> 'items') i", "tazas,luz"},
    {"select category_list_1() #>> '{items,0,product_count}'", "1"},
    {"select summary_list_1(1, 1, 'default', null, null) #>> '{items,0,price_varies}'", "true"},
    {"select json_array_length(related_list_1('taza-azul') -> 'items')", "0"},
    {"select shop_show_1() ->> 'currency'", "EUR"},
    {"select cart_show_1('not a cart at all......') is null", "t"},
    {"select length(cart_create_1() ->> 'id')", "32"},
};

TEST(a_question_has_its_answer)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("catalog"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    ck_assert_str(test_value(db, arena, ANSWERS[_i].sql), str_of(ANSWERS[_i].answer));
}

static const struct {
    const char *sql;
    ErrorCode code;
    const char *says;
} REFUSED_CALLS[] = {
    {"select cart_line_add_1('cart-that-is-not-there', 1, 1, false)", ERR_NOT_FOUND, "make a new cart"},
    {"select cart_line_add_1('cart-that-is-new-here-x', 4, 1, true)", ERR_INVALID, "variant_id"},
    {"select cart_line_add_1('cart-that-is-new-here-x', 99, 1, true)", ERR_INVALID, "variant_id"},
    {"select cart_line_add_1('cart-that-is-new-here-x', 1, 0, true)", ERR_INVALID, "quantity"},
    {"select cart_line_add_1('short', 1, 1, true)", ERR_INVALID, "token"},
    {"select cart_create_filled_1('{1,4}', '{1,1}')", ERR_INVALID, "variant 4"},
    {"select cart_create_filled_1('{1}', '{0}')", ERR_INVALID, "quantity"},
    {"select cart_line_set_1(cart_create_1() ->> 'id', 1, 5)", ERR_NOT_FOUND, "line"},
    {"select cart_line_remove_1(cart_create_1() ->> 'id', 1)", ERR_NOT_FOUND, "line"},
};

TEST(a_wrong_call_says_why)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("catalog"));
    Error err = {0};
    ck_assert(!db_run(db, str_of(REFUSED_CALLS[_i].sql), NO_PARAMS, &err));
    ck_assert_says(&err, REFUSED_CALLS[_i].code, REFUSED_CALLS[_i].says);
}

TEST(a_line_of_a_cart_is_added_to_changed_and_removed)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("catalog"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    static const char ADD[] = "select cart_line_add_1('cart-that-is-new-here-x', 1, 2, true) ->> 'is_new'";
    ck_assert_str(test_value(db, arena, ADD), S("true"));
    ck_assert_str(test_value(db, arena, ADD), S("false"));
    ck_assert_str(test_value(db, arena, "select cart_show_1('cart-that-is-new-here-x') #>> '{total,amount}'"),
                  S("7600"));
    ck_assert_str(
        test_value(db, arena, "select cart_line_set_1('cart-that-is-new-here-x', 1, 999) #>> '{lines,0,available}'"),
        S("false"));
    ck_assert(!db_run(db, str_of(ADD), NO_PARAMS, &err));
    ck_assert_says(&err, ERR_INVALID, "of the variant 1 there would be more than 999 in the cart");
    ck_assert_str(test_value(db, arena, "select cart_show_1('cart-that-is-new-here-x') ->> 'count'"), S("999"));
    ck_assert_str(test_value(db, arena, "select cart_line_remove_1('cart-that-is-new-here-x', 1) -> 'lines'"), S("[]"));
}

TEST(a_job_comes_again_until_it_is_done_or_set_aside)
{
    CLEANUP(db_close) Db *db = test_db_open(test_shop("catalog"));
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    ck_assert_ok(
        db_script(db, S("select job_add_1('mail', '{}'), job_add_1('mail', '{}', now() + interval '1 hour')"), &err),
        &err);
    ck_assert_str(test_value(db, arena, "select count(*) from cell.bell"), S("2"));
    ck_assert_str(test_value(db, arena, "select count(*) from job_take_1(10, '1 minute')"), S("1"));
    ck_assert_str(test_value(db, arena, "select count(*) from job_take_1(10, '1 minute')"), S("0"));
    ck_assert_ok(db_script(db, S("select job_retry_1(1, 'no route', 2)"), &err), &err);
    ck_assert_str(test_value(db, arena, "select due_at > now() and set_aside_at is null from jobs where id = 1"),
                  S("t"));
    ck_assert_ok(db_script(db, S("update jobs set due_at = now() where id = 1"), &err), &err);
    ck_assert_str(test_value(db, arena, "select attempts from job_take_1(10, '1 minute')"), S("2"));
    ck_assert_ok(db_script(db, S("select job_retry_1(1, 'no route', 2)"), &err), &err);
    ck_assert_str(test_value(db, arena, "select set_aside_at is not null from jobs where id = 1"), S("t"));
    ck_assert_ok(db_script(db, S("select job_done_1(2)"), &err), &err);
    ck_assert_str(test_value(db, arena, "select count(*) from jobs"), S("1"));
}

SUITE(catalog, ONCE(titles_come_in_the_order_of_a_dictionary),
      EACH(a_search_finds_words_in_any_form_and_only_what_is_on_sale, SEARCHES),
      ONCE(another_language_finds_other_forms_of_a_word), EACH(a_list_comes_in_the_order_that_was_asked_for, SORTS),
      EACH(a_question_has_its_answer, ANSWERS), EACH(a_wrong_call_says_why, REFUSED_CALLS),
      ONCE(a_line_of_a_cart_is_added_to_changed_and_removed), ONCE(a_job_comes_again_until_it_is_done_or_set_aside))
