// provisioner/slug.c: the rules of a slug and of a host name, and what is named after a tenant's number.
#include "provisioner/slug.h"

#include "base/arena.h"

enum { HOST_MAX = 253, LABEL_MAX = 63 };

static bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static bool is_printable(char c) { return c > ' ' && c < 0x7F; }

bool slug_parse(Str text, Slug *out, Error *err)
{
    if (text.len < SLUG_MIN || text.len > SLUG_MAX) {
        error_set(err, ERR_INVALID, "the slug '%.*s' has %zu characters", STR_ARG(text), text.len);
        return error_next(err, "use %d to %d of a-z, 0-9 and hyphens between them", SLUG_MIN, SLUG_MAX);
    }
    for (size_t i = 0; i < text.len; i++) {
        bool is_inner = i > 0 && i < text.len - 1;
        if (is_letter_or_digit(text.data[i]) || (is_inner && text.data[i] == '-'))
            continue;
        error_set(err, ERR_INVALID, "the slug '%.*s' is refused", STR_ARG(text));
        if (is_printable(text.data[i]))
            error_why(err, "character %zu is '%c'", i + 1, text.data[i]);
        else
            error_why(err, "byte %zu is 0x%02x", i + 1, (unsigned char)text.data[i]);
        return error_next(err, "use a-z, 0-9 and hyphens between them, as in 'acme-shop'");
    }
    *out = (Slug){text};
    return true;
}

Str tenant_schema(int64_t number, Arena *arena) { return str_format(arena, "t_%lld", (long long)number); }

static bool is_label(Str label)
{
    if (label.len == 0 || label.len > LABEL_MAX)
        return false;
    for (size_t i = 0; i < label.len; i++) {
        bool is_inner = i > 0 && i < label.len - 1;
        if (!is_letter_or_digit(label.data[i]) && !(is_inner && label.data[i] == '-'))
            return false;
    }
    return true;
}

bool host_parse(Str text, Arena *arena, Str *out, Error *err)
{
    Str host = str_lower(arena, text);
    if (!arena_ok(arena, err))
        return false;
    if (host.len == 0 || host.len > HOST_MAX || host.data[host.len - 1] == '.') {
        error_set(err, ERR_INVALID, "the host name '%.*s' is refused", STR_ARG(text));
        error_why(err, "it is empty, ends in a dot or is longer than %d bytes", HOST_MAX);
        return error_next(err, "write it as in 'shop.example.com'");
    }
    Str rest = host, label = S("");
    while (str_cut(&rest, '.', &label)) {
        if (is_label(label))
            continue;
        error_set(err, ERR_INVALID, "the host name '%.*s' is refused", STR_ARG(text));
        error_why(err, "its part '%.*s' isn't 1 to %d letters, digits and inner hyphens", STR_ARG(label), LABEL_MAX);
        return error_next(err, "write it as in 'shop.example.com', without port; other scripts as 'xn--...'");
    }
    *out = host;
    return true;
}
