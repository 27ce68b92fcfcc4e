// provisioner/shopd_login.c: a password per cell, which only shopd reads.
#include "provisioner/shopd_login.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/process.h"
#include "provisioner/secret.h"
#include "provisioner/spare.h"

enum { BUDGET = MIB, FILE_MAX = 4 * KIB };

static Str file_path(const Place *place, Str cell, Arena *arena)
{
    return place_path(arena, place->run, "shopd-%.*s.pgpass", STR_ARG(cell));
}

// The file as libpq reads it: "*:*:*:LOGIN:PASSWORD". A name of ours holds no colon.
static bool file_make(Str path, Str login, Arena *arena, Str *out, Error *err)
{
    Str head = str_format(arena, "*:*:*:%.*s:", STR_ARG(login)), text = S("");
    if (file_exists(path)) {
        if (!file_read(path, FILE_MAX, arena, &text, err))
            return false;
        text = str_trim(text);
        if (str_has_prefix(text, head) && text.len > head.len) {
            *out = str_skip(text, head.len);
            return true;
        }
    }
    return secret_make(arena, out, err) &&
           file_write(path, str_format(arena, "%.*s%.*s\n", STR_ARG(head), STR_ARG(*out)), 0600, err);
}

static bool file_give(const Place *place, Str path, Error *err)
{
    User user = {.uid = geteuid(), .gid = getegid()};
    if (place->shopd_user && !user_find(place->shopd_user, &user, err))
        return false;
    return (lchown(path.data, user.uid, user.gid) == 0 && chmod(path.data, 0600) == 0) ||
           error_from_errno(err, errno, "the file '%.*s' can't be given to shopd's user", STR_ARG(path));
}

bool shopd_login_make(const Place *place, Platform *platform, Str cell, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = file_path(place, cell, arena), login, secret = S(""), hash;
    Db *db = NULL;
    if (!platform_cell(platform, cell, &db, err) || !cell_shopd_role(db, arena, &login, err) ||
        !file_make(path, login, arena, &secret, err) || !file_give(place, path, err) ||
        !db_password_hash(db, login, secret, arena, &hash, err))
        return error_wrap(err, "shopd's login to the cell '%.*s' can't be made", STR_ARG(cell));
    Str sql = str_format(arena, "alter role %.*s password %.*s", STR_ARG(db_name(db, arena, login)),
                         STR_ARG(db_literal(db, arena, hash)));
    return (arena_ok(arena, err) && db_run(db, sql, NO_PARAMS, err)) ||
           error_wrap(err, "the login '%.*s' can't be given a password", STR_ARG(login));
}

Str shopd_login_dsn(const Place *place, Str cell, Str dsn, Arena *arena)
{
    Error ignored = {0};
    Str shown, whole;
    if (!dsn_public(dsn, arena, &shown, &ignored) ||
        !dsn_with(shown, "passfile", file_path(place, cell, arena), arena, &whole, &ignored))
        return S("");
    return whole;
}
