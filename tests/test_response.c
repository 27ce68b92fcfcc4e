// tests/test_response.c: answers as handlers make them: headers, redirects, errors as JSON and as a page.
#include "runtime/core/response.h"

#include "runtime/core/server.h"
#include "tests/support/more_check.h"

typedef struct Stage {
    Arena *arena;
    Settings settings;
    ServerHooks hooks;
    Thread thread;
    Request r;
} Stage;

static void stage_open(Stage *stage, Str path)
{
    *stage = (Stage){.arena = arena_open(MIB), .settings = shopd_settings_default()};
    stage->thread = (Thread){.settings = &stage->settings, .hooks = &stage->hooks};
    stage->r = (Request){.arena = stage->arena, .thread = &stage->thread, .path = path, .id = S("0123456789abcdef")};
}

static void stage_close(Stage *stage) { arena_close(&stage->arena); }

static Str header(const Stage *stage, Str name)
{
    const Response *response = &stage->r.response;
    for (size_t i = 0; i < response->header_count; i++)
        if (str_eq(response->headers[i].name, name))
            return response->headers[i].value;
    return S("");
}

static const struct {
    Str wanted, location;
} LOCATIONS[] = {
    {S("/cart"), S("/cart")},
    {S("/"), S("/")},
    {S("/a?b=c#d~"), S("/a?b=c#d~")},
    {S(""), S("/")},
    {S("cart"), S("/")},
    {S("//evil.example"), S("/")},
    {S("/\\evil"), S("/")},
    {S("/a b"), S("/")},
    {S("/a\x7f"), S("/")},
    {S("/a\\b"), S("/")},
    {S("/caf\xc3\xa9"), S("/")},
    {S("https://evil.example"), S("/")},
};

TEST(a_redirect_leads_to_a_path_of_ours)
{
    Stage stage;
    stage_open(&stage, S("/"));
    ck_assert(respond_redirect(&stage.r, 303, LOCATIONS[_i].wanted));
    ck_assert_int_eq(stage.r.response.status, 303);
    ck_assert_str(header(&stage, S("Location")), LOCATIONS[_i].location);
    ck_assert_str(header(&stage, S("Cache-Control")), S("no-store"));
    stage_close(&stage);
}

TEST(a_header_has_no_control_bytes_also_without_memory)
{
    Stage stage;
    stage_open(&stage, S("/"));
    respond_header(&stage.r, S("X-Name"), S("a\r\nb\x7f\tc"));
    ck_assert_str(header(&stage, S("X-Name")), S("a  b \tc"));    // RFC 9110, section 5.5, has the tab
    stage_close(&stage);
    stage_open(&stage, S("/"));
    ck_assert_ptr_null(arena_bytes(stage.arena, 2 * MIB));
    respond_header(&stage.r, S("X-Name"), S("a\r\nb"));
    ck_assert_str(header(&stage, S("X-Name")), S(""));
    stage_close(&stage);
}

static const char CLOSED[] = "Connection: close\r\n";

TEST(a_head_says_what_is_answered_or_nothing_without_memory)
{
    Stage stage;
    Stamp now = {0};
    stamp_update(&now, 1795569600000);
    stage_open(&stage, S("/"));
    respond_policy(&stage.r, S("default-src 'none'"));
    (void)respond(&stage.r, 299, S("text/plain"), S("hello"));
    Str head = response_head(&stage.r, &now, true);
    ck_assert(str_has_prefix(head, S("HTTP/1.1 299 Status\r\n")));
    ck_assert_contains(head, S("\r\nContent-Security-Policy: default-src 'none'\r\n"));
    ck_assert_contains(head, S("\r\nContent-Length: 5\r\n"));
    ck_assert_contains(head, str_of(CLOSED));
    (void)respond_empty(&stage.r, 304);
    head = response_head(&stage.r, &now, false);
    ck_assert(str_has_prefix(head, S("HTTP/1.1 304 Not Modified\r\n")));
    ck_assert_uint_eq(str_find(head, S("Content-Length")), head.len);
    ck_assert_uint_eq(str_find(head, str_of(CLOSED)), head.len);
    ck_assert_ptr_null(arena_bytes(stage.arena, 2 * MIB));
    ck_assert_uint_eq(response_head(&stage.r, &now, true).len, 0);
    stage_close(&stage);
}

static const struct {
    ErrorCode code;
    Fault fault;
    Str says;
} FAULTS[] = {
    {ERR_INVALID,
     {.where = S("email"), .why = S("it has no @"), .next = S("add one")},
     S("{\"field\":\"email\",\"detail\":\"it has no @\",\"next\":\"add one\"}")},
    {ERR_INVALID,
     {.what = S("a quote is missing"), .line = 3, .column = 7},
     S("{\"field\":\"3:7\",\"detail\":\"a quote is missing\"}")},
    {ERR_INVALID, {.what = S("something")}, S("{\"field\":\"\",\"detail\":\"something\"}")},
    {ERR_OUT_OF_STOCK,
     {.where = S("lines.1"), .why = S("2 wanted"), .members = S("\"left\":1")},
     S("{\"field\":\"lines.1\",\"detail\":\"2 wanted\",\"left\":1}")},
};

TEST(each_fault_is_an_entry_of_the_problem)
{
    Stage stage;
    Error err = {0};
    stage_open(&stage, S("/api/x"));
    Faults faults = {.arena = stage.arena};
    faults_add(&faults, &FAULTS[_i].fault);
    error_set(&err, FAULTS[_i].code, "the form is refused");
    ck_assert(respond_error(&stage.r, &err, &faults));
    ck_assert_str(stage.r.response.content_type, S("application/problem+json"));
    ck_assert_contains(stage.r.response.body, FAULTS[_i].says);
    ck_assert_contains(stage.r.response.body, S("\"request_id\":\"0123456789abcdef\""));
    ck_assert_int_eq(stage.r.err.code, FAULTS[_i].code);    // for the log
    stage_close(&stage);
}

TEST(an_error_with_a_place_is_its_own_entry_unless_it_is_ours)
{
    static const struct {
        ErrorCode code;
        const char *why;
        Str says;
    } ROWS[] = {
        {ERR_INVALID, "it is 7", S("\"errors\":[{\"field\":\"page\",\"detail\":\"it is 7\"")},
        {ERR_INVALID, "", S("\"errors\":[{\"field\":\"page\",\"detail\":\"the page is refused\"")},
        {ERR_FAILED, "password=hunter2", S("\"errors\":[]")},
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        Stage stage;
        Error err = {0};
        const Faults none = {0};
        stage_open(&stage, S("/api/x"));
        error_set(&err, ROWS[i].code, "the page is refused");
        error_where(&err, "page");
        error_why(&err, "%s", ROWS[i].why);
        ck_assert(respond_error(&stage.r, &err, i == 0 ? &none : NULL));
        Str body = stage.r.response.body;
        ck_assert_contains(body, ROWS[i].says);
        ck_assert_uint_eq(str_find(body, S("hunter2")), body.len);
        stage_close(&stage);
    }
}

static const struct {
    ErrorCode code;
    int64_t wait_s;
    Str retry;
} RETRIES[] = {
    {ERR_RATE_LIMIT, 0, S("1")},  {ERR_RATE_LIMIT, 7, S("7")}, {ERR_BUSY, 0, S("5")},
    {ERR_SUSPENDED, 0, S("600")}, {ERR_NOT_FOUND, 0, S("")},
};

TEST(what_is_worth_another_try_says_when)
{
    Stage stage;
    Error err = {0};
    stage_open(&stage, S("/"));
    stage.r.retry_after_s = RETRIES[_i].wait_s;
    respond_header(&stage.r, S("Set-Cookie"), S("shop=1"));    // what a handler began to say isn't so
    error_set(&err, RETRIES[_i].code, "not <now>");
    ck_assert(respond_error(&stage.r, &err, NULL));
    ck_assert_str(header(&stage, S("Retry-After")), RETRIES[_i].retry);
    ck_assert_str(header(&stage, S("Set-Cookie")), S(""));
    ck_assert_contains(stage.r.response.body, S("ot &lt;now&gt;"));
    stage_close(&stage);
}

static bool problem_whole(Arena *arena, Error *err)
{
    Stage stage;
    stage_open(&stage, S("/api/x"));
    Error about = {0};
    Faults faults = {.arena = arena};
    stage.r.arena = arena;
    faults_add(&faults, &(Fault){.where = S("a"), .why = S("b")});
    error_set(&about, ERR_METHOD, "no");
    (void)respond_error(&stage.r, &about, &faults);
    stage_close(&stage);
    return arena_ok(arena, err);
}

TEST(a_problem_is_whole_or_memory_ran_out)
{
    check_every_budget(problem_whole);
}

SUITE(response, EACH(a_redirect_leads_to_a_path_of_ours, LOCATIONS),
      ONCE(a_header_has_no_control_bytes_also_without_memory),
      ONCE(a_head_says_what_is_answered_or_nothing_without_memory), EACH(each_fault_is_an_entry_of_the_problem, FAULTS),
      ONCE(an_error_with_a_place_is_its_own_entry_unless_it_is_ours),
      EACH(what_is_worth_another_try_says_when, RETRIES), ONCE(a_problem_is_whole_or_memory_ran_out))
