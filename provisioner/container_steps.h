// provisioner/container_steps.h: the steps by which a cell of its own comes to be, and goes.
#pragma once
#include "provisioner/container.h"
#include "provisioner/dedicated.h"
#include "provisioner/operation.h"

// The operation's cell, and the engine of its host. Fails with ERR_STATE for a cell without a host.
MUST_CHECK bool cell_reach(Operation *operation, Dedicated *out, Engine **out_engine, Error *err);
// Puts files into the cell's volume of secrets, by way of a container of this image that never runs.
MUST_CHECK bool secrets_put(Engine *engine, const Dedicated *cell, Str image, const ContainerFile *files, size_t count,
                            Error *err);
// The image that the operation uses, made where it isn't known yet; a reference in the operation's arena or data.
MUST_CHECK bool operation_image(Operation *operation, ImageKind kind, Str *out_reference, Error *err);

// Makes and starts a shopd with cell->shopd_name and cell->port. Fails as engine_call; is_port_taken tells where it
// failed because a program has the port.
MUST_CHECK bool shopd_start(Engine *engine, Dedicated *cell, Str image, Arena *arena, Error *err);
bool is_port_taken(const Error *err);
enum { PORTS_TRIED_MAX = 50 };

// As operation.h describes them.
MUST_CHECK bool image_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool image_apply(Operation *operation, Error *err);
MUST_CHECK bool network_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool network_apply(Operation *operation, Error *err);
MUST_CHECK bool network_revert(Operation *operation, Error *err);
MUST_CHECK bool volume_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool volume_apply(Operation *operation, Error *err);
MUST_CHECK bool volume_revert(Operation *operation, Error *err);
MUST_CHECK bool secrets_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool secrets_apply(Operation *operation, Error *err);
MUST_CHECK bool secrets_revert(Operation *operation, Error *err);
MUST_CHECK bool postgres_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool postgres_apply(Operation *operation, Error *err);
MUST_CHECK bool postgres_revert(Operation *operation, Error *err);
MUST_CHECK bool database_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool database_apply(Operation *operation, Error *err);
MUST_CHECK bool shopd_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool shopd_apply(Operation *operation, Error *err);
MUST_CHECK bool shopd_revert(Operation *operation, Error *err);
MUST_CHECK bool healthy_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool healthy_apply(Operation *operation, Error *err);
MUST_CHECK bool route_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool route_apply(Operation *operation, Error *err);
// Starts the shop's PostgreSQL where it was stopped, and waits until it answers. One that isn't there stays so.
MUST_CHECK bool own_postgres_start(Operation *operation, Error *err);
// A Driver's `prepare`: starts what is down of the containers that there are of the cells that it works at, PostgreSQL
// and shopd, and waits for them: nobody else mends them while it is under way, and an engine that was killed starts
// nothing of what it found running. Shared cells have nothing to start.
MUST_CHECK bool own_cells_start(Operation *operation, Error *err);
MUST_CHECK bool own_leave_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool own_leave_apply(Operation *operation, Error *err);
MUST_CHECK bool remove_probe(Operation *operation, bool *out_done, Error *err);
MUST_CHECK bool remove_apply(Operation *operation, Error *err);
// Of the activation in a cell that goes as a whole: the record alone.
MUST_CHECK bool deactivate_revert(Operation *operation, Error *err);

// Whether the cell's PostgreSQL is gone from its host, or the cell from the record.
MUST_CHECK bool is_removed(Operation *operation, bool *out, Error *err);
