// tests/test_request.c: parameters, cookies, forms, hosts, proxies and settings.
#include "runtime/core/request.h"

#include <unistd.h>

#include "base/file.h"
#include "runtime/core/settings.h"
#include "runtime/core/target.h"
#include "tests/support/more_check.h"

static const struct {
    Str query, name;
    const char *value;    // NULL: absent
} PARAMETERS[] = {
    {S("q=lamp"), S("q"), "lamp"},
    {S("a=1&q=x+y%20z&q=other"), S("q"), "x y z"},
    {S("q="), S("q"), ""},
    {S("q"), S("q"), ""},
    {S("&&q=1&"), S("q"), "1"},
    {S("%71=1"), S("q"), "1"},
    {S("q=a=b"), S("q"), "a=b"},
    {S("qq=1"), S("q"), NULL},
    {S("Q=1"), S("q"), NULL},
    {S(""), S("q"), NULL},
    {S("%zz=1&q=2"), S("q"), "2"},
    {S("q=caf%C3%A9"), S("q"), "caf\xc3\xa9"},
    {S("q=caf%c3%a9"), S("q"), "caf\xc3\xa9"},
    {S("+q=1&%=2&q=%2B"), S("q"), "+"},
    {S("%7=1&%7g=1&q=2"), S("q"), "2"},
};

TEST(a_parameter_of_the_query_is_found_and_decoded)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Request r = {.arena = arena, .query = PARAMETERS[_i].query};
    Error err = {0};
    Str value;
    ck_assert_ok(request_parameter(&r, PARAMETERS[_i].name, &value, &err), &err);
    ck_assert_int_eq(value.data != NULL, PARAMETERS[_i].value != NULL);
    ck_assert_str(value, str_of(PARAMETERS[_i].value));
}

static const Refused WRONG_VALUES[] = {
    {S("page=%"), "page"},  {S("page=%00"), "page"}, {S("page=%ff"), "page"}, {S("page=0"), "page"},
    {S("page=x"), "page"},  {S("page=11"), "page"},  {S("page=-1"), "page"},  {S("page=99999999999999999999"), "page"},
    {S("page=%4"), "page"}, {S("page=%g0"), "page"}, {S("page=%3/"), "page"}, {S("page=+1"), "page"},
};

TEST(a_parameter_that_is_no_number_in_bounds_is_refused_by_name)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Request r = {.arena = arena, .query = WRONG_VALUES[_i].text};
    Error err = {0};
    int64_t page = 7;
    ck_assert(!request_parameter_int(&r, S("page"), 1, 10, 1, &page, &err));
    ck_assert_int_eq(err.code, ERR_INVALID);
    ck_assert_str(str_of(err.where), str_of(WRONG_VALUES[_i].says));
    ck_assert_int_eq(page, 7);
}

static const struct {
    Str header, name;
    const char *value;
} COOKIES[] = {
    {S("shop=abc.1"), S("shop"), "abc.1"},
    {S("a=b; shop=abc; c=d"), S("shop"), "abc"},
    {S("a=b;shop=\"abc\""), S("shop"), "abc"},
    {S("shop="), S("shop"), ""},
    {S("shop=a=b"), S("shop"), "a=b"},
    {S("shop=\""), S("shop"), "\""},
    {S("shop=\"a"), S("shop"), "\"a"},
    {S("shop=a\""), S("shop"), "a\""},
    {S("shop=\"\""), S("shop"), ""},
    {S(" shop=1 "), S("shop"), "1"},
    {S("shop=1; shop=2"), S("shop"), "1"},
    {S("xshop=1"), S("shop"), NULL},
    {S("shopx=1"), S("shop"), NULL},
    {S("shop"), S("shop"), NULL},
    {S(";;=;"), S("shop"), NULL},
    {S(""), S("shop"), NULL},
};

TEST(a_cookie_is_found_by_its_whole_name)
{
    Str value = cookie_find(COOKIES[_i].header, COOKIES[_i].name);
    ck_assert_int_eq(value.data != NULL, COOKIES[_i].value != NULL);
    ck_assert_str(value, str_of(COOKIES[_i].value));
}

static bool form_of_three(Arena *arena, Error *err)
{
    Form form;
    if (!form_parse(S("email=a%40b.example&name=Ana+Mar%C3%ADa&&empty="), arena, &form, err))
        return false;
    ck_assert_uint_eq(form.count, 3);
    ck_assert_str(form_value(&form, S("email")), S("a@b.example"));
    ck_assert_str(form_value(&form, S("name")), S("Ana Mar\xc3\xad"
                                                  "a"));
    ck_assert_str(form_value(&form, S("empty")), S(""));
    ck_assert_ptr_null(form_value(&form, S("other")).data);
    return true;
}

TEST(a_form_is_read_whole_or_memory_ran_out)
{
    check_every_budget(form_of_three);
}

static const Refused WRONG_FORMS[] = {
    {S("a=%"), "two hexadecimal"}, {S("a=%0"), "two hexadecimal"}, {S("%xx=1"), "two hexadecimal"},
    {S("a=%00"), "NUL"},           {S("a=\xff"), "isn't UTF-8"},   {S("a=1&b=%c3%28"), "isn't UTF-8"},
};

TEST(a_form_that_cannot_be_decoded_is_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Form form;
    Error err = {0};
    ck_assert(!form_parse(WRONG_FORMS[_i].text, arena, &form, &err));
    ck_assert_says(&err, ERR_MALFORMED, WRONG_FORMS[_i].says);
}

TEST(a_form_of_too_many_fields_is_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    StrBuf text = {.arena = arena};
    for (int i = 0; i <= REQUEST_PARAMETERS_MAX; i++)
        strbuf_add(&text, S("a=1&"));
    Form form;
    Error err = {0};
    ck_assert(!form_parse(strbuf_str(&text), arena, &form, &err));
    ck_assert_says(&err, ERR_MALFORMED, "65 fields");
}

static const struct {
    Str authority;
    const char *host;    // NULL: refused
} HOSTS[] = {
    {S("acme.localhost"), "acme.localhost"},
    {S("ACME.LocalHost:8080"), "acme.localhost"},
    {S("acme.localhost."), "acme.localhost"},
    {S("acme.localhost.:80"), "acme.localhost"},
    {S("127.0.0.1:1"), "127.0.0.1"},
    {S("[::1]:8080"), "[::1]"},
    {S("[::1]"), "[::1]"},
    {S("under_score.example"), "under_score.example"},
    {S(""), NULL},
    {S(":80"), NULL},
    {S("a b"), NULL},
    {S("a@b"), NULL},
    {S("a/b"), NULL},
    {S("a,b"), NULL},
    {S("a:b"), NULL},
    {S("a:123456"), NULL},
    {S("a:80:80"), NULL},
    {S("[::1"), NULL},
    {S("[::g]"), NULL},
    {S("caf\xc3\xa9.example"), NULL},
    {S("<script>"), NULL},
};

TEST(a_host_is_brought_to_its_one_form_or_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str host = {0};
    bool ok = host_normal(HOSTS[_i].authority, arena, &host, &err);
    ck_assert_int_eq(ok, HOSTS[_i].host != NULL);
    ck_assert_str(host, str_of(HOSTS[_i].host));
}

static const struct {
    const char *target;
    const char *host_header;
    const char *path, *query;    // NULL: refused
    const char *host;
} TARGETS[] = {
    {"/a?b=c?d", "x.example", "/a", "b=c?d", "x.example"},
    {"/a", "x.example", "/a", NULL, "x.example"},
    {"/a?", "x.example", "/a", "", "x.example"},
    {"http://X.example/a?b", "x.example:80", "/a", "b", "x.example"},
    {"http://x.example", "x.example", "/", NULL, "x.example"},
    {"http://x.example?b", "x.example", "/", "b", "x.example"},
    {"https://x.example/a", "x.example", "/a", NULL, "x.example"},
    {"http://y.example/a", "x.example", NULL, NULL, NULL},
    {"http:///a", "x.example", NULL, NULL, NULL},
    {"http://user@x.example/a", "x.example", NULL, NULL, NULL},
    {"ftp://x.example/a", "x.example", NULL, NULL, NULL},
    {"a", "x.example", NULL, NULL, NULL},
    {"*", "x.example", NULL, NULL, NULL},
};

TEST(a_target_is_split_or_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Request r = {.arena = arena, .target = str_of(TARGETS[_i].target)};
    Error err = {0};
    bool ok = target_read(&r, str_of(TARGETS[_i].host_header), &err);
    ck_assert_int_eq(ok, TARGETS[_i].path != NULL);
    if (!ok)
        return;
    ck_assert_str(r.path, str_of(TARGETS[_i].path));
    ck_assert_int_eq(r.query.data != NULL, TARGETS[_i].query != NULL);
    ck_assert_str(r.query, str_of(TARGETS[_i].query));
    ck_assert_str(r.host, str_of(TARGETS[_i].host));
}

static const struct {
    const char *trusted, *peer, *forwarded, *client;
} CLIENTS[] = {
    {"", "127.0.0.1", "1.2.3.4", "127.0.0.1"},
    {"loopback", "127.0.0.1", "1.2.3.4", "1.2.3.4"},
    {"loopback", "127.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"},
    {"loopback, 10.0.0.0/8", "127.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.2.3", "1.2.3.4"},
    {"10.0.0.0/8", "11.0.0.1", "1.2.3.4", "11.0.0.1"},
    {"loopback", "127.0.0.1", "not an address", "127.0.0.1"},
    {"loopback", "127.0.0.1", NULL, "127.0.0.1"},
    {"fe80::/10", "fe80::7", "2001:db8::1", "2001:db8::1"},
    {"", "255.255.255.255", NULL, "255.255.255.255"},
    {"", "0.0.0.0", NULL, "0.0.0.0"},
    {"", "2001:db8:1111:2222:3333:4444:5555:6666", NULL, "2001:db8:1111:2222:3333:4444:5555:6666"},
};

TEST(a_client_behind_trusted_proxies_is_found_and_no_other_is_believed)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Proxies proxies;
    Address peer;
    char text[ADDRESS_TEXT];
    Str name = S("X-Forwarded-For"), value = str_of(CLIENTS[_i].forwarded);
    Str head = str_format(arena, "%.*s%.*s", STR_ARG(name), STR_ARG(value));
    HeaderAt header = {0, (uint16_t)name.len, (uint16_t)name.len, (uint16_t)value.len};
    Request r = {.arena = arena, .head = head, .headers = &header, .header_count = CLIENTS[_i].forwarded ? 1 : 0};
    ck_assert_ok(proxies_read(str_of(CLIENTS[_i].trusted), arena, &proxies, &err), &err);
    ck_assert(address_read(str_of(CLIENTS[_i].peer), &peer));
    Address client = client_address(&r, &proxies, &peer);
    ck_assert_str(address_text(&client, text), str_of(CLIENTS[_i].client));
}

static const Refused WRONG_PROXIES[] = {{S("10.0.0.0/33"), "10.0.0.0/33"},
                                        {S("example.com"), "example.com"},
                                        {S(",loopback"), "''"},
                                        {S("::1/x"), "::1/x"}};

TEST(a_wrong_proxy_is_refused_by_name)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Proxies proxies;
    ck_assert(!proxies_read(WRONG_PROXIES[_i].text, arena, &proxies, &err));
    ck_assert_says(&err, ERR_USAGE, WRONG_PROXIES[_i].says);
}

static const struct {
    const char *argument, *value;
    const char *says;
} WRONG_OPTIONS[] = {
    {"--lisen", "x", "--listen"},
    {"--threads", "many", "many"},
    {"--threads", "-1", "threads"},
    {"--cell", NULL, "needs a value"},
    {"--pin=yes", NULL, "no value"},
    {"serve", NULL, "isn't an option"},
    {"--modules", "storefron", "storefront"},
    {"--log-level", "inf", "info"},
    {"--thread", "2", "--threads"},
    {"--threads", "257", "0 to 256"},
    {"--threads", "", "threads"},
    {"--connections", "0", "1 to 1000"},
    {"--cell", "", "'--cell' is missing"},
    {"--listen", "127.0.0.1:1", "'--cell' is missing"},
};

TEST(a_wrong_option_is_refused_with_the_nearest_right_one)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    char *argv[] = {(char *)"shopd", (char *)(uintptr_t)WRONG_OPTIONS[_i].argument,
                    (char *)(uintptr_t)WRONG_OPTIONS[_i].value, NULL};
    Settings settings;
    SettingsAsk ask;
    Error err = {0};
    ck_assert(!shopd_settings_read(WRONG_OPTIONS[_i].value ? 3 : 2, argv, NULL, arena, &settings, &ask, &err));
    ck_assert_says(&err, ERR_USAGE, WRONG_OPTIONS[_i].says);
}

TEST(the_command_line_comes_before_variables_and_these_before_defaults)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    char *argv[] = {(char *)"shopd", (char *)"--threads=3", (char *)"--cell", (char *)"dbname=x", NULL};
    char *environment[] = {(char *)"SHOPD_THREADS=2", (char *)"SHOPD_BASE_DOMAIN=shops.example", (char *)"OTHER=1",
                           NULL};
    Settings settings;
    SettingsAsk ask;
    Error err = {0};
    ck_assert_ok(shopd_settings_read(4, argv, environment, arena, &settings, &ask, &err), &err);
    ck_assert_int_eq(settings.threads, 3);
    ck_assert_str(settings.cell, S("dbname=x"));
    ck_assert_str(settings.base_domain, S("shops.example"));
    ck_assert_int_eq(settings.head_timeout_ms, 10000);
    ck_assert_int_eq(ask, ASK_RUN);
}

static const struct {
    char *entry;
    const char *says;    // and where: NULL: it is taken
} VARIABLES[] = {
    {(char *)"SHOPD_LISEN=x", "--listen"},
    {(char *)"SHOPD_HELP=1", "--help"},
    {(char *)"SHOPD_THREADS2=1", "--threads"},
    {(char *)"SHOPD_threads=x", "'x'"},
    {(char *)"SHOPD_THREADS=x", "'x'"},
    {(char *)"SHOPD_TRUSTED_PROXIES=", NULL},
    {(char *)"SHOPD_0123456789012345678901234567890123456789012345678901234567890123456789=1", NULL},
    {(char *)"SHOP=1", NULL},
};

TEST(a_wrong_variable_is_refused_by_its_name)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    char *argv[] = {(char *)"shopd", (char *)"--cell=dbname=x", NULL}, *environment[] = {VARIABLES[_i].entry, NULL};
    Settings settings;
    SettingsAsk ask;
    Error err = {0};
    bool ok = shopd_settings_read(2, argv, environment, arena, &settings, &ask, &err);
    ck_assert_int_eq(ok, VARIABLES[_i].says == NULL);
    if (ok)
        return;
    ck_assert_says(&err, ERR_USAGE, VARIABLES[_i].says);
    Str entry = str_of(VARIABLES[_i].entry);
    ck_assert_str(str_of(err.where), str_slice(entry, 0, str_find_char(entry, '=')));
}

static const struct {
    const char *content, *says, *where;    // NULL: it is taken
} CONFIGS[] = {
    {"# of a test\n\n threads = 3 \npin = true", NULL, NULL},
    {"threads = 3\npin = 0\nbase-domain =\n", NULL, NULL},
    {"\nthreads", "has no value", ":2"},
    {"thread = 3", "--threads", ":1"},
    {"help = 1", "--help", ":1"},
    {"config = other", "--config", ":1"},
    {"pin = maybe", "neither true nor false", ":1"},
    {"threads = x", "'x'", ":1"},
    {"= 3", "--'", ":1"},
    {NULL, "can't be read", ""},
};

TEST(a_config_file_is_read_or_the_wrong_line_is_named)
{
    CLEANUP(arena_close) Arena *arena = arena_open(4 * MIB);
    char path[] = "/tmp/shopd-config-XXXXXX";
    Error err = {0};
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    fd_close(&fd);
    if (CONFIGS[_i].content)
        ck_assert_ok(file_write(str_of(path), str_of(CONFIGS[_i].content), 0600, &err), &err);
    else
        (void)unlink(path);
    char *argv[] = {(char *)"shopd", (char *)"--cell=dbname=x", (char *)"--config", path, NULL};
    Settings settings;
    SettingsAsk ask;
    bool ok = shopd_settings_read(4, argv, NULL, arena, &settings, &ask, &err);
    (void)unlink(path);
    ck_assert_int_eq(ok, CONFIGS[_i].says == NULL);
    if (ok)
        ck_assert_int_eq(settings.threads, 3);
    else
        ck_assert(error_says(&err, CONFIGS[_i].says) && error_says(&err, CONFIGS[_i].where));
}

TEST(what_is_asked_for_first_is_told_and_every_option_is_in_it)
{
    static const struct {
        const char *arguments[2];
        SettingsAsk ask;
    } ASKS[] = {{{"--help", "--version"}, ASK_HELP},
                {{"--man", "--pin"}, ASK_MAN},
                {{"--openapi", "--threads=1"}, ASK_OPENAPI},
                {{"--pin", "--version"}, ASK_VERSION}};
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    for (size_t i = 0; i < COUNT(ASKS); i++) {
        char *argv[] = {(char *)"shopd", (char *)(uintptr_t)ASKS[i].arguments[0],
                        (char *)(uintptr_t)ASKS[i].arguments[1], NULL};
        Settings settings;
        SettingsAsk ask;
        Error err = {0};
        ck_assert_ok(shopd_settings_read(3, argv, NULL, arena, &settings, &ask, &err), &err);
        ck_assert_int_eq(ask, ASKS[i].ask);
        ck_assert_int_eq(settings.pin, i % 2);
    }
    static const char *const OPTIONS[] = {"cell", "listen", "threads", "trusted-proxies", "config", "openapi"};
    Str help = shopd_settings_help(arena), man = str_replace(arena, shopd_settings_man(arena), '\\', ' ');
    for (size_t i = 0; i < COUNT(OPTIONS); i++) {
        ck_assert_contains(help, str_format(arena, "--%s", OPTIONS[i]));
        Str name = str_slice(str_of(OPTIONS[i]), 0, str_find_char(str_of(OPTIONS[i]), '-'));
        ck_assert_contains(man, str_format(arena, ".B  - -%.*s", STR_ARG(name)));
    }
    ck_assert_contains(help, S("[127.0.0.1:8080]"));
}

TEST(a_log_level_that_is_none_is_that_of_information)
{
    Settings settings = {.log_level = S("error")};
    ck_assert_int_eq(shopd_settings_log_level(&settings), LOG_ERROR);
    settings.log_level = S("debug");
    ck_assert_int_eq(shopd_settings_log_level(&settings), LOG_DEBUG);
    settings.log_level = S("");
    ck_assert_int_eq(shopd_settings_log_level(&settings), LOG_INFO);
}

static const struct {
    const char *trusted, *peer, *forwarded;
    bool is_secure;
} SECURE[] = {
    {"", "127.0.0.1", "https", false},
    {"loopback", "127.0.0.1", "https", true},
    {"loopback", "::1", "HTTPS", true},
    {"loopback", "127.0.0.1", "http", false},
    {"loopback", "128.0.0.1", "https", false},
    {"10.0.0.0/9", "10.127.0.1", "https", true},
    {"10.0.0.0/9", "10.128.0.1", "https", false},
    {"0.0.0.0/0", "1.2.3.4", "https", true},
};

TEST(a_client_speaks_tls_where_a_trusted_proxy_says_so)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Proxies proxies;
    Address peer;
    Str name = S("X-Forwarded-Proto"), value = str_of(SECURE[_i].forwarded);
    Str head = str_format(arena, "%.*s%.*s", STR_ARG(name), STR_ARG(value));
    HeaderAt header = {0, (uint16_t)name.len, (uint16_t)name.len, (uint16_t)value.len};
    Request r = {.arena = arena, .head = head, .headers = &header, .header_count = 1};
    ck_assert_ok(proxies_read(str_of(SECURE[_i].trusted), arena, &proxies, &err), &err);
    ck_assert(address_read(str_of(SECURE[_i].peer), &peer));
    ck_assert_int_eq(client_is_secure(&r, &proxies, &peer), SECURE[_i].is_secure);
    ck_assert_int_eq(address_is_loopback(&peer),
                     strcmp(SECURE[_i].peer, "127.0.0.1") == 0 || strcmp(SECURE[_i].peer, "::1") == 0);
    ck_assert(!address_read(S(""), &peer));
    ck_assert(!address_read(S("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"), &peer));
}

TEST(a_switch_in_a_variable_is_true_or_false)
{
    static const struct {
        char *entry;
        bool is_right, is_on;
    } ROWS[] = {{(char *)"SHOPD_PIN=true", true, true},
                {(char *)"SHOPD_PIN=1", true, true},
                {(char *)"SHOPD_PIN=false", true, false},
                {(char *)"SHOPD_PIN=0", true, false},
                {(char *)"SHOPD_PIN=maybe", false, false}};
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    char *argv[] = {(char *)"shopd", (char *)"--cell=dbname=x", NULL};
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char *environment[] = {ROWS[i].entry, NULL};
        Settings settings;
        SettingsAsk ask;
        Error err = {0};
        ck_assert_int_eq(shopd_settings_read(2, argv, environment, arena, &settings, &ask, &err), ROWS[i].is_right);
        if (ROWS[i].is_right)
            ck_assert_int_eq(settings.pin, ROWS[i].is_on);
        else
            ck_assert_says(&err, ERR_USAGE, "SHOPD_PIN");
    }
}

TEST(settings_that_need_a_start_stay_as_they_are_and_are_named)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Settings running = shopd_settings_default(), read = running;
    Str changed, waiting;
    shopd_settings_renew(&read, &running, arena, &changed, &waiting);
    ck_assert_str(changed, S(""));
    ck_assert_str(waiting, S(""));
    read.idle_timeout_ms = 100;
    read.log_level = S("debug");
    read.threads = 7;
    read.listen = S("127.0.0.1:1");
    read.pin = true;
    shopd_settings_renew(&read, &running, arena, &changed, &waiting);
    ck_assert_str(changed, S("idle-timeout, log-level"));
    ck_assert_str(waiting, S("listen, threads, pin"));
    ck_assert_int_eq(read.idle_timeout_ms, 100);
    ck_assert_int_eq(read.threads, running.threads);
    ck_assert_str(read.listen, running.listen);
    ck_assert(!read.pin);
}

SUITE(request, EACH(a_parameter_of_the_query_is_found_and_decoded, PARAMETERS),
      EACH(a_parameter_that_is_no_number_in_bounds_is_refused_by_name, WRONG_VALUES),
      EACH(a_cookie_is_found_by_its_whole_name, COOKIES), ONCE(a_form_is_read_whole_or_memory_ran_out),
      EACH(a_form_that_cannot_be_decoded_is_refused, WRONG_FORMS), ONCE(a_form_of_too_many_fields_is_refused),
      EACH(a_host_is_brought_to_its_one_form_or_refused, HOSTS), EACH(a_target_is_split_or_refused, TARGETS),
      EACH(a_client_behind_trusted_proxies_is_found_and_no_other_is_believed, CLIENTS),
      EACH(a_wrong_proxy_is_refused_by_name, WRONG_PROXIES),
      EACH(a_wrong_option_is_refused_with_the_nearest_right_one, WRONG_OPTIONS),
      ONCE(the_command_line_comes_before_variables_and_these_before_defaults),
      EACH(a_wrong_variable_is_refused_by_its_name, VARIABLES),
      EACH(a_config_file_is_read_or_the_wrong_line_is_named, CONFIGS),
      ONCE(what_is_asked_for_first_is_told_and_every_option_is_in_it),
      ONCE(a_log_level_that_is_none_is_that_of_information),
      EACH(a_client_speaks_tls_where_a_trusted_proxy_says_so, SECURE), ONCE(a_switch_in_a_variable_is_true_or_false),
      ONCE(settings_that_need_a_start_stay_as_they_are_and_are_named))
