// tests/support/own_shops.h: a platform with a real engine for shops of their own, and what a test asks of both.
#pragma once
#include "provisioner/engine.h"
#include "provisioner/host_url.h"
#include "provisioner/operation.h"
#include "tests/support/command_runner.h"
#include "tests/support/engine_server.h"
#include "tests/support/ssh_daemon.h"
#include "tests/support/step_moment.h"

typedef struct OwnShops {
    CommandRunner runner;
    EngineServer *engine;    // stays for the process's further tests
    SshDaemon ssh;           // of HOST_SSH
    HostTransport transport;
} OwnShops;

// A platform whose host "here" is an engine of this process's own, empty but for images, reached by this transport,
// with the small plans "free" (shared), "own" (container) and "alone" (server); shopd is that of the build under test.
void own_shops_open(OwnShops *shops, HostTransport transport);
void own_shops_close(OwnShops *shops);
// The same, reached by its socket, for tests that leave it as they find it: `prepare` makes what they all want, for the
// first of them, and again after one that didn't give it back.
void own_shops_borrow(OwnShops *shops, void (*prepare)(void));
void own_shops_give_back(void);
void own_shops_give_up(void);    // in place of that: nobody else can use it

// A platform of its own on the same databases; the caller closes it.
Platform *own_shops_platform(const OwnShops *shops);
// The plan "own".
const Plan *own_shops_plan(const OwnShops *shops);

// Containers, networks and volumes that carry the label of the shop; a whole one has five.
size_t own_shops_things(const OwnShops *shops, const char *slug);
// What the engine calls the thing of the one cell of its own with this ending: "postgres", "shopd", "network", "data".
Str own_shops_name(const OwnShops *shops, const char *end);
// A call to the engine behind the platform's back; fails the test where it is refused.
void own_shops_do(const OwnShops *shops, const char *method, const char *path, const Json *body);
// Mends the one cell of its own, and gives what that did, as a list in JSON; where it is to fail, with this code.
Str own_shops_mended(const OwnShops *shops, ErrorCode code, const char *says);
typedef bool OwnShopsAct(const OwnShops *shops, Platform *platform, Error *err);
// Does it in a process that kills itself at this moment; fails the test where it lives on.
void own_shops_killed(const OwnShops *shops, OwnShopsAct *act, StepMoment moment);
// The status of a page of a shop; 0: nobody answers.
int own_shops_status(const OwnShops *shops, const char *slug, const char *path);

// Makes the containers of the shop 'bazar' again, as an older version would have: the same, of images called
// shopctl/postgres:old and shopctl/shopd:old. Waits until it answers.
void own_shops_age(const OwnShops *shops, bool has_postgres, bool has_shopd);
