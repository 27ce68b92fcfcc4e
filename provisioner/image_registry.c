// provisioner/image_registry.c: an engine's talk with a registry.
#include "provisioner/image_registry.h"

#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"
#include "provisioner/digest.h"
#include "provisioner/engine_lines.h"

enum {
    BUDGET = MIB,
    CREDENTIALS_MAX = 64 * KIB,
    DIGEST_DIGITS = 64,
    OTHERS = 077,
    SILENCE_MS = 120000,
};

#define DIGEST "@sha256:"

// ---- references

#define HEX_DIGITS "0123456789abcdef"

static bool has_only(Str text, const char *letters)
{
    for (size_t i = 0; i < text.len; i++)
        if (!text.data[i] || !strchr(letters, text.data[i]))
            return false;
    return true;
}

static bool is_path(Str text)
{
    return text.len > 0 && has_only(text, "abcdefghijklmnopqrstuvwxyz0123456789._-/:") &&
           !str_has_prefix(text, S("/")) && !str_has_suffix(text, S("/"));
}

// "registry.example.com:5000" of "registry.example.com:5000/shop/shopd"; empty where it names none.
static Str registry_of(Str repository)
{
    size_t end = str_find_char(repository, '/');
    Str first = str_slice(repository, 0, end);
    bool is_host = str_has_char(first, '.') || str_has_char(first, ':') || str_eq(first, S("localhost"));
    return end < repository.len && is_host && is_path(repository) ? first : S("");
}

bool image_reference_check(Str reference, Error *err)
{
    size_t at = str_find(reference, S(DIGEST));
    Str digits = str_skip(reference, at + S(DIGEST).len);
    if (digits.len == DIGEST_DIGITS && has_only(digits, HEX_DIGITS) && registry_of(str_slice(reference, 0, at)).len)
        return true;
    error_set(err, ERR_INVALID, "'%.*s' isn't an image of a registry", STR_ARG(reference));
    return error_next(err, "write it as shopctl image push prints it: registry.example.com/shop/shopd" DIGEST "DIGEST");
}

static bool repository_check(Str repository, Error *err)
{
    if (registry_of(repository).len)
        return true;
    error_set(err, ERR_INVALID, "'%.*s' isn't a place in a registry", STR_ARG(repository));
    return error_next(err, "write HOST[:PORT]/PATH in small letters, such as registry.example.com/shop");
}

// ---- credentials

static bool credentials_file(Str path, Arena *arena, Json **out, Error *err)
{
    struct stat about;
    Str text;
    if (!file_read(path, CREDENTIALS_MAX, arena, &text, err))
        return error_wrap(err, "the credentials of registries can't be read");
    if (stat(str_copy(arena, path).data, &about) == 0 && (about.st_mode & OTHERS)) {
        error_set(err, ERR_FORBIDDEN, "others may read the credentials in '%.*s'", STR_ARG(path));
        return error_next(err, "chmod 600 %.*s", STR_ARG(path));
    }
    return json_parse(text, out, err) || error_wrap(err, "the credentials in '%.*s' can't be used", STR_ARG(path));
}

// Engines take it in the alphabet of RFC 4648, section 5.
static Str base64url(Str bytes, Arena *arena)
{
    Str text = base64_encode(bytes, arena);
    char *at = (char *)text.data;
    for (size_t i = 0; i < text.len; i++)
        at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
    return text;
}

// What X-Registry-Auth says; that nobody in particular asks, where the file knows nothing of this registry.
static bool credentials_find(Str path, Str registry, Arena *arena, Str *out, Error *err)
{
    CLEANUP(json_close) Json *document = NULL;
    CLEANUP(json_close) Json *header = json_build("{}");
    Str text = S("");
    if (!json_ok(header, err) || (path.len && !credentials_file(path, arena, &document, err)))
        return false;
    const Json *entry = json_get(json_get(document, "auths"), str_copy(arena, registry).data);
    Str pair = base64_decode(json_str(json_get(entry, "auth")), arena);
    size_t colon = str_find_char(pair, ':');
    if (entry && colon == pair.len) {
        error_set(err, ERR_INVALID, "the file '%.*s' has no user and password for '%.*s'", STR_ARG(path),
                  STR_ARG(registry));
        return error_next(err, "write {\"auths\":{\"%.*s\":{\"auth\":\"...\"}}}, with USER:PASSWORD in base64",
                          STR_ARG(registry));
    }
    if (entry && (!json_set(header, "username", json_from_str(str_slice(pair, 0, colon)), err) ||
                  !json_set(header, "password", json_from_str(str_skip(pair, colon + 1)), err) ||
                  !json_set(header, "serveraddress", json_from_str(registry), err)))
        return false;
    if (!json_print(header, 0, arena, &text, err))
        return false;
    *out = base64url(text, arena);
    return arena_ok(arena, err);
}

// ---- calls

typedef struct Talk {
    const ImageWatch *watch;
    char digest[sizeof("sha256:") + DIGEST_DIGITS];    // of what was pushed
} Talk;

static bool talk_take(void *context, const Json *line, Error *err)
{
    Talk *talk = context;
    const Json *moved = json_get(line, "progressDetail");
    Str digest = json_str(json_get(json_get(line, "aux"), "Digest"));
    if (digest.len && digest.len < sizeof(talk->digest))
        (void)snprintf(talk->digest, sizeof(talk->digest), "%.*s", STR_ARG(digest));
    return image_watched(talk->watch, json_int64(json_get(moved, "current")), json_int64(json_get(moved, "total")),
                         err);
}

typedef struct TalkCall {
    Str path;
    Str registry;
    Str credentials;    // what X-Registry-Auth says
} TalkCall;

static bool talk_run(Engine *engine, const TalkCall *call, Talk *talk, Arena *arena, Error *err)
{
    EngineLines *lines = arena_new(arena, EngineLines);
    if (!arena_ok(arena, err))
        return false;
    *lines = (EngineLines){.engine = engine, .take = talk_take, .context = talk};
    const EngineCall post = {.method = "POST",
                             .path = call->path,
                             .registry_auth = call->credentials,
                             .put = engine_lines_put,
                             .put_context = lines,
                             .silence_ms = SILENCE_MS};
    if (engine_call(engine, &post, NULL, err) && engine_lines_end(lines, err))
        return true;
    if (strstr(err->why, "unauthorized"))
        err->code = ERR_FORBIDDEN;
    return err->code == ERR_FORBIDDEN
               ? error_next(err, "name a file with the credentials of '%.*s' by the setting registry_auth",
                            STR_ARG(call->registry))
               : false;
}

bool image_pull(Engine *engine, const Image *image, const ImageWatch *watch, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    size_t at = str_find_char(image->reference, '@');
    Str repository = str_slice(image->reference, 0, at);
    Talk talk = {.watch = watch};
    TalkCall call = {.path = str_format(arena, "/images/create?fromImage=%.*s&tag=%.*s", STR_ARG(repository),
                                        STR_ARG(str_skip(image->reference, at + 1))),
                     .registry = registry_of(repository)};
    if (!arena_ok(arena, err) || !credentials_find(image->credentials, call.registry, arena, &call.credentials, err))
        return false;
    return talk_run(engine, &call, &talk, arena, err) ||
           error_wrap(err, "the image '%.*s' can't be pulled", STR_ARG(image->reference));
}

bool image_push(Engine *engine, const Image *image, Str repository, Str credentials, const ImageWatch *watch,
                Arena *arena, Str *out_reference, Error *err)
{
    Str name = str_format(arena, "%.*s/%.*s", STR_ARG(repository), STR_ARG(image->name));
    Str tag = str_skip(image->reference, str_find_char(image->reference, ':') + 1);
    Str tag_path = str_format(arena, "/images/%.*s/tag?repo=%.*s&tag=%.*s", STR_ARG(image->reference), STR_ARG(name),
                              STR_ARG(tag));
    TalkCall push = {.path = str_format(arena, "/images/%.*s/push?tag=%.*s", STR_ARG(name), STR_ARG(tag)),
                     .registry = registry_of(repository)};
    Talk talk = {.watch = watch};
    if (!arena_ok(arena, err) || !repository_check(repository, err) ||
        !credentials_find(credentials, push.registry, arena, &push.credentials, err))
        return false;
    if (!engine_call(engine, &(EngineCall){.method = "POST", .path = tag_path}, NULL, err) ||
        !talk_run(engine, &push, &talk, arena, err))
        return error_wrap(err, "the image '%.*s' can't be pushed to '%.*s'", STR_ARG(image->name), STR_ARG(repository));
    *out_reference = str_format(arena, "%.*s@%s", STR_ARG(name), talk.digest);
    return arena_ok(arena, err) && image_reference_check(*out_reference, err);
}
