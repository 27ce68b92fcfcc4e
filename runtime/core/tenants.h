// runtime/core/tenants.h: which shop answers on which host: a snapshot of the cell's directory that never changes.
#pragma once
#include "base/pg.h"

typedef struct Directory Directory;

// Immutable; lives as long as its directory is held.
typedef struct Tenant {
    int64_t number;
    Str slug;
    Str schema;
    Str hosts;                      // as the cell's array has them: "{acme.localhost,acme.example}"
    Str looks;                      // JSON: {"name", "language", "colors"}; empty: the cell is of an older version
    ErrorCode refusal;              // ERR_NONE, or ERR_SUSPENDED
    int64_t requests_per_second;    // 0: no limit
    int64_t requests_burst;
    const Directory *directory;
} Tenant;

// Makes a directory out of cell.directory()'s rows. With `before`, that one's tenants stay but for number `changed`,
// which is as the rows say, or gone. Those that are served are in it: active, suspended,
// and reserved ones that have hosts already, which are asked before they are active. *out is held once. Fails
// with ERR_NO_MEMORY.
MUST_CHECK bool directory_build(const Directory *before, int64_t changed, const Rows *rows, Directory **out,
                                Error *err);
Directory *directory_hold(Directory *directory);    // any thread
void directory_release(Directory **directory);      // any thread; NULL-safe

// The tenant of a host name in small letters, NULL where there is none. Allocates nothing.
const Tenant *directory_find(const Directory *directory, Str host);
size_t directory_count(const Directory *directory);
const Tenant *directory_tenant(const Directory *directory, size_t i);

// One thread's view of the directories: the newest one, and older ones while requests still hold tenants of them. Zero
// is empty.
enum { DIRECTORY_OLD_MAX = 8 };
typedef struct DirectoryHolds {
    Directory *directory;
    size_t holds;
} DirectoryHolds;
typedef struct DirectoryView {
    DirectoryHolds now;
    DirectoryHolds old[DIRECTORY_OLD_MAX];
    Directory *waiting;    // to be shown once there is room
} DirectoryView;
// Shows `directory` from now on (it is held by the view), or, when too many old ones are still in use, as soon as one
// of them isn't any more.
void directory_view_show(DirectoryView *view, Directory *directory);
const Tenant *directory_view_find(DirectoryView *view, Str host);    // held; NULL where there is none
void directory_view_release(DirectoryView *view, const Tenant *tenant);
void directory_view_close(DirectoryView *view);
