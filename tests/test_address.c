// tests/test_address.c: addresses to listen on and URLs, as people write them, and whether somebody answers there.
#include "provisioner/address.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/file.h"
#include "tests/support/more_check.h"

static const struct {
    const char *listen, *url;
} URLS[] = {
    {"127.0.0.1:8080", "http://127.0.0.1:8080"},
    {"0.0.0.0:80", "http://127.0.0.1:80"},
    {":80", "http://127.0.0.1:80"},
    {"*:80", "http://127.0.0.1:80"},
    {"[::]:1", "http://[::1]:1"},
    {"[::1]:65535, 127.0.0.1:1", "http://[::1]:65535"},
    {" shops.example:8080 ", "http://shops.example:8080"},
};

TEST(the_url_of_an_address_is_by_what_this_machine_reaches_it)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str url = S("");
    ck_assert_ok(address_url(str_of(URLS[_i].listen), arena, &url, &err), &err);
    ck_assert_str(url, str_of(URLS[_i].url));
}

static const char *const NO_ADDRESSES[] = {"",       "127.0.0.1", "127.0.0.1:",     "127.0.0.1:0", "127.0.0.1:65536",
                                           "::1:80", "[::1]",     "127.0.0.1:80x",  "[::1:80",     "::1]:80",
                                           ":",      "a:b:1",     "127.0.0.1:80:90"};

TEST(what_is_no_address_is_refused_and_says_how_to_write_one)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str url = S(""), text = str_of(NO_ADDRESSES[_i]);
    ck_assert(!address_url(text, arena, &url, &err));
    ck_assert_says(&err, ERR_INVALID, "write it as in 127.0.0.1:8080");
    ck_assert(!is_address_ready(text, 1));
    error_clear(&err);
    if (text.len == 0)
        return;
    ck_assert(!address_check(text, &err));
    ck_assert_says(&err, ERR_INVALID, "is refused");
}

TEST(a_host_that_is_too_long_or_holds_nul_is_no_address)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str url = S("");
    ck_assert(!address_url(str_format(arena, "%0300d:80", 0), arena, &url, &err));
    ck_assert_int_eq(err.code, ERR_INVALID);
    error_clear(&err);
    ck_assert(!address_url(S("a\0b:80"), arena, &url, &err));
    ck_assert_int_eq(err.code, ERR_INVALID);
}

static const struct {
    const char *url, *address;
} LOOPBACKS[] = {
    {"http://127.0.0.1:80/", "127.0.0.1:80"},
    {"http://127.1.2.3:80", "127.1.2.3:80"},
    {"http://localhost:80/x", "localhost:80"},
    {"http://[::1]:80", "[::1]:80"},
    {"https://127.0.0.1:80", ""},
    {"http://10.0.0.1:80", ""},
    {"http://localhost.example:80", ""},
    {"", ""},
};

TEST(the_address_of_a_url_is_told_for_this_machine_alone)
{
    ck_assert_str(address_of_url(str_of(LOOPBACKS[_i].url)), str_of(LOOPBACKS[_i].address));
}

static const char *const RIGHT[] = {"http://a.example", "https://A-b_c.example:65535/", "http://[2001:db8::1]",
                                    "http://[::ffff:1.2.3.4]:80/"};

static const char *const WRONG[] = {"",
                                    "a.example",
                                    "ftp://a.example",
                                    "http://",
                                    "http:///",
                                    "http://:80",
                                    "http://a.example:",
                                    "http://a.example:0",
                                    "http://a.example:65536",
                                    "http://a.example:8x",
                                    "http://a.example/x",
                                    "http://a b.example",
                                    "http://[::1",
                                    "http://[]",
                                    "http://[::g]",
                                    "http://[::1]x:80",
                                    "http://caf\xC3\xA9.example",
                                    "http://user@a.example"};

TEST(a_url_of_scheme_host_and_port_is_taken)
{
    Error err = {0};
    ck_assert_ok(address_url_check(str_of(RIGHT[_i]), &err), &err);
}

TEST(any_other_url_is_refused)
{
    Error err = {0};
    ck_assert(!address_url_check(str_of(WRONG[_i]), &err));
    ck_assert_says(&err, ERR_INVALID, "without a path");
}

// ---- who answers ----

typedef struct Answerer {
    int listener;
    unsigned port;
    const char *const *parts;    // of the answer, a send each; ends in NULL
} Answerer;

static Answerer answerer_open(const char *const *parts)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    return (Answerer){listener, ntohs(address.sin_port), parts};
}

static void *answer_once(void *context)
{
    Answerer *answerer = context;
    char request[KIB];
    int fd = accept4(answerer->listener, NULL, NULL, SOCK_CLOEXEC);
    (void)!recv(fd, request, sizeof(request), 0);
    for (const char *const *part = answerer->parts; *part; part++)
        (void)!send(fd, *part, strlen(*part), MSG_NOSIGNAL);
    fd_close(&fd);
    return NULL;
}

static const struct {
    const char *parts[4];
    bool is_ready;
} ANSWERS[] = {
    {{"HTTP/1.1 200 OK\r\n\r\n", NULL}, true},
    {{"HTTP/1.", "1 20", "0 OK\r\n\r\n", NULL}, true},
    {{"HTTP/1.1 503 Service Unavailable\r\n\r\n", NULL}, false},
    {{"HTTP/1.", NULL}, false},
    {{NULL}, false},
};

TEST(an_address_is_ready_when_it_answers_with_200)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Answerer answerer = answerer_open(ANSWERS[_i].parts);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, answer_once, &answerer), 0);
    bool is_ready = is_address_ready(str_format(arena, "127.0.0.1:%u, [::1]:1", answerer.port), 10000);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    fd_close(&answerer.listener);
    ck_assert_int_eq(is_ready, ANSWERS[_i].is_ready);
}

TEST(an_address_where_nobody_answers_is_not_ready)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Answerer answerer = answerer_open(NULL);
    Str listen = str_format(arena, "127.0.0.1:%u", answerer.port);
    ck_assert(!is_address_ready(listen, 30));    // it listens, and takes nobody
    fd_close(&answerer.listener);
    ck_assert(!is_address_ready(listen, 30));
    ck_assert(!is_address_ready(S("nowhere.invalid:80"), 30));
}

TEST(an_address_that_is_free_can_be_listened_on_and_a_taken_one_not)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Answerer answerer = answerer_open(NULL);
    Str listen = str_format(arena, "127.0.0.1:%u", answerer.port);
    ck_assert(!address_check(str_format(arena, "127.0.0.2:%u,%.*s", answerer.port, STR_ARG(listen)), &err));
    ck_assert_says(&err, ERR_EXISTS, "another process listens there");
    error_clear(&err);
    fd_close(&answerer.listener);
    ck_assert_ok(address_check(str_format(arena, "%.*s, 127.0.0.2:%u", STR_ARG(listen), answerer.port), &err), &err);
    ck_assert(!address_check(S("203.0.113.7:8080"), &err));    // no address of this machine
    ck_assert_says(&err, ERR_FAILED, "choose another one by --listen");
    error_clear(&err);
    ck_assert(!address_check(S("nowhere.invalid:80"), &err));
    ck_assert_says(&err, ERR_INVALID, "nowhere.invalid");
}

// Whether who comes there is let in.
static bool can_come(unsigned port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
}

TEST(listeners_are_held_and_taken_over_by_others_of_ours)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Listeners first = {0}, second = {0};
    Answerer answerer = answerer_open(NULL);    // for a port
    Str listen = str_format(arena, "127.0.0.1:%u, 127.0.0.2:%u", answerer.port, answerer.port);
    ck_assert(!listeners_open(listen, &first, &err));    // another one's, who doesn't share
    ck_assert_says(&err, ERR_EXISTS, "another process listens there");
    ck_assert_uint_eq(first.count, 0);
    error_clear(&err);
    fd_close(&answerer.listener);
    ck_assert_ok(listeners_open(listen, &first, &err), &err);
    ck_assert_uint_eq(first.count, 2);
    ck_assert(!can_come(answerer.port));
    ck_assert_ok(listeners_listen(&first, &err) && listeners_listen(&first, &err), &err);
    ck_assert(can_come(answerer.port));
    ck_assert(!address_check(listen, &err));
    error_clear(&err);
    ck_assert_ok(listeners_open(listen, &second, &err), &err);
    listeners_close(&first);
    ck_assert(!can_come(answerer.port));
    ck_assert_ok(listeners_listen(&second, &err), &err);
    ck_assert(can_come(answerer.port));
    listeners_close(&second);
    ck_assert(!listeners_open(S("127.0.0.1"), &first, &err));
    ck_assert_says(&err, ERR_INVALID, "ADDRESS:PORT");
    error_clear(&err);
    ck_assert(!listeners_open(S("127.1.1.1:99,127.1.1.2:99,127.1.1.3:99,127.1.1.4:99,127.1.1.5:99,127.1.1.6:99,"
                                "127.1.1.7:99,127.1.1.8:99,127.1.1.9:99"),
                              &first, &err));
    ck_assert(err.code != ERR_NONE);
}

static const struct {
    Str url;
    const char *server;    // NULL: refused
    ErrorCode code;
} SERVERS[] = {
    {S("http://127.0.0.1:8081"), "127.0.0.1:8081", ERR_NONE},
    {S("http://127.0.0.1/"), "127.0.0.1:80", ERR_NONE},
    {S("http://[::1]:81/"), "[::1]:81", ERR_NONE},
    {S("http://[0:0::1]"), "[::1]:80", ERR_NONE},
    {S("https://127.0.0.1:8081"), NULL, ERR_INVALID},
    {S("http://127.0.0.1:0"), NULL, ERR_INVALID},
    {S("http://no-such-host.invalid:81"), NULL, ERR_UNREACHABLE},
};

TEST(the_server_of_a_url_is_told_as_a_number)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str server = S("untouched");
    bool ok = address_of_server(SERVERS[_i].url, arena, &server, &err);
    ck_assert_int_eq((int)err.code, (int)SERVERS[_i].code);
    ck_assert_int_eq(ok, SERVERS[_i].server != NULL);
    ck_assert_str(server, ok ? str_of(SERVERS[_i].server) : S("untouched"));
}

static const struct {
    Str list;
    bool is_right;
} LISTS[] = {
    {S("127.0.0.1:80"), true},
    {S("127.0.0.1:80, [::]:80,:81"), true},
    {S(""), false},
    {S("127.0.0.1:80,"), false},
    {S(",127.0.0.1:80"), false},
    {S("127.0.0.1"), false},
    {S("::1:80"), false},
};

TEST(a_list_of_addresses_is_checked_by_its_form)
{
    Error err = {0};
    ck_assert_int_eq(address_list_check(LISTS[_i].list, &err), LISTS[_i].is_right);
    ck_assert_int_eq((int)err.code, LISTS[_i].is_right ? ERR_NONE : ERR_INVALID);
}

static const struct {
    const char *address, *own;    // NULL: no way leads there
} WAYS[] = {
    {"127.0.0.1:80", "127.0.0.1"},
    {"127.9.9.9:1", "127.0.0.1"},
    {"[::1]:80", "::1"},
    {"no-such-host.invalid:80", NULL},
};

TEST(our_own_address_is_the_one_that_the_other_side_sees)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str own = S("");
    if (WAYS[_i].own) {
        ck_assert_ok(address_towards(str_of(WAYS[_i].address), arena, &own, &err), &err);
        ck_assert_str(own, str_of(WAYS[_i].own));
        ck_assert(is_address_loopback(own));
        return;
    }
    ck_assert(!address_towards(str_of(WAYS[_i].address), arena, &own, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "no way leads to 'no-such-host.invalid:80'");
}

SUITE(address, EACH(our_own_address_is_the_one_that_the_other_side_sees, WAYS),
      EACH(the_server_of_a_url_is_told_as_a_number, SERVERS), EACH(a_list_of_addresses_is_checked_by_its_form, LISTS),
      EACH(the_url_of_an_address_is_by_what_this_machine_reaches_it, URLS),
      EACH(what_is_no_address_is_refused_and_says_how_to_write_one, NO_ADDRESSES),
      ONCE(a_host_that_is_too_long_or_holds_nul_is_no_address),
      EACH(the_address_of_a_url_is_told_for_this_machine_alone, LOOPBACKS),
      EACH(a_url_of_scheme_host_and_port_is_taken, RIGHT), EACH(any_other_url_is_refused, WRONG),
      EACH(an_address_is_ready_when_it_answers_with_200, ANSWERS), ONCE(an_address_where_nobody_answers_is_not_ready),
      ONCE(listeners_are_held_and_taken_over_by_others_of_ours),
      ONCE(an_address_that_is_free_can_be_listened_on_and_a_taken_one_not))
