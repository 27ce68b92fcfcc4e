// provisioner/gateway_page.c: the pages of the gateway: small, complete in themselves, in the storefront's languages.
#include "provisioner/gateway_page.h"

#include "base/arena.h"

enum { RETRY_AFTER_S = 5 };

#define STYLE                                                                                                          \
    "html{height:100%}body{margin:0;min-height:100%;display:grid;place-items:center;background:#f5f4f1;"               \
    "color:#1c1b19;font:400 1rem/1.6 Inter,\"Segoe UI\",Roboto,\"Noto Sans\",system-ui,sans-serif}"                    \
    "main{box-sizing:border-box;width:100%;max-width:36rem;padding:3rem 1.5rem;text-align:center}"                     \
    "h1{margin:0 0 .75rem;font-size:clamp(1.75rem,1.4rem + 1.6vw,2.5rem);line-height:1.12;font-weight:650;"            \
    "letter-spacing:-.024em}p{margin:0 0 .5rem;color:#4c4b48}"

#define HEAD                                                                                                           \
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"                                          \
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"                                       \
    "<meta name=\"robots\" content=\"noindex\">\n<style>" STYLE "</style>\n"

static Str page(const char *title, const char *text, const char *spanish, Arena *arena)
{
    return str_format(arena,
                      "%s<title>%s</title>\n</head>\n<body>\n<main>\n<h1>%s</h1>\n<p>%s</p>\n<p lang=\"es\">%s</p>\n"
                      "</main>\n</body>\n</html>\n",
                      HEAD, title, title, text, spanish);
}

Str gateway_page_missing(Arena *arena)
{
    return page("There is nothing here", "Please look at the address again.",
                "Aqu\xC3\xAD no hay nada. Revise la direcci\xC3\xB3n, por favor.", arena);
}

Str gateway_page_busy(Arena *arena)
{
    return page("One moment, please", "Too many visitors have come at once. Please try again in a few seconds.",
                "Hay demasiadas visitas a la vez. Int\xC3\xA9ntelo de nuevo en unos segundos, por favor.", arena);
}

Str gateway_page_back(Arena *arena)
{
    Str body = page("Back in a moment", "The shop isn't available just now. Please try again in a few seconds.",
                    "La tienda no est\xC3\xA1 disponible ahora mismo. Int\xC3\xA9ntelo de nuevo en unos segundos, "
                    "por favor.",
                    arena);
    return str_format(arena,
                      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: "
                      "%zu\r\nRetry-After: %d\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
                      "%.*s",
                      body.len, RETRY_AFTER_S, STR_ARG(body));
}
