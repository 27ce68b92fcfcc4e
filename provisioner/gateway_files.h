// provisioner/gateway_files.h: the files that HAProxy reads when it starts.
#pragma once
#include "provisioner/gateway.h"
#include "provisioner/gateway_record.h"

enum { GATEWAY_FILES = 7 };

typedef struct GatewayFile {
    const char *name;    // below the directory
    Str content;
    bool is_changed;    // it isn't there as it should be
} GatewayFile;

typedef struct GatewayFiles {
    GatewayFile files[GATEWAY_FILES];
    Str description;    // what a HAProxy that runs this configuration says of itself
} GatewayFiles;

// The names by which the configuration has the maps.
extern const char GATEWAY_HOSTS_MAP[], GATEWAY_CELLS_MAP[], GATEWAY_LIMITS_MAP[];

// Whether a configuration can have them. Fails with ERR_INVALID for an address or a path, or ERR_NOT_FOUND without
// certificates.
MUST_CHECK bool gateway_options_check(const GatewayOptions *options, Arena *arena, Error *err);

// Whether each file in the directory of certificates is one that HAProxy can read: one that runs goes on without, but
// none starts with it. Fails with ERR_INVALID, naming the file.
MUST_CHECK bool gateway_certificates_check(const GatewayOptions *options, Error *err);

// Writes the texts of a record whose cells have backends, and compares them with what is there; in `arena`. The options
// are checked.
MUST_CHECK bool gateway_files_make(const GatewayOptions *options, const GatewayRecord *record, Arena *arena,
                                   GatewayFiles *out, Error *err);
// Writes those that changed, each at once, the configuration last.
MUST_CHECK bool gateway_files_write(const GatewayOptions *options, const GatewayFiles *files, Arena *arena, Error *err);

// Cell to backend as the files have it; empty where there are none.
MUST_CHECK bool gateway_files_cells(const GatewayOptions *options, Arena *arena, GatewayMap *out, Error *err);

Str gateway_path(const GatewayOptions *options, const char *name, Arena *arena);
