// tests/support/fake_engine.h: something at a Unix socket that answers every connection with given bytes.
#pragma once
#include "base/str.h"

typedef enum FakeEnd {
    FAKE_CLOSES,     // after the bytes
    FAKE_HANGS,      // says no more, and leaves the connection open
    FAKE_REPEATS,    // says them again and again
    FAKE_DRIPS,      // a byte each 50 ms
} FakeEnd;

typedef struct FakeEngine FakeEngine;

// Listens at a socket whose path lives as long as it; fails the test when it can't.
FakeEngine *fake_engine_open(Str *out_socket);
// What is answered from now on; the bytes must live as long.
void fake_engine_set(FakeEngine *fake, Str answer, FakeEnd end);
void fake_engine_close(FakeEngine **fake);
