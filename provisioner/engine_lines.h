// provisioner/engine_lines.h: an engine's answer to a long call: a line of JSON for each thing that it did.
// Source: Docker Engine API, ImageCreate, ImageLoad, ImagePush: {"error": ...} may come after the status 200.
#pragma once
#include "base/json.h"
#include "provisioner/engine.h"

enum { ENGINE_LINE_MAX = 16 * KIB };

// Takes a line; false ends the call with its error.
typedef bool EngineLine(void *context, const Json *line, Error *err);

// Zero but for its first three members before a call; EngineCall.put_context of engine_lines_put.
typedef struct EngineLines {
    const Engine *engine;
    EngineLine *take;    // NULL: nobody wants them, but for errors
    void *context;
    char text[ENGINE_LINE_MAX];    // of a line whose end hasn't come
    size_t len;
} EngineLines;

// Fails with ERR_FAILED and the engine's word where it says that it failed (ERR_FORBIDDEN where a registry wants to
// know who asks), ERR_TOO_LARGE for a line over ENGINE_LINE_MAX. What isn't JSON is passed over.
HttpPut engine_lines_put;
// The last line may have no end: to be called when the call is over.
MUST_CHECK bool engine_lines_end(EngineLines *lines, Error *err);
