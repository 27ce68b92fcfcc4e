// provisioner/address.h: where shopd listens: ADDRESS:PORT as people write it, and whether somebody answers there.
#pragma once
#include "base/error.h"
#include "base/str.h"

// Checks ADDRESS:PORT (an IPv6 address in brackets, a port from 1; several with commas) and that each can be bound now.
// Fails with ERR_INVALID, ERR_EXISTS where it is in use, or ERR_FORBIDDEN.
MUST_CHECK bool address_check(Str listen, Error *err);

// The form alone, of the same. Fails with ERR_INVALID.
MUST_CHECK bool address_list_check(Str listen, Error *err);

// "http://ADDRESS:PORT", by which this machine reaches the first address of `listen`, in `arena`: the loopback address
// for one that means all of them. Fails with ERR_INVALID.
MUST_CHECK bool address_url(Str listen, Arena *arena, Str *out, Error *err);

// ADDRESS:PORT of a URL "http://ADDRESS:PORT" whose address is this machine's loopback; empty for any other.
Str address_of_url(Str url);

// IP:PORT (an IPv6 address in brackets) of the server of a URL http://HOST[:PORT], in `arena`; a name is looked up.
// Fails with ERR_INVALID where it isn't such a URL, or ERR_UNREACHABLE where the name has no address.
MUST_CHECK bool address_of_server(Str url, Arena *arena, Str *out, Error *err);

// Our own address, without a port, as who listens at ADDRESS:PORT sees it, in `arena`. Fails with ERR_UNREACHABLE where
// no way leads there.
MUST_CHECK bool address_towards(Str address, Arena *arena, Str *out, Error *err);
bool is_address_loopback(Str host);    // of a host without a port

// Checks a cell's URL: http(s)://HOST[:PORT], an IPv6 address in brackets, with no path but "/". Fails with
// ERR_INVALID.
MUST_CHECK bool address_url_check(Str url, Error *err);

// Something answers GET /readyz with 200 there, within `timeout_ms`.
bool is_address_ready(Str listen, int64_t timeout_ms);
