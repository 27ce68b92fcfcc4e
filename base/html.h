// base/html.h: HTML of strangers made harmless.
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { HTML_MAX = 1 * MIB, HTML_DEPTH_MAX = 32 };

typedef struct Html {
    Str text;
} Html;    // safe to print as it is: made by html_sanitise alone

// Writes the HTML again from what is allowed in it: p br b strong i em u s ul ol li h1 (as h2) h2-h6 blockquote a img
// table thead tbody tr th td span div pre code hr sub sup. An `a` keeps an href that is http, https, mailto or relative
// and gets rel="nofollow noopener"; an `img` a src that is http, https or relative, alt, width and height; th and td
// their colspan and rowspan. Scripts, styles, frames, forms' fields, vector drawings and the like go with their
// content; of other elements the content stays. What comes out is well-formed, nests at most HTML_DEPTH_MAX deep and is
// its own sanitised form. Time and memory are linear in the input. Fails with ERR_TOO_LARGE beyond HTML_MAX bytes,
// ERR_MALFORMED when it isn't UTF-8, ERR_NO_MEMORY.
MUST_CHECK bool html_sanitise(Str html, Arena *arena, Html *out, Error *err);

// The text that a reader sees, in one line with single blanks: for excerpts and search. Fails in the same way.
MUST_CHECK bool html_text(Str html, Arena *arena, Str *out, Error *err);
