// provisioner/secret.c: random texts.
#include "provisioner/secret.h"

#include <errno.h>
#include <sys/random.h>

#include "base/arena.h"

enum { SECRET_BYTES = 24 };

bool secret_make(Arena *arena, Str *out, Error *err)
{
    unsigned char bytes[SECRET_BYTES];
    StrBuf text = {.arena = arena};
    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return error_from_errno(err, errno, "there are no random bytes for a password");
    for (size_t i = 0; i < sizeof(bytes); i++)
        strbuf_format(&text, "%02x", bytes[i]);
    *out = strbuf_str(&text);
    return arena_ok(arena, err);
}
