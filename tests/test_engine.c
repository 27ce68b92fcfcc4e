// tests/test_engine.c: what an engine may answer, and what becomes of it. test_host has the real ones.
#include "provisioner/engine.h"

#include "base/clock.h"
#include "provisioner/image.h"
#include "tests/support/fake_engine.h"
#include "tests/support/more_check.h"

enum { SILENT_MS = 400, AT_MOST_MS = 3000, PATIENT_MS = 30000 };

#define HTTP(status, body) "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body
#define VERSION(newest, oldest)                                                                                        \
    HTTP("200 OK", "{\"Version\":\"1\",\"ApiVersion\":" newest ",\"MinAPIVersion\":" oldest "}")

static bool open_fake(Str socket, int64_t timeout_ms, Engine **out, Error *err)
{
    const HttpServer server = {.name = S("the engine of the host 'eu1'"),
                               .url = S("http://engine"),
                               .socket = socket,
                               .answer_timeout_ms = timeout_ms};
    return engine_open(&server, out, err);
}

static const struct {
    Str answer;
    FakeEnd end;
    ErrorCode code;
    const char *says;
} REFUSED[] = {
    {S(""), FAKE_CLOSES, ERR_UNREACHABLE, "doesn't answer"},
    {S(""), FAKE_HANGS, ERR_UNREACHABLE, "doesn't answer"},
    {S("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Api"), FAKE_CLOSES, ERR_UNREACHABLE, "doesn't answer"},
    {S("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Api"), FAKE_HANGS, ERR_UNREACHABLE, "doesn't answer"},
    {S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), FAKE_CLOSES, ERR_UNREACHABLE, "doesn't answer"},
    {S("HTTP/1.1 200 OK\r\n"), FAKE_HANGS, ERR_UNREACHABLE, "doesn't answer"},
    {S("HTTP/1.1 200 OK\r\nX: y\r\n"), FAKE_DRIPS, ERR_UNREACHABLE, "doesn't answer"},
    {S("HTTP/1.1 200 OK\r\n\r\n"), FAKE_REPEATS, ERR_TOO_LARGE, "the answer is too large"},
    {S("SSH-2.0-OpenSSH_9.2p1\r\n"), FAKE_CLOSES, ERR_MALFORMED, "doesn't speak HTTP"},
    {S(HTTP("200 OK", "<html>welcome</html>")), FAKE_CLOSES, ERR_MALFORMED, "something else than JSON"},
    {S(HTTP("200 OK", "{\"ApiVersion\":\"1.41\"")), FAKE_CLOSES, ERR_MALFORMED, "something else than JSON"},
    {S(HTTP("200 OK", "")), FAKE_CLOSES, ERR_MALFORMED, "is no container engine"},
    {S(HTTP("200 OK", "[]")), FAKE_CLOSES, ERR_MALFORMED, "is no container engine"},
    {S(VERSION("1.41", "1.12")), FAKE_CLOSES, ERR_MALFORMED, "is no container engine"},
    {S(VERSION("\"one\"", "\"1.12\"")), FAKE_CLOSES, ERR_MALFORMED, "is no container engine"},
    {S(VERSION("\"1.41\"", "\"x\"")), FAKE_CLOSES, ERR_MALFORMED, "is no container engine"},
    {S(VERSION("\"1.39\"", "\"1.12\"")), FAKE_CLOSES, ERR_STATE, "install a newer engine"},
    {S(VERSION("\"2.10\"", "\"2.0\"")), FAKE_CLOSES, ERR_STATE, "use a newer shopctl"},
    {S(HTTP("500 Oops", "{\"message\":\"no space left on device\"}")), FAKE_CLOSES, ERR_FAILED,
     "no space left on device"},
    {S(HTTP("500 Oops", "<h1>bad\x1b[2J</h1>")), FAKE_CLOSES, ERR_FAILED, "\\x1b"},
    {S(HTTP("503 Busy", "{\"message\":\"starting\"}")), FAKE_CLOSES, ERR_BUSY, "starting"},
    {S(HTTP("403 No", "{\"message\":17}")), FAKE_CLOSES, ERR_FORBIDDEN, "17"},
    {S(HTTP("302 Found", "")), FAKE_CLOSES, ERR_MALFORMED, "is no container engine"},
};

TEST(an_engine_that_answers_wrongly_is_refused_in_time)
{
    Str socket = S("");
    FakeEngine *fake = fake_engine_open(&socket);
    Engine *engine = NULL;
    Error err = {0};
    int64_t from_ms = clock_ms();
    bool is_silent = REFUSED[_i].end == FAKE_HANGS || REFUSED[_i].end == FAKE_DRIPS;
    fake_engine_set(fake, REFUSED[_i].answer, REFUSED[_i].end);
    ck_assert(!open_fake(socket, is_silent ? SILENT_MS : PATIENT_MS, &engine, &err));
    if (is_silent)
        ck_assert_int_lt(clock_ms() - from_ms, AT_MOST_MS);
    ck_assert_says(&err, REFUSED[_i].code, REFUSED[_i].says);
    ck_assert_ptr_null(engine);
    fake_engine_close(&fake);
}

static const struct {
    Str answer;
    Str agreed;
} AGREED[] = {
    {S(VERSION("\"1.41\"", "\"1.12\"")), S("1.41")},
    {S(VERSION("\"1.40\"", "\"1.12\"")), S("1.40")},
    {S(VERSION("\"1.52\"", "\"1.44\"")), S(ENGINE_API_MAX)},
    {S(VERSION("\"1.41\"", "null")), S("1.41")},
};

TEST(the_newest_version_that_both_know_is_used)
{
    Str socket = S("");
    FakeEngine *fake = fake_engine_open(&socket);
    Engine *engine = NULL;
    Error err = {0};
    fake_engine_set(fake, AGREED[_i].answer, FAKE_CLOSES);
    ck_assert_ok(open_fake(socket, PATIENT_MS, &engine, &err), &err);
    ck_assert_str(engine_api_version(engine), AGREED[_i].agreed);
    engine_close(&engine);
    fake_engine_close(&fake);
}

static const struct {
    Str answer;
    ErrorCode code;
    const char *says;
} CALLED[] = {
    {S(HTTP("404 Not Found", "{\"message\":\"No such container: x\"}")), ERR_NOT_FOUND, "No such container: x"},
    {S(HTTP("409 Conflict", "{\"message\":\"name in use\"}")), ERR_EXISTS, "name in use"},
    {S(HTTP("400 Bad", "{\"message\":\"wrong\"}")), ERR_INVALID, "wrong"},
    {S(HTTP("401 Who", "")), ERR_FORBIDDEN, "refuses 'GET /containers/x/json' with status 401"},
    {S(HTTP("200 OK", "{\"Id\":\"x\",\"Id\":\"y\"}")), ERR_MALFORMED, "something else than JSON"},
};

TEST(a_refused_call_has_the_engines_words)
{
    Str socket = S("");
    FakeEngine *fake = fake_engine_open(&socket);
    Engine *engine = NULL;
    Json *answer = NULL;
    Error err = {0};
    fake_engine_set(fake, AGREED[0].answer, FAKE_CLOSES);
    ck_assert_ok(open_fake(socket, PATIENT_MS, &engine, &err), &err);
    fake_engine_set(fake, CALLED[_i].answer, FAKE_CLOSES);
    ck_assert(
        !engine_call(engine, &(EngineCall){.method = "GET", .path = S("/containers/x/json?size=1")}, &answer, &err));
    ck_assert_says(&err, CALLED[_i].code, CALLED[_i].says);
    ck_assert_ptr_null(answer);
    engine_close(&engine);
    fake_engine_close(&fake);
}

// An engine that fails where it is asked for the image hasn't been given it.
TEST(an_image_that_nobody_answers_for_is_not_there)
{
    static const Image IMAGE = {.name = S("shopctl/shopd"), .reference = S("shopctl/shopd:x")};
    Str socket = S("");
    FakeEngine *fake = fake_engine_open(&socket);
    Engine *engine = NULL;
    Error err = {0};
    bool is_there = true;
    fake_engine_set(fake, AGREED[0].answer, FAKE_CLOSES);
    ck_assert_ok(open_fake(socket, PATIENT_MS, &engine, &err), &err);
    fake_engine_set(fake, S(HTTP("500 No", "{\"message\":\"disk\"}")), FAKE_CLOSES);
    ck_assert(!image_is_there(engine, &IMAGE, &is_there, &err) && !is_there);
    ck_assert_says(&err, ERR_FAILED, "disk");
    error_clear(&err);
    ck_assert(!image_load(engine, &IMAGE, NULL, &err));
    ck_assert_says(&err, ERR_FAILED, "disk");
    engine_close(&engine);
    fake_engine_close(&fake);
}

static const Refused INFOS[] = {
    {S(HTTP("200 OK", "[]")), "no NCPU"},
    {S(HTTP("200 OK", "{\"NCPU\":\"two\",\"MemTotal\":1}")), "no NCPU"},
    {S(HTTP("200 OK", "{\"NCPU\":2,\"MemTotal\":-5}")), "no NCPU"},
};

TEST(facts_of_a_wrong_type_are_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str socket = S("");
    FakeEngine *fake = fake_engine_open(&socket);
    Engine *engine = NULL;
    EngineFacts facts;
    Error err = {0};
    fake_engine_set(fake, AGREED[0].answer, FAKE_CLOSES);
    ck_assert_ok(open_fake(socket, PATIENT_MS, &engine, &err), &err);
    fake_engine_set(fake, INFOS[_i].text, FAKE_CLOSES);
    ck_assert(!engine_facts(engine, arena, &facts, &err));
    ck_assert_says(&err, ERR_MALFORMED, INFOS[_i].says);
    engine_close(&engine);
    fake_engine_close(&fake);
}

TEST(a_socket_that_is_missing_or_closed_says_so)
{
    Engine *engine = NULL;
    Error err = {0};
    ck_assert(!open_fake(S("/tmp/shop-no-such-socket"), PATIENT_MS, &engine, &err));
    ck_assert_says(&err, ERR_UNREACHABLE, "there is no such socket");
    ck_assert_says(&err, ERR_UNREACHABLE, "/tmp/shop-no-such-socket");
}

SUITE(engine, EACH(an_engine_that_answers_wrongly_is_refused_in_time, REFUSED),
      EACH(the_newest_version_that_both_know_is_used, AGREED), EACH(a_refused_call_has_the_engines_words, CALLED),
      ONCE(an_image_that_nobody_answers_for_is_not_there), EACH(facts_of_a_wrong_type_are_refused, INFOS),
      ONCE(a_socket_that_is_missing_or_closed_says_so))
