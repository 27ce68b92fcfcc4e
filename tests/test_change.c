// tests/test_change.c: messages of pgoutput are read as PostgreSQL's manual has them, and nothing else is.
#include "provisioner/change.h"

#include "tests/support/more_check.h"

enum { TEXT_BUDGET = 64 * KIB };

#define NUMBER_8(last) "\0\0\0\0\0\0\0" last
#define RELATION "\0\0\x40\x01"
#define SHORT(last) "\0" last
#define LENGTH(last) "\0\0\0" last
#define TYPE "\0\0\0\x14\xFF\xFF\xFF\xFF"

#define ORDERS                                                                                                         \
    "R" RELATION "t_1001\0orders\0d" SHORT("\2") "\1id\0" TYPE "\0"                                                    \
                                                 "note\0" TYPE
#define ONE "t" LENGTH("\1") "1"
#define TWO "t" LENGTH("\1") "2"
#define QUOTED "t" LENGTH("\7") "\xC3\xB1'\\\"\t\n"

// ---- what they say

static void values_add(StrBuf *buf, const char *title, const ChangeValue *values, size_t count)
{
    strbuf_add(buf, str_of(title));
    for (size_t i = 0; i < count; i++) {
        if (values[i].kind == CHANGE_TEXT)
            strbuf_format(buf, " '%.*s'", STR_ARG(values[i].text));
        else
            strbuf_add(buf, values[i].kind == CHANGE_NULL ? S(" null") : S(" as before"));
    }
}

static Str said(Arena *arena, const Change *change)
{
    StrBuf buf = {.arena = arena};
    switch (change->kind) {
    case CHANGE_BEGIN: strbuf_format(&buf, "begin %llu", (unsigned long long)change->position); break;
    case CHANGE_COMMIT: strbuf_format(&buf, "commit %llu", (unsigned long long)change->position); break;
    case CHANGE_RELATION:
        strbuf_format(&buf, "%x is %.*s.%.*s:", change->relation, STR_ARG(change->schema), STR_ARG(change->table));
        for (size_t i = 0; i < change->count; i++)
            strbuf_format(&buf, " %.*s%s", STR_ARG(change->columns[i].name), change->columns[i].is_key ? " (key)" : "");
        break;
    case CHANGE_INSERT:
    case CHANGE_UPDATE:
    case CHANGE_DELETE:
        strbuf_format(&buf, "%x:", change->relation);
        if (change->has_before)
            values_add(&buf, " from", change->before, change->count);
        if (change->kind != CHANGE_DELETE)
            values_add(&buf, " to", change->after, change->count);
        break;
    case CHANGE_TRUNCATE: strbuf_add(&buf, S("truncate")); break;
    case CHANGE_OTHER: strbuf_add(&buf, S("other")); break;
    }
    return strbuf_str(&buf);
}

static const struct {
    Str message;
    const char *says;
} MESSAGES[] = {
    {S("B\0\0\0\x01\0\0\0\x02" NUMBER_8("\0") "\0\0\0\7"), "begin 4294967298"},
    {S("C\0" NUMBER_8("\x08") NUMBER_8("\x30") NUMBER_8("\0")), "commit 48"},
    {S(ORDERS), "4001 is t_1001.orders: id (key) note"},
    {S("R" RELATION "\0a\0d" SHORT("\0")), "4001 is .a:"},
    {S("I" RELATION "N" SHORT("\2") ONE QUOTED), "4001: to '1' '\xC3\xB1'\\\"\t\n'"},
    {S("I" RELATION "N" SHORT("\2") ONE "n"), "4001: to '1' null"},
    {S("I" RELATION "N" SHORT("\1") "t" LENGTH("\0")), "4001: to ''"},
    {S("U" RELATION "N" SHORT("\2") ONE "u"), "4001: to '1' as before"},
    {S("U" RELATION "K" SHORT("\2") ONE "nN" SHORT("\2") TWO "u"), "4001: from '1' null to '2' as before"},
    {S("U" RELATION "O" SHORT("\2") ONE ONE "N" SHORT("\2") TWO "n"), "4001: from '1' '1' to '2' null"},
    {S("D" RELATION "K" SHORT("\2") ONE "n"), "4001: from '1' null"},
    {S("T\0\0\0\1\0" RELATION), "truncate"},
    {S("M\0" NUMBER_8("\0") "shopctl\0\0\0\0\0"), "other"},
    {S("Y" RELATION "a\0b\0"), "other"},
    {S("O" NUMBER_8("\0") "a\0"), "other"},
};

TEST(each_message_is_read)
{
    Error err = {0};
    CLEANUP(arena_close) Arena *arena = arena_open(TEXT_BUDGET);
    Change change;
    ck_assert_ok(change_decode(MESSAGES[_i].message, &change, &err), &err);
    ck_assert_str(said(arena, &change), str_of(MESSAGES[_i].says));
}

// ---- what isn't one

// Each of a change's bytes is needed, whichever is the first one missing.
TEST(one_that_ends_early_is_refused)
{
    Str message = MESSAGES[_i].message;
    bool has_end = !str_has_char(S("TMYO"), message.data[0]);
    for (size_t length = 1; has_end && length < message.len; length++) {
        Error err = {0};
        Change change;
        Str piece = str_slice(message, 0, length);
        bool is_enough =
            (message.data[0] == 'B' && length >= 1 + 8) || (message.data[0] == 'C' && length >= 1 + 1 + 16);
        ck_assert_msg(change_decode(piece, &change, &err) == is_enough, "'%c' with %zu bytes", message.data[0], length);
        if (!is_enough)
            ck_assert_says(&err, ERR_MALFORMED, "of replication isn't as PostgreSQL documents it");
    }
}

static const Refused BROKEN[] = {
    {S(""), "isn't as"},
    {S("R" RELATION "t_1001\0orders"), "'R'"},
    {S("R" RELATION "t_1001\0orders\0d\0\x41"), "'R'"},    // more columns than there is room for
    {S("R" RELATION "t_1001\0orders\0d\xFF\xFF"), "'R'"},
    {S("I" RELATION "N\0\x41"), "'I'"},
    {S("I" RELATION "N\xFF\xFF"), "'I'"},
    {S("I" RELATION "K" SHORT("\1") ONE), "'I'"},                     // the new row is missing
    {S("I" RELATION "N" SHORT("\1") "b" LENGTH("\1") "1"), "'I'"},    // binary wasn't asked for
    {S("I" RELATION "N" SHORT("\1") "t\xFF\xFF\xFF\xFF"
                                    "1"),
     "'I'"},
    {S("I" RELATION "N" SHORT("\1") "t" LENGTH("\2") "1"), "'I'"},
    {S("U" RELATION "X" SHORT("\1") ONE), "'U'"},
    {S("U" RELATION "K" SHORT("\1") ONE), "'U'"},
    {S("U" RELATION "K" SHORT("\2") ONE "nN" SHORT("\1") ONE), "'U'"},    // two rows of one table with other columns
    {S("D" RELATION "N" SHORT("\1") ONE), "'D'"},
};

TEST(what_is_no_message_is_refused)
{
    Error err = {0};
    Change change;
    ck_assert(!change_decode(BROKEN[_i].text, &change, &err));
    ck_assert_says(&err, ERR_MALFORMED, BROKEN[_i].says);
}

SUITE(change, EACH(each_message_is_read, MESSAGES), EACH(one_that_ends_early_is_refused, MESSAGES),
      EACH(what_is_no_message_is_refused, BROKEN))
