// provisioner/image_libraries.c: asks ldd, and remembers what it said.
#include "provisioner/image_libraries.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/process.h"
#include "provisioner/digest.h"

enum { LDD_MS = 20000, AT_ONCE = 16, KNOWN_MAX = MIB };

// What the dynamic linker says: "	libpq.so.5 => /lib/x86_64-linux-gnu/libpq.so.5 (0x...)", after "PROGRAM:" where
// it was asked of several.
static void said_read(Str said, StrBuf *paths)
{
    Str line;
    while (str_cut(&said, '\n', &line)) {
        size_t arrow = str_find(line, S("=> "));
        Str path = str_trim(arrow < line.len ? str_skip(line, arrow + 3) : line);
        bool is_library = str_find(path, S(" (0x")) < path.len;
        path = str_slice(path, 0, str_find_char(path, ' '));
        if (is_library && str_has_prefix(path, S("/")))
            strbuf_format(paths, "%.*s\n", STR_ARG(path));
    }
}

static bool some_ask(const char *const *programs, size_t count, StrBuf *paths, Error *err)
{
    const char *argv[AT_ONCE + 2] = {"ldd"};
    Str said = S("");
    memcpy(&argv[1], programs, count * sizeof(*programs));
    if (!process_run(&(ProcessSpec){.argv = argv}, LDD_MS, paths->arena, &said, err))
        return error_wrap(err, "the libraries of '%s' can't be found", programs[0]);
    if (str_find(said, S("not found")) < said.len) {
        error_set(err, ERR_NOT_FOUND, "a library of '%s', or of a program beside it, is missing", programs[0]);
        return error_next(err, "see ldd %s", programs[0]);
    }
    said_read(said, paths);
    return true;
}

static bool known_path(Str directory, const char *const *programs, size_t count, Arena *arena, Str *out, Error *err)
{
    char digest[DIGEST_TEXT];
    StrBuf about = {.arena = arena};
    if (!file_stamp(S("/etc/ld.so.cache"), &about, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!file_stamp(str_of(programs[i]), &about, err))
            return false;
    Str name = str_slice(digest_text(strbuf_str(&about), digest), 0, 16);
    *out = str_format(arena, "%.*s/libraries-%.*s", STR_ARG(directory), STR_ARG(name));
    return arena_ok(arena, err);
}

static bool are_all_there(Str paths, Arena *arena)
{
    Str path;
    while (str_cut(&paths, '\n', &path))
        if (path.len && !file_exists(str_copy(arena, path)))
            return false;
    return true;
}

bool image_libraries(Str directory, const char *const *programs, size_t count, Arena *arena, Str *out, Error *err)
{
    StrBuf paths = {.arena = arena};
    Error ignored = {0};
    Str known;
    if (!known_path(directory, programs, count, arena, &known, err))
        return false;
    if (file_exists(known) && file_read(known, KNOWN_MAX, arena, out, &ignored) && are_all_there(*out, arena))
        return true;
    for (size_t at = 0; at < count; at += AT_ONCE)
        if (!some_ask(&programs[at], MIN(count - at, (size_t)AT_ONCE), &paths, err))
            return false;
    *out = strbuf_str(&paths);
    return arena_ok(arena, err) && file_write(known, *out, 0644, err);
}
