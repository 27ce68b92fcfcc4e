// runtime/core/settings.h: shopd's options: one table for the command line, SHOPD_* variables, help and shopd(8).
#pragma once
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"

typedef struct Settings {
    Str cell;               // DSN of the cell's database
    Str role;               // login in that database; empty: <dbname>_shopd
    Str listen;             // ADDR:PORT, several with commas; port 0: any free one
    Str modules;            // comma-separated; empty: all
    Str base_domain;        // "localhost": tenants are below it; problem types name it
    Str user;               // to become after binding, when started by root; empty: stay
    Str trusted_proxies;    // addresses or networks whose X-Forwarded-* are believed; empty: none
    Str log_level;
    Str config;                     // a file of NAME = VALUE lines, read again on SIGHUP; empty: none
    int64_t threads;                // 0: one per core that it may run on
    int64_t connections;            // to the database, of the process
    int64_t clients_max;            // open client connections per thread
    int64_t cache_bytes;            // page cache, of the process
    int64_t head_timeout_ms;        // for a whole request head
    int64_t body_rate_bytes;        // a second: slower bodies and readers are cut
    int64_t rate_grace_ms;          // before that is asked of them
    int64_t idle_timeout_ms;        // of a kept-alive connection
    int64_t linger_ms;              // reading on after an early refusal
    int64_t drain_timeout_ms;       // from SIGTERM to the exit
    int64_t database_timeout_ms;    // of one request's wait, queue included
    int64_t start_timeout_ms;       // for the cell to be there
    bool pin;                       // threads to cores
} Settings;

typedef enum SettingsAsk { ASK_RUN, ASK_HELP, ASK_MAN, ASK_OPENAPI, ASK_READY, ASK_VERSION } SettingsAsk;

// Defaults, then the lines of the config file, then SHOPD_* of `environment` (as environ; may be NULL), then the
// command line. Texts live in `arena` or argv. Fails with ERR_USAGE, naming the option, the reason and the nearest
// right one.
MUST_CHECK bool shopd_settings_read(int argc, char *const *argv, char *const *environment, Arena *arena, Settings *out,
                                    SettingsAsk *ask, Error *err);
// SIGHUP: `settings`, as read again, take over from the `running` ones what needs a start. *changed and *waiting are
// the names of settings that differ, with commas: those that take effect at once, and the others.
void shopd_settings_renew(Settings *settings, const Settings *running, Arena *arena, Str *changed, Str *waiting);
Settings shopd_settings_default(void);
LogLevel shopd_settings_log_level(const Settings *settings);
Str shopd_settings_help(Arena *arena);    // of --help
Str shopd_settings_man(Arena *arena);     // shopd(8) as troff

// The modules that --modules knows.
extern const Str MODULES[];
enum { MODULE_COUNT = 6 };
