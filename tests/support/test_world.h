// tests/support/test_world.h: a platform for tests of the provisioner: a control database and a cell in the run's
// server, and whether the two say the same.
#pragma once
#include "base/process.h"
#include "provisioner/platform.h"
#include "provisioner/tenant.h"

// The second cell of a world, for moves.
typedef struct WorldCell {
    Str name;    // empty: there is none
    Str dsn;
    Db *db;
    unsigned port;
    Process shopd;
} WorldCell;

typedef struct TestWorld {
    Arena *arena;
    Platform *platform;
    Db *control, *cell;    // the test's own connections, as a superuser
    Str control_dsn, cell_dsn;
    Str data;         // its directory; dumps are below it
    unsigned port;    // of the cell's shopd; 0: none
    Str url;          // of the cell: that shopd's, or of something that answers all with 200, below /broken with 500
    Process shopd;
    const Plan *plan;    // "free"
    WorldCell other;
    int64_t marked;    // rows that the shop which was marked last has
} TestWorld;

// Makes the databases, opens the cell "main" and, where `is_served`, starts shopd for it. Numbers of tenants follow
// from the process, since their roles are the whole server's.
void test_world_open(TestWorld *world, const char *noun, bool is_served);
void test_world_close(TestWorld *world);

// Opens the cell "other", with a shopd of its own where the first one has one.
void test_world_open_other(TestWorld *world);
// Ends the shopd of that one, and brings it back.
void test_world_stop_other(TestWorld *world);
void test_world_start_other(TestWorld *world);
// A row more in the shop, wherever it lives; then fails the test unless it has as many as then.
void test_world_mark(TestWorld *world, const char *slug);
void test_world_check_marked(TestWorld *world, const char *slug, const char *moment);

// Another platform on the same databases; the caller closes it.
Platform *test_world_platform(const TestWorld *world, int64_t takeover_ms);

// A tenant's wish with this slug and the defaults of a test.
TenantSpec test_world_spec(const TestWorld *world, const char *slug);
Slug test_slug(const char *slug);

// The tenant's status by the record; empty where there is none.
Str test_world_status(TestWorld *world, const char *slug);
// Takes the tenant by the commands of its life to this status: "active", "suspended", "archived" or "deleted".
void test_world_bring(TestWorld *world, const char *slug, const char *status);

// Fails the test unless the cell has what the record has and no more (states, hosts, limits, settings; schemas, roles,
// places, dumps), nothing is under way, and the tenant with this slug answers as its status wants it.
void test_world_check(TestWorld *world, const char *slug, const char *moment);
