// provisioner/installation_gateway.h: the gateway as a part of the platform that `shopctl up` runs: whether there is
// one, and bringing it in without losing a request.
#pragma once
#include "provisioner/gateway.h"
#include "provisioner/running.h"

typedef struct InstallationGateway {
    // Given:
    const Settings *settings;
    const Place *place;
    Arena *arena;      // of all texts
    Str first_cell;    // whose shopd had the platform's address before
    // Found out:
    Str mode;       // of the setting `gateway`; empty: its supervisor knows of none
    bool is_on;     // HAProxy answers on the platform's address, and the first cell's shopd behind it
    bool was_on;    // it ran before
    Str behind;     // where the first cell's shopd listens: on that address, or on the loopback address
    GatewayOptions options;
    Str why_not;    // of `auto`: why there is none though it is wanted; empty: it isn't
} InstallationGateway;

// For the platform's address `listen`: by the settings, and where they don't say, by the record; with `is_up` false by
// the record in all. A platform that runs and was started by a shopctl that knew of no gateway gets none. Fails with
// ERR_STATE where the settings contradict what runs, ERR_NOT_FOUND without HAProxy for `always`.
MUST_CHECK bool installation_gateway_choose(InstallationGateway *gateway, bool is_up, const Json *record,
                                            const Running *running, Str listen, Error *err);

// Whether it is on, now that the cells are known (`items` of cell_list). Fails as above, or where no address behind it
// is free.
MUST_CHECK bool installation_gateway_decide(InstallationGateway *gateway, const Json *items, const Running *running,
                                            Error *err);

// Puts it into the platform's record: {"mode","is_on",...}. False without memory.
bool installation_gateway_note(const InstallationGateway *gateway, Json *record);

// Before the supervisor hears of it: writes into the control database by which address shoppers come, and the files.
MUST_CHECK bool installation_gateway_prepare(const InstallationGateway *gateway, Platform *platform, Error *err);

// Once it answers: brings it to what the control database says, by a reload where it needs one. Fails with ERR_FAILED
// where HAProxy doesn't take that; then it goes on as it was.
MUST_CHECK bool installation_gateway_finish(const InstallationGateway *gateway, Platform *platform,
                                            const Running *running, int64_t deadline_ms, Error *err);
