// runtime/core/peer.c: who is at the other end.
#include "runtime/core/peer.h"

#include <arpa/inet.h>

#include "runtime/core/format.h"
#include "runtime/core/request.h"

static const uint8_t MAPPED[12] = {[10] = 0xFF, [11] = 0xFF};

static bool is_ipv4(const Address *address) { return memcmp(address->bytes, MAPPED, sizeof(MAPPED)) == 0; }

bool address_read(Str text, Address *out)
{
    char copy[ADDRESS_TEXT];
    if (text.len >= sizeof(copy) || text.len == 0)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    Address address = {0};
    if (inet_pton(AF_INET, copy, address.bytes + sizeof(MAPPED)) == 1)
        memcpy(address.bytes, MAPPED, sizeof(MAPPED));
    else if (inet_pton(AF_INET6, copy, address.bytes) != 1)
        return false;
    *out = address;
    return true;
}

// Each request's log line has one, so it isn't left to printf, as inet_ntop does.
static Str ipv4_text(const uint8_t bytes[4], char text[ADDRESS_TEXT])
{
    char *at = text;
    for (size_t i = 0; i < 4; i++) {
        at = put_uint(at, bytes[i]);
        *at++ = '.';
    }
    return (Str){text, (size_t)(at - text) - 1};
}

Str address_text(const Address *address, char text[ADDRESS_TEXT])
{
    return is_ipv4(address) ? ipv4_text(address->bytes + sizeof(MAPPED), text)
                            : str_of(inet_ntop(AF_INET6, address->bytes, text, ADDRESS_TEXT));
}

static bool in_network(const Network *network, const Address *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->address.bytes, address->bytes, whole) != 0)
        return false;
    unsigned mask = 0xFF00U >> rest & 0xFFU;
    return rest == 0 || ((network->address.bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

static const Network LOOPBACK[] = {
    {.address = {{[10] = 0xFF, [11] = 0xFF, [12] = 127}}, .bits = 104},
    {.address = {{[15] = 1}}, .bits = 128},
};

bool address_is_loopback(const Address *address)
{
    return in_network(&LOOPBACK[0], address) || in_network(&LOOPBACK[1], address);
}

bool proxies_has(const Proxies *proxies, const Address *address)
{
    for (size_t i = 0; i < proxies->count; i++)
        if (in_network(&proxies->networks[i], address))
            return true;
    return false;
}

static bool network_read(Str text, Network *out, Error *err)
{
    enum { BITS = 128, BITS_IPV4 = 32 };
    size_t slash = str_find_char(text, '/');
    bool is_address = address_read(str_slice(text, 0, slash), &out->address);
    int64_t max = is_address && is_ipv4(&out->address) ? BITS_IPV4 : BITS, bits = max;
    Error number = {0};
    if (!is_address || (slash < text.len && !str_int64(str_skip(text, slash + 1), 0, max, &bits, &number))) {
        error_set(err, ERR_USAGE, "the trusted proxy '%.*s' is no address or network", STR_ARG(text));
        return error_next(err, "write addresses such as 10.0.0.7, networks such as 10.0.0.0/8, or 'loopback'");
    }
    out->bits = (unsigned)(bits + BITS - max);
    return true;
}

bool proxies_read(Str list, Arena *arena, Proxies *out, Error *err)
{
    size_t room = COUNT(LOOPBACK);
    for (size_t i = 0; i < list.len; i++)
        room += list.data[i] == ',' ? COUNT(LOOPBACK) : 0;
    Network *networks = arena_array(arena, room, Network);
    if (!arena_ok(arena, err))
        return false;
    size_t count = 0;
    Str entry;
    while (list.len > 0 && str_cut(&list, ',', &entry)) {
        entry = str_trim(entry);
        if (str_eq(entry, S("loopback"))) {
            memcpy(networks + count, LOOPBACK, sizeof(LOOPBACK));
            count += COUNT(LOOPBACK);
        } else if (!network_read(entry, &networks[count++], err)) {
            return false;
        }
    }
    *out = (Proxies){networks, count};
    return true;
}

Address client_address(const Request *r, const Proxies *proxies, const Address *peer)
{
    Address client = *peer;
    Str list = proxies->count ? request_header(r, S("X-Forwarded-For")) : (Str){0};
    while (list.len > 0 && proxies_has(proxies, &client)) {
        size_t start = list.len;
        while (start > 0 && list.data[start - 1] != ',')
            start--;
        if (!address_read(str_trim(str_skip(list, start)), &client))
            break;
        list.len = start > 0 ? start - 1 : 0;
    }
    return client;
}

bool client_is_secure(const Request *r, const Proxies *proxies, const Address *peer)
{
    return proxies->count && proxies_has(proxies, peer) &&
           str_eq_nocase(request_header(r, S("X-Forwarded-Proto")), S("https"));
}
