// tests/test_listen.c: addresses to listen on, and what a service manager is told.
#include "runtime/core/listen.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/more_check.h"

static bool has_ipv6(void)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    CLEANUP(fd_close) int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
}

static const struct {
    Str addresses;
    size_t count;
    bool is_ipv6;
} RIGHT[] = {
    {S("127.0.0.1:0"), 1, false},
    {S(":0"), 1, false},
    {S(" 127.0.0.1:0 , 127.0.0.2:0"), 2, false},
    {S("[::1]:0"), 1, true},
    {S("127.0.0.1:0,[::1]:0"), 2, true},
};

TEST(each_address_has_a_socket_and_more_of_them_for_more_threads)
{
    if (RIGHT[_i].is_ipv6 && !has_ipv6())
        return;
    Error err = {0};
    Listening first, second;
    ck_assert_ok(listen_open(RIGHT[_i].addresses, &first, &err), &err);
    ck_assert_uint_eq(first.count, RIGHT[_i].count);
    ck_assert_uint_gt(listen_port(&first), 0);
    ck_assert_ok(listen_again(&first, &second, &err), &err);
    ck_assert_uint_eq(second.count, RIGHT[_i].count);
    ck_assert_uint_eq(listen_port(&second), listen_port(&first));
    Str taken = RIGHT[_i].is_ipv6 ? S("[::1]") : S("127.0.0.1");
    char text[64];
    int len = snprintf(text, sizeof(text), "%.*s:%u", STR_ARG(taken), listen_port(&first));
    Listening third;
    if (RIGHT[_i].count == 1) {
        ck_assert(!listen_open((Str){text, (size_t)len}, &third, &err));    // by a third party
        ck_assert_says(&err, ERR_EXISTS, "another program listens");
    }
    listen_close(&first);
    listen_close(&second);
    ck_assert_uint_eq(listen_port(&first), 0);
}

static const struct {
    Str addresses;
    ErrorCode code;
    const char *says;
} WRONG[] = {
    {S("127.0.0.1"), ERR_USAGE, "isn't an address"},
    {S("127.0.0.1:"), ERR_USAGE, "isn't an address"},
    {S("127.0.0.1:65536"), ERR_USAGE, "isn't an address"},
    {S("127.0.0.1:http"), ERR_USAGE, "isn't an address"},
    {S("::1:8080"), ERR_USAGE, "isn't an address"},
    {S("[::1:8080"), ERR_USAGE, "isn't an address"},
    {S("a..b:0"), ERR_USAGE, "isn't an address"},
    {S("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
       "012345678901234567890123456789:0"),
     ERR_USAGE, "isn't an address"},
    {S("127.0.0.1:0,nowhere"), ERR_USAGE, "'nowhere'"},
    {S("203.0.113.1:0"), ERR_FAILED, "can't listen on 203.0.113.1:0"},
    {S("127.0.0.1:0,127.0.0.1:0,127.0.0.1:0,127.0.0.1:0,127.0.0.1:0,127.0.0.1:0,127.0.0.1:0,127.0.0.1:0,127.0.0.1:0"),
     ERR_USAGE, "more than 8 addresses"},
};

TEST(a_wrong_address_is_refused_by_name_and_nothing_stays_open)
{
    Error err = {0};
    Listening opened = {.count = 77};
    int before = dup(STDIN_FILENO);
    (void)close(before);
    ck_assert(!listen_open(WRONG[_i].addresses, &opened, &err));
    ck_assert_says(&err, WRONG[_i].code, WRONG[_i].says);
    ck_assert_uint_eq(opened.count, 77);
    int after = dup(STDIN_FILENO);
    (void)close(after);
    ck_assert_int_eq(after, before);
}

TEST(what_is_no_socket_of_ours_has_no_further_one)
{
    Error err = {0};
    Listening none = {.sockets = {-1}, .count = 1}, more = {0};
    ck_assert(!listen_again(&none, &more, &err));
    ck_assert_says(&err, ERR_FAILED, "address can't be read");
    ck_assert_uint_eq(listen_port(&none), 0);
    error_clear(&err);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int alone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);    // without SO_REUSEPORT
    ck_assert(bind(alone, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(alone, 1) == 0);
    Listening one = {.sockets = {alone}, .count = 1};
    ck_assert(!listen_again(&one, &more, &err));
    ck_assert_says(&err, ERR_EXISTS, "a further thread's address");
    listen_close(&one);
}

TEST(sockets_that_are_meant_for_another_process_are_left)
{
    Listening inherited = {.count = 77};
    (void)setenv("LISTEN_FDS", "1", 1);
    (void)setenv("LISTEN_PID", "1", 1);
    listen_inherited(&inherited);
    ck_assert_uint_eq(inherited.count, 0);
    (void)setenv("LISTEN_PID", "me", 1);
    listen_inherited(&inherited);
    ck_assert_uint_eq(inherited.count, 0);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
}

// ---- the service manager ----

static int manager_open(const char *name, size_t len)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, name, len);
    if (at.sun_path[0] == '@')
        at.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
    return fd;
}

static void check_told(const char *name, bool is_told)
{
    char text[64];
    int fd = manager_open(name, strlen(name));
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    service_notify(S("READY=1"));
    ssize_t got = recv(fd, text, sizeof(text), 0);
    ck_assert_int_eq(got, is_told ? (ssize_t)strlen("READY=1") : -1);
    if (is_told)
        ck_assert_str(((Str){text, (size_t)got}), S("READY=1"));
    (void)unsetenv("NOTIFY_SOCKET");
    fd_close(&fd);
}

TEST(the_service_manager_is_told_where_it_listens)
{
    char folder[] = "/tmp/shopd-notify-XXXXXX", path[64], name[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    (void)snprintf(name, sizeof(name), "@%s", folder);
    check_told(path, true);
    check_told(name, true);
    ck_assert_int_eq(chdir(folder), 0);
    check_told("relative", false);
    (void)unlink("relative");
    (void)unlink(path);
    ck_assert_int_eq(chdir("/"), 0);
    (void)rmdir(folder);
    char longer[256];
    memset(longer, '/', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", longer, 1), 0);
    service_notify(S("READY=1"));    // nobody is told, and nothing is written beyond an address
    (void)unsetenv("NOTIFY_SOCKET");
    service_notify(S("READY=1"));
}

SUITE(listen, EACH(each_address_has_a_socket_and_more_of_them_for_more_threads, RIGHT),
      EACH(a_wrong_address_is_refused_by_name_and_nothing_stays_open, WRONG),
      ONCE(what_is_no_socket_of_ours_has_no_further_one), ONCE(sockets_that_are_meant_for_another_process_are_left),
      ONCE(the_service_manager_is_told_where_it_listens))
