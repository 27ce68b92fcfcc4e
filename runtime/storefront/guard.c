// runtime/storefront/guard.c: forms of other sites are refused.
#include "runtime/storefront/guard.h"

// A browser says where a form comes from in Sec-Fetch-Site, an older one in Origin alone.
static bool is_same_site(const Request *r)
{
    Str site = request_header(r, S("Sec-Fetch-Site"));
    if (site.len > 0)
        return str_eq(site, S("same-origin")) || str_eq(site, S("none"));
    Str origin = request_header(r, S("Origin"));
    if (origin.len == 0)
        return true;
    size_t at = str_find(origin, S("://"));
    return at < origin.len && str_eq_nocase(str_skip(origin, at + 3), r->authority);
}

static bool error_another_site(Error *err, const char *why)
{
    error_set(err, ERR_FORBIDDEN, "the form isn't one of this shop's");
    error_why(err, "%s", why);
    return error_next(err, "open the page again and send the form from there");
}

bool form_open(Request *r, Form *out, Error *err)
{
    if (!is_same_site(r))
        return error_another_site(err, "it was sent from another site");
    if (!request_form(r, out, err))
        return false;
    const Session *session = page_session(r);
    if (!session)
        return arena_ok(r->arena, err);
    Str csrf = form_value(out, S("csrf"));
    if (session->is_new || !csrf_is(session, csrf))
        return error_another_site(err, "its csrf token isn't the session's");
    return true;
}
