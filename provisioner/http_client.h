// provisioner/http_client.h: asks an HTTP server one thing, in place, with a timeout.
#pragma once
#include "base/error.h"
#include "base/str.h"

// GET `url` (http://127.0.0.1:8080/) with this Host; follows no redirect and throws the body away. *out_status is the
// answer's. Fails with ERR_UNREACHABLE when none came within `timeout_ms`. Any thread may call it.
MUST_CHECK bool http_get_status(Str url, Str host, int64_t timeout_ms, int *out_status, Error *err);
