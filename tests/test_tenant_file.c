// tests/test_tenant_file.c: files of shops, and that all that is wrong in one is said with its place.
#include "cli/tenant_file.h"

#include <unistd.h>

#include "base/file.h"
#include "tests/support/more_check.h"

static Plans plans_of(Arena *arena)
{
    Error err = {0};
    Plans plans = {0};
    ck_assert_ok(plans_read(S("plans"), arena, &plans, &err), &err);
    return plans;
}

// "LINE:COLUMN KEY WHY" of each fault, a line each.
static Str faults_with(TenantSpec defaults, const char *text, TenantFile *file, Arena *arena)
{
    Error err = {0};
    Faults faults = {.arena = arena};
    Plans plans = plans_of(arena);
    StrBuf said = {.arena = arena};
    char path[] = "/tmp/shop-tenant-file.XXXXXX";
    int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(descriptor);
    bool is_read = tenant_file_read(str_of(path), &defaults, &plans, S("localhost"), arena, &faults, file, &err);
    (void)unlink(path);
    ck_assert_ok(is_read, &err);
    for (const Fault *fault = faults.first; fault; fault = fault->next_fault)
        strbuf_format(&said, "%u:%u %.*s: %.*s; %.*s\n", fault->line, fault->column, STR_ARG(fault->where),
                      STR_ARG(fault->why.len ? fault->why : fault->what), STR_ARG(fault->next));
    return strbuf_str(&said);
}

static Str faults_of(const char *text, TenantFile *file, Arena *arena)
{
    return faults_with((TenantSpec){0}, text, file, arena);
}

TEST(an_entry_gets_the_defaults_that_it_does_not_name)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    CLEANUP(tenant_file_close) TenantFile file = {0};
    Error err = {0};
    Plans plans = plans_of(arena);
    TenantSpec defaults = {.currency = S("JPY"), .cell = S("main")};
    ck_assert_ok(plans_get(&plans, S("free"), &defaults.plan, &err), &err);
    ck_assert_str(faults_with(defaults,
                              "- slug: acme\n  email: a@b.example\n- slug: beta\n  email: a@b.example\n  "
                              "currency: USD\n",
                              &file, arena),
                  S(""));
    ck_assert_str(file.entries[0].spec.plan->name, S("free"));
    ck_assert_str(file.entries[0].spec.currency, S("JPY"));
    ck_assert_str(file.entries[1].spec.currency, S("USD"));
    ck_assert_str(file.entries[1].spec.cell, S("main"));
}

static const char *const RIGHT[] = {
    "- slug: acme\n  plan: free\n  email: a@b.example\n  shipping: {standard: 4.90, pickup: 0}\n"
    "- slug: beta\n  plan: free\n  email: a@b.example\n  payment_instructions: |\n    Bank\n    IBAN\n",
    "\n{\"slug\": \"acme\", \"plan\": \"free\", \"email\": \"a@b.example\", \"shipping\": {\"standard\": \"4.90\", "
    "\"pickup\": 0}}\n{\"slug\": \"beta\", \"plan\": \"free\", \"email\": \"a@b.example\", "
    "\"payment-instructions\": \"Bank\\nIBAN\\n\"}\n",
};

TEST(both_kinds_of_file_give_the_same_shops)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    CLEANUP(tenant_file_close) TenantFile file = {0};
    ck_assert_str(faults_of(RIGHT[_i], &file, arena), S(""));
    ck_assert_uint_eq(file.count, 2);
    const TenantSpec *acme = &file.entries[0].spec, *beta = &file.entries[1].spec;
    ck_assert_str(acme->slug, S("acme"));
    ck_assert_str(acme->plan->name, S("free"));
    ck_assert_uint_eq(json_count(acme->shipping), 2);
    ck_assert_str(beta->payment_instructions, S("Bank\nIBAN\n"));
}

static const struct {
    const char *text;
    const char *said;
} WRONG[] = {
    {"- slug: Acme\n  plan: free\n  email: a@b.example\n  curency: EUR\n- plan: freee\n  slug: beta\n  email: nobody\n",
     "4:3 curency: there is no such key; did you mean 'currency'?\n"
     "1:3 slug: character 1 is 'A'; use a-z, 0-9 and hyphens between them, as in 'acme-shop'\n"
     "5:3 plan: there is no plan 'freee'; did you mean 'free'?\n"
     "7:3 email: it isn't an address; write it as owner@shop.example\n"},
    {"- slug: acme\n  email: [a]\n  name: 7\n",
     "2:3 email: it isn't a text; write it as a text\n3:3 name: it isn't a text; write it as a text\n"
     "1:3 plan: the plan is missing; add one of `shopctl plan list`\n"},
    {"- slug: acme\n  plan: free\n  email: a@b.example\n- just text\n- slug: acme\n  plan: free\n  email: "
     "a@b.example\n",
     "4:3 : it isn't a mapping with a slug; write slug, plan, email and other keys of `shopctl tenant create`\n"
     "5:3 slug: line 1 has it already; leave it in one of them\n"},
    {"{\"slug\": \"acme\", \"plan\": \"free\", \"email\": \"a@b.example\", \"currency\": \"EURO\"}\n\n{\"slug\": \"b\n"
     "{\"slug\": \"beta\", \"plan\": \"free\", \"email\": \"a@b.example\", \"shipping\": {\"x\": \"1,5\"}, "
     "\"domains\": [\"a_b.example\"]}",
     "1:70 currency: it isn't a currency of ISO 4217; use a code such as EUR\n"
     "3:11 : premature end of input near '\"b'; write an object in one line\n"
     "4:70 shipping: it has a comma; write EUR amounts as in 1234.50\n4:95 domains: it isn't a host name in small "
     "letters; write it as shop.example, without "
     "scheme and port\n"},
    {"- slug: acme\n  plan: free\n  email: a@b.example\n  domains: [z.example, z.example]\n  country: ZZ\n",
     "5:3 country: it isn't a country of ISO 3166-1; use a code of two capital letters, such as ES\n"
     "4:3 domains: it is given twice; give it once\n"},
    {"- slug: acme\n  plan: free\n  plan: standard\n  email: nobody\n",
     "3:3 plan: the key 'plan' stands in line 2 already; keep one of the two\n"
     "4:3 email: it isn't an address; write it as owner@shop.example\n"},
    {"  {\"slug\": \"acme\", \"plan\": \"free\", \"slug\": \"b\", \"email\": \"nobody\"}\n",
     "1:36 slug: the key stands twice; keep one of the two\n"
     "1:58 email: it isn't an address; write it as owner@shop.example\n"},
    {"- slug: acme\n  plan: free\n  email: a@b.example\n  domains: shop.example\n  colors: 3\n  zzzzzz: 1\n"
     "  shipping: [x]\n  domains_: ['']\n",
     "4:3 domains: it isn't a list of hosts; write it as [shop.example, www.shop.example]\n"
     "5:3 colors: it isn't a mapping; write it as {primary: \"#8a3f26\"}\n"
     "6:3 zzzzzz: there is no such key; use the names of the options of `shopctl tenant create`\n"
     "7:3 shipping: it isn't a mapping; write it as {standard: 4.90, pickup: 0}\n"
     "8:3 domains_: there is no such key; did you mean 'domains'?\n"},
    {"{\"slug\": \"acme\", \"plan\": 3, \"email\": \"a@b.example\", \"domains\": [\"\"]}\n[1]\n",
     "1:26 plan: it isn't a text; write it as a text\n"
     "1:64 domains: it isn't a list of hosts; write it as [shop.example, www.shop.example]\n"
     "2:1 : it isn't a mapping with a slug; write slug, plan, email and other keys of `shopctl tenant create`\n"},
    {"- slug: [\n", "2:1 : did not find expected node content (while parsing a flow node from line 2, column 1); \n"},
    {"{\"slug\": \"acme\", \"slug\": \n[\n{\n",
     "1:23 : duplicate object key near '\"slug\"'; write an object in one line\n"
     "2:1 : ']' expected near end of file; write an object in one line\n"
     "3:1 : string or '}' expected near end of file; write an object in one line\n"},
    {"slug: acme\n", "1:1 : it is a mapping, not a list of shops; write a YAML list with a slug in each item, or a "
                     "JSON object per line\n"},
    {"",
     "1:1 : it is empty, not a list of shops; write a YAML list with a slug in each item, or a JSON object per line\n"},
};

TEST(every_wrong_key_of_every_shop_is_named_with_its_place)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    CLEANUP(tenant_file_close) TenantFile file = {0};
    ck_assert_str(faults_of(WRONG[_i].text, &file, arena), str_of(WRONG[_i].said));
}

SUITE(tenant_file, ONCE(an_entry_gets_the_defaults_that_it_does_not_name),
      EACH(both_kinds_of_file_give_the_same_shops, RIGHT),
      EACH(every_wrong_key_of_every_shop_is_named_with_its_place, WRONG))
