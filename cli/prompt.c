// cli/prompt.c: asks a person, on stderr or on the terminal, and reads the answer.
#include "cli/prompt.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

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

bool prompt_secret(const char *question, char *out, size_t size, Error *err)
{
    CLEANUP(fd_close) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios shown, hidden;
    if (fd < 0 || tcgetattr(fd, &shown) != 0) {
        error_set(err, ERR_FORBIDDEN, "%s can't be asked for", question);
        return error_why(err, "there is no terminal");
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    (void)dprintf(fd, "%s: ", question);
    (void)tcsetattr(fd, TCSAFLUSH, &hidden);
    ssize_t len = read(fd, out, size - 1);
    (void)tcsetattr(fd, TCSAFLUSH, &shown);
    (void)dprintf(fd, "\n");
    while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '\r'))
        len--;
    out[MAX(len, (ssize_t)0)] = '\0';
    return true;
}
