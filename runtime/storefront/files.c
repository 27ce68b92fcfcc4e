// runtime/storefront/files.c: what pages refer to: assets, colours, pictures, and the word to robots.
#include "base/arena.h"
#include "runtime/storefront/storefront.h"

#define FOREVER "public, max-age=31536000, immutable"

bool asset_get(Request *r, Error *err)
{
    const Asset *asset = theme_asset(cell_thread(r)->theme, request_segment(r, "name"));
    if (!asset)
        return error_set(err, ERR_NOT_FOUND, "there is no such file");
    Encoding encoding = encoding_accepted(request_header(r, S("Accept-Encoding")), asset->forms);
    respond_header(r, S("Cache-Control"), S(FOREVER));
    respond_header(r, S("Vary"), S("Accept-Encoding"));
    if (encoding != ENCODING_NONE)
        respond_header(r, S("Content-Encoding"), encoding_name(encoding));
    return respond(r, 200, asset->content_type, asset->forms[encoding]);
}

bool robots_get(Request *r, Error *err UNUSED)
{
    return respond(r, 200, S("text/plain; charset=utf-8"),
                   S("User-agent: *\nDisallow: /cart\nDisallow: /checkout\nDisallow: /orders/\nDisallow: /search\n"));
}

static bool theme_css_make(Request *r UNUSED, const Page *page UNUSED, Context *context UNUSED, Error *err UNUSED)
{
    return true;
}

// Its address has a hash of the colours, so that it may be kept; not for ever, since a shopd that hasn't heard of new
// colours yet would give the old ones a place there.
bool theme_css_get(Request *r, Error *err)
{
    Str version;
    if (!request_parameter(r, S("v"), &version, err))
        return false;
    const Page page = {
        .key = S("theme.css"),
        .template = "colors.css",
        .make = theme_css_make,
        .content_type = S("text/css; charset=utf-8"),
        .cache_control = version.len ? S("public, max-age=3600") : S("no-cache"),
        .is_of_shop = true,
    };
    return page_serve(r, &page, S("select " PAGE_COLUMNS), NO_PARAMS, err);
}

// ---- pictures ----

static const struct {
    Str extension, content_type;
} PICTURES[] = {
    {S("svg"), S("image/svg+xml")}, {S("png"), S("image/png")}, {S("jpg"), S("image/jpeg")},
    {S("jpeg"), S("image/jpeg")},   {S("gif"), S("image/gif")}, {S("webp"), S("image/webp")},
    {S("avif"), S("image/avif")},
};

static int digit_value(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

// bytea's text: \x and two digits a byte.
static Str bytes_of_hex(Request *r, Str hex)
{
    size_t count = hex.len / 2 - 1;
    char *bytes = arena_array(r->arena, MAX(count, (size_t)1), char);
    for (size_t i = 0; bytes && i < count; i++)
        bytes[i] = (char)(digit_value(hex.data[2 * i + 2]) << 4 | digit_value(hex.data[2 * i + 3]));
    return (Str){bytes, bytes ? count : 0};
}

static Str picture_type(Str content_type)
{
    for (size_t i = 0; i < COUNT(PICTURES); i++)
        if (str_eq(PICTURES[i].content_type, content_type))
            return PICTURES[i].content_type;
    return S("");
}

static bool error_no_picture(Error *err) { return error_set(err, ERR_NOT_FOUND, "there is no such picture"); }

static bool media_read(Request *r, const Rows *rows, Str *content_type, Str *text, Error *err)
{
    *content_type = picture_type(rows_str(rows, 0, 1));
    if (content_type->len == 0) {
        request_spend_rate(r);
        return error_no_picture(err);
    }
    *text = bytes_of_hex(r, rows_str(rows, 0, 2));
    return arena_ok(r->arena, err);
}

bool media_get(Request *r, Error *err)
{
    Str name = request_segment(r, "name");
    Str hash = str_slice(name, 0, SHA256_HEX);
    Str extension = str_skip(name, SHA256_HEX + 1);
    bool ok = name.len > SHA256_HEX + 1 && name.data[SHA256_HEX] == '.';
    for (size_t i = 0; ok && i < SHA256_HEX; i++)
        ok = (hash.data[i] >= '0' && hash.data[i] <= '9') || (hash.data[i] >= 'a' && hash.data[i] <= 'f');
    bool is_picture = false;
    for (size_t i = 0; i < COUNT(PICTURES); i++)
        is_picture |= str_eq(PICTURES[i].extension, extension);
    if (!ok || !is_picture)
        return error_no_picture(err);
    const Page page = {
        .key = STR_CONCAT(r->arena, S("media "), hash),
        .read = media_read,
        .cache_control = S(FOREVER),
        .is_guessed = true,
        .policy = S("default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"),
    };
    return page_serve(r, &page,
                      S("select :store_version(), m.content_type, m.content from (select 1) one "
                        "left join :media_show($1) m on true"),
                      PARAMS(hash), err);
}
