// tests/test_file.c: files are read and written whole, and what can't be is said with its path.
#include "base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/more_check.h"

static Str work_path(Arena *arena, const char *name)
{
    const char *work = getenv("TEST_WORK");
    return str_format(arena, "%s/file-%d/%s", work ? work : "/tmp", (int)getpid(), name);
}

TEST(a_file_is_replaced_whole_and_read_back)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str path = work_path(arena, "deep/er/note"), text = S("");
    ck_assert_ok(directory_make(work_path(arena, "deep/er"), 0755, &err), &err);
    ck_assert_ok(directory_make(work_path(arena, "deep/er"), 0755, &err), &err);
    ck_assert_ok(file_write(path, S("one"), 0600, &err), &err);
    ck_assert_ok(file_write(path, S("a\0b"), 0640, &err), &err);
    ck_assert_ok(file_read(path, 100, arena, &text, &err), &err);
    ck_assert_str(text, S("a\0b"));
    struct stat info;
    ck_assert_int_eq(stat(path.data, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0640);
    ck_assert(file_exists(path));
}

TEST(a_file_that_is_missing_or_too_large_is_named)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str text = S("untouched");
    ck_assert(!file_read(work_path(arena, "missing"), 100, arena, &text, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "/missing'");
    error_clear(&err);
    ck_assert(!file_read(S("/proc/self/maps"), 10, arena, &text, &err));
    ck_assert_says(&err, ERR_TOO_LARGE, "more than 10 bytes");
    error_clear(&err);
    ck_assert(!file_read(S("a\0b"), 10, arena, &text, &err));
    ck_assert_says(&err, ERR_INVALID, "holds NUL");
    ck_assert_str(text, S("untouched"));
    ck_assert(!file_exists(work_path(arena, "missing")));
}

static const struct {
    Str path;
    ErrorCode code;
    const char *says;
} NOT_WRITTEN[] = {
    {S(""), ERR_INVALID, "the path '' is refused"},
    {S("/nonexistent/x/y"), ERR_NOT_FOUND, "'/nonexistent/x/y."},
    {S("/dev/null/x"), ERR_INVALID, "'/dev/null/x."},
    {S("/proc"), ERR_NOT_FOUND, "'/proc'"},
};

TEST(a_file_that_cannot_be_written_is_named)
{
    Error err = {0};
    ck_assert(!file_write(NOT_WRITTEN[_i].path, S("x"), 0600, &err));
    ck_assert_int_ne(err.code, ERR_NONE);
    ck_assert_contains(str_of(err.what), str_of(NOT_WRITTEN[_i].says));
}

TEST(a_directory_is_no_file)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str text = S("");
    ck_assert(!file_read(S("/"), 10, arena, &text, &err));
    ck_assert_says(&err, ERR_INVALID, "the file '/' can't be read");
    error_clear(&err);
    ck_assert(!directory_make(S("/dev/null/x"), 0700, &err));
    ck_assert_says(&err, ERR_INVALID, "the directory '/dev/null/x' can't be made");
    error_clear(&err);
    ck_assert(!file_write(S("/dev"), S("x"), 0600, &err));    // what is written beside it can't take its place
}

static bool file_in_memory(Arena *arena, Error *err)
{
    Str text = S("");
    if (!file_read(S("/proc/self/status"), KIB * 64, arena, &text, err))
        return false;
    ck_assert(str_has_prefix(text, S("Name:")));
    return true;
}

TEST(a_file_is_read_whole_or_memory_ran_out)
{
    check_every_budget(file_in_memory);
}

TEST(a_stamp_is_another_one_when_the_file_is)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    StrBuf before = {.arena = arena}, same = {.arena = arena}, after = {.arena = arena};
    Str path = work_path(arena, "stamped");
    ck_assert_ok(directory_make(work_path(arena, ""), 0755, &err), &err);
    ck_assert(file_write(path, S("one"), 0600, &err));
    ck_assert(file_stamp(path, &before, &err));
    ck_assert(file_stamp(path, &same, &err));
    ck_assert_str(strbuf_str(&same), strbuf_str(&before));
    ck_assert(file_write(path, S("four"), 0600, &err));
    ck_assert(file_stamp(path, &after, &err));
    ck_assert(!str_eq(strbuf_str(&after), strbuf_str(&before)));
    ck_assert(unlink(path.data) == 0);
    ck_assert(!file_stamp(path, &after, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "can't be read");
}

SUITE(file, ONCE(a_stamp_is_another_one_when_the_file_is), EACH(a_file_that_cannot_be_written_is_named, NOT_WRITTEN),
      ONCE(a_directory_is_no_file), ONCE(a_file_is_read_whole_or_memory_ran_out),
      ONCE(a_file_is_replaced_whole_and_read_back), ONCE(a_file_that_is_missing_or_too_large_is_named))
