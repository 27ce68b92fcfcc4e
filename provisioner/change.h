// provisioner/change.h: one message of a logical replication stream, of pgoutput's protocol version 1 (PostgreSQL's
// manual, "Logical Replication Message Formats").
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { CHANGE_COLUMNS_MAX = 64 };

typedef enum ChangeKind {
    CHANGE_BEGIN,    // of a transaction, which comes whole, in the order of the commits
    CHANGE_COMMIT,
    CHANGE_RELATION,    // a table, before its first row
    CHANGE_INSERT,
    CHANGE_UPDATE,
    CHANGE_DELETE,
    CHANGE_TRUNCATE,
    CHANGE_OTHER    // nothing that rows depend on
} ChangeKind;

typedef enum ChangeValueKind { CHANGE_NULL, CHANGE_UNCHANGED, CHANGE_TEXT } ChangeValueKind;

typedef struct ChangeValue {
    ChangeValueKind kind;    // _UNCHANGED: a long value that the update left as it was, and that isn't sent
    Str text;
} ChangeValue;

typedef struct ChangeColumn {
    Str name;
    bool is_key;
} ChangeColumn;

// A value; its texts are views into the message.
typedef struct Change {
    ChangeKind kind;
    uint64_t position;                           // _BEGIN: of the commit; _COMMIT: its end
    uint32_t relation;                           // of _RELATION and of rows
    Str schema, table;                           // of _RELATION
    size_t count;                                // of columns, or of values
    ChangeColumn columns[CHANGE_COLUMNS_MAX];    // of _RELATION
    ChangeValue after[CHANGE_COLUMNS_MAX];       // of _INSERT and _UPDATE
    ChangeValue before[CHANGE_COLUMNS_MAX];      // of _DELETE, and of _UPDATE where has_before: the key's alone
    bool has_before;
} Change;

// Fails with ERR_MALFORMED for what isn't such a message, or has more columns.
MUST_CHECK bool change_decode(Str message, Change *out, Error *err);
