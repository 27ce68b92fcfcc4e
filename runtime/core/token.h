// runtime/core/token.h: who a shopper is without an account: the session cookie, its CSRF token, and digests.
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { TOKEN_LEN = 22, CSRF_LEN = 11, TOKEN_COUNT_DIGITS = 6, SHA256_HEX = 64 };

// The cell's secret: all of its shopd processes have the same one.
typedef struct TokenKey {
    unsigned char bytes[16];
} TokenKey;

MUST_CHECK bool token_start(Error *err);    // once per process, before anything else here
TokenKey token_key(Str secret);             // from a secret of any length

// Random texts are made from a buffer of their thread's own, so that one needs no system call. Zero is empty.
typedef struct TokenSource {
    unsigned char bytes[4096];
    size_t left;
} TokenSource;
void token_make(TokenSource *source, char out[TOKEN_LEN]);    // 128 random bits as base64url, no NUL

// What the cookie `shop` says: "<token>.<count>".
typedef struct Session {
    char token[TOKEN_LEN];
    int64_t count;    // of what is in the cart: only shown
    bool is_new;      // no cookie that is worth one came: the answer must set it
} Session;
// Reads the cookie's value; a missing or broken one starts a new session.
Session session_read(Str cookie, TokenSource *source);
Str session_token(const Session *session);
// A Set-Cookie value in `arena`. HttpOnly, SameSite=Lax, Path=/, for 90 days; Secure when asked for.
Str session_cookie(const Session *session, bool is_secure, Arena *arena);

// The CSRF token of a session: base64url of SipHash-2-4 of its token, whose start is the key (96 random bits, which
// only the shop's own host is sent). So it follows from the cookie alone, and outlives a move to another cell.
void csrf_make(const Session *session, char out[CSRF_LEN]);
bool csrf_is(const Session *session, Str csrf);    // in constant time

// A keyed 64-bit hash, for tables whose keys strangers choose, and for ETags.
uint64_t token_hash(const TokenKey *key, Str bytes);

void sha256_hex(Str bytes, char out[SHA256_HEX]);    // no NUL
