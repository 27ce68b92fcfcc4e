// cli/prompt.c: asks a person, on stderr, and reads the answer from the standard input.
#include "cli/prompt.h"

#include "base/arena.h"

enum { LINE_MAX_BYTES = 256 };

bool prompt_word(const CommandCall *call, Str question, Str word, Error *err)
{
    if (call->is_yes || call->is_dry_run)
        return true;
    (void)fprintf(stderr, "%.*s.\nType '%.*s' to go on: ", STR_ARG(str_visible(call->arena, question)), STR_ARG(word));
    (void)fflush(stderr);
    char line[LINE_MAX_BYTES] = "";
    if (!fgets(line, sizeof(line), stdin)) {
        (void)fputc('\n', stderr);
        error_set(err, ERR_USAGE, "nothing was changed");
        error_why(err, "%.*s, and there is nobody to ask", STR_ARG(question));
        return error_next(err, "add --yes if that is what you want");
    }
    Str answer = str_trim(str_of(line));
    if (str_eq(answer, word))
        return true;
    error_set(err, ERR_FAILED, "nothing was changed");
    error_why(err, "'%.*s' was typed, not '%.*s'", STR_ARG(answer), STR_ARG(word));
    return error_next(err, "type it exactly, or add --yes");
}
