// runtime/core/request.c: reading a request: headers, cookies, parameters, forms, JSON.
#include "runtime/core/request.h"

#include "runtime/core/server.h"

Str request_header(const Request *r, Str name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        const HeaderAt *at = &r->headers[i];
        if (at->name_len == name.len && str_eq_nocase((Str){r->head.data + at->name_at, at->name_len}, name))
            return (Str){r->head.data + at->value_at, at->value_len};
    }
    return (Str){0};
}

Str request_client(Request *r)
{
    char text[ADDRESS_TEXT];
    Address client = client_address(r, r->thread->proxies, &r->peer);
    return str_copy(r->arena, address_text(&client, text));
}

// ---- cookies ----

static Str unquoted(Str value)
{
    bool is_quoted = value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"';
    return is_quoted ? str_slice(value, 1, value.len - 1) : value;
}

Str cookie_find(Str header, Str name)
{
    Str pair;
    while (str_cut(&header, ';', &pair)) {
        pair = str_trim(pair);
        if (pair.len > name.len && pair.data[name.len] == '=' && str_has_prefix(pair, name))
            return unquoted(str_skip(pair, name.len + 1));
    }
    return (Str){0};
}

Str request_cookie(const Request *r, Str name)
{
    for (size_t i = 0; i < r->header_count; i++) {
        const HeaderAt *at = &r->headers[i];
        if (!str_eq_nocase((Str){r->head.data + at->name_at, at->name_len}, S("Cookie")))
            continue;
        Str value = cookie_find((Str){r->head.data + at->value_at, at->value_len}, name);
        if (value.data)
            return value;
    }
    return (Str){0};
}

// ---- percent-encoding ----

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool not_decodable(Str text, const char *why, Error *err)
{
    error_set(err, ERR_MALFORMED, "the text '%.*s' is refused", STR_ARG(str_slice(text, 0, 64)));
    error_why(err, "%s", why);
    return error_next(err, "send UTF-8, with each '%%' followed by two hexadecimal digits");
}

bool percent_decode(Str text, bool plus_is_blank, Arena *arena, Str *out, Error *err)
{
    Str decoded = text;
    if (str_has_char(text, '%') || (plus_is_blank && str_has_char(text, '+'))) {
        char *bytes = arena_array(arena, text.len + 1, char);
        if (!arena_ok(arena, err))
            return false;
        size_t len = 0;
        for (size_t i = 0; i < text.len; i++) {
            char c = text.data[i];
            if (c == '%') {
                int high = i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
                int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;
                if (low < 0)
                    return not_decodable(text, "there is a '%' without two hexadecimal digits", err);
                c = (char)(high * 16 + low);
                i += 2;
            } else if (c == '+' && plus_is_blank) {
                c = ' ';
            }
            bytes[len++] = c;
        }
        decoded = (Str){bytes, len};
    }
    if (!str_is_utf8(decoded))
        return not_decodable(text, "it isn't UTF-8, or has a NUL", err);
    *out = decoded;
    return true;
}

// ---- the query string ----

// Cuts "name=value" at the next '&'; false at the end.
static bool pair_next(Str *rest, Str *name, Str *value)
{
    Str pair;
    do
        if (rest->len == 0 || !str_cut(rest, '&', &pair))
            return false;
    while (pair.len == 0);
    size_t at = str_find_char(pair, '=');
    *name = str_slice(pair, 0, at);
    *value = str_skip(pair, MIN(at + 1, pair.len));
    return true;
}

static bool name_is(Str raw, Str name, Arena *arena)
{
    if (!str_has_char(raw, '%') && !str_has_char(raw, '+'))
        return str_eq(raw, name);
    Error ignored = {0};    // a name that can't be decoded is none of ours
    Str decoded;
    return percent_decode(raw, true, arena, &decoded, &ignored) && str_eq(decoded, name);
}

bool request_parameter(Request *r, Str name, Str *out, Error *err)
{
    Str rest = r->query, key, value;
    *out = (Str){0};
    while (pair_next(&rest, &key, &value))
        if (name_is(key, name, r->arena)) {
            if (percent_decode(value, true, r->arena, out, err))
                return true;
            err->code = err->code == ERR_MALFORMED ? ERR_INVALID : err->code;
            return error_where(err, "%.*s", STR_ARG(name));
        }
    return true;
}

bool request_parameter_int(Request *r, Str name, int64_t min, int64_t max, int64_t absent, int64_t *out, Error *err)
{
    Str text;
    if (!request_parameter(r, name, &text, err))
        return false;
    if (text.len == 0) {
        *out = absent;
        return true;
    }
    return str_int64(text, min, max, out, err) || error_where(err, "%.*s", STR_ARG(name));
}

Str request_segment(const Request *r, const char *name)
{
    Str rest = str_of(r->route->pattern), segment;
    size_t i = 0;
    while (str_cut(&rest, '/', &segment)) {
        if (segment.len < 2 || segment.data[0] != '{')
            continue;
        if (str_eq(str_slice(segment, 1, segment.len - 1), str_of(name)))
            return r->parameters[i];
        i++;
    }
    assert(false && "the route's pattern has this parameter");
    return (Str){0};
}

// ---- bodies ----

bool form_parse(Str text, Arena *arena, Form *out, Error *err)
{
    size_t count = 0;
    Str rest = text, name, value;
    while (pair_next(&rest, &name, &value))
        count++;
    if (count > REQUEST_PARAMETERS_MAX) {
        error_set(err, ERR_MALFORMED, "the form has %zu fields", count);
        return error_next(err, "send %d at most", REQUEST_PARAMETERS_MAX);
    }
    FormField *fields = arena_array(arena, count + 1, FormField);
    if (!arena_ok(arena, err))
        return false;
    rest = text;
    for (size_t i = 0; pair_next(&rest, &name, &value); i++) {
        if (!percent_decode(name, true, arena, &fields[i].name, err))
            return error_where(err, "field %zu", i + 1);
        if (!percent_decode(value, true, arena, &fields[i].value, err))
            return error_where(err, "%.*s", STR_ARG(str_slice(fields[i].name, 0, 64)));
    }
    *out = (Form){fields, count};
    return true;
}

bool request_form(Request *r, Form *out, Error *err) { return form_parse(r->body, r->arena, out, err); }

Str form_value(const Form *form, Str name)
{
    for (size_t i = 0; i < form->count; i++)
        if (str_eq(form->fields[i].name, name))
            return form->fields[i].value;
    return (Str){0};
}

bool request_json(Request *r, const Json **out, Error *err)
{
    if (!r->json && !json_parse(r->body, &r->json, err))
        return false;
    if (json_kind(r->json) != JSON_KIND_OBJECT) {
        error_set(err, ERR_MALFORMED, "the body isn't a JSON object");
        return error_next(err, "send an object: { ... }");
    }
    *out = r->json;
    return true;
}
