// base/embed.h: files that are part of the binary; base/embed.sh makes the tables when it is built.
#pragma once
#include "base/str.h"

typedef struct Embedded {
    const char *name;    // as under its root: "tenant/001_tables.sql"
    const char *start;
    const char *end;
} Embedded;

// Each table is in the order of names and ends with a row whose name is NULL.
extern const Embedded EMBEDDED_SQL[];      // sql/
extern const Embedded EMBEDDED_PLANS[];    // plans/
extern const Embedded EMBEDDED_THEME[];    // web/theme/

static inline Str embedded_content(const Embedded *file)
{
    return (Str){file->start, (size_t)(file->end - file->start)};
}

// The file with this name, or NULL.
static inline const Embedded *embedded_find(const Embedded *files, Str name)
{
    for (; files->name; files++)
        if (str_eq(str_of(files->name), name))
            return files;
    return NULL;
}
