// base/str.c: text as a view with a length.
#include "base/str.h"

#include <ctype.h>
#include <stdarg.h>

#include "base/arena.h"
#include "base/error.h"

enum { DISTANCE_MAX = 64, BUF_FIRST = 256 };

Str str_of(const char *text) { return text ? (Str){text, strlen(text)} : S(""); }

bool str_eq(Str a, Str b) { return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0); }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

bool str_eq_nocase(Str a, Str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

int str_compare(Str a, Str b)
{
    size_t shared = MIN(a.len, b.len);
    int order = shared ? memcmp(a.data, b.data, shared) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool str_is_empty(Str text) { return text.len == 0; }

bool str_has_prefix(Str text, Str prefix)
{
    return text.len >= prefix.len && str_eq(str_slice(text, 0, prefix.len), prefix);
}

bool str_has_suffix(Str text, Str suffix)
{
    return text.len >= suffix.len && str_eq(str_skip(text, text.len - suffix.len), suffix);
}

bool str_has_char(Str text, char c) { return str_find_char(text, c) < text.len; }

// The bytes of the well-formed sequence at `s`, 0 where there is none (RFC 3629, section 4).
static size_t utf8_length(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return s[0] != 0;
    size_t length = s[0] >= 0xC2 && s[0] <= 0xDF ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4 : 0;
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool outside = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
    return overlong || outside ? 0 : length;
}

bool str_is_utf8(Str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t length = utf8_length((const unsigned char *)text.data + i, text.len - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

size_t str_characters(Str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += (text.data[i] & 0xC0) != 0x80;
    return count;
}

Str str_slice(Str text, size_t start, size_t end)
{
    end = MIN(end, text.len);
    start = MIN(start, end);
    return text.data ? (Str){text.data + start, end - start} : S("");
}

Str str_skip(Str text, size_t count) { return str_slice(text, count, text.len); }

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

Str str_trim(Str text)
{
    while (text.len > 0 && is_blank(text.data[0]))
        text = str_skip(text, 1);
    while (text.len > 0 && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

size_t str_find(Str text, Str part)
{
    const char *at = text.len ? memmem(text.data, text.len, part.data, part.len) : NULL;
    return at ? (size_t)(at - text.data) : text.len;
}

size_t str_find_char(Str text, char c)
{
    const char *at = text.len ? memchr(text.data, c, text.len) : NULL;
    return at ? (size_t)(at - text.data) : text.len;
}

bool str_cut(Str *rest, char separator, Str *part)
{
    if (!rest->data)
        return false;
    size_t at = str_find_char(*rest, separator);
    *part = str_slice(*rest, 0, at);
    *rest = at < rest->len ? str_skip(*rest, at + 1) : (Str){0};
    return true;
}

Str str_copy(Arena *arena, Str text)
{
    char *copy = arena_bytes(arena, text.len + 1);
    if (!copy)
        return S("");
    if (text.len)
        memcpy(copy, text.data, text.len);
    return (Str){copy, text.len};
}

static PRINTF(2, 0) Str format_list(Arena *arena, const char *format, va_list list)
{
    va_list again;
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, list);
    char *text = length < 0 ? NULL : arena_bytes(arena, (size_t)length + 1);
    if (text)
        (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text ? (Str){text, (size_t)length} : S("");
}

Str str_format(Arena *arena, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    Str text = format_list(arena, format, list);
    va_end(list);
    return text;
}

Str str_replace(Arena *arena, Str text, char from, char to)
{
    Str copy = str_copy(arena, text);
    for (size_t i = 0; i < copy.len; i++)
        if (copy.data[i] == from)
            ((char *)copy.data)[i] = to;
    return copy;
}

Str str_join(Arena *arena, const Str *parts, size_t count, Str separator)
{
    size_t length = count > 0 ? (count - 1) * separator.len : 0;
    for (size_t i = 0; i < count; i++)
        length += parts[i].len;
    char *text = arena_bytes(arena, length + 1), *at = text;
    for (size_t i = 0; text && i < count; i++) {
        at = put_str(at, i > 0 ? separator : S(""));
        at = put_str(at, parts[i]);
    }
    return text ? (Str){text, length} : S("");
}

Str str_int(Arena *arena, int64_t value)
{
    char text[PUT_UINT_MAX + 1] = "-";
    bool is_negative = value < 0;
    char *end = put_uint(text + is_negative, is_negative ? 0 - (uint64_t)value : (uint64_t)value);
    return str_copy(arena, (Str){text, (size_t)(end - text)});
}

char *put_str(char *at, Str text)
{
    if (text.len > 0)
        memcpy(at, text.data, text.len);
    return at + text.len;
}

char *put_uint(char *at, uint64_t value)
{
    char digits[PUT_UINT_MAX];
    size_t first = sizeof(digits);
    do
        digits[--first] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    return put_str(at, (Str){digits + first, sizeof(digits) - first});
}

Str str_lower(Arena *arena, Str text)
{
    Str copy = str_copy(arena, text);
    for (size_t i = 0; i < copy.len; i++)
        ((char *)copy.data)[i] = lower(copy.data[i]);
    return copy;
}

Str str_visible(Arena *arena, Str text)
{
    StrBuf buf = {.arena = arena};
    for (size_t i = 0; i < text.len;) {
        const unsigned char *s = (const unsigned char *)text.data + i;
        size_t length = utf8_length(s, text.len - i);
        bool is_c1 = length == 2 && s[0] == 0xC2 && s[1] < 0xA0;
        if (length == 0 || s[0] < 0x20 || s[0] == 0x7F)
            strbuf_format(&buf, "\\x%02x", s[0]);
        else if (is_c1)
            strbuf_format(&buf, "\\x%02x", s[1]);
        else
            strbuf_add(&buf, str_slice(text, i, i + length));
        i += MAX(length, (size_t)1);
    }
    return strbuf_str(&buf);
}

static bool digits_value(Str text, int64_t *out)
{
    bool negative = text.len > 1 && text.data[0] == '-';
    int64_t value = 0;
    for (size_t i = negative; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, (int64_t)(text.data[i] - '0'), &value))    // negative, to reach INT64_MIN
            return false;
    }
    *out = value;
    return text.len > 0 && (negative || !__builtin_sub_overflow((int64_t)0, value, out));
}

bool str_int64(Str text, int64_t min, int64_t max, int64_t *out, Error *err)
{
    int64_t value = 0;
    if (digits_value(text, &value) && value >= min && value <= max) {
        *out = value;
        return true;
    }
    error_set(err, ERR_INVALID, "'%.*s' is refused", STR_ARG(text));
    error_why(err, "it isn't a whole number from %lld to %lld", (long long)min, (long long)max);
    return false;
}

size_t str_distance(Str a, Str b)
{
    if (a.len > DISTANCE_MAX || b.len > DISTANCE_MAX)
        return SIZE_MAX;
    size_t rows[3][DISTANCE_MAX + 1] = {{0}};    // row i lies in rows[i % 3]
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.data[i - 1] == b.data[j - 1];
            now[j] = MIN(MIN(before[j] + 1, now[j - 1] + 1), before[j - 1] + !same);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                now[j] = MIN(now[j], two_before[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

Str str_nearest(Str text, const Str *names, size_t count)
{
    Str nearest = S("");
    size_t best = SIZE_MAX, best_prefix = 0;
    for (size_t i = 0; i < count; i++) {
        size_t distance = str_distance(text, names[i]), prefix = 0;
        while (prefix < MIN(text.len, names[i].len) && text.data[prefix] == names[i].data[prefix])
            prefix++;
        bool is_nearer = distance < best || (distance == best && prefix > best_prefix);
        if (is_nearer && distance <= (MAX(text.len, names[i].len) + 2) / 3) {
            best = distance;
            best_prefix = prefix;
            nearest = names[i];
        }
    }
    return nearest;
}

static bool buf_reserve(StrBuf *buf, size_t more)
{
    if (buf->data && buf->capacity - buf->len > more)    // one stays for the NUL
        return true;
    size_t capacity = MAX(MAX(buf->capacity * 2, (size_t)BUF_FIRST), buf->len + more + 1);
    char *data = arena_bytes(buf->arena, capacity);
    if (!data)
        return false;
    if (buf->data)
        memcpy(data, buf->data, buf->len);
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void strbuf_add(StrBuf *buf, Str text)
{
    if (text.len == 0 || !buf_reserve(buf, text.len))
        return;
    memcpy(buf->data + buf->len, text.data, text.len);
    buf->len += text.len;
}

void strbuf_add_char(StrBuf *buf, char c) { strbuf_add(buf, (Str){&c, 1}); }

void strbuf_format(StrBuf *buf, const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, list);
    if (length > 0 && buf_reserve(buf, (size_t)length))
        buf->len += (size_t)vsnprintf(buf->data + buf->len, (size_t)length + 1, format, again);
    va_end(again);
    va_end(list);
}

Str strbuf_str(StrBuf *buf)
{
    if (!buf_reserve(buf, 0))
        return S("");
    buf->data[buf->len] = '\0';
    return (Str){buf->data, buf->len};
}
