// runtime/storefront/guard.h: whether a form was sent from a page of this shop.
#pragma once
#include "runtime/storefront/page.h"

// Reads a form that a page of ours has sent: the session's CSRF token is in it, and neither Origin nor Sec-Fetch-Site
// names another site. Fails with ERR_FORBIDDEN or what request_form says.
MUST_CHECK bool form_open(Request *r, Form *out, Error *err);
