// runtime/core/dispatch.c: the way of a request between its bytes and its handler.
#include "runtime/core/dispatch.h"

#include "runtime/core/target.h"

// ---- ids ----

static uint64_t random_next(uint64_t *state)    // splitmix64: ids need to differ, not to be secret
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return z ^ z >> 31;
}

static void hex_put(char text[REQUEST_ID_LEN], uint64_t value)
{
    for (size_t i = REQUEST_ID_LEN; i-- > 0; value >>= 4)
        text[i] = "0123456789abcdef"[value & 15];
}

static bool is_hex(Str text)
{
    bool is_zero = true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        is_zero &= c == '0';
    }
    return !is_zero;
}

// W3C Trace Context level 1: 00-<trace id: 32>-<parent id: 16>-<flags: 2>, small hexadecimal digits, ids not zero.
static void traceparent_read(Request *r, Str text)
{
    enum { TRACE_AT = 3, TRACE_LEN = 32, PARENT_AT = 36, PARENT_LEN = 16, FLAGS_AT = 53 };
    if (text.len != TRACEPARENT_LEN || !str_has_prefix(text, S("00-")) || text.data[PARENT_AT - 1] != '-' ||
        text.data[FLAGS_AT - 1] != '-' || !is_hex(str_slice(text, TRACE_AT, TRACE_AT + TRACE_LEN)) ||
        !is_hex(str_slice(text, PARENT_AT, PARENT_AT + PARENT_LEN)))
        return;
    char flags[3] = {text.data[FLAGS_AT], text.data[FLAGS_AT + 1], '1'};    // with a '1': zero flags are fine
    if (!is_hex((Str){flags, sizeof(flags)}))
        return;
    memcpy(r->trace_text, text.data, TRACEPARENT_LEN);
    hex_put(r->trace_text + PARENT_AT, random_next(&r->thread->id_seed));
    r->traceparent = (Str){r->trace_text, TRACEPARENT_LEN};
    r->trace_id = str_slice(r->traceparent, TRACE_AT, TRACE_AT + TRACE_LEN);
}

static void ids_read(Request *r, bool is_trusted)
{
    enum { GIVEN_ID_MAX = 64 };
    Str given = is_trusted ? request_header(r, S("X-Request-Id")) : (Str){0};
    if (given.len > 0 && given.len <= GIVEN_ID_MAX && is_token(given))
        r->id = given;
    traceparent_read(r, request_header(r, S("Traceparent")));
}

// ---- the head ----

static bool tenant_find(Request *r)
{
    const ServerHooks *hooks = r->thread->hooks;
    if (!hooks->find_tenant)
        return true;
    if (r->host.len == 0 || !hooks->find_tenant(r->thread, r->host, &r->tenant)) {
        r->tenant = (TenantRef){0};
        error_set(&r->err, ERR_NOT_FOUND, "there is no shop at this address");
        return error_next(&r->err, "check the address");
    }
    bool is_asset = r->route && r->route->class_ == CLASS_ASSET;    // the page that says so needs its looks
    if (r->tenant.refusal == ERR_NONE || is_asset)
        return true;
    error_set(&r->err, r->tenant.refusal, "this shop is closed at the moment");
    return error_next(&r->err, "%s", error_advice(r->tenant.refusal));
}

static bool over_rate(Request *r, int64_t wait_ms, Error *err)
{
    metrics_add(r->thread->metrics, COUNTER_REQUESTS_LIMITED, 1);
    r->retry_after_s = (wait_ms + 999) / 1000;
    error_set(err, ERR_RATE_LIMIT, "there are too many requests for this shop");
    error_why(err, "its plan has %lld a second", (long long)r->tenant.requests_per_second);
    return error_next(err, "wait for the seconds that Retry-After names");
}

static bool is_within_rate(Request *r)
{
    int64_t wait_ms = 0;
    const TenantRef *tenant = &r->tenant;
    return !tenant->requests_per_second || (r->route && r->route->is_unlimited) ||
           limits_take(r->thread->limits, tenant->number, tenant->requests_per_second, tenant->requests_burst,
                       r->start_us, &wait_ms) ||
           over_rate(r, wait_ms, &r->err);
}

bool request_has_rate(Request *r, Error *err)
{
    int64_t wait_ms = 0;
    const TenantRef *tenant = &r->tenant;
    return limits_has(r->thread->limits, tenant->number, tenant->requests_per_second, tenant->requests_burst,
                      r->start_us, &wait_ms) ||
           over_rate(r, wait_ms, err);
}

void request_spend_rate(Request *r)
{
    int64_t ignored_ms = 0;
    (void)limits_take(r->thread->limits, r->tenant.number, r->tenant.requests_per_second, r->tenant.requests_burst,
                      r->start_us, &ignored_ms);
}

static bool is_for_server(const Request *r) { return r->method == METHOD_OPTIONS && str_eq(r->path, S("*")); }

static bool no_route(Request *r)
{
    if (is_for_server(r))
        return true;
    if (r->allowed == 0) {
        error_set(&r->err, ERR_NOT_FOUND, "there is nothing at this address");
        return error_next(&r->err, "check the address");
    }
    if (r->method == METHOD_OPTIONS)
        return true;
    Str method = r->method == METHOD_OTHER ? S("the method") : method_name(r->method);
    return error_set(&r->err, ERR_METHOD, "%.*s isn't possible at this address", STR_ARG(method));
}

// "application/json; charset=utf-8" is of type application/json.
static bool is_of_type(Str content_type, Str type)
{
    return str_eq_nocase(str_trim(str_slice(content_type, 0, str_find_char(content_type, ';'))), type);
}

static bool is_right_type(Request *r)
{
    Str type = r->route->body == BODY_JSON ? S("application/json") : S("application/x-www-form-urlencoded");
    Str given = request_header(r, S("Content-Type"));
    if (r->route->body == BODY_NONE || is_of_type(given, type) || (!framing_has_body(&r->framing) && !given.data))
        return true;
    error_set(&r->err, ERR_MEDIA_TYPE, "the body's type isn't taken here");
    error_where(&r->err, "Content-Type");
    error_why(&r->err, "it is '%.*s'", STR_ARG(str_slice(given, 0, 64)));
    return error_next(&r->err, "send %.*s", STR_ARG(type));
}

static size_t body_max(const Request *r)
{
    return r->route && r->route->body_max_bytes ? r->route->body_max_bytes : (size_t)ROUTE_BODY_MAX_DEFAULT;
}

static bool is_right_size(Request *r)
{
    framing_limit(&r->framing, body_max(r), !r->route || r->route->body == BODY_NONE, r->arena);
    if (r->framing.content_length <= (int64_t)body_max(r))
        return true;
    error_set(&r->err, ERR_TOO_LARGE, "the body is too large");
    return error_why(&r->err, "it has %lld bytes; more than %zu aren't taken here",
                     (long long)r->framing.content_length, body_max(r));
}

static bool route_read(Request *r)
{
    RouteMatch match;
    if (!route_find(r->thread->router, r->method, r->path, r->arena, &match, &r->err))
        return false;
    r->route = match.route;
    r->allowed = match.allowed;
    r->parameter_count = match.parameter_count;
    memcpy(r->parameters, match.parameters, sizeof(match.parameters));
    return true;
}

void dispatch_begin(Request *r)
{
    r->start_us = clock_us();
    hex_put(r->id_text, random_next(&r->thread->id_seed));
    r->id = (Str){r->id_text, REQUEST_ID_LEN};
}

bool dispatch_head(Request *r, const Guard *guard)
{
    bool is_trusted = proxies_has(r->thread->proxies, &r->peer);
    ids_read(r, is_trusted);
    if (!framing_head(&r->framing, guard, r->head.data, r->headers, &r->err))
        return false;
    r->method = r->framing.method;
    r->is_secure = is_trusted && client_is_secure(r, r->thread->proxies, &r->peer);
    if (!target_read(r, r->framing.host, &r->err) || !route_read(r))
        return false;
    if (!(r->route && r->route->is_any_host) && !tenant_find(r))
        return false;
    return is_within_rate(r) && (r->route ? is_right_type(r) : no_route(r)) && is_right_size(r);
}

// ---- the handler ----

void dispatch_answer(Request *r, bool is_ok)
{
    if (r->waits > 0) {
        assert(is_ok);    // who waits hasn't failed
        return;
    }
    if (is_ok && r->response.status == 0) {
        error_clear(&r->err);
        is_ok = error_set(&r->err, ERR_FAILED, "a handler gave no answer");
    }
    if (is_ok)
        return;
    if (r->err.code == ERR_NONE)
        error_set(&r->err, ERR_FAILED, "a handler failed and didn't say why");
    if (error_http_status(r->err.code) == 500)
        log_error("request_failed", &r->err);
    (void)respond_error(r, &r->err, NULL);
}

static bool options_answer(Request *r)
{
    char allow[ROUTE_ALLOW_TEXT];
    if (!is_for_server(r))
        respond_header(r, S("Allow"), str_copy(r->arena, route_allow(r->allowed, allow)));
    return respond_empty(r, 204);
}

void dispatch_run(Request *r)
{
    if (r->is_refused)
        dispatch_answer(r, false);
    else if (!r->route)
        dispatch_answer(r, options_answer(r));
    else
        dispatch_answer(r, r->route->handler(r, &r->err));
}

// ---- the end ----

enum { STATUS_CLIENT_GONE = 499 };

void dispatch_end(Request *r, size_t bytes, bool is_gone)
{
    Thread *thread = r->thread;
    int64_t duration_us = clock_us() - r->start_us;
    int status = is_gone ? STATUS_CLIENT_GONE : r->response.status;
    RouteClass class_ = r->route ? r->route->class_ : CLASS_NONE;
    char client[ADDRESS_TEXT];
    Address address = client_address(r, thread->proxies, &r->peer);
    metrics_request(thread->metrics, r->tenant.slug, class_, status, duration_us, bytes);
    if (is_gone)
        metrics_add(thread->metrics, COUNTER_REQUESTS_ABANDONED, 1);
    access_add(thread->access,
               &(AccessLine){.request_id = r->id,
                             .client = address_text(&address, client),
                             .tenant = r->tenant.slug,
                             .route = r->route ? str_of(r->route->pattern) : S(""),
                             .method = r->head.data ? method_name(r->method) : S(""),
                             .trace_id = r->trace_id,
                             .error = r->err.code ? str_of(error_name(r->err.code)) : S(""),
                             .status = status,
                             .duration_us = duration_us,
                             .bytes = bytes},
               &thread->stamp);
    response_drop(&r->response);
    json_close(&r->json);
    if (r->tenant.tenant && thread->hooks->release_tenant)
        thread->hooks->release_tenant(thread, r->tenant.tenant);
    r->tenant = (TenantRef){0};
}

// ---- routes of core ----

static bool health_get(Request *r, Error *err UNUSED) { return respond(r, 200, S("text/plain"), S("ok\n")); }

static bool ready_get(Request *r, Error *err)
{
    const ServerHooks *hooks = r->thread->hooks;
    if (!hooks->ready || hooks->ready(r->thread->server))
        return respond(r, 200, S("text/plain"), S("ready\n"));
    error_set(err, ERR_BUSY, "shopd isn't ready");
    return error_why(err, "its directory of tenants isn't loaded yet");
}

static void arena_release(void *thing)
{
    Arena *arena = thing;
    arena_close(&arena);
}

static bool is_shops_host(const Request *r)
{
    TenantRef found = {0};
    const ServerHooks *hooks = r->thread->hooks;
    if (r->host.len == 0 || !hooks->find_tenant || !hooks->find_tenant(r->thread, r->host, &found))
        return false;
    if (hooks->release_tenant)
        hooks->release_tenant(r->thread, found.tenant);
    return true;
}

// Tenants' names are for those who run the platform: on this machine or a trusted peer, and not through a proxy: one
// that says so, or one that passes on requests for a shop and doesn't.
static bool is_operator(const Request *r)
{
    static const Str FORWARDED[] = {S("X-Forwarded-For"), S("Forwarded"), S("Via"), S("X-Real-IP")};
    bool is_near = address_is_loopback(&r->peer) || proxies_has(r->thread->proxies, &r->peer);
    for (size_t i = 0; is_near && i < COUNT(FORWARDED); i++)
        is_near = !request_header(r, FORWARDED[i]).data;
    return is_near && !is_shops_host(r);
}

// A large answer has an arena of its own, so that requests' arenas stay small.
static bool metrics_get(Request *r, Error *err)
{
    enum { METRICS_BUDGET = 64 * MIB };
    if (!is_operator(r)) {
        error_set(err, ERR_FORBIDDEN, "metrics aren't for everyone");
        return error_next(err, "ask from this machine or an address of --trusted-proxies, by its own name or number");
    }
    Arena *arena = arena_open(METRICS_BUDGET);
    StrBuf out = {.arena = arena};
    server_metrics_write(r->thread, &out);
    Str *text = arena_new(arena, Str);
    if (!arena_ok(arena, err)) {
        arena_close(&arena);
        return false;
    }
    *text = strbuf_str(&out);
    return respond_parts(r, 200, S("text/plain; version=0.0.4; charset=utf-8"), text, 1, (Hold){arena, arena_release});
}

static const Route CORE_ROWS[] = {
    {.method = METHOD_GET,
     .pattern = "/healthz",
     .module = "core",
     .handler = health_get,
     .summary = "Says that the process lives.",
     .class_ = CLASS_CORE,
     .is_any_host = true},
    {.method = METHOD_GET,
     .pattern = "/readyz",
     .module = "core",
     .handler = ready_get,
     .summary = "Says whether shops are served.",
     .class_ = CLASS_CORE,
     .is_any_host = true},
    {.method = METHOD_GET,
     .pattern = "/metrics",
     .module = "core",
     .role = ROLE_OPERATOR,
     .handler = metrics_get,
     .summary = "Prometheus metrics.",
     .class_ = CLASS_CORE,
     .is_any_host = true},
};

const RouteSet ROUTES_CORE = {CORE_ROWS, COUNT(CORE_ROWS)};
