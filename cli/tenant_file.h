// cli/tenant_file.h: the shops of a file, each with its place, and all that is wrong with them.
#pragma once
#include "base/yaml.h"
#include "cli/tenant_spec.h"

// A shop of a file.
typedef struct TenantEntry {
    TenantSpec spec;
    unsigned line, column;      // where it begins
    const YamlNode *mapping;    // the places of its keys; NULL where it is none
    bool is_line;               // of JSON: the places in `mapping` are in its own line, from its own begin
} TenantEntry;

typedef struct TenantFile {
    Str path;
    Json *list;    // what the specs' texts are views of; closed by tenant_file_close
    TenantEntry *entries;
    size_t count;
} TenantFile;

// Reads a YAML list of mappings or JSON lines, told apart by the content, with `slug` and the keys of
// cli/tenant_spec.def; `defaults` has what entries get that don't name it. Whatever is wrong with any of them, also
// that a slug or host stands twice, is added to `faults` with its line; entries that are wrong are in *out all the
// same. Fails where the file can't be read, or memory ends.
MUST_CHECK bool tenant_file_read(Str path, const TenantSpec *defaults, const Plans *plans, Str base_domain,
                                 Arena *arena, Faults *faults, TenantFile *out, Error *err);
void tenant_file_close(TenantFile *file);    // also for CLEANUP; leaves the arena's part

// Adds what an error says of an entry, at the key that the error names, in a line of JSON at its value.
void tenant_entry_fault(const TenantEntry *entry, const Error *err, Faults *faults);
