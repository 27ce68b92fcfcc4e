// provisioner/schema_driver.h: the drivers of tier shared: a tenant is a schema in a cell that others share.
#pragma once
#include "provisioner/operation.h"

extern const Driver SCHEMA_CREATE;
extern const Driver SCHEMA_DELETE;
extern const Driver SCHEMA_RESTORE;
extern const Driver TENANT_SUSPEND;    // these four fit every tier
extern const Driver TENANT_RESUME;
extern const Driver TENANT_ARCHIVE;
extern const Driver TENANT_SET;
