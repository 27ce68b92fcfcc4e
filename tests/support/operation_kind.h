// tests/support/operation_kind.h: every kind of operation, with a shop to do it with and what must be so at its end.
#pragma once
#include "provisioner/operation.h"
#include "tests/support/test_world.h"

typedef struct OperationKind {
    const Driver *driver;
    const char *before, *after;                                                               // the tenant's status
    bool (*run)(Platform *platform, const TestWorld *world, const char *slug, Error *err);    // the command
} OperationKind;

enum { KIND_OF_MOVE = 7, KIND_COUNT = 10 };      // the first one of those that need a second cell, and all
extern const OperationKind KINDS[KIND_COUNT];    // the first one creates

// A shop in the status that the kind begins with. A creation needs a new one each time.
const char *kind_prepare(TestWorld *world, const OperationKind *kind, size_t count);
// Fails the test unless the shop is as the operation, or its taking back, leaves it, in record and cell.
void kind_check_end(TestWorld *world, const OperationKind *kind, const char *slug, bool is_reverted,
                    const char *moment);
