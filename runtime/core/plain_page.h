// runtime/core/plain_page.h: core's own page about an error, for whom no shop's theme can speak: it names no tenant.
#pragma once
#include "base/str.h"

typedef struct PlainPage {
    int status;
    Str reason;    // "Not Found"
    Str detail;    // what is wrong
    Str next;      // what to do; may be empty
} PlainPage;

// Texts are escaped. The result lives in `arena`.
Str plain_page(const PlainPage *page, Arena *arena);
// The Content-Security-Policy that goes with it: its style is inline, and allowed by its hash alone.
extern const Str PLAIN_PAGE_POLICY;
