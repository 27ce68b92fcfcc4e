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

// Without memory the library ends the process: for what is compressed at the start alone.
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

enum { WEIGHT_FULL = 1000, WEIGHT_NONE = -1 };

// "0.5" is 500; what isn't a weight is none.
static int weight_read(Str text)
{
    size_t dot = str_find_char(text, '.');
    Str decimals = str_skip(text, MIN(dot + 1, text.len));
    if (dot != 1 || text.data[0] < '0' || text.data[0] > '1' || decimals.len > 3)
        return 0;
    int weight = (text.data[0] - '0') * WEIGHT_FULL, unit = WEIGHT_FULL / 10;
    for (size_t i = 0; i < decimals.len; i++, unit /= 10) {
        if (decimals.data[i] < '0' || decimals.data[i] > '9')
            return 0;
        weight += (decimals.data[i] - '0') * unit;
    }
    return MIN(weight, (int)WEIGHT_FULL);
}

// The weight that the header gives to a coding by its name; WEIGHT_NONE where it doesn't name it.
static int weight_of(Str accept, Str name)
{
    Str item, parameter;
    while (str_cut(&accept, ',', &item)) {
        if (!str_cut(&item, ';', &parameter) || !str_eq_nocase(str_trim(parameter), name))
            continue;
        int weight = WEIGHT_FULL;
        while (str_cut(&item, ';', &parameter)) {
            parameter = str_trim(parameter);
            if (str_has_prefix(parameter, S("q=")) || str_has_prefix(parameter, S("Q=")))
                weight = weight_read(str_skip(parameter, 2));
        }
        return weight;
    }
    return WEIGHT_NONE;
}

Encoding encoding_accepted(Str accept, const Str offered[ENCODING_COUNT])
{
    Encoding best = ENCODING_NONE;
    if (accept.len == 0)
        return best;
    int others = weight_of(accept, S("*")), highest = MAX(weight_of(accept, S("identity")), 0);
    for (Encoding encoding = ENCODING_COUNT - 1; encoding > ENCODING_NONE; encoding--) {
        if (offered[encoding].len == 0)
            continue;
        int weight = weight_of(accept, encoding_name(encoding));
        weight = weight == WEIGHT_NONE ? others : weight;
        if (weight > 0 && (weight > highest || (weight == highest && best == ENCODING_NONE))) {
            best = encoding;
            highest = weight;
        }
    }
    return best;
}

// ---- gzip out of pieces ----

// No name, no time, no system; deflate.
const Str GZIP_START = {"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 10};

bool gzip_piece(Str text, Arena *arena, GzipPiece *out, Error *err)
{
    enum { PIECE_LEVEL = 6, PIECE_WINDOW = -15, FLUSH_ROOM = 64 };
    z_stream stream = {0};
    size_t room = compressBound(text.len) + FLUSH_ROOM;
    char *bytes = arena_bytes(arena, room);
    if (!arena_ok(arena, err))
        return false;
    if (deflateInit2(&stream, PIECE_LEVEL, Z_DEFLATED, PIECE_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return error_set(err, ERR_NO_MEMORY, "there isn't enough memory to compress a page");
    stream.next_in = (Bytef *)(uintptr_t)text.data;
    stream.avail_in = (uInt)text.len;
    stream.next_out = (Bytef *)bytes;
    stream.avail_out = (uInt)room;
    bool ok = deflate(&stream, Z_SYNC_FLUSH) == Z_OK && stream.avail_in == 0 && stream.avail_out > 0;
    size_t len = stream.total_out;
    (void)deflateEnd(&stream);
    assert(ok);    // there is room for all of it
    *out = (GzipPiece){
        .bytes = {bytes, len},
        .length = (uint32_t)text.len,
        .crc = (uint32_t)crc32_z(0, (const Bytef *)text.data, text.len),
        .shift = (uint32_t)crc32_combine_gen((z_off_t)text.len),
    };
    return true;
}

void gzip_add(GzipSum *sum, const GzipPiece *piece)
{
    sum->crc = (uint32_t)crc32_combine_op(sum->crc, piece->crc, piece->shift);
    sum->length += piece->length;
}

static char *put_little_endian(char *at, uint32_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++, value >>= 8)
        *at++ = (char)(value & 0xFF);
    return at;
}

Str gzip_stored(GzipSum *sum, Str text, char *room)
{
    assert(text.len <= GZIP_STORED_MAX);
    sum->crc = (uint32_t)crc32_z(sum->crc, (const Bytef *)text.data, text.len);
    sum->length += (uint32_t)text.len;
    char *at = put_little_endian(room, 0, 1);    // not the last block; stored
    at = put_little_endian(at, (uint32_t)text.len, 2);
    at = put_little_endian(at, ~(uint32_t)text.len, 2);
    memcpy(at, text.data, text.len);
    return (Str){room, GZIP_STORED + text.len};
}

Str gzip_end(const GzipSum *sum, char room[GZIP_END])
{
    char *at = put_little_endian(room, 3, 2);    // the last block, and nothing in it
    at = put_little_endian(at, sum->crc, 4);
    (void)put_little_endian(at, sum->length, 4);
    return (Str){room, GZIP_END};
}
