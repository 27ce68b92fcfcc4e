// tests/test_yaml.c: documents with places, what is refused, and texts that come back as they were.
#include "base/yaml.h"

#include "tests/support/more_check.h"

enum { BUDGET = 8 * MIB };

static const YamlNode *parsed(Str text, Arena *arena)
{
    Error err = {0};
    Faults faults = {.arena = arena};
    const YamlNode *root = NULL;
    ck_assert_ok(yaml_parse(text, arena, &faults, &root, &err), &err);
    ck_assert_msg(faults.count == 0, "%u:%u: %.*s", faults.first->line, faults.first->column,
                  STR_ARG(faults.first->why));
    return root;
}

TEST(every_node_knows_its_line_and_column)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const YamlNode *root = parsed(S("# a comment\nname: caña\nlist:\n  - one\n  - {two: 'quoted'}\n"), arena);
    ck_assert_uint_eq(root->count, 2);
    const YamlNode *name = yaml_member(root, S("name")), *list = yaml_member(root, S("list"));
    ck_assert_uint_eq(name->key_line, 2);
    ck_assert_uint_eq(name->key_column, 1);
    ck_assert_uint_eq(name->line, 2);
    ck_assert_uint_eq(name->column, 7);
    ck_assert_str(yaml_text(name), S("caña"));
    const YamlNode *two = yaml_member(list->first->next, S("two"));
    ck_assert_uint_eq(two->line, 5);
    ck_assert_uint_eq(two->column, 11);
    ck_assert(!two->is_plain);
    ck_assert(list->first->is_plain);
}

static const struct {
    Str text;
    unsigned line, column;
    const char *why;
    const char *what;    // NULL: whatever
    const char *next;    // NULL: whatever
} FAULTS[] = {
    {S("a: 1\nb: 2\na: 3\n"), 3, 1, "the key 'a' stands in line 1 already", NULL, NULL},
    {S("a: &x 1\n"), 1, 4, "anchors ('&') are not allowed", NULL, NULL},
    {S("a: *x\n"), 1, 4, "aliases ('*') are not allowed", NULL, NULL},
    {S("a: !!str 1\n"), 1, 4, "tags ('!') are not allowed", NULL, NULL},
    {S("a: 1\n---\nb: 2\n"), 2, 1, "there is a second document", NULL, NULL},
    {S("[a, b]: 1\n"), 1, 1, "a key must be a text", NULL, NULL},
    {S("'': 1\n"), 1, 1, "a key must be a text", NULL, NULL},
    {S("a: \"x\\0y\"\n"), 1, 4, "NUL", NULL, NULL},
    {S("a: [1, 2\nb: 3\nc: 4\n"), 2, 2, "from line 1, column 4", NULL, NULL},
    {S("a: 'open\n\nb: 1\n"), 4, 1, "quoted scalar", NULL, NULL},
    {S("a:\n\t- b\n"), 2, 1, "cannot start any token", "- b", "indent with blanks, not with tabs"},
    {S("# caña ñ\nb: 'ñ'\nx: y: z\nlast: 1\n"), 3, 5, "not allowed", "x: y: z", ""},
    {S("x: y: z"), 1, 5, "not allowed", "x: y: z", ""},
    {S("a: \xff\n"), 1, 4, "UTF-8", NULL, NULL},
    {S("a: x\x01y\n"), 1, 5, "control characters", NULL, NULL},
};

TEST(what_is_wrong_is_told_with_its_place)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Faults faults = {.arena = arena};
    const YamlNode *root = NULL;
    ck_assert_ok(yaml_parse(FAULTS[_i].text, arena, &faults, &root, &err), &err);
    ck_assert_uint_ge(faults.count, 1);
    ck_assert_contains(faults.first->why, str_of(FAULTS[_i].why));
    ck_assert_uint_eq(faults.first->line, FAULTS[_i].line);
    ck_assert_uint_eq(faults.first->column, FAULTS[_i].column);
    if (FAULTS[_i].what) {
        ck_assert_str(faults.first->what, str_of(FAULTS[_i].what));
        ck_assert_str(faults.first->next, str_of(FAULTS[_i].next));
    }
}

// The first fault of a document of `count` times `part` after `before`; "#" in `part` is the number.
static Str fault_of_many(Arena *arena, const char *before, const char *part, size_t count)
{
    StrBuf buf = {.arena = arena};
    Error err = {0};
    Faults faults = {.arena = arena};
    const YamlNode *root = NULL;
    strbuf_add(&buf, str_of(before));
    for (size_t i = 0; i < count; i++)
        for (const char *c = part; *c; c++)
            strbuf_add(&buf, *c == '#' ? str_format(arena, "%zu", i) : (Str){c, 1});
    ck_assert_ok(yaml_parse(strbuf_str(&buf), arena, &faults, &root, &err), &err);
    ck_assert_uint_eq(faults.count, 1);
    ck_assert_ptr_null(root);
    return faults.first->why;
}

TEST(depth_size_and_numbers_of_nodes_have_bounds)
{
    CLEANUP(arena_close) Arena *arena = arena_open((size_t)256 * MIB);
    parsed(S("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), arena);    // 31 lists and a number
    ck_assert_contains(fault_of_many(arena, "", "[", YAML_DEPTH_MAX + 1), S("deeper than 32 levels"));
    ck_assert_contains(fault_of_many(arena, "", "[", 100000), S("deeper than 32 levels"));
    ck_assert_contains(fault_of_many(arena, "", "- #\n", YAML_NODES_MAX), S("more than 200,000 values"));
    ck_assert_contains(fault_of_many(arena, "", "k#: 1\n", 1001), S("more than 1,000 keys"));
    ck_assert_contains(fault_of_many(arena, "# ", "0123456789", YAML_BYTES_MAX / 10 + 1), S("more than 4 MiB"));
}

static const struct {
    Str yaml;
    Str json;
} JSON_ROWS[] = {
    {S("a: 1\nb: -2\nc: +3"), S("{\"a\":1,\"b\":-2,\"c\":3}")},
    {S("[true, false, null, ~, '', True, yes]"), S("[true,false,null,null,\"\",\"True\",\"yes\"]")},
    {S("['1', \"true\", 08001, 0, 0x1f, 1_000]"), S("[\"1\",\"true\",\"08001\",0,\"0x1f\",\"1_000\"]")},
    {S("[1.5, .5, 1e3, 1., .inf, ., e3, 1e]"), S("[1.5,0.5,1000.0,1.0,\".inf\",\".\",\"e3\",\"1e\"]")},
    {S("[1e+3, 1E-2, 1e+, +, -, -.5, 00.5, 1e999, 12ab, 1.5x, 'e']"),
     S("[1000.0,0.01,\"1e+\",\"+\",\"-\",-0.5,\"00.5\",\"1e999\",\"12ab\",\"1.5x\",\"e\"]")},
    {S("[9223372036854775807, 9223372036854775808]"), S("[9223372036854775807,\"9223372036854775808\"]")},
    {S("a: |\n  two\n  lines\nb: >\n  one\n  line\n"), S("{\"a\":\"two\\nlines\\n\",\"b\":\"one line\\n\"}")},
    {S("a:\nb: {}\nc: []"), S("{\"a\":null,\"b\":{},\"c\":[]}")},
    {S("\xef\xbb\xbf"
       "a: 1"),
     S("{\"a\":1}")},
    {S(""), S("null")},
    {S("# nothing\n"), S("null")},
};

TEST(plain_words_become_json_by_the_core_schema)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *json = NULL;
    Error err = {0};
    Str text = S("");
    ck_assert_ok(yaml_to_json(parsed(JSON_ROWS[_i].yaml, arena), &json, &err), &err);
    ck_assert_ok(json_print(json, 0, arena, &text, &err), &err);
    ck_assert_str(text, JSON_ROWS[_i].json);
}

static const Str PRINTED[] = {
    S("{\"a\":\"1\",\"b\":\"true\",\"c\":\"null\",\"d\":\"~\",\"e\":\"\",\"f\":\"1.5\",\"g\":\"08001\",\"h\":\"yes\"}"),
    S("{\"a\":1,\"b\":-1.5,\"c\":true,\"d\":false,\"e\":null,\"f\":[],\"g\":{},\"h\":[1,[2,{\"x\":3}]]}"),
    S("{\"a\":\"two\\nlines\",\"b\":\" blanks \",\"c\":\"# no comment\",\"d\":\"a: b\",\"e\":\"- x\",\"f\":\"*a\"}"),
    S("{\"a\":\"+\",\"b\":\"-\",\"c\":\"-1\",\"d\":\".5\",\"e\":\"+x\",\"f\":\"9x\"}"),
    S("{\"a\":\"\\u0007\\u001b[0m\",\"b\":\"caña 🍋\",\"c\":\"'\\\"\",\"d\":\"%x\",\"e\":\"---\",\"f\":\"<<\"}"),
    S("[\"x\",{\"1\":2,\"true\":3}]"),
    S("\"text\""),
    S("{\"a\":1e+300,\"b\":-0.0,\"c\":1.0}"),
};

TEST(printed_yaml_reads_back_as_the_same_json)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *json = NULL, *again = NULL;
    Error err = {0};
    Str yaml = S(""), first = S(""), second = S("");
    ck_assert_ok(json_parse(PRINTED[_i], &json, &err), &err);
    ck_assert_ok(yaml_print(json, arena, &yaml, &err), &err);
    ck_assert_ok(yaml_to_json(parsed(yaml, arena), &again, &err), &err);
    ck_assert_ok(json_print(json, 0, arena, &first, &err), &err);
    ck_assert_ok(json_print(again, 0, arena, &second, &err), &err);
    ck_assert_str(second, first);
}

TEST(printed_yaml_is_what_a_person_would_write)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *json = NULL;
    Error err = {0};
    Str yaml = S("");
    ck_assert_ok(json_parse(S("{\"items\":[{\"slug\":\"acme\",\"size\":1}],\"total\":1}"), &json, &err), &err);
    ck_assert_ok(yaml_print(json, arena, &yaml, &err), &err);
    ck_assert_str(yaml, S("items:\n- slug: acme\n  size: 1\ntotal: 1\n"));
}

static const struct {
    Str yaml;
    const char *kind;
} KINDS[] = {
    {S(""), "nothing"},           {S("~"), "nothing"},     {S("[1]"), "a list"},
    {S("{a: 1}"), "a mapping"},   {S("7"), "a number"},    {S("'7'"), "a text"},
    {S("true"), "a truth value"}, {S("'true'"), "a text"}, {S("7.5"), "a text"},
};

TEST(a_node_of_another_kind_is_read_as_absent)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const YamlNode *node = parsed(KINDS[_i].yaml, arena);
    bool is_scalar = node && node->kind == YAML_KIND_SCALAR, truth = false;
    int64_t number = 5;
    ck_assert_str(str_of(yaml_kind_name(node)), str_of(KINDS[_i].kind));
    ck_assert_uint_eq(yaml_text(node).len > 0, is_scalar);
    ck_assert_uint_eq(yaml_member(node, S("a")) != NULL, str_eq(KINDS[_i].yaml, S("{a: 1}")));
    ck_assert_uint_eq(yaml_is_int(node, &number), str_eq(KINDS[_i].yaml, S("7")));
    ck_assert_int_eq(number, str_eq(KINDS[_i].yaml, S("7")) ? 7 : 5);
    ck_assert_uint_eq(yaml_is_bool(node, &truth), str_eq(KINDS[_i].yaml, S("true")));
}

TEST(a_long_line_is_shown_up_to_a_whole_character)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    for (size_t blanks = 0; blanks < 2; blanks++) {
        Error err = {0};
        Faults faults = {.arena = arena};
        const YamlNode *root = NULL;
        StrBuf line = {.arena = arena};
        strbuf_add(&line, blanks ? S("x: y: a") : S("x: y: "));
        for (size_t i = 0; i < 400; i++)
            strbuf_add(&line, S("\xC3\xB1"));
        ck_assert_ok(yaml_parse(strbuf_str(&line), arena, &faults, &root, &err), &err);
        Str shown = faults.first->what;
        ck_assert(str_is_utf8(shown) && shown.len > 16 && shown.len < line.len);
    }
}

static bool there_and_back(Arena *arena, Error *err)
{
    Faults faults = {.arena = arena};
    const YamlNode *root = NULL;
    CLEANUP(json_close) Json *json = NULL;
    Str text = S("");
    if (!yaml_parse(S("a: [1, {b: two}]\nc: 'three'\n"), arena, &faults, &root, err) ||
        !yaml_to_json(root, &json, err) || !yaml_print(json, arena, &text, err))
        return false;
    ck_assert_str(text, S("a:\n- 1\n- b: two\nc: three\n"));
    return true;
}

TEST(a_document_is_read_and_printed_whole_or_memory_ran_out)
{
    check_every_budget(there_and_back);
}

SUITE(yaml, ONCE(every_node_knows_its_line_and_column), EACH(what_is_wrong_is_told_with_its_place, FAULTS),
      ONCE(depth_size_and_numbers_of_nodes_have_bounds), EACH(plain_words_become_json_by_the_core_schema, JSON_ROWS),
      EACH(printed_yaml_reads_back_as_the_same_json, PRINTED), ONCE(printed_yaml_is_what_a_person_would_write),
      EACH(a_node_of_another_kind_is_read_as_absent, KINDS), ONCE(a_long_line_is_shown_up_to_a_whole_character),
      ONCE(a_document_is_read_and_printed_whole_or_memory_ran_out))
