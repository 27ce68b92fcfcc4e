// provisioner/container.h: containers, networks and volumes of an engine by their names: found, made, removed.
#pragma once
#include "provisioner/engine.h"

typedef enum ContainerThing { THING_CONTAINER, THING_NETWORK, THING_VOLUME } ContainerThing;

// What the engine says of one; *out is NULL where there is none, which is success. The caller closes it.
MUST_CHECK bool thing_find(Engine *engine, ContainerThing thing, Str name, Json **out, Error *err);
// Makes one, unless one of this name is there. Takes `body`, which names networks and volumes; NULL is ERR_NO_MEMORY.
MUST_CHECK bool thing_make(Engine *engine, ContainerThing thing, Str name, Json *body, Error *err);
// Removes one, a running container too; one that isn't there is success.
MUST_CHECK bool thing_remove(Engine *engine, ContainerThing thing, Str name, Error *err);

// Starts a container; one that runs is success.
MUST_CHECK bool container_start(Engine *engine, Str name, Error *err);
// Asks it to stop, and kills it after `timeout_s`; one that is stopped or gone is success.
MUST_CHECK bool container_stop(Engine *engine, Str name, int64_t timeout_s, Error *err);
bool is_container_in(const Json *container, Str network);    // of what thing_find gave
// Adds it to a network; one that is in it is success.
MUST_CHECK bool container_connect(Engine *engine, Str name, Str network, Error *err);

// Gives it another name, while it runs. Fails with ERR_EXISTS where that is another one's.
MUST_CHECK bool container_rename(Engine *engine, Str name, Str new_name, Error *err);
// Gives it other limits, while it runs.
MUST_CHECK bool container_limit(Engine *engine, Str name, int64_t millicpu, int64_t memory_bytes, Error *err);

bool has_container_limits(const Json *container, int64_t millicpu, int64_t memory_bytes);    // as thing_find gave it

// A file that is put into a container.
typedef struct ContainerFile {
    Str path;    // below the directory, without a slash before it
    Str text;
    unsigned mode;
    unsigned uid;    // its group's number is the same
} ContainerFile;
MUST_CHECK bool container_put(Engine *engine, Str name, Str directory, const ContainerFile *files, size_t count,
                              Error *err);

// The last lines that it said on its standard output and error, in `arena`; empty where that can't be had.
Str container_log_tail(Engine *engine, Str name, size_t lines, Arena *arena);

// What it said, as it said it, until its end or, with `must_follow`, until `put` fails.
typedef struct ContainerLogSpec {
    int64_t since_s;    // unix time; 0: all
    int64_t lines;      // the last ones; 0: all
    bool must_follow;
    int64_t timeout_ms;    // for all of it, after which it fails with ERR_UNREACHABLE; 0: none
} ContainerLogSpec;
typedef bool ContainerLogPut(void *context, Str bytes, Error *err);
MUST_CHECK bool container_log(Engine *engine, Str name, const ContainerLogSpec *spec, ContainerLogPut *put,
                              void *context, Error *err);

// Stops it as container_stop does, and starts it again.
MUST_CHECK bool container_restart(Engine *engine, Str name, int64_t timeout_s, Error *err);

// Of what thing_find gave: it runs, and, also while it doesn't for a moment, the engine sees to it.
bool is_container_running(const Json *container);
bool is_container_up(const Json *container);
Str container_health(const Json *container);    // "starting", "healthy", "unhealthy"; empty without a check
