// tests/test_parser_memory.c: every parser and printer of documents without memory at any one of its allocations, the
// library's below it included: it says so, leaks nothing, and with memory gives what it should.
#include "base/csv.h"
#include "base/html.h"
#include "base/json.h"
#include "base/mustache.h"
#include "base/text.h"
#include "base/yaml.h"
#include "provisioner/image_file.h"
#include "provisioner/plan.h"
#include "provisioner/setting.h"
#include "tests/support/failing_memory.h"
#include "tests/support/more_check.h"

enum { BUDGET = 16 * MIB, ALLOCATIONS_MAX = 100000, MANY = 3000 };

// Each call disarms before it checks: Check's own memory must not fail.

static bool json_goes_round(Arena *arena, Error *err)
{
    CLEANUP(json_close) Json *json = NULL;
    Str text = S("");
    if (!json_parse(S("{\"a\":[1,-2.5,true,null],\"b\":{\"c\":\"\\u00e9, and more letters than fit at first\"}}"),
                    &json, err) ||
        !json_print(json, 2, arena, &text, err))
        return false;
    (void)disarm();
    ck_assert_contains(text, S("\"c\": \"\xC3\xA9, and more letters than fit at first\""));
    return true;
}

static bool yaml_goes_round(Arena *arena, Error *err)
{
    Faults faults = {.arena = arena};
    const YamlNode *root = NULL;
    CLEANUP(json_close) Json *json = NULL;
    Str text = S("");
    if (!yaml_parse(S("a: [1, {b: two}]\nc: 'three'\nd: 2.5\ne: {}\nf: []\ng: ~\nh: false\n"), arena, &faults, &root,
                    err) ||
        !yaml_to_json(root, &json, err) || !yaml_print(json, arena, &text, err))
        return false;
    (void)disarm();
    ck_assert_uint_eq(faults.count, 0);
    ck_assert_str(text, S("a:\n- 1\n- b: two\nc: three\nd: 2.5\ne: {}\nf: []\ng: null\nh: false\n"));
    return true;
}

static bool yaml_is_refused(Arena *arena, Error *err)
{
    Faults faults = {.arena = arena};
    const YamlNode *root = NULL;
    if (!yaml_parse(S("a: [&x 1, *x]\nb: !t 2\nb: {? [c] : 3\nd: 4"), arena, &faults, &root, err))
        return false;
    (void)disarm();
    ck_assert_uint_gt(faults.count, 2);
    return true;
}

static bool row_count(void *context, const CsvRow *row, Error *err UNUSED)
{
    *(size_t *)context += row->fault ? 100 : row->count;
    return true;
}

static bool csv_is_read(Arena *arena, Error *err)
{
    static const char *const FEEDS[] = {"sep=;\na;b;c", "\n\"1\";2;3\nx\"y;\n", "4;5;\"6"};
    CLEANUP(csv_close) Csv *csv = NULL;
    size_t count = 0;
    StrBuf long_field = {.arena = arena};
    for (size_t i = 0; i < MANY; i++)
        strbuf_add_char(&long_field, 'x');
    if (!arena_ok(arena, err) || !csv_open(&(CsvOptions){0}, row_count, &count, &csv, err))
        return false;
    for (size_t i = 0; i < COUNT(FEEDS); i++)
        if (!csv_feed(csv, str_of(FEEDS[i]), err))
            return false;
    if (!csv_feed(csv, strbuf_str(&long_field), err) || !csv_end(csv, err))
        return false;
    (void)disarm();
    ck_assert_uint_eq(count, 3 + 3 + 100 + 100);
    return true;
}

static bool csv_is_read_from_a_file(Arena *arena UNUSED, Error *err)
{
    size_t count = 0;
    if (!csv_read_file(S("web/samples/acme.csv"), &(CsvOptions){0}, row_count, &count, err))
        return false;
    (void)disarm();
    ck_assert_uint_gt(count, 0);
    return true;
}

static bool html_is_sanitised(Arena *arena, Error *err)
{
    Html html = {0};
    Str text = S("");
    Str given = S("<p onclick=x>a<b>b</i><a href='javascript:x'>c</a><img src=x.png alt='&amp;'><script>x</script>");
    if (!html_sanitise(given, arena, &html, err) || !html_text(given, arena, &text, err))
        return false;
    (void)disarm();
    ck_assert_contains(html.text, S("<p>a<b>b"));
    ck_assert_str(text, S("abc"));
    return true;
}

static bool template_is_rendered(Arena *arena, Error *err)
{
    Mustache *template = NULL;
    CLEANUP(json_close) Json *data = NULL;
    Str text = S("");
    if (!json_parse(S("{\"a\":[{\"b\":\"<\"},{\"b\":1.5}],\"c\":false}"), &data, err) ||
        !mustache_compile(S("{{#a}}{{b}}\n  {{>p}}{{/a}}{{^c}}no{{/c}}{{=<% %>=}}<%c%>"), S("t"), arena, &template,
                          err) ||
        !mustache_render(template, data, &(MustacheOptions){0}, arena, &text, err))
        return false;
    (void)disarm();
    ck_assert_str(text, S("&lt;\n  1.5\n  nofalse"));
    return true;
}

static bool plan_is_read(Arena *arena, Error *err)
{
    Plans plans = {0};
    const Plan *plan = NULL;
    CLEANUP(json_close) Json *json = NULL;
    if (!plans_read(S("plans"), arena, &plans, err) || !plans_get(&plans, S("free"), &plan, err) ||
        !plan_to_json(plan, &json, err))
        return false;
    (void)disarm();
    ck_assert_str(json_str(json_get(json, "name")), S("free"));
    return true;
}

static bool plan_is_refused(Arena *arena, Error *err)
{
    Faults faults = {.arena = arena};
    Plan plan = {0};
    if (!plan_parse(S("name: x\nnmae: y\ntier: shred\nlimits:\n  storage: 10GB\n  products: many\n"), S("z"), arena,
                    &faults, &plan, err))
        return false;
    (void)disarm();
    ck_assert_uint_gt(faults.count, 4);
    return true;
}

static bool picture_is_judged(Arena *arena, Error *err)
{
    Str svg = S("<svg><g style='fill:url(#b)'><use href='#a'/></g></svg>");
    const char *fault = image_svg_fault(svg, arena);
    if (!arena_ok(arena, err))
        return false;
    (void)disarm();
    ck_assert_ptr_null(fault);
    return true;
}

static const struct {
    bool (*call)(Arena *arena, Error *err);
    const char *name;
} CALLS[] = {
    {json_goes_round, "json"},
    {yaml_goes_round, "yaml"},
    {yaml_is_refused, "yaml with faults"},
    {csv_is_read, "csv"},
    {csv_is_read_from_a_file, "csv file"},
    {html_is_sanitised, "html"},
    {template_is_rendered, "template"},
    {plan_is_read, "plan"},
    {plan_is_refused, "plan with faults"},
    {picture_is_judged, "picture"},
};

TEST(a_document_is_read_whole_or_is_said_to_have_no_memory_whichever_allocation_fails)
{
    bool ok = false;
    for (long number = 1; !ok; number++) {
        ck_assert_int_lt(number, ALLOCATIONS_MAX);
        Error err = {0};
        arm(number, false);
        Arena *arena = arena_open(BUDGET);
        ok = CALLS[_i].call(arena, &err);
        arena_close(&arena);
        bool has_any_failed = disarm();
        if (!ok)
            ck_assert_msg(err.code == ERR_NO_MEMORY, "%s, allocation %ld: %s: %s (%s)", CALLS[_i].name, number,
                          error_name(err.code), err.what, err.why);
        ok = ok && !has_any_failed;    // a failure that a library could do without isn't the end
    }
}

SUITE(parser_memory, EACH(a_document_is_read_whole_or_is_said_to_have_no_memory_whichever_allocation_fails, CALLS))
