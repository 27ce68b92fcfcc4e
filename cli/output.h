// cli/output.h: one answer, printed as a table, as JSON, as YAML or as names.
#pragma once
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "provisioner/unit.h"

typedef enum OutputFormat { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_NAME } OutputFormat;

// One key of an answer, for the table on the terminal and for the man page alike. An array of them ends with {0}.
typedef struct OutputKey {
    const char *key;        // with dots into objects: "price.amount"; "steps[].name" is for the man page alone
    const char *type;       // "text", "integer", "bool", "time", "list", "object", "money" ({"amount", "currency"})
    UnitKind unit;          // of an integer: a table shows 512MiB, where JSON has 536870912
    const char *help;       // what it means, in the man page
    const char *heading;    // of its column; NULL: not in the table of a list (a single object shows every key)
    bool is_right;          // numbers
    bool is_name;           // what -o name prints; none: the first row's
    bool is_cut;            // prose: may end in an ellipsis where the terminal is too narrow for the row
} OutputKey;

// Prints an answer to `file`: one object, or {"items": [...], "total": N}. A list is a table with the columns that have
// a heading; one object is a line per key, and one more for each further line of a text. Control characters are made
// visible, the end of a line in a list's cell is a blank. Fails with ERR_FAILED where the file
// can't be written.
MUST_CHECK bool output_print(const Json *answer, const OutputKey *keys, OutputFormat format, FILE *file, Arena *arena,
                             Error *err);

// One value as a list's cell has it, in one line, control characters made visible: "4.90 EUR", "yes", the members of a
// list with commas between them. Empty for null.
Str output_value(const Json *value, Arena *arena);

// Prints a text as it is.
MUST_CHECK bool output_text(Str text, FILE *file, Error *err);

// Whether to colour what goes to `file`: it is a terminal, NO_COLOR is unset or empty, TERM isn't dumb.
bool output_is_coloured(FILE *file);
