// provisioner/dedicated.h: what a cell of its own consists of on its host: names, containers, files.
#pragma once
#include "provisioner/engine.h"
#include "provisioner/image.h"

typedef struct DedicatedResources {
    int64_t millicpu;
    int64_t memory_bytes;
    int64_t disk_bytes;
} DedicatedResources;

// A value; its texts live in the arena of dedicated_find. All names follow from the platform and the cell.
typedef struct Dedicated {
    Str cell;
    Str host;
    Str address;
    int64_t port;         // of shopd, on that address
    Str url;              // of both
    int64_t port_next;    // of a second shopd that is to take over, or of the one that it took over from; 0: none
    bool is_open;         // its tables are at some version
    DedicatedResources postgres, shopd;
    Str tenant;           // the slug, for labels
    int64_t operation;    // the same
    Str platform;
    Str network;          // PostgreSQL and shopd alone, without a way out
    Str front_network;    // the platform's, by which its shopds are reached; they can't reach one another
    Str data_volume;
    Str secrets_volume;
    Str postgres_name;    // of the containers
    Str shopd_name;
    Str next_name;       // of a second shopd's, until it has taken over
    Str secrets_name;    // of one that never runs
    Str base_domain;
    Str trusted_proxies;     // of shopd; see dedicated_addresses.h, as for
    Str postgres_address;    // which is fixed where the engine allows it; else empty
} Dedicated;

// How long a container may take to stop: within the time after which another process takes an operation over.
enum { POSTGRES_STOP_S = 40, SHOPD_STOP_S = 30 };

// What one program ("postgres", "shopd") gets by a document as cells.resources has it.
DedicatedResources dedicated_resources(const Json *resources, const char *program);

// The name of a cell's PostgreSQL container, in `arena`.
Str dedicated_postgres_name(Str platform, Str cell, Arena *arena);

// The cell of a record in the control database; out->host is empty for a cell without a host. Texts in `arena`. Fails
// with ERR_STATE where the record isn't whole.
MUST_CHECK bool dedicated_find(Platform *platform, Str cell, Arena *arena, Dedicated *out, Error *err);

// PostgreSQL's settings for its CPU and memory, and who may log in.
Str dedicated_postgres_conf(const DedicatedResources *resources, Arena *arena);
Str dedicated_hba_conf(Arena *arena);

// Makes the platform's front network, unless it is there: with the engine's choice of addresses, or with ours where it
// has none left.
MUST_CHECK bool dedicated_front_make(Engine *engine, const Dedicated *cell, Error *err);
// Makes the private network, unless it is there: with a subnet of ours, or with the engine's choice where the host uses
// that one for something else.
MUST_CHECK bool dedicated_network_make(Engine *engine, const Dedicated *cell, Error *err);

bool dedicated_is_own_subnet(Str subnet);    // one of those that dedicated_network_make chooses

// Bodies for the engine's API; the caller closes them. NULL without memory.
Json *dedicated_network(const Dedicated *cell, bool has_subnet);
Json *dedicated_volume(const Dedicated *cell, Str name);
Json *dedicated_secrets_container(const Dedicated *cell, Str image);
Json *dedicated_postgres_container(const Dedicated *cell, Str image);
Json *dedicated_shopd_command(const Dedicated *cell);    // its arguments alone
Json *dedicated_shopd_container(const Dedicated *cell, Str image);
