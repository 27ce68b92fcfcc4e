// runtime/core/plain_page.c: core's own page about an error.
#include "runtime/core/plain_page.h"

#include "base/arena.h"

#define STYLE                                                                                                          \
    "html{height:100%}"                                                                                                \
    "body{margin:0;min-height:100%;display:grid;place-items:center;background:#f5f4f1;color:#1c1b19;"                  \
    "font:400 1rem/1.6 Inter,\"Segoe UI\",Roboto,\"Noto Sans\",system-ui,sans-serif}"                                  \
    "main{box-sizing:border-box;width:100%;max-width:36rem;padding:3rem 1.5rem;text-align:center;"                     \
    "overflow-wrap:anywhere}"                                                                                          \
    "svg{width:4rem;height:4rem;fill:none;stroke:#1f3a34;stroke-width:1.25;stroke-linecap:round;"                      \
    "stroke-linejoin:round}"                                                                                           \
    "p{margin:0;color:#4c4b48}"                                                                                        \
    ".code{margin-top:1rem;"                                                                                           \
    "font-size:.9375rem;"                                                                                              \
    "font-weight:600;letter-spacing:.08em;color:#1f3a34}"                                                              \
    "h1{margin:.25rem 0 .75rem;"                                                                                       \
    "font-size:clamp(1.75rem,1.4rem + 1.6vw,2.5rem);line-height:1.12;"                                                 \
    "font-weight:650;letter-spacing:-.024em;text-wrap:balance}"

// SHA-256 of STYLE in base64: a test compares.
#define STYLE_HASH "9LXh0mETxOwrY1moqHKaw8xTNNzQ9HQwd9WhnczjFTE="

#define HEAD                                                                                                           \
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"                                          \
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"                                       \
    "<meta name=\"robots\" content=\"noindex\">\n<style>"

static const char PICTURE[] =
    "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path d=\"M4 10v9.5h16V10M3 7l1.5-3.5h15L21 "
    "7a3 3 0 0 1-6 0 3 3 0 0 1-6 0 3 3 0 0 1-6 0zM10 19.5v-5h4v5\"/></svg>\n";

const Str PLAIN_PAGE_POLICY = S("default-src 'none'; style-src 'sha256-" STYLE_HASH "'; base-uri 'none'; "
                                "form-action 'none'; frame-ancestors 'none'");

static void escaped(StrBuf *out, Str text)
{
    for (size_t i = 0; i < text.len; i++)
        switch (text.data[i]) {
        case '<': strbuf_add(out, S("&lt;")); break;
        case '>': strbuf_add(out, S("&gt;")); break;
        case '&': strbuf_add(out, S("&amp;")); break;
        case '"': strbuf_add(out, S("&quot;")); break;
        default: strbuf_add_char(out, text.data[i]);
        }
}

// Errors begin with a small letter; a sentence doesn't.
static void sentence(StrBuf *out, const char *tag, Str text)
{
    bool is_small = text.len > 0 && text.data[0] >= 'a' && text.data[0] <= 'z';
    strbuf_format(out, "<%s>", tag);
    if (is_small)
        strbuf_add_char(out, (char)(text.data[0] - 'a' + 'A'));
    escaped(out, str_skip(text, is_small));
    strbuf_format(out, ".</%s>\n", tag);
}

Str plain_page(const PlainPage *page, Arena *arena)
{
    StrBuf out = {.arena = arena};
    strbuf_add(&out, S(HEAD STYLE "</style>\n"));
    strbuf_format(&out, "<title>%d %.*s</title>\n</head>\n<body>\n<main>\n%s<p class=\"code\">%d</p>\n<h1>%.*s</h1>\n",
                  page->status, STR_ARG(page->reason), PICTURE, page->status, STR_ARG(page->reason));
    sentence(&out, "p", page->detail);
    if (page->next.len > 0)
        sentence(&out, "p", page->next);
    strbuf_add(&out, S("</main>\n</body>\n</html>\n"));
    return strbuf_str(&out);
}
