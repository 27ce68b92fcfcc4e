// base/pg_replication.h: what a database commits, as a stream: PostgreSQL's streaming replication protocol for logical
// slots (manual, "Streaming Replication Protocol"). For a Db whose DSN has replication=database; of the other functions
// of pg.h such a connection has db_script and db_close alone.
#pragma once
#include "base/pg.h"

enum { WAL_POSITION_TEXT = 18 };

// A position in a cluster's log (LSN), as pg_lsn writes it: "16/B374D848"; written to `text`.
Str wal_position_text(uint64_t position, char text[WAL_POSITION_TEXT]);
// Fails with ERR_MALFORMED.
MUST_CHECK bool wal_position_read(Str text, uint64_t *out, Error *err);

typedef struct ReplicationSlot {
    Str snapshot;         // for SET TRANSACTION SNAPSHOT, until this connection's next statement
    uint64_t position;    // what was committed before is in the snapshot, the rest comes by the stream
} ReplicationSlot;

// Begins to make a logical slot of the plugin pgoutput; a temporary one ends with the connection. Fails as db_script.
MUST_CHECK bool db_replication_slot_begin(Db *db, Str slot, bool is_temporary, Error *err);
// Waits up to `timeout_ms` until it is made, which the server does once the transactions that write in its cluster have
// ended. *out_made tells whether it is; then *out is set, with the snapshot's name in `arena`. Fails with ERR_EXISTS,
// or as db_query.
MUST_CHECK bool db_replication_slot_wait(Db *db, int64_t timeout_ms, Arena *arena, ReplicationSlot *out, bool *out_made,
                                         Error *err);

// Starts the stream of a slot, with the changes to a publication's tables, from the later of `position` and what was
// confirmed before.
MUST_CHECK bool db_replication_start(Db *db, Str slot, Str publication, uint64_t position, Error *err);

typedef struct ReplicationMessage {
    Str change;    // a message of pgoutput's, until the next call; empty: none came
    uint64_t
        position;    // the server has sent all that was committed before; with a change: the position of that change
} ReplicationMessage;

// The next message, or none after `timeout_ms`. Fails with ERR_UNREACHABLE when the stream has ended.
MUST_CHECK bool db_replication_next(Db *db, int64_t timeout_ms, ReplicationMessage *out, Error *err);

// Tells the server that what was committed before `position` isn't needed again, and asks it how far it is: that comes
// as a message without a change.
MUST_CHECK bool db_replication_confirm(Db *db, uint64_t position, Error *err);
