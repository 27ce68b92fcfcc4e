// base/str.h: text as a view with a length, and what is done with it everywhere.
#pragma once
#include "base/def.h"

typedef struct Arena Arena;
typedef struct Error Error;

// A view of bytes: owns nothing, need not end in NUL, passed by value. What an arena makes does end in NUL.
typedef struct Str {
    const char *data;
    size_t len;
} Str;

#define S(literal) ((Str){"" literal, sizeof(literal) - 1})
#define STR_ARG(str) (int)(str).len, (str).data ? (str).data : ""    // for "%.*s"

Str str_of(const char *text);    // a view of a C string; NULL gives the empty text

// Questions. Comparisons are of bytes, but for str_eq_nocase, which folds A-Z only.
bool str_eq(Str a, Str b);
bool str_eq_nocase(Str a, Str b);
int str_compare(Str a, Str b);    // as memcmp; a prefix comes first
bool str_is_empty(Str text);
bool str_has_prefix(Str text, Str prefix);
bool str_has_suffix(Str text, Str suffix);
bool str_has_char(Str text, char c);
bool str_is_utf8(Str text);         // well-formed by RFC 3629, and without NUL
size_t str_characters(Str text);    // code points of what is UTF-8

// Views into the same bytes.
Str str_slice(Str text, size_t start, size_t end);    // [start, end), cut to what is there
Str str_skip(Str text, size_t count);
Str str_trim(Str text);                    // without blanks, tabs, CR and LF at both ends
size_t str_find(Str text, Str part);       // the offset, or text.len
size_t str_find_char(Str text, char c);    // the offset, or text.len
bool str_cut(Str *rest, char separator,
             Str *part);    // takes the part before the next separator; false when none is left

// New texts in the arena, ending in NUL; empty when the arena is spent (see arena_ok).
Str str_copy(Arena *arena, Str text);
Str str_format(Arena *arena, const char *format, ...) PRINTF(2, 3);
Str str_replace(Arena *arena, Str text, char from, char to);
Str str_join(Arena *arena, const Str *parts, size_t count, Str separator);
Str str_int(Arena *arena, int64_t value);    // in decimal
// STR_CONCAT(arena, part, ...): the parts one after the other; what str_format does with "%.*s%.*s", in a tenth of its
// time.
#define STR_CONCAT(arena, ...)                                                                                         \
    str_join(arena, (const Str[]){__VA_ARGS__}, sizeof((const Str[]){__VA_ARGS__}) / sizeof(Str), S(""))
Str str_lower(Arena *arena, Str text);    // A-Z only
// With control characters and broken UTF-8 written as \xNN, so that it can do nothing to a terminal.
Str str_visible(Arena *arena, Str text);

// Writing into room that the caller has: each gives the place after what it wrote, and adds no NUL.
enum { PUT_UINT_MAX = 20 };    // digits
char *put_str(char *at, Str text);
char *put_uint(char *at, uint64_t value);

// Reads a whole decimal number within [min, max]. Fails with ERR_INVALID, naming the text and the bounds.
MUST_CHECK bool str_int64(Str text, int64_t min, int64_t max, int64_t *out, Error *err);

// The row of `count` names that is nearest to `text` by edit distance, or the empty text where none is near enough to
// suggest (more than a third of the letters differ). Of two that are as near, the one that begins more like it.
Str str_nearest(Str text, const Str *names, size_t count);

// The number of single-character edits between two texts of up to 64 bytes each (Damerau-Levenshtein, optimal string
// alignment); longer ones give SIZE_MAX.
size_t str_distance(Str a, Str b);

// Text that grows in an arena; one pass, amortised. Zero is an empty buffer once `arena` is set.
typedef struct StrBuf {
    Arena *arena;
    char *data;
    size_t len;
    size_t capacity;
} StrBuf;

void strbuf_add(StrBuf *buf, Str text);
void strbuf_add_char(StrBuf *buf, char c);
void strbuf_format(StrBuf *buf, const char *format, ...) PRINTF(2, 3);
Str strbuf_str(StrBuf *buf);    // a view that ends in NUL, valid until the next addition
