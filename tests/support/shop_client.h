// tests/support/shop_client.h: a shopper that speaks HTTP/1.1 in place, and says what came back or that nothing did.
#pragma once
#include "base/json.h"

typedef struct ShopClient ShopClient;    // one connection, opened when needed; one thread at a time

typedef struct ShopRequest {
    const char *method;
    const char *path;
    const char *headers;    // whole lines that end in CR LF; NULL: none
    const char *body;       // NULL: none
    const char *type;       // of the body; NULL: JSON
} ShopRequest;

typedef struct ShopAnswer {
    int status;
    Str head;
    Str body;
    Json *json;    // of a JSON body, else NULL; closed by shop_answer_close
} ShopAnswer;

ShopClient *shop_client_open(unsigned port, const char *host);
void shop_client_close(ShopClient **client);

// Asks and waits up to 10 s. False: no whole answer came (refused, reset, timeout), which tells nothing about what was
// done. Texts of *out live in `arena`.
bool shop_call(ShopClient *client, const ShopRequest *request, Arena *arena, ShopAnswer *out);
void shop_answer_close(ShopAnswer *answer);
// A header's value in the answer's head; empty where it is absent.
Str shop_answer_header(const ShopAnswer *answer, Str name);
