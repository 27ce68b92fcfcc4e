// provisioner/host.h: machines with a container engine: recorded, measured, trusted, reached.
#pragma once
#include "provisioner/engine.h"
#include "provisioner/platform.h"

typedef struct HostSpec {
    Str name;             // a-z, 0-9 and inner hyphens, up to 40
    Str url;              // as host_url.h
    Str address;          // where the gateway reaches what runs there; empty: the URL's host, of unix:// 127.0.0.1
    Str tls_directory;    // of tcp://: has ca.pem, cert.pem and key.pem
    int64_t millicpu;     // what may be given away; 0: what the engine says, of a known host what it had
    int64_t memory_bytes;
    int64_t disk_bytes;
    const Json *labels;    // an object of texts; NULL: none, of a known host those that it had
} HostSpec;

// Asks the engine what there is, and records the host; of one that is there it changes what is given. Fails with
// ERR_INVALID, ERR_EXISTS for an engine that is another host already, or as host_open.
MUST_CHECK bool host_add(Platform *platform, const HostSpec *spec, Error *err);
// {"name","changes":[{"key","from","to"}]}: what it would do, with its refusals. The caller closes *out.
MUST_CHECK bool host_preview(Platform *platform, const HostSpec *spec, Json **out, Error *err);

// {"name","url","address","state","engine","api_version","cpu","memory_bytes","disk_bytes","free":{"cpu","memory_bytes",
// "disk_bytes"},"tenants","labels",...}. The caller closes *out. Fails with ERR_NOT_FOUND.
MUST_CHECK bool host_show(Platform *platform, Str name, Json **out, Error *err);
MUST_CHECK bool host_list(Platform *platform, Json **out, Error *err);    // {"items":[...],"total":N}

// Measures what is there and says what is missing: {"name","url","state","engine","system","cpu","memory_bytes",
// "disk_free_bytes","clock_ahead_ms","round_trip_us","problems":[{"what","next"}]}. A host that doesn't answer is an
// answer, too. The caller closes *out.
MUST_CHECK bool host_check(Platform *platform, Str name, Json **out, Error *err);

// The SSH key that a host shows now. `name` is a host's, or an ssh:// URL.
typedef struct HostKey {
    Str type;           // texts in the arena of host_key
    Str fingerprint;    // "SHA256:..."
    Str before;         // of the key that is known instead; empty: none
    Str file;           // where it would be written to
    bool is_known;
} HostKey;
MUST_CHECK bool host_key(Platform *platform, Str name, Arena *arena, HostKey *out, Error *err);
// Asks for the key again and writes it down, when it has this fingerprint. Fails with ERR_FORBIDDEN when it hasn't.
MUST_CHECK bool host_trust(Platform *platform, Str name, Str fingerprint, Error *err);

// Gives it no more shops, or, with `is_undone`, some again. Shops that live on it stay.
MUST_CHECK bool host_drain(Platform *platform, Str name, bool is_undone, Error *err);

// Removes the record. Fails with ERR_STATE while shops live on it, named.
MUST_CHECK bool host_remove(Platform *platform, Str name, Error *err);
MUST_CHECK bool host_remove_check(Platform *platform, Str name, Error *err);

// A host that we are connected to; one thread at a time.
typedef struct Host Host;
// Connects to a host of the record. Fails with ERR_NOT_FOUND, or as engine_open and ssh_open.
MUST_CHECK bool host_open(Platform *platform, Str name, Host **out, Error *err);
void host_close(Host **host);
Engine *host_engine(Host *host);
