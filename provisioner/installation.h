// provisioner/installation.h: a platform on this machine as a whole: bringing it up, taking it down, saying what runs.
#pragma once
#include "base/json.h"
#include "provisioner/launch.h"
#include "provisioner/setting.h"

typedef struct InstallationOptions {
    const Settings *settings;
    bool is_foreground;    // of up: stay as the supervisor
    bool is_impatient;     // of follow: fail with ERR_BUSY at once while another shopctl is at work here
    // What is being done, for a person; what begins with "log: " or "warning: " is for everybody. NULL: nobody listens.
    void (*say)(void *context, const char *text);
    void *context;
} InstallationOptions;

typedef struct InstallationUp {
    Json *answer;    // {"state","changed","started":[...],"url","data","control":{"dsn"},"cells","shopd"}; the caller's
    int exit_code;    // of the supervisor that has ended, in the foreground; then there is no answer
} InstallationUp;

// Starts what is missing and waits until all of it answers. Fails with ERR_UNREACHABLE and the log's last lines when
// it doesn't within start_timeout_s, ERR_BUSY while another shopctl is at work here, ERR_STATE when it runs in a way
// that the settings contradict, ERR_EXISTS when the address is taken. What a failing call began it ends again.
MUST_CHECK bool installation_up(const InstallationOptions *options, InstallationUp *out, Error *err);

// Fails where installation_up would before it starts anything, and makes nothing.
MUST_CHECK bool installation_up_check(const InstallationOptions *options, Error *err);

// Stops everything, whatever crashed before: {"changed","stopped":["postgres",...]}. Nothing running is success.
MUST_CHECK bool installation_down(const InstallationOptions *options, Json **out, Error *err);

// {"state":"running|partly|stopped","data","url","control":{"dsn"},"cells":[...],"shopd":[...],"processes":[...]}. With
// the database gone, cells are what was last known.
MUST_CHECK bool installation_status(const InstallationOptions *options, Json **out, Error *err);

// What up or down would do now, by the same checks: {"changed":false,"would_stop":[...]}, or {"changed":false,
// "would_make":["database shop_control",...],"would_migrate":[{"name","files","shops"},...],"would_start":[...]}. What
// a PostgreSQL of the platform's own holds isn't known while it doesn't run.
MUST_CHECK bool installation_preview(const InstallationOptions *options, bool is_up, Json **out, Error *err);

// After a cell was added or changed: has the supervisor that runs here, if any, start the cell's shopd, and waits until
// it answers. Fails as installation_up.
MUST_CHECK bool installation_follow(const InstallationOptions *options, Error *err);
// Asks beforehand whether that shopd could listen at its URL. Fails with ERR_EXISTS or ERR_INVALID.
MUST_CHECK bool installation_cell_check(const InstallationOptions *options, Str name, Str url, Error *err);

// Fails with ERR_FORBIDDEN where another user's processes run in the place.
MUST_CHECK bool installation_owner_check(const Place *place, Error *err);

// What installation_down does, for a caller that holds the lock up.lock.
MUST_CHECK bool installation_stop(const Launch *launch, Json **out, Error *err);
