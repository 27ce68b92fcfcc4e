// tests/test_memory.c: memory that isn't there, at any allocation of ours, of jansson or of libpq, at any part of any
// arena, and for any budget:
// a request gets its answer or a clean 503, an operation goes on later; nothing is lost, doubled or leaked.
#include <dlfcn.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/core/cache.h"
#include "runtime/shop.h"
#include "tests/support/failing_memory.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"
#include "tests/support/raw_client.h"
#include "tests/support/shop_cell.h"
#include "tests/support/test_world.h"

// ---- what fails beside malloc: what arenas give, and members of JSON objects ----

typedef enum Kind { OF_MALLOC, OF_ARENA, OF_JSON, KIND_COUNT } Kind;

static atomic_int armed_kind;

static void kind_set(Kind kind)
{
    atomic_store(&armed_kind, (int)kind);
    atomic_store(&is_of_others, kind != OF_MALLOC);
}

static bool kind_has_failed(Kind kind) { return atomic_load(&armed_kind) == (int)kind && has_failed(NULL); }

// The linker gives these to who calls arena_bytes and the like (--wrap). A part that is refused spends the arena, as
// one beyond its budget does.
enum { BEYOND_ANY_BUDGET = INT_MAX };
void *__real_arena_bytes(Arena *arena, size_t size_bytes);
void *__real_arena_array_bytes(Arena *arena, size_t count, size_t size_bytes);
void *__wrap_arena_bytes(Arena *arena, size_t size_bytes);
void *__wrap_arena_array_bytes(Arena *arena, size_t count, size_t size_bytes);

void *__wrap_arena_bytes(Arena *arena, size_t size_bytes)
{
    return __real_arena_bytes(arena, kind_has_failed(OF_ARENA) ? (size_t)BEYOND_ANY_BUDGET : size_bytes);
}

void *__wrap_arena_array_bytes(Arena *arena, size_t count, size_t size_bytes)
{
    return __real_arena_array_bytes(arena, kind_has_failed(OF_ARENA) ? (size_t)BEYOND_ANY_BUDGET : count, size_bytes);
}

// Brotli ends the process when it has no memory, so it always has some here. It works at the start alone.
int BrotliEncoderCompress(int quality, int window, int mode, size_t size, const unsigned char *from, size_t *to_size,
                          unsigned char *to);

int BrotliEncoderCompress(int quality, int window, int mode, size_t size, const unsigned char *from, size_t *to_size,
                          unsigned char *to)
{
    int (*real)(int, int, int, size_t, const unsigned char *, size_t *, unsigned char *) = NULL;
    bool was_exempt = is_exempt;
    is_exempt = true;
    void *library = dlopen("libbrotlienc.so.1", RTLD_NOW);
    ck_assert_ptr_nonnull(library);
    *(void **)&real = dlsym(library, "BrotliEncoderCompress");
    int ok = real(quality, window, mode, size, from, to_size, to);
    (void)dlclose(library);
    is_exempt = was_exempt;
    return ok;
}

bool __real_json_put(Json *object, const char *key, Json *value);
bool __real_json_set(Json *object, const char *key, Json *value, Error *err);
bool __wrap_json_put(Json *object, const char *key, Json *value);
bool __wrap_json_set(Json *object, const char *key, Json *value, Error *err);

bool __wrap_json_put(Json *object, const char *key, Json *value)
{
    return __real_json_put(kind_has_failed(OF_JSON) ? NULL : object, key, value);
}

bool __wrap_json_set(Json *object, const char *key, Json *value, Error *err)
{
    return __real_json_set(kind_has_failed(OF_JSON) ? NULL : object, key, value, err);
}

// ---- requests ----

#define API "/api/v1/store"
#define ORDER                                                                                                          \
    "{\"email\":\"ana@example.com\",\"shipping_address\":{\"name\":\"Ana\",\"line1\":\"Calle 1\",\"city\":\"Vigo\","   \
    "\"postal_code\":\"36201\",\"country\":\"ES\"},\"shipping_method\":\"standard\",\"payment_method\":"               \
    "\"bank_transfer\"}"
#define BUYER                                                                                                          \
    "email=ana%40example.com&name=Ana&line1=1&city=Vigo&postal_code=36201&country=ES&payment_method=bank_transfer"
#define FORM "application/x-www-form-urlencoded"
#define MEDIA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CART "cartcartcartca%08u"    // of a round; one line of something that is there
#define LACK "lacklacklackla%08u"    // ... and one with two lines of which there isn't enough

enum {
    WELL_TRIES = 1000,
    POINTS = 2,    // so many allocations of each request and operation fail, spread over all; TEST_POINTS: as many
    POINTS_LASTING = 1,    // the same, where all after it fail, too
    LASTING_MS = 300,      // ... and nothing but the time for the database ends the wait for an answer
    OTHERS = 16,
};

typedef struct Stage {
    TestCell cell;
    ShopClient *acme;
    Arena *arena;                   // of one round
    Str cart, lack, line, order;    // of this round, and an order of before
    unsigned round;
    unsigned clean_count, cut_count;    // rounds that ended in a 503, and without an answer
} Stage;

typedef enum Shopper { AS_USUAL, WITH_KEY, WITH_FORM, WITH_FORM_OF_LACK } Shopper;    // WITH_KEY: an Idempotency-Key

static const struct {
    const char *method, *path;    // $: the cart of this round, ! the one that lacks something, # its line, @ an order
    const char *body;
    int status;
    Shopper shopper;
} REQUESTS[] = {
    {"GET", "/", NULL, 200, AS_USUAL},
    {"GET", "/products/taza-azul", NULL, 200, AS_USUAL},
    {"GET", "/collections/all", NULL, 200, AS_USUAL},
    {"GET", "/search?q=taza", NULL, 200, AS_USUAL},
    {"GET", "/cart", NULL, 200, AS_USUAL},
    {"GET", "/none", NULL, 404, AS_USUAL},
    {"GET", "/theme.css", NULL, 200, AS_USUAL},
    {"GET", "/media/" MEDIA ".png", NULL, 200, AS_USUAL},
    {"GET", "/orders/@", NULL, 200, AS_USUAL},
    {"POST", "/cart/lines", "variant_id=1&quantity=1", 303, WITH_FORM},
    {"POST", "/cart/lines", "variant_id=4&quantity=1", 422, WITH_FORM},
    {"POST", "/cart/lines/#", "quantity=2", 303, WITH_FORM},
    {"POST", "/cart/lines/#", "quantity=x", 422, WITH_FORM},
    {"GET", "/checkout", NULL, 200, WITH_FORM},
    {"POST", "/checkout", "email=nobody&country=GB", 422, WITH_FORM},
    {"POST", "/checkout", BUYER "&shipping_method=rocket", 422, WITH_FORM},
    {"POST", "/checkout", BUYER "&shipping_method=standard", 409, WITH_FORM_OF_LACK},
    {"POST", "/checkout", BUYER "&shipping_method=standard", 303, WITH_FORM},
    {"GET", API "/products", NULL, 200, AS_USUAL},
    {"GET", API "/products?page=0&sort=none", NULL, 422, AS_USUAL},
    {"GET", API "/products/taza-azul", NULL, 200, AS_USUAL},
    {"GET", API "/products/none", NULL, 404, AS_USUAL},
    {"POST", API "/carts", "{}", 201, AS_USUAL},
    {"POST", API "/carts/$/lines", "{\"variant_id\":\"1\",\"quantity\":\"some\"}", 422, AS_USUAL},
    {"GET", API "/carts/$", NULL, 200, AS_USUAL},
    {"POST", API "/carts/$/lines", "{\"variant_id\":\"1\",\"quantity\":1}", 201, AS_USUAL},
    {"PATCH", API "/carts/$/lines/#", "{\"quantity\":2}", 200, AS_USUAL},
    {"POST", API "/carts/$/checkout", "{\"shipping_address\":{\"country\":\"XX\"}}", 422, WITH_KEY},
    {"POST", API "/carts/!/checkout", ORDER, 409, WITH_KEY},
    {"POST", API "/carts/$/checkout", ORDER, 201, WITH_KEY},
    {"GET", API "/orders/@", NULL, 200, AS_USUAL},
};

// Serves the shop, with a cache and a budget of each request of so many bytes.
static void stage_serve(Stage *stage, int64_t cache_bytes, size_t request_budget)
{
    shop_client_close(&stage->acme);
    test_cell_stop(&stage->cell);
    stage->cell.cache_bytes = cache_bytes;
    stage->cell.request_budget = request_budget;
    test_cell_serve(&stage->cell, 1, S(""));
    stage->acme = shop_client_open(stage->cell.port, "acme.localhost");
}

static void stage_open(Stage *stage)
{
    is_exempt = true;
    (void)disarm();
    log_level_set(LOG_ERROR + 1);
    *stage = (Stage){.arena = arena_open(16 * MIB)};
    test_cell_open(&stage->cell, "memory");
    test_cell_sql(&stage->cell,
                  "update t_1.stock set quantity = quantity + 1000000 where variant_id = 1;"
                  "insert into t_1.stock_movements (variant_id, quantity, reason) values (1, 1000000, 'correction');"
                  "insert into t_1.media values ('" MEDIA "', 'image/png', '\\x89504e47')");
}

static void stage_close(Stage *stage)
{
    shop_client_close(&stage->acme);
    test_cell_close(&stage->cell);
    arena_close(&stage->arena);
}

static const char *path_of_round(const Stage *stage, const char *path)
{
    StrBuf out = {.arena = stage->arena};
    for (; *path; path++)
        switch (*path) {
        case '$': strbuf_add(&out, stage->cart); break;
        case '!': strbuf_add(&out, stage->lack); break;
        case '#': strbuf_add(&out, stage->line); break;
        case '@': strbuf_add(&out, stage->order); break;
        default: strbuf_add_char(&out, *path);
        }
    return strbuf_str(&out).data;
}

static void round_begin(Stage *stage)
{
    arena_reset(stage->arena);
    unsigned round = ++stage->round;
    stage->cart = str_format(stage->arena, CART, round);
    stage->lack = str_format(stage->arena, LACK, round);
    stage->line = str_format(stage->arena, "%u", 1000000 + round);
    Error err = {0};
    Str sql = str_format(stage->arena,
                         "insert into t_1.carts (id, token) values (%u, '" CART "'), (%u, '" LACK "');"
                         "insert into t_1.cart_lines (id, cart_id, variant_id, quantity) values (%u, %u, 1, 1),"
                         "(%u, %u, 2, 1), (%u, %u, 3, 999)",
                         1000000 + round, round, 2000000 + round, round, 1000000 + round, 1000000 + round,
                         2000000 + round, 2000000 + round, 3000000 + round, 2000000 + round);
    ck_assert_ok(db_script(stage->cell.db, sql, &err), &err);
}

static Str form_of(const Stage *stage, Str token, const char *fields)
{
    char csrf[CSRF_LEN];
    Session session = {.is_new = false};
    memcpy(session.token, token.data, TOKEN_LEN);
    csrf_make(&session, csrf);
    return str_format(stage->arena, "csrf=%.*s&%s", CSRF_LEN, csrf, fields);
}

// 0: no whole answer came.
static int asked(Stage *stage, size_t row, ShopAnswer *answer)
{
    Shopper shopper = REQUESTS[row].shopper;
    Str token = shopper == WITH_FORM_OF_LACK ? stage->lack : stage->cart;
    ShopRequest request = {.method = REQUESTS[row].method, .path = path_of_round(stage, REQUESTS[row].path)};
    request.body = REQUESTS[row].body;
    if (shopper == WITH_KEY)
        request.headers = str_format(stage->arena, "Idempotency-Key: round-%u\r\n", stage->round).data;
    if (shopper == WITH_FORM || shopper == WITH_FORM_OF_LACK) {
        request.headers = str_format(stage->arena, "Cookie: shop=%.*s.1\r\n", STR_ARG(token)).data;
        request.type = FORM;
        request.body = request.body ? form_of(stage, token, request.body).data : NULL;
    }
    return shop_call(stage->acme, &request, stage->arena, answer) ? answer->status : 0;
}

// A line that is in the cart already grows: 200.
static bool is_wanted(size_t row, int status)
{
    return status == REQUESTS[row].status || (REQUESTS[row].status == 201 && status == 200);
}

// The answer is what the request asks for, or says in the right form that it can't be had now.
static void check_answer(Stage *stage, size_t row, long number, const ShopAnswer *answer)
{
    const char *path = REQUESTS[row].path;
    if (is_wanted(row, answer->status))
        return;
    stage->cut_count += answer->status == 0;
    if (answer->status == 0)
        return;
    stage->clean_count++;
    ck_assert_msg(answer->status == 503 || answer->status == 500, "%s %s, allocation %ld: %d %.*s",
                  REQUESTS[row].method, path, number, answer->status, STR_ARG(answer->body));
    Str type = shop_answer_header(answer, S("Content-Type"));
    Str wanted =
        str_has_prefix(str_of(path), S("/api/")) ? S("application/problem+json") : S("text/html; charset=utf-8");
    ck_assert_msg(str_eq(type, wanted), "%s %s, allocation %ld: a %d of type '%.*s'", REQUESTS[row].method, path,
                  number, answer->status, STR_ARG(type));
    if (str_has_prefix(str_of(path), S("/api/")))
        ck_assert_int_eq(json_int64(json_get(answer->json, "status")), answer->status);
}

// With memory again it is answered, and it is the first time or a repetition that comes to the same.
static void check_well(Stage *stage, size_t row, long number)
{
    ShopAnswer answer = {0};
    for (int tries = 0; !is_wanted(row, asked(stage, row, &answer)); tries++) {
        ck_assert_msg(tries < WELL_TRIES, "%s %s, after allocation %ld failed: %d %.*s", REQUESTS[row].method,
                      REQUESTS[row].path, number, answer.status, STR_ARG(answer.body));
        shop_answer_close(&answer);
        clock_sleep_ms(2);
    }
    shop_answer_close(&answer);
}

// An order that was placed when there was memory.
static void order_make(Stage *stage)
{
    ShopAnswer answer = {0};
    round_begin(stage);
    ShopRequest request = {.method = "POST",
                           .path = path_of_round(stage, API "/carts/$/checkout"),
                           .headers = "Idempotency-Key: before\r\n",
                           .body = ORDER};
    ck_assert(shop_call(stage->acme, &request, stage->arena, &answer) && answer.status == 201);
    stage->order = str_copy(stage->cell.arena, json_str(json_get(answer.json, "token")));
    shop_answer_close(&answer);
}

static long allocations_of(Stage *stage, size_t row)
{
    ShopAnswer answer = {0};
    round_begin(stage);
    check_well(stage, row, 0);
    round_begin(stage);
    arm(LONG_MAX, false);
    int status = asked(stage, row, &answer);
    (void)disarm();
    ck_assert_msg(is_wanted(row, status), "%s %s: %d %.*s", REQUESTS[row].method, REQUESTS[row].path, status,
                  STR_ARG(answer.body));
    shop_answer_close(&answer);
    return LONG_MAX - atomic_load(&left);
}

static void fail_one(Stage *stage, size_t row, long number, bool is_lasting)
{
    ShopAnswer answer = {0};
    arm(number, is_lasting);
    (void)asked(stage, row, &answer);
    (void)disarm();
    check_answer(stage, row, number, &answer);
    shop_answer_close(&answer);
    check_well(stage, row, number);
}

static void fail_each(Stage *stage, size_t row, bool is_lasting)
{
    long total = allocations_of(stage, row),
         step = MAX(total / points_wanted(is_lasting ? POINTS_LASTING : POINTS), 1L);
    for (long number = 1 + (long)row % step; number <= total; number += step) {
        round_begin(stage);
        fail_one(stage, row, number, is_lasting);
    }
}

static void check_shop(Stage *stage)
{
    static const char *const NONE_OF[] = {
        "select count(*) from t_1.orders o where not exists (select 1 from t_1.order_lines l where l.order_id = o.id)",
        ("select count(*) from t_1.stock k where quantity <> (select coalesce(sum(quantity), 0) "
         "from t_1.stock_movements m where m.variant_id = k.variant_id)"),
        "select count(*) - count(distinct answer ->> 'token') from t_1.idempotency_keys",
        "select count(*) - (select count(*) from t_1.idempotency_keys) from t_1.orders",
    };
    for (size_t i = 0; i < COUNT(NONE_OF); i++)
        ck_assert_str(test_value(stage->cell.db, stage->cell.arena, NONE_OF[i]), S("0"));
}

static void fail_requests(int64_t cache_bytes, bool is_lasting, Kind kind)
{
    Stage stage;
    stage_open(&stage);
    stage.cell.database_timeout_ms = is_lasting ? LASTING_MS : 0;
    stage_serve(&stage, cache_bytes, 0);
    order_make(&stage);
    kind_set(kind);
    for (size_t row = 0; row < COUNT(REQUESTS); row++)
        fail_each(&stage, row, is_lasting);
    ck_assert_uint_gt(stage.clean_count, 0);
    kind_set(OF_MALLOC);
    check_shop(&stage);
    printf("%u rounds: %u clean errors, %u without an answer\n", stage.round, stage.clean_count, stage.cut_count);
    stage_close(&stage);
}

TEST(a_request_survives_any_allocation_that_fails)
{
    fail_requests(1, false, OF_MALLOC);
}
TEST(a_request_survives_any_part_of_an_arena_that_is_refused)
{
    fail_requests(1, false, OF_ARENA);
}
TEST(a_request_survives_any_member_of_json_that_is_refused)
{
    fail_requests(1, false, OF_JSON);
}
TEST(a_request_survives_all_allocations_that_fail_from_one_on)
{
    fail_requests(1, true, OF_MALLOC);
}
TEST(a_page_that_is_kept_survives_them_too)
{
    fail_requests(32 * MIB, false, OF_MALLOC);
}

// Takes what memory the server has ready for one more request, and keeps it.
static int other_open(const Stage *stage)
{
    int fd = raw_open(stage->cell.port);
    ck_assert(raw_send(fd, S("POST " API "/carts HTTP/1.1\r\nHost: acme.localhost\r\nContent-Type: application/json\r\n"
                             "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")));
    ck_assert_int_eq(raw_status(raw_await(fd, stage->arena, 10)), 100);
    return fd;
}

TEST(a_request_beside_others_survives_them_too)
{
    Stage stage;
    stage_open(&stage);
    stage_serve(&stage, 1, 0);
    int others[OTHERS];
    for (long number = 1; number <= OTHERS; number++) {
        round_begin(&stage);
        check_well(&stage, 0, number);
        others[number - 1] = other_open(&stage);
        fail_one(&stage, 0, number, false);
    }
    for (int i = 0; i < OTHERS; i++)
        fd_close(&others[i]);
    stage_close(&stage);
}

// How many allocations a start has counted; 0: it failed.
static long start_failing_at(const ServerOptions *options, long number)
{
    Error err = {0};
    Server *server = NULL;
    is_exempt = false;
    arm(number, false);
    bool ok = server_open(options, &server, &err);
    bool has_any_failed = disarm();
    is_exempt = true;
    ck_assert_msg(ok || (has_any_failed && err.what[0]), "allocation %ld: no error is said", number);
    if (ok)
        server_stop(server);
    if (ok)
        (void)server_wait(server);
    server_close(&server);
    return ok ? number - atomic_load(&left) : 0;
}

TEST(a_server_without_memory_does_not_start_and_says_so)
{
    TestCell cell;
    is_exempt = true;
    log_level_set(LOG_ERROR + 1);
    test_cell_open(&cell, "memory");
    Settings settings = shopd_settings_default();
    settings.cell = cell.dsn;
    settings.role = S("postgres");
    settings.listen = S("127.0.0.1:0");
    settings.threads = settings.connections = 1;
    ServerOptions options = {.settings = &settings, .is_embedded = true};
    shop_options(&options);
    for (Kind kind = OF_MALLOC; kind < KIND_COUNT; kind++) {
        kind_set(kind);
        long total = start_failing_at(&options, LONG_MAX), step = MAX(total / points_wanted(POINTS), 1L);
        ck_assert_int_gt(total, 0);
        for (long number = 1; number <= total; number += step)
            (void)start_failing_at(&options, number);
    }
    kind_set(OF_MALLOC);
    test_cell_close(&cell);
}

TEST(a_tenant_whose_place_in_the_cache_was_refused_gets_one_later)
{
    Error err = {0};
    Cache *cache = NULL;
    TokenKey key = token_key(S("secret"));
    ck_assert_ok(cache_open(64 * KIB, &key, &cache, &err), &err);
    CachedPage *page = NULL;
    const PagePart part = {S("text"), HOLE_NONE};
    for (int round = 0; round < 2; round++) {
        is_exempt = false;
        kind_set(OF_ARENA);
        arm(round == 0 ? 2 : LONG_MAX, false);    // the page has memory, its tenant hasn't
        bool ok = cache_put(cache, (PageKey){1, S("a")}, 1, S("text/html"), &part, 1, &page, &err);
        ck_assert_int_eq(disarm(), round == 0);
        kind_set(OF_MALLOC);
        is_exempt = true;
        ck_assert_ok(ok, &err);
        page_release(page);
        page = cache_find(cache, (PageKey){1, S("a")});
        ck_assert_int_eq(page != NULL, round == 1);
    }
    page_release(page);
    cache_close(&cache);
}

TEST(a_request_survives_any_budget)
{
    static const size_t BUDGETS[] = {1, 64, 512, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144};
    Stage stage;
    stage_open(&stage);
    stage_serve(&stage, 1, 0);
    order_make(&stage);
    for (size_t i = 0; i < COUNT(BUDGETS); i++) {
        stage_serve(&stage, 1, BUDGETS[i]);
        for (size_t row = 0; row < COUNT(REQUESTS); row++) {
            round_begin(&stage);
            ShopAnswer answer = {0};
            ck_assert_int_ne(asked(&stage, row, &answer), 0);
            check_answer(&stage, row, 0, &answer);
            shop_answer_close(&answer);
        }
    }
    check_shop(&stage);
    stage_close(&stage);
}

// ---- an operation ----

static bool create(TestWorld *world, const char *slug, Error *err)
{
    TenantSpec spec = test_world_spec(world, slug);
    return tenant_create(world->platform, &spec, NULL, err);
}

static long allocations_of_create(TestWorld *world)
{
    Error err = {0};
    arm(LONG_MAX, false);
    ck_assert_ok(create(world, "memory-first", &err), &err);
    (void)disarm();
    return LONG_MAX - atomic_load(&left);
}

TEST(an_operation_goes_on_after_any_allocation_that_failed)
{
    TestWorld world;
    test_world_open(&world, "memory", false);
    long total = allocations_of_create(&world), step = MAX(total / points_wanted(POINTS), 1L);
    printf("tenant create: %ld allocations, each %ld. fails\n", total, step);
    for (long number = 1; number <= total; number += step) {
        const char *slug = str_format(world.arena, "memory-%ld", number).data;
        Error err = {0};
        arm(number, false);
        bool ok = create(&world, slug, &err);
        (void)disarm();
        if (!ok) {
            ck_assert_msg(err.code == ERR_NO_MEMORY || err.code == ERR_UNREACHABLE || err.code == ERR_BUSY,
                          "allocation %ld: %s: %s (%s)", number, error_name(err.code), err.what, err.why);
            error_clear(&err);
            ck_assert_ok(create(&world, slug, &err), &err);
        }
        test_world_check(&world, slug, "after an allocation failed");
    }
    test_world_close(&world);
}

SUITE(memory, ONCE(a_request_survives_any_allocation_that_fails),
      ONCE(a_request_survives_any_part_of_an_arena_that_is_refused),
      ONCE(a_request_survives_any_member_of_json_that_is_refused),
      ONCE(a_request_survives_all_allocations_that_fail_from_one_on), ONCE(a_page_that_is_kept_survives_them_too),
      ONCE(a_tenant_whose_place_in_the_cache_was_refused_gets_one_later),
      ONCE(a_request_beside_others_survives_them_too), ONCE(a_request_survives_any_budget),
      ONCE(a_server_without_memory_does_not_start_and_says_so),
      ONCE(an_operation_goes_on_after_any_allocation_that_failed))
