// base/json.h: JSON documents (RFC 8259) as trees; jansson is behind it.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct json_t Json;    // counted, by threads at once: json_hold, json_close (also for CLEANUP)

typedef enum JsonKind {
    JSON_KIND_NULL,
    JSON_KIND_FALSE,
    JSON_KIND_TRUE,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
} JsonKind;

enum { JSON_DEPTH_MAX = 64 };

// Reads one document of any kind, at most JSON_DEPTH_MAX deep. Duplicate keys, NUL, broken UTF-8, lone surrogates and
// numbers outside of int64 or double are ERR_MALFORMED, with where = LINE:COLUMN. The caller closes *out.
MUST_CHECK bool json_parse(Str text, Json **out, Error *err);

// The document as text in `arena`, keys in their order of insertion; indent 0 is one line. Fails with ERR_NO_MEMORY.
MUST_CHECK bool json_print(const Json *json, unsigned indent, Arena *arena, Str *out, Error *err);
// One line for people: with a blank after each comma and colon, as indented documents have it.
MUST_CHECK bool json_print_line(const Json *json, Arena *arena, Str *out, Error *err);

Json *json_hold(Json *json);     // one more owner; returns its argument
void json_close(Json **json);    // one owner less; NULL-safe
// Fails with ERR_NO_MEMORY when a builder below returned NULL.
MUST_CHECK bool json_ok(const Json *json, Error *err);

// Builds a tree by jansson's pack format: json_build("{s:s%, s:I}", "slug", slug.data, slug.len, "total", (json_int)
// 5). NULL without memory, or where a text isn't UTF-8.
typedef long long json_int;
Json *json_build(const char *format, ...);
Json *json_from_str(Str text);
Json *json_from_int(int64_t value);
Json *json_from_bool(bool value);
// Takes `value` in every case; false without memory (also when value is NULL).
bool json_put(Json *object, const char *key, Json *value);
MUST_CHECK bool json_set(Json *object, const char *key, Json *value, Error *err);    // fails with ERR_NO_MEMORY
bool json_append(Json *array, Json *value);

// Reading; every function takes NULL as a value that is absent.
JsonKind json_kind(const Json *json);                    // JSON_KIND_NULL for NULL
const Json *json_member(const Json *object, Str key);    // borrowed; NULL where absent or not an object
const Json *json_get(const Json *object, const char *key);
const Json *json_element(const Json *array, size_t i);    // borrowed; NULL beyond the end or not an array
size_t json_count(const Json *json);                      // elements or members, 0 for all else
Str json_str(const Json *json);                           // borrowed; the empty text unless it is a string
bool json_bool(const Json *json);                         // false unless it is true
bool json_is_int(const Json *json);
int64_t json_int64(const Json *json);    // 0 unless it is an integer
// A number as the shortest text that reads back the same, without an exponent from 1e-7 up to 1e21.
Str json_number_text(const Json *json, Arena *arena);

// Members in order: for (JsonIter it = json_iter(object); json_next(&it);) use it.key, it.value
typedef struct JsonIter {
    const Json *object;
    void *at;
    Str key;
    Json *value;    // borrowed
} JsonIter;
JsonIter json_iter(const Json *object);
bool json_next(JsonIter *it);
