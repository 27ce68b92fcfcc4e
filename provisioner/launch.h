// provisioner/launch.h: what starting a platform's programs takes, found out from the settings.
#pragma once
#include "provisioner/address.h"
#include "provisioner/place.h"
#include "provisioner/setting.h"

// A value; its texts live in the arena of launch_make and end in NUL.
typedef struct Launch {
    Place place;
    Str programs;                      // the directory of PostgreSQL's programs
    Str shopctl;                       // this program
    Str shopd;                         // that one
    const char *const *environment;    // of shopd and the controller, ends in NULL
    Str threads;                       // of each shopd; empty: its own choice
    int64_t stop_timeout_ms;           // for shopd to answer what is under way
    Str haproxy;                       // that one, where it is set; empty: looked for when it is started
    Listeners listeners;               // of the platform's own address, which the supervisor holds
} Launch;

// The place that the settings mean.
MUST_CHECK bool launch_place(const Settings *settings, Arena *arena, Place *out, Error *err);

// The path of the program shopd, whether or not it is there.
MUST_CHECK bool launch_shopd(const Settings *settings, Arena *arena, Str *out, Error *err);

// The path of the program haproxy: the one that is set, else one that is found. Fails with ERR_NOT_FOUND, and the name
// of the package.
MUST_CHECK bool launch_haproxy(Str set, Arena *arena, Str *out, Error *err);

// All of it. Fails with ERR_NOT_FOUND or ERR_FORBIDDEN, and what to install or set, where a program is missing.
MUST_CHECK bool launch_make(const Settings *settings, Arena *arena, Launch *out, Error *err);
