// provisioner/address.h: where shopd listens: ADDRESS:PORT as people write it, and whether somebody answers there.
#pragma once
#include "base/error.h"
#include "base/str.h"

// Checks ADDRESS:PORT (an IPv6 address in brackets, a port from 1; several with commas) and that each can be bound now.
// Fails with ERR_INVALID, ERR_EXISTS where it is in use, or ERR_FORBIDDEN.
MUST_CHECK bool address_check(Str listen, Error *err);

enum { LISTENERS_MAX = 8, LISTENERS_BACKLOG = 4096 };

// Sockets of addresses that are held so that the programs which serve them may come and go.
typedef struct Listeners {
    int sockets[LISTENERS_MAX];
    size_t count;
} Listeners;

// Takes each address of ADDRESS:PORT with commas, which others of ours may have taken in the same way. They don't
// listen yet: as long as another one does, all that come are its. Fails as address_check; then none is open.
MUST_CHECK bool listeners_open(Str listen, Listeners *out, Error *err);
MUST_CHECK bool listeners_listen(const Listeners *listeners, Error *err);    // once more does nothing
void listeners_close(Listeners *listeners);

// The form alone, of the same. Fails with ERR_INVALID.
MUST_CHECK bool address_list_check(Str listen, Error *err);

// Whether no address of one list is in the other one, too. Fails with ERR_INVALID, naming it.
MUST_CHECK bool address_lists_differ(Str listen, Str other, Error *err);

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
