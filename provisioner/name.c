// provisioner/name.c: the rule of names.
#include "provisioner/name.h"

enum { NAME_MAX_BYTES = 40 };

bool name_check(const char *what, Str name, Error *err)
{
    bool is_right = name.len > 0 && name.len <= NAME_MAX_BYTES;
    for (size_t i = 0; i < name.len && is_right; i++) {
        char c = name.data[i];
        bool is_inner = i > 0 && i < name.len - 1;
        is_right = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (is_inner && c == '-');
    }
    if (is_right)
        return true;
    error_set(err, ERR_INVALID, "the %s's name '%.*s' is refused", what, STR_ARG(name));
    return error_next(err, "use 1 to %d of a-z, 0-9 and hyphens between them", NAME_MAX_BYTES);
}
