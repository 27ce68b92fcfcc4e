// cli/prompt.c: asks a person on the terminal, even where the standard input is a pipe.
#include "cli/prompt.h"

#include "base/arena.h"

enum { LINE_MAX_BYTES = 256 };

static void terminal_close(FILE **terminal)
{
    if (*terminal)
        (void)fclose(*terminal);
    *terminal = NULL;
}

bool prompt_word(const CommandCall *call, Str question, Str word, Error *err)
{
    if (call->is_yes || call->is_dry_run)
        return true;
    CLEANUP(terminal_close) FILE *terminal = fopen("/dev/tty", "r+e");
    if (!terminal) {
        error_set(err, ERR_USAGE, "%.*s, and there is nobody to ask", STR_ARG(question));
        error_why(err, "this runs without a terminal");
        return error_next(err, "add --yes if that is what you want");
    }
    (void)fprintf(terminal, "%.*s.\nType '%.*s' to go on: ", STR_ARG(output_visible(question, call->arena)),
                  STR_ARG(word));
    (void)fflush(terminal);
    char line[LINE_MAX_BYTES] = "";
    Str answer = fgets(line, sizeof(line), terminal) ? str_trim(str_of(line)) : S("");
    if (str_eq(answer, word))
        return true;
    error_set(err, ERR_FAILED, "nothing was changed");
    error_why(err, "'%.*s' was typed, not '%.*s'", STR_ARG(answer), STR_ARG(word));
    return error_next(err, "type it exactly, or add --yes");
}
