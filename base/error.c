// base/error.c: one error value, filled in place.
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>

typedef struct ErrorRow {
    const char *name;
    int http_status;
    int exit_code;
    const char *next;
} ErrorRow;

static const ErrorRow ERROR_ROWS[ERR_COUNT] = {
    [ERR_NONE] = {"none", 200, 0, ""},
#define ERROR(code, name, http_status, exit_code, next) [ERR_##code] = {name, http_status, exit_code, next},
#include "base/error.def"
#undef ERROR
};

// Cuts before a character that the end would split, and says so.
static void text_end(char *text, size_t size, int wanted)
{
    if (wanted >= 0 && (size_t)wanted < size)
        return;
    size_t end = size - sizeof("...");
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    memcpy(text + end, "...", sizeof("..."));
}

static PRINTF(3, 0) void text_set(char *text, size_t size, const char *format, va_list list)
{
    text_end(text, size, vsnprintf(text, size, format, list));
}

#define TEXT_FROM_ARGUMENTS(member)                                                                                    \
    do {                                                                                                               \
        va_list list;                                                                                                  \
        va_start(list, format);                                                                                        \
        text_set(member, sizeof(member), format, list);                                                                \
        va_end(list);                                                                                                  \
    } while (0)

static void error_start(Error *err, ErrorCode code, const char *file, int line)
{
    assert(err->code == ERR_NONE && code != ERR_NONE);
    err->code = code;
    err->cause_count = 0;
    err->file = file;
    err->line = line;
    err->what[0] = err->where[0] = err->why[0] = err->next[0] = '\0';
}

bool error_set_at(Error *err, ErrorCode code, const char *file, int line, const char *format, ...)
{
    error_start(err, code, file, line);
    TEXT_FROM_ARGUMENTS(err->what);
    return false;
}

bool error_where(Error *err, const char *format, ...)
{
    TEXT_FROM_ARGUMENTS(err->where);
    return false;
}

bool error_why(Error *err, const char *format, ...)
{
    TEXT_FROM_ARGUMENTS(err->why);
    return false;
}

bool error_next(Error *err, const char *format, ...)
{
    TEXT_FROM_ARGUMENTS(err->next);
    return false;
}

bool error_wrap(Error *err, const char *format, ...)
{
    assert(err->code != ERR_NONE);
    if (err->cause_count < ERROR_CAUSES) {
        char *cause = err->causes[err->cause_count++];
        text_end(cause, ERROR_CAUSE, snprintf(cause, ERROR_CAUSE, "%s", err->what));
    }
    if (err->why[0] == '\0')
        memcpy(err->why, err->what, sizeof(err->why));
    TEXT_FROM_ARGUMENTS(err->what);
    return false;
}

static ErrorCode code_from_errno(int number)
{
    switch (number) {
    case ENOENT: return ERR_NOT_FOUND;
    case EACCES:
    case EPERM: return ERR_FORBIDDEN;
    case ENOMEM: return ERR_NO_MEMORY;
    case EEXIST: return ERR_EXISTS;
    case EISDIR:
    case ENOTDIR: return ERR_INVALID;
    default: return ERR_FAILED;
    }
}

bool error_from_errno_at(Error *err, int number, const char *file, int line, const char *format, ...)
{
    error_start(err, code_from_errno(number), file, line);
    TEXT_FROM_ARGUMENTS(err->what);
    char text[ERROR_CAUSE];
    return error_why(err, "%s", strerror_r(number, text, sizeof(text)));
}

void error_clear(Error *err) { err->code = ERR_NONE; }

const char *error_name(ErrorCode code) { return ERROR_ROWS[code].name; }
int error_http_status(ErrorCode code) { return ERROR_ROWS[code].http_status; }
int error_exit_code(ErrorCode code) { return ERROR_ROWS[code].exit_code; }
const char *error_advice(ErrorCode code) { return ERROR_ROWS[code].next; }

ErrorCode error_code_of(const char *name)
{
    for (ErrorCode code = ERR_NONE + 1; code < ERR_COUNT; code++)
        if (strcmp(ERROR_ROWS[code].name, name) == 0)
            return code;
    return ERR_FAILED;
}
