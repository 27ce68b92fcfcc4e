// provisioner/image.c: makes images and brings them into engines.
// Source: Docker Image Specification v1.2 (manifest.json, configuration, layers).
#include "provisioner/image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "provisioner/digest.h"
#include "provisioner/engine_lines.h"
#include "provisioner/image_content.h"
#include "provisioner/image_registry.h"

enum {
    BUDGET = 16 * MIB,
    LAYER_NAME_DIGITS = 16,
    LOAD_SILENCE_MS = 120000,
};

static const char *const NAMES[IMAGE_KINDS] = {[IMAGE_POSTGRES] = "postgres", [IMAGE_SHOPD] = "shopd"};

// ---- the layer

typedef struct LayerFile {
    int fd;
    Digest *digest;
    int64_t bytes;
} LayerFile;

static void layer_close(LayerFile *layer)
{
    fd_close(&layer->fd);
    digest_close(&layer->digest);
}

static bool bytes_write(int fd, Str bytes, Error *err)
{
    while (bytes.len) {
        ssize_t written = write(fd, bytes.data, bytes.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return error_from_errno(err, errno, "an image can't be written");
        bytes = str_skip(bytes, (size_t)written);
    }
    return true;
}

static bool layer_put(void *context, Str bytes, Error *err)
{
    LayerFile *layer = context;
    digest_put(layer->digest, bytes);
    layer->bytes += (int64_t)bytes.len;
    return bytes_write(layer->fd, bytes, err);
}

// Writes the layer to a file and gives its digest.
static bool layer_write(const ImageContent *content, Str path, char digest[DIGEST_TEXT], int64_t *out_bytes, Error *err)
{
    CLEANUP(layer_close) LayerFile layer = {.fd = -1};
    CLEANUP(tar_close) Tar *tar = NULL;
    layer.fd = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (layer.fd < 0)
        return error_from_errno(err, errno, "the file '%.*s' can't be written", STR_ARG(path));
    if (!digest_open(&layer.digest, err) || !tar_open(layer_put, &layer, &tar, err) ||
        !image_content_write(content, tar, err) || !tar_end(tar, err))
        return false;
    (void)digest_end(layer.digest, digest);
    *out_bytes = layer.bytes;
    return true;
}

// ---- configuration and archive

static const char *architecture(void)
{
    struct utsname about;
    if (uname(&about) == 0 && strcmp(about.machine, "aarch64") == 0)
        return "arm64";
    return "amd64";
}

static Json *health_json(const char *command)
{
    Json *words = json_build("[s]", "CMD");
    Str rest = str_of(command), word;
    while (str_cut(&rest, ' ', &word))
        (void)json_append(words, json_from_str(word));
    enum { SECOND = 1000000000 };
    return json_build("{s:o, s:I, s:I, s:I, s:i}", "Test", words, "Interval", (json_int)IMAGE_HEALTH_S * SECOND,
                      "Timeout", (json_int)5 * SECOND, "StartPeriod", (json_int)120 * SECOND, "Retries", 3);
}

static bool config_text(const ImageContent *content, ImageKind kind, const char *layer, Arena *arena, Str *out,
                        Error *err)
{
    Str user = str_format(arena, "%u:%u", content->uid, content->uid);
    Str diff = str_format(arena, "sha256:%s", layer);
    if (!arena_ok(arena, err))
        return false;
    CLEANUP(json_close)
    Json *config =
        json_build("{s:s, s:s, s:s, s:{s:s, s:[s, s], s:[s%], s:s, s:{s:s}, s:o}, s:{s:s, s:[s]}, s:[{s:s, s:s}]}",
                   "architecture", architecture(), "os", "linux", "created", "1970-01-01T00:00:00Z", "config", "User",
                   user.data, "Env", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "Entrypoint", content->entrypoint.data,
                   content->entrypoint.len, "WorkingDir", "/", "Labels", "shopctl.image", NAMES[kind], "Healthcheck",
                   health_json(content->health), "rootfs", "type", "layers", "diff_ids", diff.data, "history",
                   "created", "1970-01-01T00:00:00Z", "created_by", "shopctl image build");
    return json_ok(config, err) && json_print(config, 0, arena, out, err);
}

static bool file_put(void *context, Str bytes, Error *err) { return bytes_write(*(int *)context, bytes, err); }

// The archive that an engine loads: manifest.json, the configuration, the layer.
static bool archive_write(const Image *image, Str config, Str layer_path, Str path, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(fd_close) int fd = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CLEANUP(tar_close) Tar *tar = NULL;
    Str config_name = str_format(arena, "%.*s.json", STR_ARG(str_skip(image->id, S("sha256:").len))), manifest = S("");
    if (fd < 0)
        return error_from_errno(err, errno, "the file '%.*s' can't be written", STR_ARG(path));
    CLEANUP(json_close)
    Json *document = json_build("[{s:s%, s:[s%], s:[s]}]", "Config", config_name.data, config_name.len, "RepoTags",
                                image->reference.data, image->reference.len, "Layers", "layer.tar");
    return json_ok(document, err) && json_print(document, 0, arena, &manifest, err) && arena_ok(arena, err) &&
           tar_open(file_put, &fd, &tar, err) &&
           tar_text(tar, &(TarEntry){.path = S("manifest.json"), .mode = 0644}, manifest, err) &&
           tar_text(tar, &(TarEntry){.path = config_name, .mode = 0644}, config, err) &&
           tar_file(tar, &(TarEntry){.path = S("layer.tar"), .mode = 0644}, layer_path, err) && tar_end(tar, err) &&
           (fsync(fd) == 0 || error_from_errno(err, errno, "the file '%.*s' can't be written", STR_ARG(path)));
}

typedef struct WorkFiles {
    Str layer, archive;
} WorkFiles;

static void work_remove(WorkFiles *work)
{
    (void)unlink(work->layer.data);
    (void)unlink(work->archive.data);
}

static bool image_assemble(const ImageContent *content, ImageKind kind, Str directory, Str work_path, Arena *arena,
                           Image *out, Error *err)
{
    char layer[DIGEST_TEXT], id[DIGEST_TEXT];
    Str config = S("");
    WorkFiles files = {.layer = str_format(arena, "%.*s.layer", STR_ARG(work_path)),
                       .archive = str_format(arena, "%.*s.tar", STR_ARG(work_path))};
    if (!arena_ok(arena, err))
        return false;
    CLEANUP(work_remove) WorkFiles work = files;
    if (!layer_write(content, work.layer, layer, &out->bytes, err) ||
        !config_text(content, kind, layer, arena, &config, err))
        return false;
    out->name = str_of(NAMES[kind]);
    out->id = str_format(arena, "sha256:%.*s", STR_ARG(digest_text(config, id)));
    out->reference = str_format(arena, "shopctl/%s:%.*s", NAMES[kind], LAYER_NAME_DIGITS, id);
    out->path = str_format(arena, "%.*s/%s-%.*s.tar", STR_ARG(directory), NAMES[kind], LAYER_NAME_DIGITS, id);
    return arena_ok(arena, err) &&
           (file_exists(out->path) ||
            (archive_write(out, config, work.layer, work.archive, err) &&
             (rename(work.archive.data, out->path.data) == 0 ||
              error_from_errno(err, errno, "the image '%.*s' can't be kept", STR_ARG(out->path)))));
}

// What was made of the same files before: NAME-SIGNATURE.json beside the archive.
static Str known_path(const ImageStore *store, ImageKind kind, Str signature, Arena *arena)
{
    return str_format(arena, "%.*s/%s-%.*s.json", STR_ARG(store->directory), NAMES[kind], STR_ARG(signature));
}

static bool known_read(Str path, Arena *arena, Image *out)
{
    CLEANUP(json_close) Json *document = NULL;
    Error ignored = {0};
    Str text;
    if (!file_exists(path) || !file_read(path, KIB * 4, arena, &text, &ignored) ||
        !json_parse(text, &document, &ignored))
        return false;
    *out = (Image){.name = str_copy(arena, json_str(json_get(document, "name"))),
                   .reference = str_copy(arena, json_str(json_get(document, "reference"))),
                   .id = str_copy(arena, json_str(json_get(document, "id"))),
                   .path = str_copy(arena, json_str(json_get(document, "path"))),
                   .bytes = json_int64(json_get(document, "bytes"))};
    return out->path.len && out->id.len && out->reference.len && file_exists(out->path);
}

static bool known_write(const Image *image, Str path, Arena *arena, Error *err)
{
    CLEANUP(json_close) Json *document = image_json(image);
    Str text;
    return json_ok(document, err) && json_print(document, 0, arena, &text, err) && file_write(path, text, 0644, err);
}

bool image_build(const ImageStore *store, ImageKind kind, Arena *arena, Image *out, Error *err)
{
    CLEANUP(arena_close) Arena *scratch = arena_open(BUDGET);
    ImageContent content = {.arena = scratch};
    Image image = {0};
    Str work = str_format(scratch, "%.*s/.%s-%d", STR_ARG(store->directory), NAMES[kind], (int)gettid()), signature;
    if (!arena_ok(scratch, err) || !directory_make(store->directory, 0755, err) ||
        !image_content_find(store, kind, &content, err) || !image_content_signature(&content, scratch, &signature, err))
        return error_wrap(err, "the image '%s' can't be made", NAMES[kind]);
    Str known = known_path(store, kind, signature, scratch);
    if (!known_read(known, arena, &image) &&
        (!image_assemble(&content, kind, store->directory, work, arena, &image, err) ||
         !known_write(&image, known, scratch, err)))
        return error_wrap(err, "the image '%s' can't be made", NAMES[kind]);
    *out = image;
    return arena_ok(arena, err);
}

bool image_find(const ImageStore *store, ImageKind kind, Arena *arena, Image *out, Error *err)
{
    Str reference = kind == IMAGE_POSTGRES ? store->postgres_image : store->shopd_image;
    if (reference.len == 0)
        return image_build(store, kind, arena, out, err);
    *out = (Image){.name = str_of(NAMES[kind]), .reference = reference, .credentials = store->credentials};
    return image_reference_check(reference, err) || error_wrap(err, "the setting %s_image can't be used", NAMES[kind]);
}

Json *image_json(const Image *image)
{
    return json_build("{s:s%, s:s%, s:I, s:s%, s:s%}", "name", image->name.data, image->name.len, "id", image->id.data,
                      image->id.len, "bytes", (json_int)image->bytes, "reference", image->reference.data,
                      image->reference.len, "path", image->path.data, image->path.len);
}

// ---- engines

bool image_is_there(Engine *engine, const Image *image, bool *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Str path = str_format(arena, "/images/%.*s/json", STR_ARG(image->reference));
    *out = arena_ok(arena, err) && engine_call(engine, &(EngineCall){.method = "GET", .path = path}, NULL, err);
    if (err->code != ERR_NOT_FOUND)
        return *out;
    error_clear(err);
    return true;
}

bool image_watched(const ImageWatch *watch, int64_t done, int64_t total, Error *err)
{
    return !watch || watch->moved(watch->context, done, total, err);
}

typedef struct Archive {
    int fd;
    int64_t done, total;
    const ImageWatch *watch;
} Archive;

static bool archive_read(void *context, char *buf, size_t size, size_t *out_len, Error *err)
{
    Archive *archive = context;
    Str bytes;
    if (!file_step(archive->fd, S("the image"), buf, size, &bytes, err))
        return false;
    *out_len = bytes.len;
    archive->done += (int64_t)bytes.len;
    return image_watched(archive->watch, archive->done, archive->total, err);
}

bool image_load_file(Engine *engine, Str path, const ImageWatch *watch, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    EngineLines *lines = arena_new(arena, EngineLines);
    struct stat about = {0};
    Str name = str_copy(arena, path);
    if (!arena_ok(arena, err))
        return false;
    CLEANUP(fd_close) int fd = open(name.data, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0)
        return error_from_errno(err, errno, "the image '%.*s' can't be read", STR_ARG(name));
    Archive archive = {.fd = fd, .total = about.st_size, .watch = watch};
    *lines = (EngineLines){.engine = engine};
    const EngineCall call = {.method = "POST",
                             .path = S("/images/load?quiet=1"),
                             .content_type = "application/x-tar",
                             .read = archive_read,
                             .read_context = &archive,
                             .put = engine_lines_put,
                             .put_context = lines,
                             .silence_ms = LOAD_SILENCE_MS};
    return (engine_call(engine, &call, NULL, err) && engine_lines_end(lines, err)) ||
           error_wrap(err, "the image '%.*s' can't be loaded", STR_ARG(name));
}

bool image_load(Engine *engine, const Image *image, const ImageWatch *watch, Error *err)
{
    bool is_there = false;
    if (!image_is_there(engine, image, &is_there, err))
        return false;
    if (is_there)
        return true;
    if (!(image->path.len ? image_load_file(engine, image->path, watch, err) : image_pull(engine, image, watch, err)) ||
        !image_is_there(engine, image, &is_there, err))
        return false;
    if (is_there)
        return true;
    error_set(err, ERR_FAILED, "the image '%.*s' can't be loaded", STR_ARG(image->name));
    return error_why(err, "%.*s took it, but hasn't got it", STR_ARG(engine_name(engine)));
}

bool image_list(Engine *engine, Json **out, Error *err)
{
    CLEANUP(json_close) Json *images = NULL;
    // {"label":["shopctl.image"]}
    const EngineCall call = {.method = "GET",
                             .path = S("/images/json?filters=%7B%22label%22%3A%5B%22shopctl.image%22%5D%7D")};
    if (!engine_call(engine, &call, &images, err))
        return false;
    Json *items = json_build("[]");
    for (size_t i = 0; i < json_count(images); i++) {
        const Json *image = json_element(images, i);
        Str name = json_str(json_get(json_get(image, "Labels"), "shopctl.image")), id = json_str(json_get(image, "Id"));
        const Json *tags = json_get(image, "RepoTags");
        (void)json_append(items, json_build("{s:s%, s:s%, s:I, s:o}", "name", name.data, name.len, "id", id.data,
                                            id.len, "bytes", (json_int)json_int64(json_get(image, "Size")), "tags",
                                            tags ? json_hold((Json *)tags) : json_build("[]")));
    }
    *out = json_build("{s:o, s:I}", "items", items, "total", (json_int)json_count(items));
    return json_ok(*out, err);
}
