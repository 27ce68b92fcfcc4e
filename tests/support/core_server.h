// tests/support/core_server.h: core's server with routes of the test's own, in the test's process.
#pragma once
#include "runtime/core/connection.h"

// Its log says nothing. Fails the test when it doesn't start; core_server_close ends it.
Server *core_server_open(const Settings *settings, const ServerHooks *hooks, const RouteSet *routes);
// Drains it, and fails the test when that fails or an answer of core_server_big is still held.
void core_server_close(Server **server);

enum { CORE_SERVER_PARTS = 100, CORE_SERVER_PART_MAX = 32 * KIB };
// Answers with CORE_SERVER_PARTS parts of `part_size` bytes, which are held until they are sent.
bool core_server_big(Request *r, size_t part_size);
int core_server_held(void);    // such answers that aren't sent yet
