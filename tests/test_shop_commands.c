// tests/test_shop_commands.c: what commands about shops answer, and that what they refuse says why.
#include "tests/support/command_runner.h"
#include "tests/support/more_check.h"

static const struct {
    const char *line;
    int exit_code;
    const char *says;
    const char *typed;
} WORDS[] = {
    {"order list none", 66, "there is no tenant 'none'", ""},
    {"order list Bad!", 65, "'Bad!'", ""},
    {"order list wished", 1, "has no orders", ""},
    {"order show $ 1002", 66, "has no order 1002", ""},
    {"order show $ 0", 65, "take a number from shopctl order list bazar", ""},
    {"order show Bad! 1", 65, "'Bad!'", ""},
    {"operation show 4711", 66, "there is no operation 4711", ""},
    {"operation show x", 65, "'x'", ""},
    {"operation resume x", 65, "shopctl operation list", ""},
    {"operation revert 4711", 66, "there is no operation 4711", ""},
    {"operation resume #", 1, "it has ended", ""},
    {"operation revert # --dry-run", 1, "it has ended", ""},
    {"cell show none", 66, "there is no cell 'none'", ""},
    {"tenant show none", 66, "there is no tenant 'none'", ""},
    {"tenant show bazaar", 66, "did you mean 'bazar'?", ""},
    {"tenant resume $", 77, "active", ""},
    {"tenant resume $ --dry-run", 77, "active", ""},
    {"tenant delete $", 77, "active", ""},
    {"tenant delete kept", 64, "there is nobody to ask", ""},
    {"tenant delete kept", 1, "'other' was typed, not 'kept'", "other\n"},
    {"tenant set $ --limit prodcts=1", 64, "use products", ""},
    {"tenant set $ --limit nothing=1", 64, "products, requests_per_second or requests_burst", ""},
    {"tenant set $ --limit products=x", 65, "--limit products=N", ""},
    {"tenant set $ --limit products=1 --limit products=2 --limit products=3 --limit products=4 --limit products=5", 64,
     "'products'", ""},
    {"tenant set $ --plan none", 66, "'none'", ""},
    {"tenant set $ --plan premium", 1, "shopctl tenant set-plan bazar premium", ""},
    {"tenant set $ --remove-domain a.example --remove-domain b.example", 66, "'a.example'", ""},
    {"tenant set $ --shipping x=1,5", 65, "comma", ""},
    {"tenant set $ --shipping x=1 --shipping x=2", 64, "x", ""},
    {"tenant set $ --colors primary=^123456 --colors primary=^123457", 64, "primary", ""},
    {"tenant set none --name X", 66, "'none'", ""},
    {"tenant create", 64, "SLUG is missing", ""},
    {"tenant create a -f ~.yaml", 64, "SLUG and --file don't go together", ""},
    {"tenant create Bad! " SPEC, 65, "'Bad!'", ""},
    {"tenant create $ " SPEC, 73, "'bazar'", ""},
    {"tenant create $ " SPEC " --dry-run", 73, "'bazar'", ""},
    {"tenant create other --plan none --email a@b.example", 66, "'none'", ""},
    {"tenant create -f ~.yaml --name X", 64, "--name and --file don't go together", ""},
    {"tenant create -f ~.yaml --currency EURO", 65, "ISO 4217", ""},
    {"tenant create -f ~.yaml --plan none", 66, "'none'", ""},
    {"tenant create -f /nowhere", 66, "/nowhere", ""},
    {"tenant create -f ~.bad", 65, "there is no such key", ""},
    {"tenant create -f ~.bad -o json", 65, "curency", ""},
    {"tenant create -f ~.there --dry-run", 73, "1 of 1 shops can't be made", ""},
    {"tenant create -f ~.there", 73, "1 of 1 shops can't be made", ""},
    {"tenant create -f ~.twice", 73, "2 of 2 shops can't be made", ""},
    {"tenant create -f ~.twice -o json", 73, "2 of 2 shops can't be made", ""},
    {"tenant create -f ~.cell", 65, "cell", ""},
    {"tenant create -f ~.host", 65, "bazar.example", ""},
    {"tenant create -f ~.labels", 65, ":4:3: labels: labels of a host are refused", ""},
    {"tenant create newer --labels region=eu " SPEC, 65, "leave --labels out", ""},
    {"tenant create newer --host eu1 " SPEC, 65, "leave --host out", ""},
    {"tenant create -f ~.placed", 65, ":4:3: host: a host is refused", ""},
    {"tenant request $ " SPEC, 73, "'bazar'", ""},
    {"tenant request Bad! " SPEC, 65, "'Bad!'", ""},
    {"tenant approve $", 77, "active", ""},
    {"product import none ~.csv", 66, "'none'", ""},
    {"product import Bad! ~.csv", 65, "'Bad!'", ""},
    {"product import wished ~.csv", 1, "has no catalogue", ""},
    {"product import $ /nowhere", 66, "/nowhere", ""},
    {"product import $ ~.wrong", 65, "line 2, Variant Price", ""},
    {"product import $ ~.wrong -o json", 65, "nothing is imported", ""},
    {"product export $ -o json", 64, "the answer is the catalogue itself", ""},
    {"product export none", 66, "'none'", ""},
    {"product export none ~.copy", 66, "'none'", ""},
    {"product export $ /nowhere/at/all", 66, "/nowhere/at/all.part", ""},
    {"product export wished ~.copy", 1, "has no catalogue", ""},
    {"plan validate ~.wrong", 65, "is refused: 1 fault", ""},
};

static const struct {
    const char *line;
    const char *says;
    const char *typed;
} GOOD[] = {
    {"order list $ --limit 1 -o name", "1001", ""},
    {"order list bare -o json", "\"total\": 0", ""},
    {"operation list --state failed -o json", "\"total\": 0", ""},
    {"operation show # -o json", "\"steps\"", ""},
    {"operation resume 1 --help", "Examples:", ""},
    {"product import $ - --dry-run", "1 product, 0 variants, 0 images, 0 lines skipped: they would be imported",
     "Handle,Title,Variant Price\nnew,New,1.00\n"},
    {"product import $ ~.csv", "nothing had to change", ""},
    {"product import $ ~.wrong --skip-invalid", "1 line skipped: imported", ""},
    {"product export $ -", "Handle,Title", ""},
    {"product export $ ~.copy", "file", ""},
    {"tenant set $ --limit products=50 --limit requests_per_second=9 -o json", "\"products\": 50", ""},
    {"tenant set $ --limit products=plan -o json", "\"requests_per_second\": 9", ""},
    {"tenant set $ --limit requests_per_second=plan --dry-run -o json", "", ""},
    {"tenant set $ --logo https://bazar.example/logo.svg -o json", "bazar.example/logo.svg", ""},
    {"tenant set $ --logo= -o json", "\"logo\": null", ""},
    {"tenant reject wished --dry-run", "status: requested -> rejected", ""},
    {"tenant request nobody " SPEC " --dry-run", "-> requested", ""},
    {"tenant create -f ~.new --dry-run -o json", "\"steps\"", ""},
    {"tenant create -f ~.new --plan free -o json", "\"total\": 2", ""},
    {"tenant create -f - --plan free -o name", "three", "{\"slug\": \"three\", \"email\": \"a@b.example\"}\n"},
    {"tenant delete kept --dry-run", "dump", ""},
    {"tenant delete kept", "deleted", "kept\n"},
    {"tenant restore kept -o json", "\"status\": \"active\"", ""},
};

static void refusals_open(CommandRunner *runner)
{
    command_shop_open(runner, "shop_commands");
    command_file(runner, ".yaml", S("- slug: newest\n  plan: free\n  email: a@b.example\n"));
    command_file(runner, ".bad", S("- slug: newer\n  plan: free\n  email: a@b.example\n  curency: EUR\n"));
    command_file(runner, ".there", S("- slug: bazar\n  plan: free\n  email: a@b.example\n"));
    command_file(
        runner, ".twice",
        S("- slug: bazar\n  plan: free\n  email: a@b.example\n- slug: bare\n  plan: free\n  email: a@b.example\n"));
    command_file(runner, ".cell", S("- slug: newer\n  plan: free\n  email: a@b.example\n  cell: none\n"));
    command_file(runner, ".placed", S("- slug: newer\n  plan: free\n  email: a@b.example\n  host: eu1\n"));
    command_file(runner, ".labels", S("- slug: newer\n  plan: free\n  email: a@b.example\n  labels: {region: eu}\n"));
    command_file(runner, ".host", S("- slug: newer\n  plan: free\n  email: a@b.example\n  domains: [bazar.example]\n"));
    command_file(runner, ".new",
                 S("- slug: one\n  plan: free\n  email: a@b.example\n- slug: two\n  email: a@b.example\n"
                   "  plan: free\n"));
    command_file(runner, ".wrong", S("Handle,Title,Variant Price\nbad,Bad,x\nfine,Fine,1.00\n"));
    command_check(runner, "tenant create bare " SPEC);
    command_check(runner, "tenant request wished " SPEC);
    test_world_bring(&runner->world, "kept", "archived");
}

// Adds what is wrong, so that one run tells of every line.
static void check_line(CommandRunner *runner, StrBuf *wrong, const char *line, const char *typed, int exit_code,
                       const char *says)
{
    CommandResult result = command_runner_run(runner, line, str_of(typed), NULL, NULL);
    Str said = str_format(runner->world.arena, "%.*s%.*s", STR_ARG(result.out), STR_ARG(result.said));
    bool is_said = !says[0] || str_find(said, str_of(says)) < said.len;
    if (result.exit_code != exit_code || !is_said)
        strbuf_format(wrong, "%s: %d, not %d and '%s': %.*s\n", line, result.exit_code, exit_code, says, STR_ARG(said));
}

TEST(what_is_refused_says_why_and_exits_as_its_error_wants)
{
    CommandRunner runner;
    refusals_open(&runner);
    StrBuf wrong = {.arena = runner.world.arena};
    for (size_t i = 0; i < COUNT(WORDS); i++)
        check_line(&runner, &wrong, WORDS[i].line, WORDS[i].typed, WORDS[i].exit_code, WORDS[i].says);
    ck_assert_str(strbuf_str(&wrong), S(""));
    command_runner_close(&runner);
}

TEST(what_is_right_is_done_and_answered)
{
    CommandRunner runner;
    refusals_open(&runner);
    StrBuf wrong = {.arena = runner.world.arena};
    for (size_t i = 0; i < COUNT(GOOD); i++)
        check_line(&runner, &wrong, GOOD[i].line, GOOD[i].typed, 0, GOOD[i].says);
    ck_assert_str(strbuf_str(&wrong), S(""));
    command_runner_close(&runner);
}

SUITE(shop_commands, ONCE(what_is_refused_says_why_and_exits_as_its_error_wants),
      ONCE(what_is_right_is_done_and_answered))
