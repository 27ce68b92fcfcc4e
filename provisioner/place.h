// provisioner/place.h: the directory of a platform on this machine: what lies where, and whose it is.
#pragma once
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

typedef struct PlaceOptions {
    Str data;             // the directory, absolute or from here; need not be there yet
    Str database_user;    // who runs PostgreSQL when we are root; empty: postgres
    Str shopd_user;       // who runs shopd when we are root; empty: shopd
    bool is_embedded;     // with a PostgreSQL of its own
} PlaceOptions;

// A value; its texts live in the arena of place_resolve and end in NUL.
typedef struct Place {
    Str data;                      // absolute, without symbolic links
    Str pg;                        // the cluster
    Str run;                       // pid files, PostgreSQL's configuration, platform.json
    Str log;                       // a file per process
    Str sockets;                   // PostgreSQL's sockets, 0700, for its user and root
    Str shopd_sockets;             // beside it, 0750, for shopd's group; empty when all run under one user
    const char *database_user;     // to become; NULL: we are nobody who could become another one
    const char *shopd_user;        // the same
    const char *database_login;    // the name of the user that runs PostgreSQL, in every case
    const char *shopd_login;
    bool is_embedded;
} Place;

// Finds out where things lie; makes and changes nothing.
MUST_CHECK bool place_resolve(const PlaceOptions *options, Arena *arena, Place *out, Error *err);

// Makes the users that are missing, then the directories. Before it makes any it checks that the database's user will
// reach them: ERR_FORBIDDEN names the directory that bars it, and another place that would do.
MUST_CHECK bool place_make(const Place *place, Error *err);
// Fails where place_make would, as far as that can be told without making anything.
MUST_CHECK bool place_check(const Place *place, Error *err);
// The directories of the sockets, which a restart of the machine takes away.
MUST_CHECK bool place_make_sockets(const Place *place, Error *err);
// Removes the directories of the sockets, pid files and what else only makes sense while the platform runs.
void place_clear(const Place *place);
void place_forget_failures(const Place *place);    // what an earlier supervisor said of its services

// A file below run/ or log/, in `arena`: place_path(arena, place->run, "%s.pid", name).
Str place_path(Arena *arena, Str directory, const char *format, ...) PRINTF(3, 4);

// What is known of the platform beside its databases, run/platform.json:
// {"control":{"dsn"},"listen","cells":[...],...}. *out is NULL where there is none; the caller closes it.
MUST_CHECK bool place_record_read(const Place *place, Json **out, Error *err);
MUST_CHECK bool place_record_write(const Place *place, const Json *record, Error *err);

// Waits up to `timeout_ms` for the lock file `name` in run/ and takes it; *out_fd holds it until it is closed. Fails
// with ERR_BUSY.
MUST_CHECK bool place_lock(const Place *place, const char *name, int64_t timeout_ms, int *out_fd, Error *err);

// The last `count` lines of a log (of its last 8 KiB), in `arena`; empty where there is none.
Str place_log_tail(Arena *arena, Str path, size_t count);
