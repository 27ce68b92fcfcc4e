// runtime/core/token.c: session and CSRF tokens, by libsodium.
#include "runtime/core/token.h"

#include <sodium.h>

#include "base/arena.h"

enum { TOKEN_BYTES = 16, CSRF_BYTES = 8 };

_Static_assert(sizeof(((TokenKey *)0)->bytes) == crypto_shorthash_siphash24_KEYBYTES, "the key is SipHash's");
_Static_assert(TOKEN_LEN >= crypto_shorthash_siphash24_KEYBYTES, "a token holds a key");

static const char BASE64URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool token_start(Error *err)
{
    return sodium_init() >= 0 || error_set(err, ERR_FAILED, "the system's random numbers can't be had");
}

TokenKey token_key(Str secret)
{
    TokenKey key;
    (void)crypto_generichash(key.bytes, sizeof(key.bytes), (const unsigned char *)secret.data, secret.len, NULL, 0);
    return key;
}

// RFC 4648, section 5, without padding.
static void base64url(const unsigned char *bytes, size_t count, char *out)
{
    unsigned bits = 0, held = 0;
    for (size_t i = 0; i < count; i++) {
        held = held << 8 | bytes[i];
        for (bits += 8; bits >= 6; bits -= 6)
            *out++ = BASE64URL[held >> (bits - 6) & 63];
    }
    if (bits > 0)
        *out = BASE64URL[held << (6 - bits) & 63];
}

void token_make(TokenSource *source, char out[TOKEN_LEN])
{
    if (source->left < TOKEN_BYTES) {
        randombytes_buf(source->bytes, sizeof(source->bytes));
        source->left = sizeof(source->bytes);
    }
    source->left -= TOKEN_BYTES;
    base64url(source->bytes + source->left, TOKEN_BYTES, out);
    sodium_memzero(source->bytes + source->left, TOKEN_BYTES);
}

static bool is_token(Str text)
{
    static const bool IS_BASE64URL[256] = {
        ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['-'] = true, ['_'] = true};
    for (size_t i = 0; i < text.len; i++)
        if (!IS_BASE64URL[(unsigned char)text.data[i]])
            return false;
    return text.len == TOKEN_LEN;
}

static bool count_read(Str text, int64_t *out)
{
    *out = 0;
    if (text.len == 0 || text.len > TOKEN_COUNT_DIGITS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *out = *out * 10 + (text.data[i] - '0');
    }
    return true;
}

Session session_read(Str cookie, TokenSource *source)
{
    Session session = {0};
    Str token = S("");
    Str rest = cookie;
    if (str_cut(&rest, '.', &token) && is_token(token) && count_read(rest, &session.count)) {
        memcpy(session.token, token.data, TOKEN_LEN);
        return session;
    }
    session = (Session){.is_new = true};
    token_make(source, session.token);
    return session;
}

Str session_token(const Session *session) { return (Str){session->token, TOKEN_LEN}; }

Str session_cookie(const Session *session, bool is_secure, Arena *arena)
{
    return STR_CONCAT(arena, S("shop="), session_token(session), S("."), str_int(arena, session->count),
                      S("; Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax"), is_secure ? S("; Secure") : S(""));
}

void csrf_make(const Session *session, char out[CSRF_LEN])
{
    unsigned char hash[CSRF_BYTES];
    (void)crypto_shorthash_siphash24(hash, (const unsigned char *)session->token, TOKEN_LEN,
                                     (const unsigned char *)session->token);
    base64url(hash, sizeof(hash), out);
}

bool csrf_is(const Session *session, Str csrf)
{
    char expected[CSRF_LEN];
    csrf_make(session, expected);
    return csrf.len == CSRF_LEN && sodium_memcmp(expected, csrf.data, CSRF_LEN) == 0;
}

uint64_t token_hash(const TokenKey *key, Str bytes)
{
    uint64_t hash = 0;
    (void)crypto_shorthash_siphash24((unsigned char *)&hash, (const unsigned char *)bytes.data, bytes.len, key->bytes);
    return hash;
}

void sha256_hex(Str bytes, char out[SHA256_HEX])
{
    static const char DIGITS[] = "0123456789abcdef";
    unsigned char hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, (const unsigned char *)bytes.data, bytes.len);
    for (size_t i = 0; i < sizeof(hash); i++) {
        out[2 * i] = DIGITS[hash[i] >> 4];
        out[2 * i + 1] = DIGITS[hash[i] & 15];
    }
}
