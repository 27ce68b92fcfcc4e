// provisioner/engine_lines.c: cuts an answer into its lines.
#include "provisioner/engine_lines.h"

static bool line_take(EngineLines *lines, Error *err)
{
    CLEANUP(json_close) Json *line = NULL;
    Error ignored = {0};
    Str text = {lines->text, lines->len};
    lines->len = 0;
    if (!json_parse(text, &line, &ignored))
        return true;
    Str failed = json_str(json_get(line, "error"));
    if (failed.len == 0)
        return !lines->take || lines->take(lines->context, line, err);
    bool is_barred = str_find(failed, S("unauthorized")) < failed.len || str_find(failed, S("denied")) < failed.len;
    error_set(err, is_barred ? ERR_FORBIDDEN : ERR_FAILED, "%.*s gave up", STR_ARG(engine_name(lines->engine)));
    return error_why(err, "%.*s", STR_ARG(failed));
}

bool engine_lines_put(void *context, Str bytes, Error *err)
{
    EngineLines *lines = context;
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] == '\n') {
            if (!line_take(lines, err))
                return false;
        } else if (lines->len == sizeof(lines->text)) {
            return error_set(err, ERR_TOO_LARGE, "%.*s says too much in one line", STR_ARG(engine_name(lines->engine)));
        } else {
            lines->text[lines->len++] = bytes.data[i];
        }
    }
    return true;
}

bool engine_lines_end(EngineLines *lines, Error *err) { return line_take(lines, err); }
