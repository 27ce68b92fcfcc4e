// runtime/core/peer.h: addresses of clients, and the proxies whose word about them is believed.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct Request Request;

typedef struct Address {
    uint8_t bytes[16];    // IPv4 as ::ffff:a.b.c.d
} Address;

typedef struct Network {
    Address address;
    unsigned bits;
} Network;

typedef struct Proxies {
    const Network *networks;
    size_t count;
} Proxies;

// Reads "10.0.0.0/8, ::1, loopback" into `arena`. Fails with ERR_USAGE, naming the entry.
MUST_CHECK bool proxies_read(Str list, Arena *arena, Proxies *out, Error *err);
bool proxies_has(const Proxies *proxies, const Address *address);

bool address_is_loopback(const Address *address);
// False when `text` isn't an address.
bool address_read(Str text, Address *out);
enum { ADDRESS_TEXT = 46 };
Str address_text(const Address *address, char text[ADDRESS_TEXT]);

// The client's address: `peer`, or where that is a trusted proxy, the last address of X-Forwarded-For that isn't one.
Address client_address(const Request *r, const Proxies *proxies, const Address *peer);
// Whether the client's own connection is TLS: X-Forwarded-Proto of a trusted proxy says https.
bool client_is_secure(const Request *r, const Proxies *proxies, const Address *peer);
