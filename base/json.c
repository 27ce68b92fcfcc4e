// base/json.c: JSON by jansson.
#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>

#include "base/arena.h"

// jansson's own limit (2,048) costs more stack than a worker thread has to spare. Brackets in strings don't count.
static bool is_deeper_than(Str text, int depth_max, size_t *at)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            *at = i;
            if (++depth > depth_max)
                return true;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

// jansson says of a text that it is broken when it has no memory to read it with, or reads it with letters missing.
static _Thread_local bool has_no_memory;

static void *bytes_for_jansson(size_t size)
{
    void *bytes = malloc(size);
    has_no_memory |= !bytes;
    return bytes;
}

__attribute__((constructor)) static void jansson_use_bytes(void) { json_set_alloc_funcs(bytes_for_jansson, free); }

bool json_parse(Str text, Json **out, Error *err)
{
    size_t deep_at = 0;
    if (is_deeper_than(text, JSON_DEPTH_MAX, &deep_at)) {
        error_set(err, ERR_MALFORMED, "the JSON document is refused");
        error_where(err, "byte %zu", deep_at + 1);
        return error_why(err, "it is nested deeper than %d levels", JSON_DEPTH_MAX);
    }
    json_error_t fault = {0};
    has_no_memory = false;
    size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    json_t *json = json_loadb(text.data ? text.data : "", text.len, flags, &fault);
    if (json && !has_no_memory) {
        *out = json;
        return true;
    }
    json_decref(json);
    if (has_no_memory || json_error_code(&fault) == json_error_out_of_memory)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory for the JSON document");
    error_set(err, ERR_MALFORMED, "the JSON document is refused");
    error_where(err, "%d:%d", fault.line, fault.column);
    return error_why(err, "%s", fault.text);
}

static int print_chunk(const char *data, size_t size, void *buf)
{
    strbuf_add(buf, (Str){data, size});
    return 0;
}

static bool print(const Json *json, size_t flags, Arena *arena, Str *out, Error *err)
{
    StrBuf buf = {.arena = arena};
    int rc = json_dump_callback(json, print_chunk, &buf, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) | flags);
    Str text = strbuf_str(&buf);
    if (!arena_ok(arena, err))
        return false;
    if (rc != 0)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory to print a JSON document");
    *out = text;
    return true;
}

bool json_print(const Json *json, unsigned indent, Arena *arena, Str *out, Error *err)
{
    return print(json, indent ? JSON_INDENT(indent) : JSON_COMPACT, arena, out, err);
}

bool json_print_line(const Json *json, Arena *arena, Str *out, Error *err) { return print(json, 0, arena, out, err); }

// jansson's own json_incref and json_decref read the count of null, true and false (never freed) without an atomic
// load.
static bool is_counted(const Json *json)
{
    return json && __atomic_load_n(&json->refcount, __ATOMIC_RELAXED) != (size_t)-1;
}

Json *json_hold(Json *json)
{
    if (is_counted(json))
        (void)__atomic_add_fetch(&json->refcount, 1, __ATOMIC_RELAXED);
    return json;
}

void json_close(Json **json)
{
    if (is_counted(*json) && __atomic_sub_fetch(&(*json)->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        json_delete(*json);
    *json = NULL;
}

bool json_ok(const Json *json, Error *err)
{
    return json || error_set(err, ERR_NO_MEMORY, "there isn't enough memory for a JSON document");
}

Json *json_build(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    json_t *json = json_vpack_ex(NULL, 0, format, list);
    va_end(list);
    return json;
}

Json *json_from_str(Str text) { return json_stringn(text.data ? text.data : "", text.len); }
Json *json_from_int(int64_t value) { return json_integer(value); }
Json *json_from_bool(bool value) { return json_boolean(value); }

bool json_put(Json *object, const char *key, Json *value) { return json_object_set_new(object, key, value) == 0; }
bool json_set(Json *object, const char *key, Json *value, Error *err)
{
    return json_put(object, key, value) || json_ok(NULL, err);
}
bool json_append(Json *array, Json *value) { return json_array_append_new(array, value) == 0; }

JsonKind json_kind(const Json *json)
{
    if (!json)
        return JSON_KIND_NULL;
    switch (json_typeof(json)) {
    case JSON_NULL: return JSON_KIND_NULL;
    case JSON_FALSE: return JSON_KIND_FALSE;
    case JSON_TRUE: return JSON_KIND_TRUE;
    case JSON_INTEGER:
    case JSON_REAL: return JSON_KIND_NUMBER;
    case JSON_STRING: return JSON_KIND_STRING;
    case JSON_ARRAY: return JSON_KIND_ARRAY;
    case JSON_OBJECT: return JSON_KIND_OBJECT;
    }
    return JSON_KIND_NULL;
}

const Json *json_member(const Json *object, Str key) { return json_object_getn(object, key.data, key.len); }
const Json *json_get(const Json *object, const char *key) { return json_object_get(object, key); }
const Json *json_element(const Json *array, size_t i) { return json_array_get(array, i); }

size_t json_count(const Json *json) { return json_is_array(json) ? json_array_size(json) : json_object_size(json); }

Str json_str(const Json *json)
{
    return json_is_string(json) ? (Str){json_string_value(json), json_string_length(json)} : S("");
}

bool json_bool(const Json *json) { return json_kind(json) == JSON_KIND_TRUE; }

bool json_is_int(const Json *json) { return json_is_integer(json); }
int64_t json_int64(const Json *json) { return json_integer_value(json); }

Str json_number_text(const Json *json, Arena *arena)
{
    if (json_is_integer(json))
        return str_format(arena, "%lld", json_integer_value(json));
    double value = json_number_value(json);
    char text[32];
    int digits = 1;
    for (; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value)
            break;
    }
    long exponent = strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent < -7 || exponent >= 21)
        return str_copy(arena, str_of(text));
    return str_format(arena, "%.*f", MAX(digits - 1 - (int)exponent, 0), value);
}

JsonIter json_iter(const Json *object) { return (JsonIter){.object = object}; }

bool json_next(JsonIter *it)
{
    json_t *object = (json_t *)it->object;    // the iterator's only use of it is to read
    it->at = it->at ? json_object_iter_next(object, it->at) : json_object_iter(object);
    if (!it->at)
        return false;
    it->key = (Str){json_object_iter_key(it->at), json_object_iter_key_len(it->at)};
    it->value = json_object_iter_value(it->at);
    return true;
}
