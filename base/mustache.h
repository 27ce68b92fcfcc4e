// base/mustache.h: Mustache templates (the specification's core modules), compiled once, rendered within bounds.
#pragma once
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

// A compiled template: read-only, so threads may share it. It lives in the arena that it was compiled into, together
// with a copy of its source.
typedef struct Mustache Mustache;

enum { MUSTACHE_DEPTH_MAX = 64, MUSTACHE_SOURCE_MAX = 1 * MIB, MUSTACHE_DELIMITER_MAX = 16 };

// Compiles `source`; `name` (a file's path, or the name of a partial) stands in errors. Fails with ERR_MALFORMED and
// where = NAME:LINE:COLUMN for an unclosed tag or section, a wrong close, bad delimiters, a bad name, sections nested
// deeper than MUSTACHE_DEPTH_MAX, or text that isn't UTF-8; ERR_TOO_LARGE beyond MUSTACHE_SOURCE_MAX bytes.
MUST_CHECK bool mustache_compile(Str source, Str name, Arena *arena, Mustache **out, Error *err);

// Finds the partial with this name: success with *out = NULL when there is none, which renders as nothing.
typedef bool MustachePartial(void *context, Str name, const Mustache **out, Error *err);

// Zero is: no partials, no raw output, the default bounds.
typedef struct MustacheOptions {
    MustachePartial *partial;
    void *context;              // for `partial`
    const Str *html_names;      // last parts of the names that hold safe HTML: "description_html" allows
    size_t html_name_count;     // {{{product.description_html}}}; "." is the implicit iterator
    bool is_all_html;           // every name may be printed raw
    size_t output_max_bytes;    // 0: 4 MiB
    size_t work_max;            // 0: 2,000,000; each tag, text, round of a section and scope searched for a name is one
} MustacheOptions;

// Fails with ERR_INVALID, naming the place, when the template prints raw ({{{x}}} or {{&x}}) what the options don't
// mark as safe HTML: for the moment a template is saved. Rendering asks the same again.
MUST_CHECK bool mustache_check_raw(const Mustache *template, const MustacheOptions *options, Error *err);

// Renders with data of any kind; NULL is null. Allocates in `arena` alone. null, false, 0, "" and [] are false to
// sections; lists and objects print as nothing. Fails with ERR_INVALID and where = NAME:LINE when sections and partials
// nest deeper than MUSTACHE_DEPTH_MAX, a bound is passed, or raw output is refused.
MUST_CHECK bool mustache_render(const Mustache *template, const Json *data, const MustacheOptions *options,
                                Arena *arena, Str *out, Error *err);
