// provisioner/server.h: a PostgreSQL server as the platform's login sees it: what it is, what the login may do there.
#pragma once
#include "base/pg.h"

enum { SERVER_VERSION_MIN = 15 };

typedef struct ServerFacts {
    int64_t version;     // 150004
    Str version_text;    // "15.4"
    Str login;
    Str database;
    Str encoding;    // of that database
    bool is_superuser;
    bool has_createdb;
    bool has_createrole;
    bool has_unaccent;    // the extension can be made there
} ServerFacts;

// Reads the facts, with texts in `arena`.
MUST_CHECK bool server_facts_read(Db *db, Arena *arena, ServerFacts *out, Error *err);
// Fails with ERR_STATE for a server that won't do, or ERR_FORBIDDEN for a login that may not do all that is needed, and
// says in SQL what mends it.
MUST_CHECK bool server_facts_check(const ServerFacts *facts, Error *err);

// Makes a database in UTF-8 where it is missing; another one who makes it at the same moment is no error.
MUST_CHECK bool server_database_make(Db *db, Str name, Error *err);

// Drops a cell's database, which nobody may be connected to, and its shopd's role.
MUST_CHECK bool server_database_drop(Db *db, Str name, Error *err);

// Connects to an existing server by the control database's DSN and checks the facts; tells whether the control database
// is missing. Fails as db_open and server_facts_check.
MUST_CHECK bool server_control_check(Str control_dsn, bool *out_missing, Error *err);
// Connects to an existing server by the control database's DSN, checks the facts, and makes the control database where
// it is missing. Fails as db_open and server_facts_check.
MUST_CHECK bool server_control_make(Str control_dsn, Error *err);
