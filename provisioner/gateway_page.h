// provisioner/gateway_page.h: what the gateway itself shows to a shopper.
#pragma once
#include "base/str.h"

Str gateway_page_missing(Arena *arena);    // HTML: there is no shop at this address
Str gateway_page_busy(Arena *arena);       // HTML: too many requests
Str gateway_page_back(Arena *arena);       // a whole answer of HTTP with 503: the shop is back in a moment
