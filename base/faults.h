// base/faults.h: what a reader of a document found wrong, all of it, in the order of the document.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct Fault {
    struct Fault *next_fault;
    unsigned line;      // 1-based; 0 where the document has no lines
    unsigned column;    // 1-based; 0 where unknown
    Str where;          // the field or column by name
    Str what;           // the value that is refused
    Str why;
    Str next;
    Str members;    // of its entry in a JSON list, more than the usual ones: "\"wanted\":3,\"left\":1"; mostly empty
} Fault;

// A list in an arena, for a plan, a platform file, a CSV or a form. Zero is empty once `arena` is set.
typedef struct Faults {
    Arena *arena;
    Fault *first;
    Fault *last;
    size_t count;       // also of those beyond `kept_max`
    size_t kept_max;    // 0: 1,000
} Faults;

// Copies the fault's texts into the list's arena; beyond kept_max it is counted only.
void faults_add(Faults *faults, const Fault *fault);

// Adds what an error says (where, what, why, next), at this place of the document.
void faults_add_error(Faults *faults, const Error *err, unsigned line, unsigned column);

// Sets ERR_INVALID from the first fault ("`what` is refused", the number of faults) when there are any.
// `document` names the file or form. True when there are none.
MUST_CHECK bool faults_none(const Faults *faults, Str document, Error *err);
