// tests/support/store_stage.h: a cell with two shops, its shopd, and a shopper at each of them.
#pragma once
#include "base/json.h"
#include "tests/support/shop_cell.h"
#include "tests/support/shop_client.h"

#define STORE_API "/api/v1/store"
#define STORE_ADDRESS                                                                                                  \
    "\"shipping_address\":{\"name\":\"Ana\",\"line1\":\"Calle 1\",\"city\":\"Vigo\",\"postal_code\":\"36201\","        \
    "\"country\":\"ES\"}"
#define STORE_ORDER                                                                                                    \
    "{\"email\":\"ana@example.com\"," STORE_ADDRESS ",\"shipping_method\":\"standard\",\"payment_method\":\"bank_"     \
    "transfer\"}"

#define STORE_BUYER                                                                                                    \
    "email=ana%40example.com&name=Ana&line1=Calle+1&city=Vigo&postal_code=36201&country=ES&shipping_method=standard&"  \
    "payment_method=bank_transfer"

// A cell, shopd, and a shopper at each of its shops.
typedef struct StoreStage {
    TestCell cell;
    ShopClient *acme;
    ShopClient *beta;
    Str cookie;    // of acme's shopper: a header line
    Str csrf;
    ShopAnswer answer;    // the last one
} StoreStage;

void store_open(StoreStage *stage);
void store_close(StoreStage *stage);

// Each answers with the status of an answer that is kept in the stage; fails the test where there is none.
int store_ask(StoreStage *stage, ShopClient *client, const ShopRequest *request);
int store_get(StoreStage *stage, ShopClient *client, const char *path);
int store_send(StoreStage *stage, const char *method, const char *path, const char *headers,
               const char *body);    // to acme

// A text with `text` in the place of its %.
const char *store_text(StoreStage *stage, const char *pattern, Str text);
Str store_member(StoreStage *stage, const char *name);    // of the last answer
const Json *store_first_line(StoreStage *stage);          // of the cart that it is
Str between(Str text, const char *start, char end);       // what follows `start`, up to `end`

// A cart of acme's with this line, as the API makes it.
Str store_cart_with(StoreStage *stage, const char *line);

// As acme's shopper, by a browser without JavaScript: with the cookie that came last.
void store_cookie_keep(StoreStage *stage);    // that of the last answer
int store_visit(StoreStage *stage, const char *path);
int store_post(StoreStage *stage, const char *path, const char *form);
void store_csrf_take(StoreStage *stage);          // out of the last page
Str store_cart_token(const StoreStage *stage);    // out of the cookie
// A shopper with two of a variant in the cart, at the product's page.
void store_shopper_open(StoreStage *stage);
