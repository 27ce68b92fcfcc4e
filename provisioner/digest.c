// provisioner/digest.c: digests by OpenSSL.
#include "provisioner/digest.h"

#define ERR_STATE OPENSSL_ERR_STATE    // a type of theirs, a code of ours
#include <openssl/evp.h>
#undef ERR_STATE

#include "base/arena.h"

bool digest_open(Digest **out, Error *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        return error_set(err, ERR_NO_MEMORY, "no memory for a digest");
    }
    *out = (Digest *)context;
    return true;
}

void digest_put(Digest *digest, Str bytes)
{
    int is_taken = EVP_DigestUpdate((EVP_MD_CTX *)digest, bytes.data, bytes.len);
    assert(is_taken == 1);
}

static void hex(const unsigned char bytes[DIGEST_BYTES], char text[DIGEST_TEXT])
{
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

Str digest_end(Digest *digest, char text[DIGEST_TEXT])
{
    unsigned char bytes[DIGEST_BYTES] = {0};
    int is_made = EVP_DigestFinal_ex((EVP_MD_CTX *)digest, bytes, NULL);
    assert(is_made == 1);
    hex(bytes, text);
    return (Str){text, DIGEST_TEXT - 1};
}

void digest_close(Digest **digest)
{
    EVP_MD_CTX_free((EVP_MD_CTX *)*digest);
    *digest = NULL;
}

void digest_bytes(Str bytes, unsigned char out[DIGEST_BYTES])
{
    int is_made = EVP_Digest(bytes.data ? bytes.data : "", bytes.len, out, NULL, EVP_sha256(), NULL);
    assert(is_made == 1);
}

Str digest_text(Str bytes, char text[DIGEST_TEXT])
{
    unsigned char hash[DIGEST_BYTES];
    digest_bytes(bytes, hash);
    hex(hash, text);
    return (Str){text, DIGEST_TEXT - 1};
}

Str base64_encode(Str bytes, Arena *arena)
{
    char *text = arena_bytes(arena, 4 * ((bytes.len + 2) / 3) + 1);
    if (!text)
        return S("");
    int len = EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.data, (int)bytes.len);
    return (Str){text, (size_t)len};
}

Str base64_decode(Str text, Arena *arena)
{
    unsigned char *bytes = arena_bytes(arena, text.len + 1);
    int len = bytes && text.len % 4 == 0 ? EVP_DecodeBlock(bytes, (const unsigned char *)text.data, (int)text.len) : -1;
    for (size_t i = text.len; len > 0 && i > 0 && text.data[i - 1] == '='; i--)
        len--;
    return len > 0 ? (Str){(const char *)bytes, (size_t)len} : S("");
}
