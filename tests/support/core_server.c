// tests/support/core_server.c: core's server with routes of the test's own, in the test's process.
#include "tests/support/core_server.h"

#include <stdatomic.h>

#include "tests/support/more_check.h"

static atomic_int held;

Server *core_server_open(const Settings *settings, const ServerHooks *hooks, const RouteSet *routes)
{
    Error err = {0};
    Server *server = NULL;
    log_level_set(LOG_ERROR + 1);
    ck_assert_ok(
        server_open(
            &(ServerOptions){
                .settings = settings, .hooks = hooks, .routes = routes, .route_set_count = 1, .is_embedded = true},
            &server, &err),
        &err);
    return server;
}

void core_server_close(Server **server)
{
    server_stop(*server);
    ck_assert(server_wait(*server));
    server_close(server);
    ck_assert_int_eq(core_server_held(), 0);
}

static void big_release(void *thing UNUSED) { atomic_fetch_sub(&held, 1); }

bool core_server_big(Request *r, size_t part_size)
{
    static char bytes[CORE_SERVER_PART_MAX];
    static Str parts[CORE_SERVER_PARTS];
    assert(part_size <= sizeof(bytes));
    memset(bytes, 'b', sizeof(bytes));
    for (size_t i = 0; i < CORE_SERVER_PARTS; i++)
        parts[i] = (Str){bytes, part_size};
    atomic_fetch_add(&held, 1);
    return respond_parts(r, 200, S("text/plain"), parts, CORE_SERVER_PARTS, (Hold){bytes, big_release});
}

int core_server_held(void) { return atomic_load(&held); }
