// runtime/core/compress.c: gzip and brotli.
#include "runtime/core/compress.h"

#include <brotli/encode.h>
#include <zlib.h>

#include "base/arena.h"

enum { GZIP_LEVEL = 9, GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8, BROTLI_LEVEL = 9 };

static bool gzip(Str text, char *bytes, size_t room, size_t *len)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    stream.next_in = (Bytef *)(uintptr_t)text.data;
    stream.avail_in = (uInt)text.len;
    stream.next_out = (Bytef *)bytes;
    stream.avail_out = (uInt)room;
    bool ok = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    *len = stream.total_out;
    (void)deflateEnd(&stream);
    return ok;
}

static bool brotli(Str text, char *bytes, size_t room, size_t *len)
{
    *len = room;
    return BrotliEncoderCompress(BROTLI_LEVEL, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, text.len,
                                 (const uint8_t *)text.data, len, (uint8_t *)bytes);
}

bool encoding_make(Str text, Encoding encoding, Arena *arena, Str *out, Error *err)
{
    *out = S("");
    if (encoding == ENCODING_NONE || text.len == 0)
        return true;
    char *bytes = arena_bytes(arena, text.len);    // what isn't smaller isn't wanted
    if (!arena_ok(arena, err))
        return false;
    size_t len = 0;
    bool is_smaller =
        encoding == ENCODING_GZIP ? gzip(text, bytes, text.len, &len) : brotli(text, bytes, text.len, &len);
    if (is_smaller)
        *out = (Str){bytes, len};
    return true;
}

Str encoding_name(Encoding encoding)
{
    static const Str NAMES[ENCODING_COUNT] = {
        [ENCODING_NONE] = S(""), [ENCODING_GZIP] = S("gzip"), [ENCODING_BROTLI] = S("br")};
    return NAMES[encoding];
}

// Whether "br;q=0.5" gives this coding a weight above zero: 1 yes, 0 no, -1 it is about another one.
static int accepts(Str item, Str name)
{
    Str coding = str_trim(str_slice(item, 0, str_find_char(item, ';')));
    if (!str_eq_nocase(coding, name) && !str_eq(coding, S("*")))
        return -1;
    Str weight = str_skip(item, str_find_char(item, ';'));
    size_t at = str_find(weight, S("q="));
    for (size_t i = at + 2; at < weight.len && i < weight.len; i++)
        if (weight.data[i] >= '1' && weight.data[i] <= '9')
            return 1;
    return at == weight.len;
}

Encoding encoding_accepted(Str accept, const Str offered[ENCODING_COUNT])
{
    for (Encoding encoding = ENCODING_COUNT - 1; encoding > ENCODING_NONE; encoding--) {
        int said = -1;
        Str item, rest = accept;
        while (offered[encoding].len > 0 && said < 0 && str_cut(&rest, ',', &item))
            said = accepts(item, encoding_name(encoding));
        if (said == 1)
            return encoding;
    }
    return ENCODING_NONE;
}
