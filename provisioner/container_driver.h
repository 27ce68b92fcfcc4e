// provisioner/container_driver.h: the drivers of tiers container and server: a tenant with a PostgreSQL and a shopd of
// its own on a host.
#pragma once
#include "provisioner/operation.h"

extern const Driver CONTAINER_CREATE;
extern const Driver CONTAINER_DELETE;
extern const Driver CONTAINER_RESTORE;
extern const Driver CONTAINER_RESIZE;
extern const Driver CONTAINER_UPGRADE;
