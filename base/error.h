// base/error.h: one error value: what happened, where, why, and what to do next.
#pragma once
#include "base/def.h"

typedef enum ErrorCode {
    ERR_NONE,
#define ERROR(code, name, http_status, exit_code, next) ERR_##code,
#include "base/error.def"
#undef ERROR
    ERR_COUNT
} ErrorCode;

enum { ERROR_TEXT = 320, ERROR_CAUSE = 160, ERROR_CAUSES = 4 };

// Owned by whoever waits (request, operation, main). Never allocates; copied by assignment, also across threads. Only
// `code` must be zero at the start. Texts longer than their place are cut at a character and end in "...".
typedef struct Error {
    ErrorCode code;
    unsigned cause_count;
    int line;
    const char *file;
    char what[ERROR_TEXT];     // lower case, no full stop, names in single quotes
    char where[ERROR_TEXT];    // FILE:LINE:COLUMN, or the field, or empty
    char why[ERROR_TEXT];
    char next[ERROR_TEXT];
    char causes[ERROR_CAUSES][ERROR_CAUSE];    // what lower layers said, the lowest first
} Error;

// Each returns false, so that a failing function can end in `return error_set(...)`.
// Sets an error where it is first known; it must not be set already.
#define error_set(err, code_, ...) error_set_at(err, code_, __FILE__, __LINE__, __VA_ARGS__)
bool error_set_at(Error *err, ErrorCode code, const char *file, int line, const char *format, ...) PRINTF(5, 6);
bool error_where(Error *err, const char *format, ...) PRINTF(2, 3);
bool error_why(Error *err, const char *format, ...) PRINTF(2, 3);
bool error_next(Error *err, const char *format, ...) PRINTF(2, 3);
// Says what this layer knows: the old `what` becomes a cause, and the why, where there was none. The code, where and
// next stay.
bool error_wrap(Error *err, const char *format, ...) PRINTF(2, 3);
// Sets an error from errno's value: ENOENT is ERR_NOT_FOUND, EACCES and EPERM ERR_FORBIDDEN, ENOMEM ERR_NO_MEMORY,
// EEXIST ERR_EXISTS, the rest ERR_FAILED; why is strerror's text.
#define error_from_errno(err, errno_, ...) error_from_errno_at(err, errno_, __FILE__, __LINE__, __VA_ARGS__)
bool error_from_errno_at(Error *err, int number, const char *file, int line, const char *format, ...) PRINTF(5, 6);

void error_clear(Error *err);    // whoever dealt with it

const char *error_name(ErrorCode code);    // "out-of-stock"
int error_http_status(ErrorCode code);
int error_exit_code(ErrorCode code);          // 0 for ERR_NONE
const char *error_advice(ErrorCode code);     // what to do when the error's own `next` is empty; may be empty
ErrorCode error_code_of(const char *name);    // the code with this name, ERR_FAILED for an unknown one
