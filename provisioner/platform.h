// provisioner/platform.h: the way to the control database and to the cells, for shopctl and the controller.
#pragma once
#include "base/pg.h"
#include "provisioner/setting.h"
#include "provisioner/slug.h"

typedef struct Platform Platform;    // its connections; one thread at a time: a second thread opens its own

typedef struct Event Event;    // see operation.h
typedef void PlatformObserver(void *context, const Event *event);

// Asks a person for the passphrase of a key (see ssh.h).
typedef bool PlatformAsk(void *context, const char *key_file, char *out, size_t size, Error *err);

// How hosts are reached by SSH.
typedef struct HostAccess {
    Str ssh_key;                // empty: the agent's keys, then ~/.ssh/id_ed25519 and ~/.ssh/id_ecdsa
    Str ssh_passphrase_file;    // of the key; empty: `ask`
    Str ssh_known_hosts;        // where trusted keys are written
    PlatformAsk *ask;           // NULL: nobody can be asked
    void *ask_context;
} HostAccess;

// What images are made from, and where they are kept.
typedef struct ImageStore {
    Str directory;       // of the archives that are made
    Str shopd;           // the program
    Str postgres_bin;    // the directory of PostgreSQL's programs; empty: the newest one below /usr/lib/postgresql
    Str postgres_image, shopd_image;    // of a registry, to be pulled; empty: they are made
    Str credentials;                    // of registries: a file, as `docker login` writes it; empty: none
} ImageStore;

// The gateway in front of all cells (see gateway.h).
typedef struct GatewayOptions {
    Str directory;       // of its files and its stats socket
    Str listen;          // ADDRESS:PORT of HTTP, several with commas
    Str certificates;    // a directory of PEM files; empty: no TLS
    Str tls_listen;      // ADDRESS:PORT of TLS, the same
    Str user;            // whom HAProxy becomes when root starts it; empty: it isn't root who does
    unsigned group;      // that user's
    size_t held;         // how many sockets of `listen` are passed to HAProxy when it starts; 0: it opens them itself
} GatewayOptions;

typedef struct PlatformOptions {
    Str control_dsn;
    Str data;               // the platform's directory: dumps are kept below it; empty: there can be none
    Str base_domain;        // shops are SLUG.BASE_DOMAIN; empty: localhost
    Str trusted_proxies;    // whose X-Forwarded-For is believed beside the gateway's, with commas
    Str operator_name;      // who asks, for the record; empty: the user of the process
    int64_t takeover_ms;    // how long an operation may say nothing until another process goes on with it; 0: 60,000
    int64_t smoke_ms;       // how long a new shop may take to answer; 0: 10,000
    int64_t ready_ms;       // how long a container may take until what runs in it is ready; 0: 120,000
    int64_t writers_ms;     // how long a move waits for transactions that write before it begins to read; 0: 60,000
    HostAccess access;
    ImageStore images;
    GatewayOptions gateway;    // `directory` empty: this process knows of none
} PlatformOptions;

// Connects to the control database that the settings name: control_dsn, or that of the embedded platform in the
// directory `data` (run/platform.json). Fails with ERR_UNREACHABLE where none runs (next: shopctl up) or ERR_FORBIDDEN.
MUST_CHECK bool platform_open(const Settings *settings, Platform **out, Error *err);
// The same with plain values, for tests and for threads of a process that has read its settings.
MUST_CHECK bool platform_open_with(const PlatformOptions *options, Platform **out, Error *err);
// What the settings say, without the control database's DSN; texts in `arena` or of the settings.
MUST_CHECK bool platform_options_read(const Settings *settings, Arena *arena, PlatformOptions *out, Error *err);
// The DSN of the control database by the rules of platform_open, in `arena`, without connecting.
MUST_CHECK bool platform_control_dsn(const Settings *settings, Arena *arena, Str *out, Error *err);
void platform_close(Platform **platform);

// What it was opened with, defaults filled in; lives as long as the platform.
const PlatformOptions *platform_options(const Platform *platform);

// Makes (or brings to this version) the schema of the control database. `number_start` is the first tenant number of a
// new platform; 0: 1,001. Safe to run at once with others.
MUST_CHECK bool platform_migrate(Str control_dsn, int64_t number_start, Error *err);
// How many files of sql/ that would apply to a control database.
MUST_CHECK bool platform_pending(Db *control, size_t *out, Error *err);

// The connection to the control database; it is the platform's, and opened again when it broke.
Db *platform_control(Platform *platform);
// The platform's own connection to a cell, as its owner, opened at first use. Fails with ERR_NOT_FOUND for an unknown
// cell, or as db_open.
MUST_CHECK bool platform_cell(Platform *platform, Str cell_name, Db **out, Error *err);
// The connection string of a cell, which the record keeps without passwords, with those of the control database where
// both are of the same server and login; in `arena`.
MUST_CHECK bool platform_cell_dsn(Platform *platform, Str kept, Arena *arena, Str *out, Error *err);
// A new connection to a cell as its owner; the caller closes it, before the platform.
MUST_CHECK bool platform_cell_open(Platform *platform, Str cell_name, Db **out, Error *err);
// The same with other timeouts, for what takes minutes.
MUST_CHECK bool platform_cell_open_with(Platform *platform, Str cell_name, const DbOptions *options, Db **out,
                                        Error *err);
// A new connection for replication (see pg_replication.h) of the cell's database; the caller closes it. Fails with
// ERR_FORBIDDEN also where the login may not replicate.
MUST_CHECK bool platform_cell_replication(Platform *platform, Str cell_name, const DbOptions *options, Db **out,
                                          Error *err);
// A new connection to another database of the cell's server; the caller closes it.
MUST_CHECK bool platform_cell_database(Platform *platform, Str cell_name, Str database, Db **out, Error *err);
// A host that we are connected to, connected at first use; it is the platform's (see host.h).
typedef struct Host Host;
MUST_CHECK bool platform_host(Platform *platform, Str name, Host **out, Error *err);
// Closes the connection to a host, and those to cells that lead through one: the next call opens them by the record,
// which may name another machine now.
void platform_host_forget(Platform *platform, Str name);
// Closes the connections that broke, so that the next call opens new ones.
MUST_CHECK bool platform_reconnect(Platform *platform, Error *err);

// Sees every event of every operation that runs through this platform (progress, tests). NULL: none.
void platform_observe(Platform *platform, PlatformObserver *observer, void *context);
void platform_emit(Platform *platform, const Event *event);

// Hears what an operator should know though nothing failed, a sentence each. NULL: nobody listens.
typedef void PlatformWarned(void *context, const char *text);
void platform_warned(Platform *platform, PlatformWarned *warned, void *context);
void platform_warn(Platform *platform, const char *format, ...) PRINTF(2, 3);

// Who is asked for passphrases from now on. NULL: nobody.
void platform_ask(Platform *platform, PlatformAsk *ask, void *context);

// How many shops are about to be made through this platform, the next one included: where there is no spare for it,
// some are made for the others in the same transaction, since each one costs the cell's other shops their plans. 1 at
// first.
void platform_expect(Platform *platform, size_t shops);
size_t platform_expected(const Platform *platform);

typedef struct TenantRecord {
    int64_t number;    // 0 until it has a schema
    Str slug, name, email;
    Str status;    // as lifecycle.h
    Str plan;
    int64_t plan_version;
    Str tier;
    Str cell;      // empty until it has one
    Str schema;    // "t_1017", empty until it has one
    Str url;       // empty until it has a cell
    Str currency, language, country;
    Str created_at;    // RFC 3339
} TenantRecord;

// What the control database says of a tenant; the newest where deleted ones had the same slug. Texts in `arena`. Fails
// with ERR_NOT_FOUND, naming the nearest slug.
MUST_CHECK bool platform_tenant(Platform *platform, Slug slug, Arena *arena, TenantRecord *out, Error *err);
