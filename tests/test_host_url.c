// tests/test_host_url.c: how a host may be named, and what each refusal says.
#include "provisioner/host_url.h"
#include "tests/support/more_check.h"

static const struct {
    Str url;
    HostUrl means;
} READ[] = {
    {S("unix:///run/docker.sock"), {.transport = HOST_UNIX, .socket = S("/run/docker.sock")}},
    {S("tcp://10.0.0.2"), {.transport = HOST_TCP, .host = S("10.0.0.2"), .port = 2376}},
    {S("tcp://eu1.example:2377/"), {.transport = HOST_TCP, .host = S("eu1.example"), .port = 2377}},
    {S("tcp://[fd00::2]:2377"), {.transport = HOST_TCP, .host = S("fd00::2"), .port = 2377}},
    {S("ssh://root@eu1.example"),
     {.transport = HOST_SSH, .user = S("root"), .host = S("eu1.example"), .port = 22, .socket = S(ENGINE_SOCKET)}},
    {S("ssh://eu1.example:2222/run/podman/podman.sock"),
     {.transport = HOST_SSH, .host = S("eu1.example"), .port = 2222, .socket = S("/run/podman/podman.sock")}},
    {S("ssh://ops@[fd00::2]:2222/"),
     {.transport = HOST_SSH, .user = S("ops"), .host = S("fd00::2"), .port = 2222, .socket = S(ENGINE_SOCKET)}},
};

TEST(a_url_says_how_the_engine_is_reached)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    const HostUrl *means = &READ[_i].means;
    HostUrl url = {0};
    Error err = {0};
    ck_assert_ok(host_url_parse(READ[_i].url, arena, &url, &err), &err);
    ck_assert_int_eq(url.transport, means->transport);
    ck_assert_str(url.socket, means->socket);
    ck_assert_str(url.user, means->user);
    ck_assert_str(url.host, means->host);
    ck_assert_int_eq(url.port, means->port);
}

static const Refused REFUSED[] = {
    {S(""), "begins with none of"},
    {S("http://eu1"), "begins with none of"},
    {S("unix://"), "path of the engine's socket is missing"},
    {S("unix://run/docker.sock"), "path of the engine's socket is missing"},
    {S("unix:///run/a b"), "a character that no socket's should have"},
    {S("tcp://"), "names no host"},
    {S("tcp://-o"), "names no host"},
    {S("tcp://eu1/run/docker.sock"), "takes no path"},
    {S("tcp://root@eu1"), "takes no user"},
    {S("tcp://eu1:0"), "its port isn't from 1"},
    {S("tcp://eu1:65536"), "its port isn't from 1"},
    {S("tcp://eu1:"), "its port isn't from 1"},
    {S("tcp://fd00::2"), "stands in brackets"},
    {S("tcp://[fd00::2"), "bracket isn't closed"},
    {S("tcp://[fd00::2]2376"), "its port isn't from 1"},
    {S("ssh://"), "names no host"},
    {S("ssh://root:secret@eu1"), "holds a password"},
    {S("ssh://@eu1"), "user's name is refused"},
    {S("ssh://ro ot@eu1"), "user's name is refused"},
    {S("ssh://root@eu1/run/\x01"), "a character that no socket's should have"},
};

TEST(a_wrong_url_is_refused_and_says_why)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    HostUrl url = {0};
    Error err = {0};
    ck_assert(!host_url_parse(REFUSED[_i].text, arena, &url, &err));
    ck_assert_says(&err, ERR_INVALID, REFUSED[_i].says);
}

static bool one_is_read(Arena *arena, Error *err)
{
    HostUrl url = {0};
    return host_url_parse(S("ssh://root@eu1/run/docker.sock"), arena, &url, err);
}

TEST(a_url_is_read_or_memory_ran_out)
{
    check_every_budget(one_is_read);
}

SUITE(host_url, EACH(a_url_says_how_the_engine_is_reached, READ), EACH(a_wrong_url_is_refused_and_says_why, REFUSED),
      ONCE(a_url_is_read_or_memory_ran_out))
