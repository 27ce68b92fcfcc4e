// provisioner/supervisor.h: keeps the programs of a platform running.
#pragma once
#include "provisioner/service.h"

typedef struct SupervisorOptions {
    const Launch *launch;
    bool is_foreground;    // says its lines on our standard error, not in log/supervisor.log
    Process starter;       // in the foreground: the child that readies the platform; when it fails, so do we
    int lock_fd;           // the platform's supervisor lock, held as long as we live
} SupervisorOptions;

#define SUPERVISOR_LOCK "supervisor.lock"    // in run/: whoever supervises holds it

// The signals that it takes, to be blocked before it is forked, so that none is lost: SIGTERM and SIGINT stop
// everything, SIGHUP reads the platform's record again and starts what is missing at once.
void supervisor_block_signals(void);
void supervisor_unblock_signals(void);

// Runs until it is told to stop, then stops everything and clears the place. What runs already it takes over. It starts
// PostgreSQL at once, the rest after the first SIGHUP, which says that the databases are ready. Gives the exit code:
// the starter's, or 0.
int supervisor_run(const SupervisorOptions *options);

// The supervisor that runs here, if any.
MUST_CHECK bool supervisor_open(const Place *place, Process *out, Error *err);

enum { SERVICE_FAILURES_MAX = 3 };    // after as many in a row, NAME.failed in run/ says why
