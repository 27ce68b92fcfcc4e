// tests/test_plan.c: the plans that ship, every refusal with its place, and plans as JSON.
#include "provisioner/plan.h"

#include "base/embed.h"
#include "base/file.h"
#include "base/yaml.h"
#include "tests/support/more_check.h"

enum { BUDGET = 8 * MIB };

static const char PLAN[] = "name: small\n"                 // line 1
                           "version: 1\n"                  // 2
                           "title: Small\n"                // 3
                           "tier: shared\n"                // 4
                           "price:\n"                      // 5
                           "  amount: 900\n"               // 6
                           "  currency: EUR\n"             // 7
                           "limits:\n"                     // 8
                           "  products: 10\n"              // 9
                           "  requests_per_second: 5\n"    // 10
                           "  storage: 1 GiB\n"            // 11
                           "  staff: 2\n";                 // 12

// PLAN with the line `number` replaced by `line`; 0: the line comes after the last one.
static Str plan_with(Arena *arena, unsigned number, const char *line)
{
    StrBuf buf = {.arena = arena};
    Str rest = str_of(PLAN), part = S("");
    for (unsigned i = 1; str_cut(&rest, '\n', &part) && rest.data; i++)
        strbuf_format(&buf, "%.*s\n", STR_ARG(i == number ? str_of(line) : part));
    if (number == 0)
        strbuf_format(&buf, "%s\n", line);
    return strbuf_str(&buf);
}

static Plan plan_of(Str text, Arena *arena)
{
    Error err = {0};
    Faults faults = {.arena = arena};
    Plan plan = {0};
    ck_assert_ok(plan_parse(text, S(""), arena, &faults, &plan, &err), &err);
    ck_assert_msg(faults.count == 0, "%u: %.*s", faults.first->line, STR_ARG(faults.first->why));
    return plan;
}

TEST(a_plan_is_read_with_its_units_and_defaults)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Plan plan = plan_of(str_of(PLAN), arena);
    ck_assert_str(plan.name, S("small"));
    ck_assert_int_eq(plan.price_minor, 900);
    ck_assert_int_eq(plan.storage_bytes, 1024LL * MIB);
    ck_assert_int_eq(plan.requests_per_second, 5);
    ck_assert_int_eq(plan.price_period, PLAN_PERIOD_MONTH);
    ck_assert_int_eq(plan.delete_retention_s, INT64_C(30) * 86400);
    ck_assert_int_eq(plan.postgres_millicpu, 0);
}

static const struct {
    unsigned number;     // of the line that is replaced
    const char *line;    // what stands there
    unsigned fault_line, column;
    const char *key, *why, *next;
} FAULTS[] = {
    {11, "  storage: 1GB", 11, 12, "limits.storage", "the unit 'GB' isn't one of its units", "write '1GiB'"},
    {11, "  storage: 12", 11, 12, "limits.storage", "its unit is missing", "512MiB"},
    {11, "  storage: 1.0000000001GiB", 11, 12, "limits.storage", "isn't a whole number of the smallest unit", ""},
    {11, "  storage: -1GiB", 11, 12, "limits.storage", "doesn't begin with a digit", ""},
    {11, "  storage: 99999999TiB", 11, 12, "limits.storage", "it is too large", ""},
    {11, "  storage: 65TiB", 11, 12, "limits.storage", "it isn't from 0 to 64TiB", ""},
    {9, "  products: 10 pieces", 9, 13, "limits.products", "isn't a whole number without unit", "10000"},
    {9, "  products: '10'", 9, 13, "limits.products", "quoted", "quotes"},
    {9, "  products: [10]", 9, 13, "limits.products", "it is a list, not an amount", "10000"},
    {9, "  products:", 9, 12, "limits.products", "it is nothing, not an amount", "10000"},
    {9, "  prodcuts: 10", 9, 3, "limits.prodcuts", "there is no key 'prodcuts' in 'limits'", "'products'"},
    {9, "  colour: red", 9, 3, "limits.colour", "there is no key 'colour'", "use products, requests_per_second"},
    {9, "  staff: 1", 12, 3, "staff", "the key 'staff' stands in line 9 already", "keep one"},
    {4, "tier: shred", 4, 7, "tier", "it isn't shared, container or server", "'shared'"},
    {4, "tier: server", 1, 1, "resources.postgres.cpu", "tier 'server' needs it", "500m"},
    {6, "  amount: 19.00", 6, 11, "price.amount", "isn't a whole number", "1900"},
    {7, "  currency: euro", 7, 13, "price.currency", "it has 4 bytes, not 3 to 3", "EUR"},
    {7, "  currency: EUX", 7, 13, "price.currency", "no currency of ISO 4217", "EUR"},
    {0, "support: 12", 13, 10, "support", "it is a number, not a mapping", "below it"},
    {2, "", 1, 1, "version", "the key 'version' is missing", "'1'"},
    {1, "name: Small", 1, 7, "name", "other characters than a-z", "standard"},
    {1, "name: -small", 1, 7, "name", "other characters than a-z", "standard"},
    {1, "name: small-", 1, 7, "name", "other characters than a-z", "standard"},
    {1, "name: sm@ll", 1, 7, "name", "other characters than a-z", "standard"},
    {1, "name: 'sm:ll'", 1, 7, "name", "other characters than a-z", "standard"},
    {1, "name: sm{ll", 1, 7, "name", "other characters than a-z", "standard"},
    {1, "name: sm/ll", 1, 7, "name", "other characters than a-z", "standard"},
    {1, "name: ''", 1, 7, "name", "it has 0 bytes", "standard"},
    {4, "tier: moon", 4, 7, "tier", "it isn't shared, container or server", "write it as in"},
    {0, "  requests_burst: 3", 13, 19, "limits.requests_burst", "less than limits.requests_per_second", ""},
    {0, "resources: {shopd: {cpu: 1}}", 13, 26, "resources.shopd.cpu", "no resources of its own", "leave it out"},
    {0, "exclusive: maybe", 13, 12, "exclusive", "neither true nor false", "true or false"},
    {0, "backup: {interval: 2d, retention: 1d}", 13, 35, "backup.retention", "less than backup.interval", ""},
    {0, "sla: {availability: 99.9}", 13, 21, "sla.availability", "its unit is missing", "99.9%"},
    {0, "sla: {recovery_time: 5m}", 13, 22, "sla.recovery_time", "the unit 'm'", "write '5min'"},
    {0, "support: &s {response: *s}", 13, 10, "", "anchors", ""},
    {0, "limit: {}", 13, 1, "limit", "there is no key 'limit'", "'limits'"},
};

TEST(a_fault_is_told_with_line_column_key_and_what_was_expected)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Faults faults = {.arena = arena};
    Plan plan = {0};
    Str text = plan_with(arena, FAULTS[_i].number, FAULTS[_i].line);
    ck_assert_ok(plan_parse(text, S(""), arena, &faults, &plan, &err), &err);
    ck_assert_uint_ge(faults.count, 1);
    const Fault *fault = faults.first;
    while (fault->next_fault && !str_has_prefix(fault->why, str_of(FAULTS[_i].why)) &&
           str_find(fault->why, str_of(FAULTS[_i].why)) == fault->why.len)
        fault = fault->next_fault;
    ck_assert_contains(fault->why, str_of(FAULTS[_i].why));
    ck_assert_uint_eq(fault->line, FAULTS[_i].fault_line);
    ck_assert_uint_eq(fault->column, FAULTS[_i].column);
    ck_assert_str(fault->where, str_of(FAULTS[_i].key));
    if (FAULTS[_i].next[0])
        ck_assert_contains(fault->next, str_of(FAULTS[_i].next));
    ck_assert_ptr_null(plan.name.data);    // *out is untouched
}

TEST(all_faults_of_a_plan_are_told_at_once)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Faults faults = {.arena = arena};
    Plan plan = {0};
    ck_assert_ok(plan_parse(S("name: x\ntier: moon\nprice: {amount: a}\n"), S("y"), arena, &faults, &plan, &err), &err);
    ck_assert_uint_ge(faults.count, 8);
    ck_assert(!faults_none(&faults, S("y.yaml"), &err));
    ck_assert_says(&err, ERR_INVALID, "y.yaml:2:7");
}

// Each with exactly one fault, though other keys would be wrong if the refused value were the default.
static const struct {
    const char *file, *from, *to;
    const char *key;
} ALONE[] = {
    {"plans/premium.yaml", "tier: container", "tier: contaner", "tier"},
    {"plans/premium.yaml", "tier: container", "tier: [container]", "tier"},
    {"plans/premium.yaml", "tier: container", "", "tier"},
    {"plans/enterprise.yaml", "exclusive: true", "exclusive: treu", "exclusive"},
    {"plans/enterprise.yaml", "retention: 365d", "retention: 365 dayz", "backup.retention"},
};

TEST(what_depends_on_a_refused_value_is_no_fault)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Faults faults = {.arena = arena};
    Plan plan = {0};
    Str text = S("");
    ck_assert_ok(file_read(str_of(ALONE[_i].file), PLAN_BYTES_MAX, arena, &text, &err), &err);
    size_t at = str_find(text, str_of(ALONE[_i].from));
    ck_assert_uint_lt(at, text.len);
    text = str_format(arena, "%.*s%s%.*s", (int)at, text.data, ALONE[_i].to,
                      STR_ARG(str_skip(text, at + strlen(ALONE[_i].from))));
    ck_assert_ok(plan_parse(text, S(""), arena, &faults, &plan, &err), &err);
    ck_assert_uint_eq(faults.count, 1);
    ck_assert_str(faults.first->where, str_of(ALONE[_i].key));
}

static const struct {
    Str text;
    const char *why;
} NO_PLANS[] = {{S(""), "the document is nothing"}, {S("- a\n"), "is a list"}, {S("text\n"), "is a text"}};

TEST(what_is_no_mapping_is_no_plan)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Faults faults = {.arena = arena};
    Plan plan = {0};
    ck_assert_ok(plan_parse(NO_PLANS[_i].text, S(""), arena, &faults, &plan, &err), &err);
    ck_assert_uint_eq(faults.count, 1);
    ck_assert_contains(faults.first->why, str_of(NO_PLANS[_i].why));
}

TEST(the_four_plans_that_ship_are_right_and_in_order)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Plans plans = {0};
    ck_assert_ok(plans_read(S(""), arena, &plans, &err), &err);
    ck_assert_uint_eq(plans.count, 4);
    static const Str NAMES[] = {S("free"), S("standard"), S("premium"), S("enterprise")};
    for (size_t i = 0; i < plans.count; i++)
        ck_assert_str(plans.rows[i].name, NAMES[i]);
    ck_assert_int_eq(plans_find(&plans, S("enterprise"))->tier, PLAN_TIER_SERVER);
}

TEST(premium_asks_for_at_most_one_cpu_and_two_gib_over_both_containers)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Plans plans = {0};
    ck_assert_ok(plans_read(S(""), arena, &plans, &err), &err);
    const Plan *premium = plans_find(&plans, S("premium"));
    ck_assert_int_eq(premium->tier, PLAN_TIER_CONTAINER);
    ck_assert_int_le(premium->postgres_millicpu + premium->shopd_millicpu, 1000);
    ck_assert_int_le(premium->postgres_memory_bytes + premium->shopd_memory_bytes, 2048LL * MIB);
}

TEST(an_unknown_plan_is_answered_with_the_nearest_one)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Plans plans = {0};
    const Plan *plan = NULL;
    ck_assert_ok(plans_read(S(""), arena, &plans, &err), &err);
    ck_assert(!plans_get(&plans, S("standrad"), &plan, &err));
    ck_assert_says(&err, ERR_NOT_FOUND, "did you mean 'standard'?");
}

TEST(a_folder_of_plans_takes_the_place_of_those_that_ship)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Plans plans = {0};
    char folder[] = "/tmp/plans-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    Str small = str_format(arena, "%s/small.yaml", folder), note = str_format(arena, "%s/note.txt", folder);
    ck_assert_ok(file_write(small, str_of(PLAN), 0600, &err), &err);
    ck_assert_ok(file_write(note, S("no plan"), 0600, &err), &err);
    ck_assert_ok(plans_read(str_of(folder), arena, &plans, &err), &err);
    ck_assert_uint_eq(plans.count, 1);
    ck_assert_ok(file_write(small, S("name: other\n"), 0600, &err), &err);
    ck_assert(!plans_read(str_of(folder), arena, &plans, &err));
    ck_assert_says(&err, ERR_INVALID, "small.yaml:1:");
    ck_assert_int_eq(remove(small.data) | remove(note.data) | remove(folder), 0);
}

TEST(a_plan_is_the_same_after_json)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Plans plans = {0};
    ck_assert_ok(plans_read(S(""), arena, &plans, &err), &err);
    for (size_t i = 0; i < plans.count; i++) {
        CLEANUP(json_close) Json *json = NULL;
        Plan copy = {0};
        char first[PLAN_CHECKSUM_TEXT], second[PLAN_CHECKSUM_TEXT];
        ck_assert_ok(plan_to_json(&plans.rows[i], &json, &err), &err);
        ck_assert_ok(plan_from_json(json, arena, &copy, &err), &err);
        ck_assert_str(plan_checksum(&copy, first), plan_checksum(&plans.rows[i], second));
        ck_assert_str(copy.title, plans.rows[i].title);
        copy.products_max++;
        ck_assert(!str_eq(plan_checksum(&copy, first), plan_checksum(&plans.rows[i], second)));
    }
}

static const struct {
    Str json;
    const char *where;
} WRONG_JSON[] = {
    {S("{\"tier\":\"moon\"}"), "tier"},
    {S("{\"limits\":{\"products\":\"10\"}}"), "limits.products"},
    {S("{\"exclusive\":1}"), "exclusive"},
    {S("{\"name\":5}"), "name"},
};

TEST(a_stored_plan_of_wrong_types_is_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *json = NULL;
    Error err = {0};
    Plan plan = {0};
    ck_assert_ok(json_parse(WRONG_JSON[_i].json, &json, &err), &err);
    ck_assert(!plan_from_json(json, arena, &plan, &err));
    ck_assert_says(&err, ERR_INVALID, WRONG_JSON[_i].where);
}

TEST(what_an_older_stored_plan_lacks_has_its_default)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *json = NULL;
    Error err = {0};
    Plan plan = {0};
    ck_assert_ok(json_parse(S("{\"name\":\"old\",\"gone\":1,\"limits\":{\"products\":7}}"), &json, &err), &err);
    ck_assert_ok(plan_from_json(json, arena, &plan, &err), &err);
    ck_assert_int_eq(plan.products_max, 7);
    ck_assert_int_eq(plan.delete_retention_s, INT64_C(30) * 86400);
}

TEST(the_example_of_every_field_is_one_that_it_takes)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    for (const PlanField *field = PLAN_FIELDS; field->key; field++) {
        Error err = {0};
        int64_t value = 0;
        if (field->type != PLAN_INT)
            continue;
        ck_assert_ok(unit_parse(field->unit, str_of(field->example), &value, &err), &err);
        ck_assert_msg(value >= field->min && value <= field->max, "%s: %s", field->key, field->example);
        Str text = unit_text(field->unit, value, arena);
        int64_t again = 0;
        ck_assert_ok(unit_parse(field->unit, text, &again, &err), &err);
        ck_assert_int_eq(again, value);
    }
}

static const struct {
    UnitKind kind;
    Str text;
    int64_t value;
    Str written;
} UNITS[] = {
    {UNIT_BYTES, S("512MiB"), 512LL * MIB, S("512MiB")},
    {UNIT_BYTES, S("2 GiB"), 2048LL * MIB, S("2GiB")},
    {UNIT_BYTES, S("1.5GiB"), 1536LL * MIB, S("1536MiB")},
    {UNIT_BYTES, S("0"), 0, S("0")},
    {UNIT_BYTES, S("7B"), 7, S("7B")},
    {UNIT_SECONDS, S("30d"), INT64_C(30) * 86400, S("30d")},
    {UNIT_SECONDS, S("2w"), INT64_C(14) * 86400, S("14d")},
    {UNIT_SECONDS, S("90s"), 90, S("90s")},
    {UNIT_SECONDS, S("1.5h"), 5400, S("90min")},
    {UNIT_MILLICPU, S("250m"), 250, S("250m")},
    {UNIT_MILLICPU, S("0.5"), 500, S("500m")},
    {UNIT_MILLICPU, S("3"), 3000, S("3")},
    {UNIT_MILLIPERCENT, S("99.95%"), 99950, S("99.95%")},
    {UNIT_MILLIPERCENT, S("100 %"), 100000, S("100%")},
    {UNIT_NONE, S("10"), 10, S("10")},
};

TEST(an_amount_is_read_and_written_in_its_unit)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    int64_t value = -1;
    ck_assert_ok(unit_parse(UNITS[_i].kind, UNITS[_i].text, &value, &err), &err);
    ck_assert_int_eq(value, UNITS[_i].value);
    ck_assert_str(unit_text(UNITS[_i].kind, value, arena), UNITS[_i].written);
}

static const struct {
    UnitKind kind;
    Str text;
    const char *says;
} NO_AMOUNTS[] = {
    {UNIT_BYTES, S(""), "doesn't begin with a digit"},
    {UNIT_BYTES, S(".5GiB"), "doesn't begin with a digit"},
    {UNIT_BYTES, S("1.2.3GiB"), ""},
    {UNIT_BYTES, S("5.GiB"), ""},
    {UNIT_BYTES, S("0.5"), "unit"},
    {UNIT_BYTES, S("0.5B"), "whole number"},
    {UNIT_BYTES, S("00"), "unit"},
    {UNIT_BYTES, S("8388608TiB"), "too large"},
    {UNIT_BYTES, S("99999999999999999999MiB"), "too large"},
    {UNIT_BYTES, S("1.0123456789GiB"), "whole number"},
    {UNIT_SECONDS, S("1.5s"), "whole number"},
    {UNIT_SECONDS, S("1y"), "the unit 'y'"},
    {UNIT_MILLICPU, S("0.0005"), "whole number"},
    {UNIT_MILLIPERCENT, S("99.9999%"), "whole number"},
    {UNIT_NONE, S("1.0"), "whole number"},
};

TEST(what_is_no_amount_is_refused_and_says_why)
{
    Error err = {0};
    int64_t value = -7;
    ck_assert(!unit_parse(NO_AMOUNTS[_i].kind, NO_AMOUNTS[_i].text, &value, &err));
    ck_assert_int_eq(err.code, ERR_INVALID);
    ck_assert_contains(str_of(err.why), str_of(NO_AMOUNTS[_i].says));
    ck_assert_int_eq(value, -7);
}

static bool plan_there_and_back(Arena *arena, Error *err)
{
    Faults faults = {.arena = arena};
    Plan plan = {0}, copy = {0};
    CLEANUP(json_close) Json *json = NULL;
    if (!plan_parse(str_of(PLAN), S("small"), arena, &faults, &plan, err) || !plan_to_json(&plan, &json, err) ||
        !plan_from_json(json, arena, &copy, err))
        return false;
    ck_assert_str(copy.name, S("small"));
    return true;
}

TEST(a_plan_is_read_whole_or_memory_ran_out)
{
    check_every_budget(plan_there_and_back);
}

SUITE(plan, ONCE(a_plan_is_read_with_its_units_and_defaults),
      EACH(a_fault_is_told_with_line_column_key_and_what_was_expected, FAULTS),
      ONCE(all_faults_of_a_plan_are_told_at_once), EACH(what_depends_on_a_refused_value_is_no_fault, ALONE),
      EACH(what_is_no_mapping_is_no_plan, NO_PLANS), ONCE(the_four_plans_that_ship_are_right_and_in_order),
      ONCE(premium_asks_for_at_most_one_cpu_and_two_gib_over_both_containers),
      ONCE(an_unknown_plan_is_answered_with_the_nearest_one),
      ONCE(a_folder_of_plans_takes_the_place_of_those_that_ship), ONCE(a_plan_is_the_same_after_json),
      EACH(a_stored_plan_of_wrong_types_is_refused, WRONG_JSON), ONCE(what_an_older_stored_plan_lacks_has_its_default),
      ONCE(the_example_of_every_field_is_one_that_it_takes), EACH(an_amount_is_read_and_written_in_its_unit, UNITS),
      EACH(what_is_no_amount_is_refused_and_says_why, NO_AMOUNTS), ONCE(a_plan_is_read_whole_or_memory_ran_out))
