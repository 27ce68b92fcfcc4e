// provisioner/service.h: the programs of a running platform: how each is started, found and stopped.
#pragma once
#include "base/process.h"
#include "provisioner/launch.h"

typedef enum ServiceKind { SERVICE_POSTGRES, SERVICE_SHOPD, SERVICE_GATEWAY, SERVICE_CONTROLLER } ServiceKind;

typedef struct Service {
    ServiceKind kind;
    Str name;           // "postgres", "shopd-main", "gateway", "controller": of its pid file and its log
    Str cell;           // of shopd
    Str database;       // of shopd: the name of the cell's database, where PostgreSQL is embedded
    Str dsn;            // of shopd: the cell's
    Str listen;         // of shopd and the gateway
    bool is_public;     // on the platform's own address: it is passed the sockets that the supervisor holds
    Process process;    // pid 0: it doesn't run
} Service;

// What should run by the record of the platform, in the order of starting, in `arena`: PostgreSQL where it is embedded,
// a shopd for each cell that has an address, the gateway where it is on, the controller. Without a record, or with
// NULL: PostgreSQL alone.
MUST_CHECK bool services_list(const Place *place, const Json *record, Arena *arena, Service **out, size_t *out_count,
                              Error *err);

// The databases of the record's cells, whether or not their shopd runs here, in `arena`; `first` is among them always.
MUST_CHECK bool services_databases(const Json *record, Str first, Arena *arena, Str **out, size_t *out_count,
                                   Error *err);

// Finds the process that runs for it, whoever started it.
MUST_CHECK bool service_open(const Place *place, Service *service, Error *err);
// Starts it. PostgreSQL's former backends are waited for.
MUST_CHECK bool service_start(const Launch *launch, Service *service, Error *err);
// Whether it runs and answers, asking for up to `timeout_ms`; of one that isn't asked, whether it runs.
bool is_service_ready(const Place *place, const Service *service, int64_t timeout_ms);

// Makes room for a successor of a shopd that runs: from now on it is a former one, found by service_former_open.
MUST_CHECK bool service_retire(const Place *place, const Service *service, Error *err);
// The former one, where it still runs; else out->pid is 0, which is success.
MUST_CHECK bool service_former_open(const Place *place, const Service *service, Process *out, Error *err);

Str service_log(const Place *place, const Service *service, Arena *arena);

// Stops what runs, the gateway first and PostgreSQL last, former ones too, and calls `stopped` (may be NULL) for each
// that did run.
typedef void ServiceStopped(void *context, const Service *service, int pid);
MUST_CHECK bool services_stop(const Launch *launch, Service *services, size_t count, ServiceStopped *stopped,
                              void *context, Error *err);

// Every shopd on this machine that serves a cell of this platform, by what the kernel says of it:
// [{"pid","listen","modules","cell"}]. NULL without memory.
Json *services_shopd_list(const Place *place, const Json *record);
