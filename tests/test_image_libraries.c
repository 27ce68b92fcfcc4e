// tests/test_image_libraries.c: the libraries of programs are found once, and again when something changed.
#include "provisioner/image_libraries.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/process.h"
#include "tests/support/more_check.h"

static Arena *arena;
static Str directory;

#define TEXT(...) str_format(arena, __VA_ARGS__)

static void shell(Str script)
{
    Error err = {0};
    Str output;
    const char *argv[] = {"sh", "-c", script.data, NULL};
    ck_assert_ok(process_run(&(ProcessSpec){.argv = argv}, 10000, arena, &output, &err), &err);
}

static void open_all(void)
{
    char template[] = "/tmp/shop-libraries.XXXXXX";
    arena = arena_open(MIB);
    ck_assert_ptr_nonnull(mkdtemp(template));
    directory = str_copy(arena, str_of(template));
    shell(TEXT("cp /bin/ls %s/program", template));
}

static void close_all(void)
{
    shell(TEXT("rm -rf %.*s", STR_ARG(directory)));
    arena_close(&arena);
}

static Str found(void)
{
    Error err = {0};
    Str paths = S("");
    const char *programs[] = {TEXT("%.*s/program", STR_ARG(directory)).data};
    ck_assert_ok(image_libraries(directory, programs, COUNT(programs), arena, &paths, &err), &err);
    return paths;
}

// A line more in what is kept.
static void say(const char *path)
{
    shell(TEXT("for file in %.*s/libraries-*; do echo %s >>$file; done", STR_ARG(directory), path));
}

TEST(what_ldd_said_is_kept_until_something_changes)
{
    open_all();
    Str first = found();
    ck_assert_contains(first, S("/libc.so.6\n"));
    ck_assert_contains(first, S("/libselinux.so.1\n"));
    say("/bin/true");
    ck_assert_str(found(), STR_CONCAT(arena, first, S("/bin/true\n")));    // as it was kept
    say("/bin/nothing");
    ck_assert_str(found(), first);    // one that is gone isn't believed in
    say("/bin/true");
    shell(TEXT("cp /bin/true %.*s/program", STR_ARG(directory)));
    ck_assert_lacks(found(), S("/libselinux.so.1\n"));    // another program
    close_all();
}

TEST(what_is_missing_is_named)
{
    open_all();
    Error err = {0};
    Str paths = S("");
    const char *nothing[] = {"/bin/nothing"}, *text[] = {TEXT("%.*s/text", STR_ARG(directory)).data};
    ck_assert(!image_libraries(directory, nothing, 1, arena, &paths, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "/bin/nothing");
    error_clear(&err);
    shell(TEXT("echo no program >%s", text[0]));
    ck_assert(!image_libraries(directory, text, 1, arena, &paths, &err));
    ck_assert_says(&err, ERR_FAILED, text[0]);
    error_clear(&err);
    ck_assert(!image_libraries(S("/nowhere"), (const char *[]){"/bin/ls"}, 1, arena, &paths, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "/nowhere");
    close_all();
}

SUITE(image_libraries, ONCE(what_ldd_said_is_kept_until_something_changes), ONCE(what_is_missing_is_named))
