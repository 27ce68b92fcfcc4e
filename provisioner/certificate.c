// provisioner/certificate.c: certificates and keys, read by OpenSSL.
#include "provisioner/certificate.h"

#define ERR_STATE OPENSSL_ERR_STATE    // a type of theirs, a code of ours
#include <openssl/pem.h>
#include <openssl/x509.h>
#undef ERR_STATE

#include "base/arena.h"
#include "base/file.h"

enum { PEM_MAX = MIB };

// Of a key with a passphrase nobody is asked.
static int no_passphrase(char *buf, int size, int writes, void *was_asked)
{
    (void)buf, (void)size, (void)writes;
    *(bool *)was_asked = true;
    return -1;
}

static bool pem_check(Str path, Str certificate_text, Str key_text, Error *err)
{
    bool was_asked = false;
    BIO *certificate_bytes = BIO_new_mem_buf(certificate_text.data, (int)certificate_text.len);
    BIO *key_bytes = BIO_new_mem_buf(key_text.data, (int)key_text.len);
    X509 *certificate =
        certificate_bytes ? PEM_read_bio_X509(certificate_bytes, NULL, no_passphrase, &was_asked) : NULL;
    EVP_PKEY *key = key_bytes ? PEM_read_bio_PrivateKey(key_bytes, NULL, no_passphrase, &was_asked) : NULL;
    const char *why = !certificate                                    ? "it has no certificate in PEM"
                      : was_asked                                     ? "its key has a passphrase"
                      : !key                                          ? "it has no private key in PEM"
                      : X509_check_private_key(certificate, key) != 1 ? "its key belongs to another certificate"
                                                                      : NULL;
    EVP_PKEY_free(key);
    X509_free(certificate);
    BIO_free(key_bytes);
    BIO_free(certificate_bytes);
    if (!why)
        return true;
    error_set(err, ERR_INVALID, "the certificate '%.*s' can't be used", STR_ARG(path));
    return error_why(err, "%s", why);
}

bool certificate_pair_check(Str path, Str key_path, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(2 * PEM_MAX + KIB);
    Str text = S(""), key = S("");
    return file_read(path, PEM_MAX, arena, &text, err) && file_read(key_path, PEM_MAX, arena, &key, err) &&
           pem_check(path, text, key, err);
}

bool certificate_check(Str path, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(KIB * 16);
    Str beside = str_format(arena, "%.*s.key", STR_ARG(path));
    if (!arena_ok(arena, err))
        return false;
    if (certificate_pair_check(path, file_exists(beside) ? beside : path, err))
        return true;
    return err->code != ERR_INVALID
               ? false
               : error_next(err, "put certificate, chain and key, without a passphrase, into it, or take it away");
}
