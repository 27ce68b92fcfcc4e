// provisioner/unit.h: amounts with units, as plans and settings write them.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef enum UnitKind {
    UNIT_NONE,            // a whole number
    UNIT_BYTES,           // 512MiB: B, KiB, MiB, GiB, TiB; the value is in bytes
    UNIT_SECONDS,         // 30d: s, min, h, d, w; the value is in seconds
    UNIT_MILLICPU,        // 250m, 0.5 or 2: the value is in thousandths of a CPU core
    UNIT_MILLIPERCENT,    // 99.95%: the value is in thousandths of a per cent
    UNIT_COUNT
} UnitKind;

// Reads an amount: a number, perhaps a blank, and its unit ("2 GiB"). A plain 0 needs no unit. Fails with ERR_INVALID:
// why says what is wrong with it, next how to write it.
MUST_CHECK bool unit_parse(UnitKind kind, Str text, int64_t *out, Error *err);

// The shortest exact text that unit_parse reads back: 536870912 is 512MiB.
Str unit_text(UnitKind kind, int64_t value, Arena *arena);

const char *unit_name(UnitKind kind);       // what a value in memory and in JSON counts: "bytes"; "" for UNIT_NONE
const char *unit_example(UnitKind kind);    // how it is written: "512MiB"
