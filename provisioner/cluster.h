// provisioner/cluster.h: the PostgreSQL cluster that a platform brings along.
#pragma once
#include "base/process.h"
#include "provisioner/place.h"

enum { CLUSTER_PROCESSES_MAX = 1024 };

// The directory of PostgreSQL's programs, in `arena`: `setting` unless it is empty, else that of the version that made
// the cluster, else of the newest one from 15 up. Fails with ERR_NOT_FOUND and what to install.
MUST_CHECK bool cluster_programs(const Place *place, Str setting, Arena *arena, Str *out, Error *err);

bool is_cluster_made(const Place *place);
// Makes the cluster: data checksums, UTF-8, C.UTF-8, owner shop_owner, no way in but peer. It appears whole or not at
// all.
MUST_CHECK bool cluster_make(const Place *place, Str programs, Error *err);

// Fails with ERR_STATE where the cluster's files belong to another user than the one who is to run it.
MUST_CHECK bool cluster_owner_check(const Place *place, Error *err);

// Writes PostgreSQL's settings, and who may log in: root, the cluster's user and a platform's owner as shop_owner and
// as shopd's roles, shopd's user as those roles alone. `databases` are the cells'. A running server reads it at SIGHUP.
MUST_CHECK bool cluster_configure(const Place *place, const Str *databases, size_t count, Error *err);

// "host=... dbname=... user=shop_owner", in `arena`.
Str cluster_dsn(const Place *place, Arena *arena, Str database);
// The same for shopd's login to a cell's database, by the directory that its user may enter.
Str cluster_shopd_dsn(const Place *place, Arena *arena, Str database);

// What runs the server, in `arena`; `log_fd` takes what it says.
MUST_CHECK bool cluster_spec(const Place *place, Str programs, Arena *arena, ProcessSpec *out, Error *err);

// The server's process, whoever started it; out->pid is 0 where none runs.
MUST_CHECK bool cluster_open(const Place *place, Process *out, Error *err);
// The server says of itself that it accepts connections.
bool is_cluster_ready(const Place *place);

// Without a server: lets its left-over backends go, for some 300 ms by themselves, then by force, and removes the
// lock files that nobody stands behind, so that the next one can start.
MUST_CHECK bool cluster_clear(const Place *place, Error *err);
