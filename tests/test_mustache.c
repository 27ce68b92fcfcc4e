// tests/test_mustache.c: what Mustache templates print, what is refused where, and that every bound holds.
#include "base/mustache.h"
#include "tests/support/more_check.h"

enum { BUDGET = 64 * MIB, NESTED = 200000 };

typedef struct Rendered {
    const char *template;
    const char *data;
    const char *expected;
    const char *partial;    // what every partial holds; NULL: there are none
} Rendered;

static const Rendered INTERPOLATION[] = {
    {"no tag at all\n", "{}", "no tag at all\n", NULL},
    {"Hello, {{name}}!", "{\"name\":\"Ana\"}", "Hello, Ana!", NULL},
    {"{{x}}", "{\"x\":\"a & b < c > d \\\" e ' f\"}", "a &amp; b &lt; c &gt; d &quot; e &#39; f", NULL},
    {"{{{x}}}", "{\"x\":\"<b>&\"}", "<b>&", NULL},
    {"{{&x}}|{{& x }}", "{\"x\":\"<b>&\"}", "<b>&|<b>&", NULL},
    {"{{x}}|{{y}}|{{z}}", "{\"x\":85,\"y\":1.21,\"z\":-0.5}", "85|1.21|-0.5", NULL},
    {"{{x}}|{{y}}|{{z}}", "{\"x\":100.0,\"y\":1234567.25,\"z\":1e-7}", "100|1234567.25|0.0000001", NULL},
    {"{{x}}", "{\"x\":1e21}", "1e+21", NULL},
    {"[{{x}}{{y}}{{z.a}}]", "{\"x\":null,\"z\":{}}", "[]", NULL},
    {"{{t}} {{f}}", "{\"t\":true,\"f\":false}", "true false", NULL},
    {"{{a.b.c}}", "{\"a\":{\"b\":{\"c\":\"deep\"}}}", "deep", NULL},
    {"{{a.b}}", "{\"a.b\":\"not this\"}", "", NULL},
    {"{{#a}}{{b.c}}{{/a}}", "{\"a\":{\"b\":{}},\"b\":{\"c\":\"not this\"}}", "", NULL},
    {"{{a.0}}", "{\"a\":[1]}", "", NULL},
    {"{{.}}", "\"alone\"", "alone", NULL},
    {"{{.}}", "7", "7", NULL},
    {"{{#.}}{{.}};{{/.}}", "[1,2.5,\"<\"]", "1;2.5;&lt;;", NULL},
    {"| {{x}} |\n  {{x}}\n", "{\"x\":\"-\"}", "| - |\n  -\n", NULL},
    {"|{{ x }}|{{\n x\n}}|", "{\"x\":\"-\"}", "|-|-|", NULL},
    {"{{list}}{{object}}", "{\"list\":[1],\"object\":{\"a\":1}}", "", NULL},
    {"{ {{x}} } }}", "{\"x\":1}", "{ 1 } }}", NULL},
};

static const Rendered SECTIONS[] = {
    {"x{{#a}}\n{{/a}}y", "{\"a\":true}", "x\ny", NULL},
    {"{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":true}", "yes", NULL},
    {"{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":false}", "no", NULL},
    {"{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":null}", "no", NULL},
    {"{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":[]}", "no", NULL},
    {"{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":\"\"}", "no", NULL},
    {"{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":0}", "no", NULL},
    {"{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":{}}", "yes", NULL},
    {"{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{}", "no", NULL},
    {"{{#a}}yes{{/a}}{{^a}}no{{/a}}", "[true]", "no", NULL},
    {"{{#a}}{{b}}{{/a}}", "{\"a\":{\"b\":\"in\"},\"b\":\"out\"}", "in", NULL},
    {"{{#a}}{{b}}{{/a}}", "{\"a\":{},\"b\":\"out\"}", "out", NULL},
    {"{{#l}}{{n}},{{/l}}", "{\"l\":[{\"n\":1},{\"n\":2},{}],\"n\":\"o\"}", "1,2,o,", NULL},
    {"{{#l}}{{.}}{{/l}}", "{\"l\":[0,\"\",null,false]}", "0false", NULL},
    {"{{#l}}({{#.}}{{.}}{{/.}}){{/l}}", "{\"l\":[[1,2],[],[\"x\"]]}", "(12)()(x)", NULL},
    {"{{#a}}1{{#b}}2{{#a}}3{{/a}}{{/b}}{{/a}}", "{\"a\":true,\"b\":true}", "123", NULL},
    {"{{#a.b}}in{{/a.b}}{{^a.c}}out{{/a.c}}", "{\"a\":{\"b\":1}}", "inout", NULL},
    {"{{# a }}x{{/\ta\n}}", "{\"a\":true}", "x", NULL},
    {"begin\n{{#a}}\nline\n{{/a}}\nend\n", "{\"a\":true}", "begin\nline\nend\n", NULL},
    {"begin\n  {{^a}}  \nline\n\t{{/a}}\nend\n", "{}", "begin\nline\nend\n", NULL},
    {"|\r\n{{#a}}\r\nx\r\n{{/a}}\r\n|", "{\"a\":true}", "|\r\nx\r\n|", NULL},
    {"  {{#a}}\nx\n  {{/a}}", "{\"a\":true}", "x\n", NULL},
    {" {{#a}}x{{/a}}\n", "{\"a\":true}", " x\n", NULL},
    {"{{#a}} {{/a}}\n", "{\"a\":true}", " \n", NULL},
};

static const Rendered COMMENTS_AND_DELIMITERS[] = {
    {"a{{! not shown }}b", "{}", "ab", NULL},
    {"a\n  {{! not\n shown }}\nb\n", "{}", "a\nb\n", NULL},
    {"a {{! not shown }}\n", "{}", "a \n", NULL},
    {"{{! {{ # broken }}", "{}", "", NULL},
    {"{{=<% %>=}}(<%x%>){{x}}", "{\"x\":1}", "(1){{x}}", NULL},
    {"{{= | | =}}|#a|in|/a||={{ }}=|{{#a}}!{{/a}}", "{\"a\":true}", "in!", NULL},
    {"a\n {{=@ @=}} \nb@x@", "{\"x\":1}", "a\nb1", NULL},
    {"{{=[ ]=}}[&x][{x}]", "{\"x\":\"<\"}", "<<", NULL},
    {"{{=$$ %=}}$$>p%", "{\"x\":1}", "1{{x}}|", "{{x}}{{=[ ]=}}{{x}}|"},
};

static const Rendered PARTIALS[] = {
    {"[{{>p}}]", "{\"x\":1}", "[]", NULL},
    {"[{{> p }}]", "{\"x\":1}", "[1]", "{{x}}"},
    {"a\n  {{>p}}\nb\n", "{\"x\":\"1\\n2\"}", "a\n  >\n  1\n2\n  >\nb\n", ">\n{{{x}}}\n>\n"},
    {"  {{x}} {{>p}}\n", "{\"x\":1}", "  1 >\n>\n", ">\n>"},
    {" {{>p}}\n>", "{}", " >\n >>", ">\n>"},
    {" {{>p}}\n", "{\"l\":[1,2]}", " 1\n 2\n", "{{#l}}\n{{.}}\n{{/l}}\n"},
    {" {{>p}}\n", "{\"a\":true}", " x \n y\n", "{{#a}}x{{/a}} \n{{! c }}y\n"},
    {" {{>p}}\n", "{\"a\":true}", " a\n  b\n", "{{#a}}a\n{{/a}} b\n"},
    {"{{>p}}", "{\"n\":1,\"in\":{\"n\":2,\"in\":{\"n\":3,\"in\":false}}}", "1(2(3))", "{{n}}{{#in}}({{>p}}){{/in}}"},
    {" {{>p}}", "{\"n\":1,\"in\":[{\"n\":2,\"in\":[]}]}", " 1\n  2\n", "{{n}}\n{{#in}}\n {{>p}}\n{{/in}}\n"},
    {"|\r\n{{>p}}\r\n|", "{}", "|\r\n>|", ">"},
};

typedef struct Host {
    Arena *arena;
    const char *partial;
} Host;

static bool partial_find(void *context, Str name, const Mustache **out, Error *err)
{
    const Host *host = context;
    *out = NULL;
    Mustache *partial = NULL;
    if (host->partial && !mustache_compile(str_of(host->partial), name, host->arena, &partial, err))
        return false;
    *out = partial;
    return true;
}

static bool render(const Rendered *row, const MustacheOptions *bounds, Arena *arena, Str *out, Error *err)
{
    Host host = {.arena = arena, .partial = row->partial};
    MustacheOptions options = *bounds;
    options.partial = partial_find;
    options.context = &host;
    CLEANUP(json_close) Json *data = NULL;
    Mustache *template = NULL;
    return json_parse(str_of(row->data), &data, err) &&
           mustache_compile(str_of(row->template), S("t"), arena, &template, err) &&
           mustache_render(template, data, &options, arena, out, err);
}

static void check_row(const Rendered *row)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str out = S("");
    ck_assert_ok(render(row, &(MustacheOptions){.is_all_html = true}, arena, &out, &err), &err);
    ck_assert_str(out, str_of(row->expected));
}

TEST(a_value_is_printed_where_its_name_stands)
{
    check_row(&INTERPOLATION[_i]);
}
TEST(a_section_is_printed_for_what_is_there)
{
    check_row(&SECTIONS[_i]);
}
TEST(comments_vanish_and_delimiters_change)
{
    check_row(&COMMENTS_AND_DELIMITERS[_i]);
}
TEST(a_partial_is_printed_with_its_indentation)
{
    check_row(&PARTIALS[_i]);
}

static const Refused REFUSED[] = {
    {S("a\n  {{name"), "t:2:3"},
    {S("{{name"), "close it with '}}'"},
    {S("{{{name}}"), "close it with '}}}'"},
    {S("{{!"), "isn't closed"},
    {S("{{#a}}\n{{#b}}\n"), "the section 'b' isn't closed"},
    {S("\n{{#a}}"), "t:2"},
    {S("\n\n {{/a}}"), "t:3:2"},
    {S("{{/a}}"), "no section is open"},
    {S("{{#a}}\n{{/b}}"), "it closes 'b', but the section 'a' of line 1 is open"},
    {S("{{#a}}{{#b}}{{/a}}{{/b}}"), "the section 'b' of line 1 is open"},
    {S("{{}}"), "has no name"},
    {S("{{# }}"), "has no name"},
    {S("{{a b}}"), "has a blank"},
    {S("{{a\n{{b}}"), "has a blank"},
    {S("{{a..b}}"), "empty part"},
    {S("{{#.a}}{{/.a}}"), "empty part"},
    {S("{{a.}}"), "empty part"},
    {S("{{= =}}"), "needs two delimiters"},
    {S("{{=<%=}}"), "needs two delimiters"},
    {S("{{=a b c=}}"), "more than two"},
    {S("{{=a= =b=}}"), "has a '=' in it"},
    {S("{{=12345678901234567 b=}}"), "more than 16 bytes"},
    {S("{{=}}"), "close it with '=}}'"},
    {S("\xff"), "isn't UTF-8"},
    {S("a\0b"), "isn't UTF-8"},
};

TEST(a_wrong_template_is_refused_at_its_place)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Mustache *template = NULL;
    ck_assert(!mustache_compile(REFUSED[_i].text, S("t"), arena, &template, &err));
    ck_assert_says(&err, ERR_MALFORMED, REFUSED[_i].says);
    ck_assert_ptr_null(template);
}

TEST(sections_nest_to_the_limit_and_no_deeper)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf deep = {.arena = arena}, limit = {.arena = arena};
    for (int i = 0; i < NESTED; i++)
        strbuf_add(&deep, S("{{#a}}"));
    for (int i = 0; i < MUSTACHE_DEPTH_MAX; i++)
        strbuf_add(&limit, S("{{#a}}"));
    strbuf_add(&limit, S("x"));
    for (int i = 0; i < MUSTACHE_DEPTH_MAX; i++)
        strbuf_add(&limit, S("{{/a}}"));
    Error err = {0};
    Mustache *template = NULL;
    ck_assert(!mustache_compile(strbuf_str(&deep), S("t"), arena, &template, &err));
    ck_assert_int_eq(err.code, ERR_TOO_LARGE);
    error_clear(&err);
    ck_assert(!mustache_compile(str_slice(strbuf_str(&deep), 0, MIB), S("t"), arena, &template, &err));
    ck_assert_says(&err, ERR_MALFORMED, "nested deeper than 64");
    error_clear(&err);
    Str out = S("");
    Rendered row = {strbuf_str(&limit).data, "{\"a\":{}}", NULL, NULL};
    ck_assert_ok(render(&row, &(MustacheOptions){0}, arena, &out, &err), &err);
    ck_assert_str(out, S("x"));
}

typedef struct Bounded {
    Rendered row;
    size_t output_max_bytes;
    size_t work_max;
    const char *says;
} Bounded;

static const Bounded BOUNDED[] = {
    {{"{{>p}}", "{}", NULL, "\n\n{{>p}}"}, 0, 0, "p:3"},
    {{"{{>p}}", "{}", NULL, "{{>p}}"}, 0, 0, "nested deeper than 64"},
    {{"{{>p}}", "{\"a\":[1,1,1]}", NULL, "{{#a}}{{>p}}{{/a}}"}, 0, 0, "nested deeper than 64"},
    {{"{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}0123456789{{/a}}{{/a}}{{/a}}{{/a}}{{/a}}{{/a}}",
      "{\"a\":[0,1,2,3,4,5,6,7,8,9]}", NULL, NULL},
     0,
     0,
     "longer than 4194304 bytes"},
    {{"0123456789", "{}", NULL, NULL}, 9, 0, "longer than 9 bytes"},
    {{"{{x}}", "{\"x\":\"<<\"}", NULL, NULL}, 7, 0, "longer than 7 bytes"},
    {{"{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{/a}}{{/a}}{{/a}}{{/a}}{{/a}}{{/a}}{{/a}}",
      "{\"a\":[0,1,2,3,4,5,6,7,8,9]}", NULL, NULL},
     0,
     0,
     "more than 2000000 operations"},
    {{"{{#a}}{{b}}{{/a}}", "{\"a\":[1,2,3]}", NULL, NULL}, 0, 10, "more than 10 operations"},
};

TEST(a_template_without_end_is_stopped)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str out = {0};
    const Bounded *row = &BOUNDED[_i];
    MustacheOptions options = {.output_max_bytes = row->output_max_bytes, .work_max = row->work_max};
    ck_assert(!render(&row->row, &options, arena, &out, &err));
    ck_assert_says(&err, ERR_INVALID, row->says);
    ck_assert_ptr_null(out.data);
}

TEST(output_up_to_the_bound_is_given)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str out = {0};
    const Rendered row = {"0123456789", "{}", NULL, NULL};
    ck_assert_ok(render(&row, &(MustacheOptions){.output_max_bytes = 10}, arena, &out, &err), &err);
    ck_assert_str(out, S("0123456789"));
}

TEST(only_what_is_marked_as_html_is_printed_raw)
{
    static const Str NAMES[] = {S("description_html")};
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str out = {0};
    const MustacheOptions options = {.html_names = NAMES, .html_name_count = COUNT(NAMES)};
    const Rendered marked = {"{{{p.description_html}}}{{&p.description_html}}",
                             "{\"p\":{\"description_html\":\"<b>\"}}", NULL, NULL};
    ck_assert_ok(render(&marked, &options, arena, &out, &err), &err);
    ck_assert_str(out, S("<b><b>"));
    const Rendered unmarked = {"\n{{{description_html.title}}}", "{\"description_html\":{\"title\":\"<b>\"}}", NULL,
                               NULL};
    ck_assert(!render(&unmarked, &options, arena, &out, &err));
    ck_assert_says(&err, ERR_INVALID, "write '{{description_html.title}}'");
    error_clear(&err);
    Mustache *template = NULL;
    ck_assert_ok(mustache_compile(S("a\n{{#never}}\n{{& title }}{{/never}}"), S("t"), arena, &template, &err), &err);
    ck_assert(!mustache_check_raw(template, &options, &err));
    ck_assert_says(&err, ERR_INVALID, "t:3");
}

TEST(a_wrong_partial_stops_the_page)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str out = {0};
    const Rendered row = {"{{>p}}", "{}", NULL, "{{#a}}"};
    ck_assert(!render(&row, &(MustacheOptions){0}, arena, &out, &err));
    ck_assert_says(&err, ERR_MALFORMED, "the section 'a' isn't closed");
}

static bool page(Arena *arena, Error *err)
{
    static const Rendered ROW = {"{{#l}}\n {{>p}}\n{{/l}}\n{{a.b}}", "{\"l\":[1,2.5],\"a\":{\"b\":\"<\"}}", NULL,
                                 "{{.}}\n{{#no}}{{/no}}"};
    Str out = {0};
    if (!render(&ROW, &(MustacheOptions){0}, arena, &out, err))
        return false;
    ck_assert_str(out, S(" 1\n  2.5\n &lt;"));
    return true;
}

TEST(a_page_is_whole_or_memory_ran_out)
{
    check_every_budget(page);
}

SUITE(mustache, EACH(a_value_is_printed_where_its_name_stands, INTERPOLATION),
      EACH(a_section_is_printed_for_what_is_there, SECTIONS),
      EACH(comments_vanish_and_delimiters_change, COMMENTS_AND_DELIMITERS),
      EACH(a_partial_is_printed_with_its_indentation, PARTIALS),
      EACH(a_wrong_template_is_refused_at_its_place, REFUSED), ONCE(sections_nest_to_the_limit_and_no_deeper),
      EACH(a_template_without_end_is_stopped, BOUNDED), ONCE(output_up_to_the_bound_is_given),
      ONCE(only_what_is_marked_as_html_is_printed_raw), ONCE(a_wrong_partial_stops_the_page),
      ONCE(a_page_is_whole_or_memory_ran_out))
