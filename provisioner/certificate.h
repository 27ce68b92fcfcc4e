// provisioner/certificate.h: whether a file is what a TLS server needs.
// Source: RFC 7468; HAProxy's configuration manual, `crt`.
#pragma once
#include "base/error.h"
#include "base/str.h"

// Whether the PEM file has a certificate, and the other one, or the same, its private key without a passphrase. Fails
// with ERR_INVALID naming the first and what is lacking, or as file_read does.
MUST_CHECK bool certificate_pair_check(Str path, Str key_path, Error *err);

// Whether the PEM file has a certificate and its private key without a passphrase, or the key is in a file of the same
// name with .key after it. Fails with ERR_INVALID naming the file and what it lacks, or as file_read does.
MUST_CHECK bool certificate_check(Str path, Error *err);
