// runtime/core/privileges.c: user, groups, capabilities, dumps.
#include "runtime/core/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 64, RECORD_BYTES = 16 * KIB };

static bool user_find(Str user, struct passwd *out, char record[RECORD_BYTES], Error *err)
{
    char name[NAME_MAX_BYTES];
    struct passwd *found = NULL;
    (void)snprintf(name, sizeof(name), "%.*s", STR_ARG(user));
    if (user.len < sizeof(name) && getpwnam_r(name, out, record, RECORD_BYTES, &found) == 0 && found)
        return true;
    error_set(err, ERR_NOT_FOUND, "there is no user '%.*s'", STR_ARG(user));
    return error_next(err, "make one, or give another --user");
}

static bool user_become(Str user, Error *err)
{
    char record[RECORD_BYTES];
    struct passwd entry = {.pw_dir = (char[]){"/"}};
    if (!user_find(user, &entry, record, err))
        return false;
    if (geteuid() == entry.pw_uid && getuid() == entry.pw_uid)
        return true;
    if (geteuid() != 0) {
        error_set(err, ERR_FORBIDDEN, "shopd can't become the user '%.*s'", STR_ARG(user));
        return error_next(err, "start it as root or as that user");
    }
    capng_clear(CAPNG_SELECT_BOUNDS);
    if (capng_apply(CAPNG_SELECT_BOUNDS) != 0 || setgroups(0, NULL) != 0 ||
        setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid) != 0 ||
        setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid) != 0)
        return error_from_errno(err, errno, "shopd can't become the user '%.*s'", STR_ARG(user));
    if (setenv("HOME", entry.pw_dir, 1) != 0)    // libpq seeks certificates there, and fails if it may not look
        return error_from_errno(err, errno, "shopd can't take the home of the user '%.*s'", STR_ARG(user));
    return true;
}

bool privileges_drop(Str user, Error *err)
{
    if (user.len > 0 && !user_become(user, err))
        return false;
    capng_clear(CAPNG_SELECT_CAPS);
    if (geteuid() != 0 && capng_apply(CAPNG_SELECT_CAPS) != 0)    // also what systemd gave, to bind a port below 1024
        return error_set(err, ERR_FORBIDDEN, "the capabilities can't be dropped");
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){0}) != 0)    // hard, too: a core would hold passwords and keys
        return error_from_errno(err, errno, "core dumps can't be turned off");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_from_errno(err, errno, "the process can't give up getting rights");
#ifndef DEF_SANITIZE    // the leak sanitizer has to look into the process
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return error_from_errno(err, errno, "the process can't be closed to others");
#endif
    return true;
}
