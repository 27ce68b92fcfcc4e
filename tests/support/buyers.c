// tests/support/buyers.c: buyers, each in a thread of its own: Check belongs to the test's.
#include "tests/support/buyers.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

enum {
    ORDERS_MAX = 200000,
    RETRY_MS = 60000,    // within this, a retry must get its answer
    RETRY_PAUSE_MS = 50,
    ROUND_BUDGET = 16 * MIB,
    REPORT_BUDGET = 256 * MIB,
};

#define KEY "buyer-%lld"

typedef struct Buyer {
    Buyers *buyers;
    int number;
    ShopClient *clients[BUYERS_PORTS_MAX];
    size_t at;    // of them: where the shop was last
    pthread_t thread;
} Buyer;

struct Buyers {
    int64_t since_ms;    // in their keys: a shop may have had others
    Buyer buyers[BUYERS_MAX];
    size_t count, port_count;
    atomic_bool is_over;
    atomic_size_t order_count, retry_count;
    char keys[ORDERS_MAX][64];      // acknowledged with 201
    char tokens[ORDERS_MAX][64];    // what the answer said
    char variants[2][32];
    pthread_mutex_t lock;
    char fault[512];      // the first thing that a buyer found wrong
    char retried[512];    // the first call that had to be sent again, and why
};

__attribute__((format(printf, 2, 3))) static bool buyer_fails(Buyers *buyers, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)pthread_mutex_lock(&buyers->lock);
    if (!buyers->fault[0])
        (void)vsnprintf(buyers->fault, sizeof(buyers->fault), format, list);
    (void)pthread_mutex_unlock(&buyers->lock);
    va_end(list);
    return false;
}

static void note_retry(Buyers *buyers, const ShopRequest *request, const ShopAnswer *answer, int64_t took_ms)
{
    (void)pthread_mutex_lock(&buyers->lock);
    if (atomic_fetch_add(&buyers->retry_count, 1) == 0)
        (void)snprintf(buyers->retried, sizeof(buyers->retried),
                       "%s %s: %s %d after %lld ms, %lld ms from the start %.*s", request->method, request->path,
                       answer ? "answered by" : "no answer", answer ? answer->status : 0, (long long)took_ms,
                       (long long)(clock_ms() - buyers->since_ms), answer ? (int)MIN(answer->body.len, (size_t)120) : 0,
                       answer ? answer->body.data : "");
    (void)pthread_mutex_unlock(&buyers->lock);
}

static Str read_variant(ShopClient *client, const char *handle, Arena *arena)
{
    ShopAnswer answer;
    Str path = str_format(arena, "/api/v1/store/products/%s", handle);
    ck_assert(shop_call(client, &(ShopRequest){.method = "GET", .path = path.data}, arena, &answer));
    ck_assert_int_eq(answer.status, 200);
    Str id = str_copy(arena, json_str(json_get(json_element(json_get(answer.json, "variants"), 0), "id")));
    shop_answer_close(&answer);
    return id;
}

// Calls until an answer comes that settles it: neither nothing nor a 5xx nor "try again", nor 404 where the shop may be
// at the other port.
static bool call_until_settled(Buyer *buyer, const ShopRequest *request, Arena *arena, ShopAnswer *out)
{
    bool is_moving = buyer->buyers->port_count > 1;
    for (int64_t until_ms = clock_ms() + RETRY_MS; clock_ms() < until_ms; clock_sleep_ms(RETRY_PAUSE_MS)) {
        int64_t since_ms = clock_ms();
        bool is_answered = shop_call(buyer->clients[buyer->at], request, arena, out);
        if (is_answered && out->status < 500 && out->status != 429 && !(is_moving && out->status == 404))
            return true;
        note_retry(buyer->buyers, request, is_answered ? out : NULL, clock_ms() - since_ms);
        shop_answer_close(out);
        if (is_moving && (!is_answered || out->status == 404))
            buyer->at = (buyer->at + 1) % buyer->buyers->port_count;
    }
    return false;
}

// A cart with one piece, in each fifth round of both; its id, or the empty text when the shop went away for good.
static Str fill_cart(Buyer *buyer, int round, Arena *arena)
{
    ShopAnswer answer;
    if (!call_until_settled(buyer, &(ShopRequest){.method = "POST", .path = "/api/v1/store/carts", .body = "{}"}, arena,
                            &answer))
        return S("");
    Str id = str_copy(arena, json_str(json_get(answer.json, "id")));
    shop_answer_close(&answer);
    for (int i = 0; i < (round % 5 == 0 ? 2 : 1); i++) {
        Str path = str_format(arena, "/api/v1/store/carts/%.*s/lines", STR_ARG(id));
        Str body = str_format(arena, "{\"variant_id\": \"%s\", \"quantity\": 1}", buyer->buyers->variants[i]);
        if (!call_until_settled(buyer, &(ShopRequest){.method = "POST", .path = path.data, .body = body.data}, arena,
                                &answer))
            return S("");
        shop_answer_close(&answer);
    }
    return id;
}

static bool note_order(Buyers *buyers, Str key, const ShopAnswer *answer)
{
    size_t at = atomic_fetch_add(&buyers->order_count, 1);
    if (at >= ORDERS_MAX)
        return buyer_fails(buyers, "there are more than %d orders", ORDERS_MAX);
    (void)snprintf(buyers->keys[at], sizeof(buyers->keys[at]), "%.*s", STR_ARG(key));
    (void)snprintf(buyers->tokens[at], sizeof(buyers->tokens[at]), "%.*s",
                   STR_ARG(json_str(json_get(answer->json, "token"))));
    return true;
}

static bool buy_once(Buyer *buyer, int round, Arena *arena)
{
    static const char BODY[] =
        "{\"email\": \"ana@buyer.example\", \"shipping_address\": {\"name\": \"Ana\", \"line1\": \"Calle 1\", "
        "\"city\": \"Madrid\","
        " \"region\": \"M\", \"postal_code\": \"28001\", \"country\": \"ES\"}, \"shipping_method\": \"standard\","
        " \"payment_method\": \"bank_transfer\"}";
    Str cart = fill_cart(buyer, round, arena),
        key = str_format(arena, KEY "-%d-%d", (long long)buyer->buyers->since_ms, buyer->number, round);
    if (str_is_empty(cart))
        return false;
    Str path = str_format(arena, "/api/v1/store/carts/%.*s/checkout", STR_ARG(cart));
    Str headers = str_format(arena, "Idempotency-Key: %.*s\r\n", STR_ARG(key));
    ShopRequest checkout = {.method = "POST", .path = path.data, .headers = headers.data, .body = BODY};
    ShopAnswer answer;
    if (!call_until_settled(buyer, &checkout, arena, &answer))
        return false;
    bool is_bought = answer.status == 201;
    bool is_sold_out = answer.status == 409 && str_find(answer.body, S("out-of-stock")) < answer.body.len;
    bool is_well = is_bought ? note_order(buyer->buyers, key, &answer)
                             : is_sold_out || buyer_fails(buyer->buyers, "%s is answered by %d %.*s", key.data,
                                                          answer.status, STR_ARG(answer.body));
    Str token = str_copy(arena, json_str(json_get(answer.json, "token")));
    shop_answer_close(&answer);
    if (!is_well || !is_bought || round % 7 != 0)
        return is_well;
    if (!call_until_settled(buyer, &checkout, arena, &answer))
        return false;
    if (!str_eq(json_str(json_get(answer.json, "token")), token))
        is_well = buyer_fails(buyer->buyers, "%s, sent again, is another order: %d %.*s", key.data, answer.status,
                              STR_ARG(answer.body));
    shop_answer_close(&answer);
    return is_well;
}

static void *buyer_run(void *context)
{
    Buyer *buyer = context;
    Arena *arena = arena_open(ROUND_BUDGET);
    bool is_well = true;
    for (int round = 0; is_well && !atomic_load(&buyer->buyers->is_over); round++) {
        arena_reset(arena);
        is_well = buy_once(buyer, round, arena);
    }
    arena_close(&arena);
    return is_well ? buyer : NULL;
}

Buyers *buyers_start(size_t count, const char *host, const unsigned *ports, size_t port_count)
{
    static const char *const HANDLES[] = {"plenty", "scarce"};
    CLEANUP(arena_close) Arena *arena = arena_open(ROUND_BUDGET);
    Buyers *buyers = calloc(1, sizeof(*buyers));
    ck_assert_ptr_nonnull(buyers);
    ck_assert(count <= BUYERS_MAX && port_count <= BUYERS_PORTS_MAX);
    buyers->count = count;
    buyers->since_ms = clock_ms();
    buyers->port_count = port_count;
    (void)pthread_mutex_init(&buyers->lock, NULL);
    ShopClient *client = shop_client_open(ports[0], host);
    for (size_t i = 0; i < COUNT(HANDLES); i++)
        (void)snprintf(buyers->variants[i], sizeof(buyers->variants[i]), "%.*s",
                       STR_ARG(read_variant(client, HANDLES[i], arena)));
    shop_client_close(&client);
    for (size_t i = 0; i < count; i++) {
        Buyer *buyer = &buyers->buyers[i];
        *buyer = (Buyer){.buyers = buyers, .number = (int)i};
        for (size_t port = 0; port < port_count; port++)
            buyer->clients[port] = shop_client_open(ports[port], host);
        ck_assert_int_eq(pthread_create(&buyer->thread, NULL, buyer_run, buyer), 0);
    }
    return buyers;
}

size_t buyers_orders(Buyers *buyers) { return atomic_load(&buyers->order_count); }
size_t buyers_retries(Buyers *buyers) { return atomic_load(&buyers->retry_count); }

void buyers_stop(Buyers *buyers)
{
    atomic_store(&buyers->is_over, true);
    for (size_t i = 0; i < buyers->count; i++) {
        void *is_well = NULL;
        (void)pthread_join(buyers->buyers[i].thread, &is_well);
        ck_assert_msg(buyers->fault[0] == '\0', "%s", buyers->fault);
        ck_assert_msg(is_well != NULL, "buyer %zu got no answer within %d ms", i, RETRY_MS);
    }
}

void buyers_close(Buyers **buyers)
{
    for (size_t i = 0; i < (*buyers)->count; i++)
        for (size_t port = 0; port < (*buyers)->port_count; port++)
            shop_client_close(&(*buyers)->buyers[i].clients[port]);
    (void)pthread_mutex_destroy(&(*buyers)->lock);
    free(*buyers);
    *buyers = NULL;
}

// ---- the count

static Str acknowledged_json(Buyers *buyers, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    for (size_t i = 0; i < atomic_load(&buyers->order_count); i++)
        strbuf_format(&buf, "%s{\"key\":\"%s\",\"token\":\"%s\"}", i ? "," : "[", buyers->keys[i], buyers->tokens[i]);
    strbuf_add(&buf, buf.len ? S("]") : S("[]"));
    return strbuf_str(&buf);
}

// A row that is there says what is wrong.
static const char *const NONE_OF[] = {
    "select 'an order without lines' from orders o where not exists "
    "(select 1 from order_lines l where l.order_id = o.id)",
    "select 'a total of other lines' from orders o where total_minor <> shipping_minor + "
    "(select sum(total_minor) from order_lines l where l.order_id = o.id)",
    "select 'a balance of another ledger' from stock k where quantity <> "
    "(select coalesce(sum(quantity), 0) from stock_movements m where m.variant_id = k.variant_id)",
    "select 'a stock below nothing' from stock where quantity < 0",
    "select 'a ledger of another sale' from order_lines l "
    "full join (select * from stock_movements where reason = 'sale') m using (order_id, variant_id) "
    "where l.quantity is distinct from -m.quantity",
    "select 'more sold than there was' from order_lines l join stock_movements m using (variant_id) "
    "where m.reason = 'import' group by l.variant_id, m.quantity having sum(l.quantity) > m.quantity",
    "select 'a key of no order' from idempotency_keys k left join orders o on o.token = k.answer ->> 'token' "
    "where o.id is null",
    "select 'two keys of one order' from idempotency_keys k group by k.answer ->> 'token' having count(*) > 1",
    "select 'an order of no key' from orders o where o.token not in (select answer ->> 'token' from idempotency_keys)",
};

void buyers_check(Buyers *buyers, Db *db)
{
    CLEANUP(arena_close) Arena *arena = arena_open(REPORT_BUDGET);
    Error err = {0};
    CLEANUP(rows_close) Rows *lost = NULL;
    ck_assert_ok(db_query(db,
                          S("select a.key from json_to_recordset($1::json) a(key text, token text) "
                            "left join idempotency_keys k on k.key = a.key and k.answer ->> 'token' = a.token "
                            "left join orders o on o.token = a.token where k.key is null or o.id is null"),
                          PARAMS(acknowledged_json(buyers, arena)), &lost, &err),
                 &err);
    ck_assert_msg(rows_count(lost) == 0, "%zu acknowledged orders are lost", rows_count(lost));
    for (size_t i = 0; i < COUNT(NONE_OF); i++) {
        CLEANUP(rows_close) Rows *rows = NULL;
        ck_assert_ok(db_query(db, str_of(NONE_OF[i]), NO_PARAMS, &rows, &err), &err);
        ck_assert_msg(rows_count(rows) == 0, "there is %.*s", STR_ARG(rows_str(rows, 0, 0)));
    }
    Str theirs = str_format(arena,
                            "select count(*) from orders o join idempotency_keys k on k.answer ->> 'token' = o.token "
                            "where k.key like '" KEY "-%%'",
                            (long long)buyers->since_ms);
    Str orders = test_value(db, arena, theirs.data);
    ck_assert_str(orders, str_format(arena, "%zu", atomic_load(&buyers->order_count)));    // each retried to its end
    printf("%.*s orders\n", STR_ARG(orders));
    if (buyers->retried[0])
        printf("%zu calls sent again, the first: %s\n", buyers_retries(buyers), buyers->retried);
}
