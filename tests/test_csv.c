// tests/test_csv.c: every kind of CSV is read row by row, and what is written reads back the same.
#include "base/csv.h"

#include "base/file.h"
#include "tests/support/more_check.h"

enum { BUDGET = 32 * MIB };

// Rows as text: LINE[field|field], a fault as LINE!FIELD!TEXT!, one behind the other.
static bool take(void *context, const CsvRow *row, Error *err)
{
    (void)err;
    StrBuf *buf = context;
    strbuf_format(buf, "%u%s", row->line, row->fault ? "!" : "[");
    for (size_t i = 0; i < row->count && !row->fault; i++) {
        strbuf_add(buf, i ? S("|") : S(""));
        strbuf_add(buf, row->fields[i]);
    }
    if (row->fault)
        strbuf_format(buf, "%zu!%.*s!", row->fault_field, STR_ARG(str_visible(buf->arena, row->fault_text)));
    else
        strbuf_add_char(buf, ']');
    return true;
}

static bool read_text(Str text, size_t step, const CsvOptions *options, StrBuf *seen, Error *err)
{
    CLEANUP(csv_close) Csv *csv = NULL;
    if (!csv_open(options, take, seen, &csv, err))
        return false;
    for (size_t at = 0; at < text.len; at += step)
        if (!csv_feed(csv, str_slice(text, at, at + step), err))
            return false;
    return csv_end(csv, err);
}

typedef struct Case {
    Str text;
    const char *seen;
} Case;

static const Case CASES[] = {
    {S(""), ""},
    {S("\n\r\n  \n"), ""},
    {S("a"), "1[a]"},
    {S("a,b\n1,2\n"), "1[a|b]2[1|2]"},
    {S("a,b\r\n1,2\r\n"), "1[a|b]2[1|2]"},
    {S("a,b\r1,2\r"), "1[a|b]2[1|2]"},
    {S("\xEF\xBB\xBF"
       "a,b\n1,2"),
     "1[a|b]2[1|2]"},
    {S("\xEF\xBB\xBF\"a\",b\n"), "1[a|b]"},
    {S("a,b\n\n\n1,2\n"), "1[a|b]4[1|2]"},
    {S("a,b\r\n\r\n1,2\n"), "1[a|b]3[1|2]"},
    {S("a,b\n \n1,2\n"), "1[a|b]3[1|2]"},
    {S("a,b\n\"x\ny\r\nz\rq\",2\nc,d\n"), "1[a|b]2[x\ny\r\nz\rq|2]6[c|d]"},
    {S("\"a\nb\nc\nd\",e\n"), "1[a\nb\nc\nd|e]"},
    {S("a,,\n,,\n"), "1[a||]2[||]"},
    {S("a,\"\"\n\"\"\n"), "1[a|]2[]"},
    {S("  a , b \n\"  a \",b\n"), "1[a|b]2[  a |b]"},
    {S("\"say \"\"hi\"\"\",b\n"), "1[say \"hi\"|b]"},
    {S("a;b\n1,5;2\n"), "1[a|b]2[1,5|2]"},
    {S("a\tb\n1,5\t2\n\t\n"), "1[a|b]2[1,5|2]3[|]"},
    {S("\"a;b\",c\n1;2,3\n"), "1[a;b|c]2[1;2|3]"},
    {S("a,b\nx\"y,2\nc,d\n"), "1[a|b]2!0!x\"!3[c|d]"},
    {S("a,b\n\"x\"y,2\nc,d\n"), "1[a|b]2!0!x\"y!3[c|d]"},
    {S("a,b\n\"x\n\"y,2\nc,d\n"), "1[a|b]2!0!x\\x0a\"y!4[c|d]"},
    {S("a,b\nc,\"d\ne,f\n"), "1[a|b]2!1!d\\x0ae,f\\x0a!"},
    {S("a,b\nc,\xE9\ne,f"), "1[a|b]2!1!\\xe9!3[e|f]"},
    {S("a,b\nc\0,d\ne,f"), "1[a|b]2!0!c\\x00!3[e|f]"},
    {S("a,b\nc,\"x\"\xC3\xA9\ne,f"), "1[a|b]2!1!x\"\\xc3!3[e|f]"},
    {S("sep=;\na;b,c\n"), "2[a|b,c]"},
    {S("\xEF\xBB\xBFsep=\t\r\n\r\na\tb;;c\r\n"), "3[a|b;;c]"},
    {S("sep=\n"), "1[sep=]"},
    {S("sep=;;\n"), "1[sep=||]"},
    {S("a;b,c;d\n"), "1[a|b,c|d]"},
    {S("a\tb\n\n \nc\td\n"), "1[a|b]4[c|d]"},
    {S("\xC3\xB1,\xE2\x82\xAC\n"), "1[\xC3\xB1|\xE2\x82\xAC]"},
};

TEST(a_document_is_read_the_same_in_pieces_of_any_size)
{
    static const size_t STEPS[] = {1, 2, 3, 7, 1000};
    for (size_t i = 0; i < COUNT(STEPS); i++) {
        CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
        StrBuf seen = {.arena = arena};
        Error err = {0};
        ck_assert_ok(read_text(CASES[_i].text, STEPS[i], &(CsvOptions){0}, &seen, &err), &err);
        ck_assert_str(strbuf_str(&seen), str_of(CASES[_i].seen));
    }
}

static const Str WIDE[] = {S("\xFF\xFE"
                             "a\0,\0"),
                           S("a\0,\0\n\0"), S("\0a\0,\0\n"), S("\0\0\0a")};

TEST(utf_16_is_refused_and_says_what_to_do)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf seen = {.arena = arena};
    Error err = {0};
    ck_assert(!read_text(WIDE[_i], 100, &(CsvOptions){0}, &seen, &err));
    ck_assert_says(&err, ERR_MALFORMED, "save it as CSV UTF-8");
}

typedef struct Large {
    Str text;
    CsvOptions options;
    const char *seen;
} Large;

static const Large LARGE[] = {
    {S("a,b\n\"1234567890123456"), {.row_max_bytes = 16}, "1[a|b]2!0!123456789012345!"},
    {S("a,b\n1,2,3,4\nc,d\n"), {.field_max_count = 3}, "1[a|b]2!3!!3[c|d]"},
    {S("a,b\n1,2,\xFF,4\nc,d\n"), {.field_max_count = 3}, "1[a|b]2!3!!3[c|d]"},
    {S("a,b\n1234567890123456,\nc,d\n"), {.row_max_bytes = 16}, "1[a|b]2!0!1234567890123456!3[c|d]"},
    {S("a,b\n12345678901234567\r\nc,d\n"), {.row_max_bytes = 16}, "1[a|b]2!0!1234567890123456!3[c|d]"},
    {S("a,b\nx,\"1\n2\"\"3456789012\nno,row\n\"\"\"\n\"c\",d\n"),
     {.row_max_bytes = 16},
     "1[a|b]2!1!1\\x0a2\"34567890!6[c|d]"},
    {S("a,b\n123456789012345678901234567890,\"\n\"\nc,d\n"),
     {.row_max_bytes = 16},
     "1[a|b]2!0!1234567890123456!4[c|d]"},
    {S("a,b\n123456789012345678901234567890\n123456789012345678901234567890\nc,d\n"),
     {.row_max_bytes = 16},
     "1[a|b]2!0!1234567890123456!3!0!1234567890123456!4[c|d]"},
};

TEST(a_row_beyond_the_limits_comes_with_its_fault_and_reading_goes_on)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf seen = {.arena = arena};
    Error err = {0};
    ck_assert_ok(read_text(LARGE[_i].text, 1, &LARGE[_i].options, &seen, &err), &err);
    ck_assert_str(strbuf_str(&seen), str_of(LARGE[_i].seen));
}

TEST(a_first_line_longer_than_what_tells_the_delimiter_is_read_whole)
{
    enum { LONG = 70000 };
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf text = {.arena = arena}, seen = {.arena = arena};
    Error err = {0};
    strbuf_add(&text, S("a;b"));
    for (int i = 0; i < LONG; i++)
        strbuf_add_char(&text, 'x');
    strbuf_add(&text, S(";c\n1;2,5;3"));
    ck_assert_ok(read_text(strbuf_str(&text), 1000, &(CsvOptions){0}, &seen, &err), &err);
    ck_assert(str_has_prefix(strbuf_str(&seen), S("1[a|bxxx")));
    ck_assert(str_has_suffix(strbuf_str(&seen), S("xxx|c]2[1|2,5|3]")));
}

TEST(a_delimiter_that_is_given_holds_whatever_the_first_line_says)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf seen = {.arena = arena};
    Error err = {0};
    ck_assert_ok(read_text(S("sep=,\na,b;c\n"), 100, &(CsvOptions){.delimiter = ';'}, &seen, &err), &err);
    ck_assert_str(strbuf_str(&seen), S("1[sep=,]2[a,b|c]"));
}

static bool refuse(void *context, const CsvRow *row, Error *err)
{
    ++*(int *)context;
    return row->line < 2 || error_set(err, ERR_INVALID, "no");
}

TEST(whoever_takes_rows_can_end_the_reading)
{
    CLEANUP(csv_close) Csv *csv = NULL;
    Error err = {0};
    int count = 0;
    ck_assert_ok(csv_open(&(CsvOptions){0}, refuse, &count, &csv, &err), &err);
    ck_assert(!csv_feed(csv, S("1\n2\n3\n4\n"), &err));
    ck_assert_says(&err, ERR_INVALID, "no");
    ck_assert_int_eq(count, 2);
}

static const Str LAST_ROWS[] = {S("1\n2"), S("1\n\"2"), S("1\n2\"x\n3")};

TEST(also_the_last_row_and_a_broken_one_can_be_refused)
{
    CLEANUP(csv_close) Csv *csv = NULL;
    Error err = {0};
    int count = 0;
    ck_assert_ok(csv_open(&(CsvOptions){0}, refuse, &count, &csv, &err), &err);
    ck_assert(!csv_feed(csv, LAST_ROWS[_i], &err) || !csv_end(csv, &err));
    ck_assert_says(&err, ERR_INVALID, "no");
    ck_assert_int_eq(count, 2);
}

static const Case FIELDS[] = {
    {S(""), ""},
    {S("plain"), "plain"},
    {S("a,b"), "\"a,b\""},
    {S("a;b"), "\"a;b\""},
    {S("say \"hi\""), "\"say \"\"hi\"\"\""},
    {S("\"\""), "\"\"\"\"\"\""},
    {S("a\nb"), "\"a\nb\""},
    {S("a\rb"), "\"a\rb\""},
    {S(" a"), "\" a\""},
    {S("a\t"), "\"a\t\""},
    {S("=1+1"), "'=1+1"},
    {S("+34 600"), "'+34 600"},
    {S("-5%"), "'-5%"},
    {S("@x"), "'@x"},
    {S("\tx"), "\"'\tx\""},
    {S("\rx"), "\"'\rx\""},
    {S("=\"a\""), "\"'=\"\"a\"\"\""},
    {S("'=x"), "''=x"},
    {S("'''-x"), "''''-x"},
    {S("'quoted'"), "'quoted'"},
    {S("'"), "'"},
    {S("''"), "''"},
    {S("a=b"), "a=b"},
};

static bool take_one(void *context, const CsvRow *row, Error *err)
{
    (void)err;
    StrBuf *buf = context;
    ck_assert_uint_eq(row->count, 2);
    strbuf_add(buf, csv_unguard(row->fields[1]));
    return true;
}

TEST(what_is_written_is_quoted_guarded_and_reads_back_the_same)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf buf = {.arena = arena}, seen = {.arena = arena};
    CsvWriter writer = {.buf = &buf};
    csv_put_int(&writer, -7);
    csv_put(&writer, FIELDS[_i].text);
    csv_row_end(&writer);
    ck_assert_str(strbuf_str(&buf), str_format(arena, "-7,%s\r\n", FIELDS[_i].seen));
    ck_assert_str(csv_unguard(csv_guard(arena, FIELDS[_i].text)), FIELDS[_i].text);
    Error err = {0};
    CLEANUP(csv_close) Csv *csv = NULL;
    ck_assert_ok(csv_open(&(CsvOptions){0}, take_one, &seen, &csv, &err) && csv_feed(csv, strbuf_str(&buf), &err) &&
                     csv_end(csv, &err),
                 &err);
    ck_assert_str(strbuf_str(&seen), FIELDS[_i].text);
}

TEST(a_row_of_one_empty_field_is_no_blank_line)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf buf = {.arena = arena};
    CsvWriter writer = {.buf = &buf};
    csv_put(&writer, S(""));
    csv_row_end(&writer);
    ck_assert_str(strbuf_str(&buf), S("\"\"\r\n"));
}

TEST(a_file_is_read_and_a_missing_one_is_named)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf seen = {.arena = arena}, text = {.arena = arena};
    const char *work = getenv("TEST_WORK");
    Str path = str_format(arena, "%s/rows.csv", work ? work : "/tmp");
    Error err = {0};
    for (int i = 0; i < 50000; i++)
        strbuf_add(&text, S("a,\"b\"\r\n"));
    ck_assert_ok(file_write(path, strbuf_str(&text), 0600, &err), &err);
    ck_assert_ok(csv_read_file(path, &(CsvOptions){0}, take, &seen, &err), &err);
    ck_assert(str_has_suffix(strbuf_str(&seen), S("]49999[a|b]50000[a|b]")));
    ck_assert(!csv_read_file(S("/nonexistent.csv"), &(CsvOptions){0}, take, &seen, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "/nonexistent.csv");
    error_clear(&err);
    ck_assert(!csv_read_file(S("/"), &(CsvOptions){0}, take, &seen, &err));
    ck_assert_says(&err, ERR_INVALID, "can't be read");
}

SUITE(csv, EACH(a_document_is_read_the_same_in_pieces_of_any_size, CASES),
      EACH(utf_16_is_refused_and_says_what_to_do, WIDE),
      EACH(a_row_beyond_the_limits_comes_with_its_fault_and_reading_goes_on, LARGE),
      ONCE(a_first_line_longer_than_what_tells_the_delimiter_is_read_whole),
      ONCE(a_delimiter_that_is_given_holds_whatever_the_first_line_says), ONCE(whoever_takes_rows_can_end_the_reading),
      EACH(also_the_last_row_and_a_broken_one_can_be_refused, LAST_ROWS),
      EACH(what_is_written_is_quoted_guarded_and_reads_back_the_same, FIELDS),
      ONCE(a_row_of_one_empty_field_is_no_blank_line), ONCE(a_file_is_read_and_a_missing_one_is_named))
