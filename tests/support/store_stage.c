// tests/support/store_stage.c: asks shopd as shoppers do.
#include "tests/support/store_stage.h"

#include "tests/support/more_check.h"

void store_open(StoreStage *stage)
{
    *stage = (StoreStage){0};
    test_cell_open(&stage->cell, "storefront");
    test_cell_serve(&stage->cell, 2, S(""));
    test_cell_await_news(&stage->cell);
    stage->acme = shop_client_open(stage->cell.port, "acme.localhost");
    stage->beta = shop_client_open(stage->cell.port, "beta.localhost");
}

void store_close(StoreStage *stage)
{
    shop_answer_close(&stage->answer);
    shop_client_close(&stage->acme);
    shop_client_close(&stage->beta);
    test_cell_close(&stage->cell);
}

int store_ask(StoreStage *stage, ShopClient *client, const ShopRequest *request)
{
    shop_answer_close(&stage->answer);
    ck_assert_msg(shop_call(client, request, stage->cell.arena, &stage->answer), "no answer: %s %s", request->method,
                  request->path);
    return stage->answer.status;
}

int store_get(StoreStage *stage, ShopClient *client, const char *path)
{
    return store_ask(stage, client, &(ShopRequest){.method = "GET", .path = path});
}

int store_send(StoreStage *stage, const char *method, const char *path, const char *headers, const char *body)
{
    return store_ask(stage, stage->acme,
                     &(ShopRequest){.method = method, .path = path, .headers = headers, .body = body});
}

const char *store_text(StoreStage *stage, const char *pattern, Str text)
{
    StrBuf out = {.arena = stage->cell.arena};
    size_t at = str_find(str_of(pattern), S("%"));
    strbuf_add(&out, str_slice(str_of(pattern), 0, at));
    strbuf_add(&out, text);
    strbuf_add(&out, str_skip(str_of(pattern), at + 1));
    return strbuf_str(&out).data;
}

Str store_member(StoreStage *stage, const char *name)
{
    return str_copy(stage->cell.arena, json_str(json_get(stage->answer.json, name)));
}

const Json *store_first_line(StoreStage *stage) { return json_element(json_get(stage->answer.json, "lines"), 0); }

Str store_cart_with(StoreStage *stage, const char *line)
{
    ck_assert_int_eq(store_send(stage, "POST", STORE_API "/carts", NULL, "{}"), 201);
    Str cart = store_member(stage, "id");
    ck_assert_int_eq(store_send(stage, "POST", store_text(stage, STORE_API "/carts/%/lines", cart), NULL, line), 201);
    return cart;
}

Str between(Str text, const char *start, char end)
{
    size_t at = str_find(text, str_of(start));
    ck_assert_msg(at < text.len, "there is no '%s'", start);
    Str rest = str_skip(text, at + strlen(start));
    return str_slice(rest, 0, str_find_char(rest, end));
}

void store_cookie_keep(StoreStage *stage)
{
    Str cookie = shop_answer_header(&stage->answer, S("Set-Cookie"));
    if (cookie.len)
        stage->cookie = str_format(stage->cell.arena, "Cookie: %.*s\r\n",
                                   STR_ARG(str_slice(cookie, 0, str_find_char(cookie, ';'))));
}

int store_visit(StoreStage *stage, const char *path)
{
    int status =
        store_ask(stage, stage->acme, &(ShopRequest){.method = "GET", .path = path, .headers = stage->cookie.data});
    store_cookie_keep(stage);
    return status;
}

int store_post(StoreStage *stage, const char *path, const char *form)
{
    Str body = str_format(stage->cell.arena, "csrf=%.*s&%s", STR_ARG(stage->csrf), form);
    int status = store_ask(stage, stage->acme,
                           &(ShopRequest){.method = "POST",
                                          .path = path,
                                          .headers = stage->cookie.data,
                                          .body = body.data,
                                          .type = "application/x-www-form-urlencoded"});
    store_cookie_keep(stage);
    return status;
}

void store_csrf_take(StoreStage *stage)
{
    stage->csrf = str_copy(stage->cell.arena, between(stage->answer.body, "name=\"csrf\" value=\"", '"'));
}

void store_shopper_open(StoreStage *stage)
{
    store_open(stage);
    stage->cookie = S("");
    ck_assert_int_eq(store_visit(stage, "/products/taza-azul"), 200);
    store_csrf_take(stage);
    ck_assert_int_eq(store_post(stage, "/cart/lines", "variant_id=1&quantity=2"), 303);
}

Str store_cart_token(const StoreStage *stage)
{
    Str value = str_skip(stage->cookie, sizeof("Cookie: shop=") - 1);
    return str_slice(value, 0, str_find_char(value, '.'));
}
