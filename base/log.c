// base/log.c: JSON lines, each written by one call, so that lines of several threads don't mix.
#include "base/log.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"

enum { LINE_BUDGET = 64 * KIB };

static const char *const LEVEL_NAMES[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARNING] = "warning", [LOG_ERROR] = "error"};

static _Atomic LogLevel level_min = LOG_INFO;

void log_level_set(LogLevel level) { atomic_store(&level_min, level); }

bool log_is_on(LogLevel level) { return level >= atomic_load_explicit(&level_min, memory_order_relaxed); }

static void escaped_char(StrBuf *buf, unsigned char c)
{
    if (c == '"' || c == '\\')
        strbuf_format(buf, "\\%c", c);
    else if (c < 0x20 || c == 0x7F)
        strbuf_format(buf, "\\u%04x", c);
    else
        strbuf_add_char(buf, (char)c);
}

void log_field_str(StrBuf *buf, const char *key, Str value)
{
    strbuf_format(buf, "\"%s\":\"", key);
    if (str_is_utf8(value)) {
        for (size_t i = 0; i < value.len; i++)
            escaped_char(buf, (unsigned char)value.data[i]);
    } else {
        for (size_t i = 0; i < value.len; i++)
            if ((unsigned char)value.data[i] < 0x80)
                escaped_char(buf, (unsigned char)value.data[i]);
            else
                strbuf_add(buf, S("\\ufffd"));
    }
    strbuf_add(buf, S("\","));
}

void log_field_int(StrBuf *buf, const char *key, int64_t value)
{
    strbuf_format(buf, "\"%s\":%lld,", key, (long long)value);
}

void log_line(LogLevel level, const char *event, Str fields)
{
    if (!log_is_on(level))
        return;
    char time[CLOCK_TEXT];
    char head[160];
    Str now = clock_rfc3339(clock_unix_ms(), time);
    int length = snprintf(head, sizeof(head), "{\"time\":\"%.*s\",\"level\":\"%s\",\"event\":\"%s\"%s", STR_ARG(now),
                          LEVEL_NAMES[level], event, fields.len ? "," : "");
    if (fields.len && fields.data[fields.len - 1] == ',')
        fields.len--;
    char line[8 * KIB];
    size_t total = MIN((size_t)length, sizeof(head) - 1);
    memcpy(line, head, total);
    size_t room = sizeof(line) - total - sizeof("}\n");
    if (fields.len > room)
        fields = S("\"cut\":true");
    if (fields.len)
        memcpy(line + total, fields.data, fields.len);
    total += fields.len;
    memcpy(line + total, "}\n", 2);
    ssize_t written = write(STDERR_FILENO, line, total + 2);
    (void)written;    // there is nobody to tell
}

void log_error(const char *event, const Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(LINE_BUDGET);
    StrBuf fields = {.arena = arena};
    log_field_str(&fields, "code", str_of(error_name(err->code)));
    const struct {
        const char *key;
        const char *text;
    } texts[] = {{"what", err->what}, {"where", err->where}, {"why", err->why}, {"next", err->next}};
    for (size_t i = 0; i < COUNT(texts); i++)
        if (texts[i].text[0])
            log_field_str(&fields, texts[i].key, str_of(texts[i].text));
    for (unsigned i = 0; i < err->cause_count; i++)
        log_field_str(&fields, "cause", str_of(err->causes[i]));
    log_line(LOG_ERROR, event, strbuf_str(&fields));
}
