// provisioner/gateway_files.c: the configuration of HAProxy, its maps and its pages.
#include "provisioner/gateway_files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/process.h"
#include "provisioner/address.h"
#include "provisioner/certificate.h"
#include "provisioner/digest.h"
#include "provisioner/gateway_page.h"
#include "provisioner/haproxy_socket.h"

enum { FILE_MAX = 128 * MIB, FINGERPRINT = 16 };

const char GATEWAY_HOSTS_MAP[] = "hosts.map", GATEWAY_CELLS_MAP[] = "cells.map", GATEWAY_LIMITS_MAP[] = "limits.map";
static const char CONFIGURATION[] = "haproxy.cfg", SOCKET[] = "haproxy.sock";
static const char BACK[] = "503.http", MISSING[] = "404.html", BUSY[] = "429.html";

Str gateway_path(const GatewayOptions *options, const char *name, Arena *arena)
{
    return str_format(arena, "%.*s/%s", STR_ARG(options->directory), name);
}

// ---- what may stand in a configuration

// Text within single quotes, in which HAProxy takes every byte as it is.
static bool quotable_check(const char *what, Str text, Error *err)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == '\'' || text.data[i] == 0x7F) {
            error_set(err, ERR_INVALID, "the %s is refused", what);
            error_why(err, "byte %zu is a quote or a control character", i + 1);
            return error_next(err, "choose one without");
        }
    return true;
}

static void directory_close(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

static const struct dirent *certificate_next(DIR *directory)
{
    const struct dirent *entry = NULL;
    while ((entry = readdir(directory)) && !str_has_suffix(str_of(entry->d_name), S(".pem"))) {}
    return entry;
}

// Names, sizes and times of the certificates, by which a renewed one is told; empty where there are none.
static Str certificates_text(Str path, Arena *arena)
{
    Error ignored = {0};
    GatewayMap map;
    size_t count = 0;
    CLEANUP(directory_close) DIR *directory = path.len ? opendir(path.data) : NULL;
    if (!directory)
        return S("");
    while (certificate_next(directory))
        count++;
    rewinddir(directory);
    if (!gateway_map_make(count, arena, &map, &ignored))
        return S("");
    for (const struct dirent *entry; map.count < count && (entry = certificate_next(directory));) {
        struct stat status = {0};
        (void)fstatat(dirfd(directory), entry->d_name, &status, 0);
        gateway_map_add(&map, str_copy(arena, str_of(entry->d_name)),
                        str_format(arena, "%lld %lld.%09ld", (long long)status.st_size,
                                   (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec));
    }
    gateway_map_sort(&map);
    return gateway_map_text(&map, arena);
}

// What HAProxy passes over in a directory of certificates; all else there has to be one.
static bool is_beside(Str name)
{
    static const Str ENDS[] = {S(".key"), S(".issuer"), S(".ocsp"), S(".sctl")};
    bool is_end = false;
    for (size_t i = 0; i < COUNT(ENDS); i++)
        is_end = is_end || str_has_suffix(name, ENDS[i]);
    return is_end;
}

static bool certificates_check(Str path, Arena *arena, Error *err)
{
    if (certificates_text(path, arena).len)
        return true;
    error_set(err, ERR_NOT_FOUND, "there are no certificates in '%.*s'", STR_ARG(path));
    error_where(err, "gateway_certificates");
    error_why(err, "it can't be read, or no file there ends in .pem");
    return error_next(err, "put a NAME.pem with certificate, chain and key there for each name, or unset "
                           "gateway_certificates");
}

bool gateway_options_check(const GatewayOptions *options, Arena *arena, Error *err)
{
    Str socket = gateway_path(options, SOCKET, arena);
    if (!arena_ok(arena, err) || !quotable_check("gateway's directory", options->directory, err) ||
        !quotable_check("directory of certificates", options->certificates, err) ||
        !quotable_check("gateway's user", options->user, err))
        return false;
    if (!address_list_check(options->listen, err) || !quotable_check("gateway's address", options->listen, err))
        return error_where(err, "gateway_listen");
    if (options->certificates.len && (!address_list_check(options->tls_listen, err) ||
                                      !quotable_check("gateway's address", options->tls_listen, err) ||
                                      !address_lists_differ(options->listen, options->tls_listen, err)))
        return error_where(err, "gateway_tls_listen");
    if (socket.len > HAPROXY_SOCKET_MAX) {
        error_set(err, ERR_INVALID, "the gateway's directory is refused");
        error_why(err, "the socket '%.*s' would have a path of more than %d bytes", STR_ARG(socket),
                  HAPROXY_SOCKET_MAX);
        return error_next(err, "choose a shorter one with --directory");
    }
    return options->certificates.len == 0 || certificates_check(options->certificates, arena, err);
}

bool gateway_certificates_check(const GatewayOptions *options, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Str path = options->certificates;
    CLEANUP(directory_close) DIR *directory = path.len ? opendir(path.data) : NULL;
    bool ok = true;
    for (const struct dirent *entry = NULL; ok && directory && (entry = readdir(directory));) {
        struct stat status = {0};
        Str name = str_of(entry->d_name), file = str_format(arena, "%.*s/%.*s", STR_ARG(path), STR_ARG(name));
        bool is_file = fstatat(dirfd(directory), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode);
        ok = arena_ok(arena, err) && (!is_file || is_beside(name) || certificate_check(file, err));
        arena_reset(arena);
    }
    return ok || error_where(err, "gateway_certificates");
}

// ---- the configuration

static const char DEFAULTS[] = "    fd-hard-limit 65536\n"
                               "    log stderr format raw daemon notice\n"
                               "    tune.bufsize 16384\n"
                               "    tune.maxrewrite 1024\n"
                               "    tune.http.maxhdr 100\n"
                               "    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets\n"
                               "    ssl-default-bind-ciphers ECDHE+AESGCM:ECDHE+CHACHA20\n"
                               "\n"
                               "defaults\n"
                               "    mode http\n"
                               "    log global\n"
                               "    option httplog\n"
                               "    option dontlognull\n"
                               "    option dontlog-normal\n"
                               "    option log-separate-errors\n"
                               "    option http-restrict-req-hdr-names delete\n"
                               "    option redispatch 1\n"
                               "    option idle-close-on-response\n"
                               "    retries 3\n"
                               "    retry-on conn-failure empty-response\n"
                               "    http-reuse safe\n"
                               "    timeout connect 2s\n"
                               "    timeout client 30s\n"
                               "    timeout server 60s\n"
                               "    timeout http-request 10s\n"
                               "    timeout http-keep-alive 15s\n"
                               "    timeout queue 5s\n"
                               "    timeout check 2s\n"
                               "    default-server inter 2s fastinter 500ms downinter 1s fall 2 rise 1 maxconn 512\n"
                               "    errorfile 502 503.http\n"
                               "    errorfile 503 503.http\n"
                               "    errorfile 504 503.http\n"
                               "\n"
                               "frontend shops\n";

// A host's name in the maps is small, without port and without a dot at its end. What is refused for its rate isn't
// counted, so that who asks too much gets what the plan gives and no less. Only what changes nothing is asked again.
static const char RULES[] =
    "    option disable-h2-upgrade\n"
    "    http-request set-var(txn.host) req.hdr(host),host_only,lower,regsub(\\.$,)\n"
    "    http-request set-var(txn.path) path,url_dec\n"
    "    http-request set-var(txn.cell) var(txn.host),map_str(hosts.map)\n"
    "    acl is_shop var(txn.cell) -m found\n"
    "    acl is_private var(txn.path) -m reg -i ^/+(\\./+)*(metrics|readyz|healthz)/*$\n"
    "    http-request return status 404 content-type 'text/html; charset=utf-8' hdr Cache-Control no-store file "
    "404.html"
    " if !is_shop || is_private\n"
    "    http-request set-var(txn.limit) var(txn.host),map_str_int(limits.map,0)\n"
    "    http-request set-var(txn.left) var(txn.host),table_gpc0_rate(limits),neg,add(txn.limit)\n"
    "    http-request return status 429 content-type 'text/html; charset=utf-8' hdr Cache-Control no-store"
    " hdr Retry-After 1 file 429.html if { var(txn.limit) -m int gt 0 } { var(txn.left) -m int le 0 }\n"
    "    http-request track-sc0 var(txn.host) table limits if { var(txn.limit) -m int gt 0 }\n"
    "    http-response sc-inc-gpc0(0) if { var(txn.limit) -m int gt 0 } !{ status 429 }\n"
    "    http-request del-header x-forwarded- -m beg\n"
    "    http-request del-header forwarded\n"
    "    http-request del-header x-real-ip\n"
    "    http-request set-header X-Request-Id %[uuid]\n"
    "    http-request set-header X-Forwarded-For %[src]\n"
    "    http-request set-header X-Forwarded-Proto https if { ssl_fc }\n"
    "    http-request set-header X-Forwarded-Proto http unless { ssl_fc }\n"
    "    http-request disable-l7-retry unless { method GET HEAD OPTIONS }\n"
    "    use_backend %[var(txn.cell),map_str(cells.map)] if { var(txn.cell),map_str(cells.map) -m found }\n"
    "    default_backend none\n"
    "\n"
    "backend none\n"
    "\n";

static const char CHECK[] = "    option httpchk\n"
                            "    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost\n"
                            "    http-check expect status 200\n";

static void held_write(StrBuf *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        strbuf_format(out, "    bind 'fd@%zu'\n", PROCESS_PASSED_FIRST + i);
}

static void binds_write(StrBuf *out, Str listen, Str certificates)
{
    Str address;
    while (str_cut(&listen, ',', &address)) {
        strbuf_format(out, "    bind '%.*s'", STR_ARG(str_trim(address)));
        if (certificates.len)
            strbuf_format(out, " ssl crt '%.*s' alpn h2,http/1.1", STR_ARG(certificates));
        strbuf_add_char(out, '\n');
    }
}

// All that follows `global`, but for the cells' backends.
static Str head_text(const GatewayOptions *options, Arena *arena)
{
    StrBuf out = {.arena = arena};
    strbuf_format(
        &out,
        "    default-path config\n    stats socket '%.*s' mode 600 level admin expose-fd listeners\n    stats "
        "timeout 1m\n",
        STR_ARG(gateway_path(options, SOCKET, arena)));
    if (options->user.len)
        strbuf_format(&out, "    user '%.*s'\n    gid %u\n", STR_ARG(options->user), options->group);
    strbuf_add(&out, str_of(DEFAULTS));
    if (options->held)
        held_write(&out, options->held);
    else
        binds_write(&out, options->listen, S(""));
    if (options->certificates.len)
        binds_write(&out, options->tls_listen, options->certificates);
    strbuf_add(&out, str_of(RULES));
    strbuf_format(&out,
                  "backend limits\n    stick-table type string len 255 size 100k expire 1m store "
                  "gpc0_rate(%ds)\n",
                  GATEWAY_WINDOW_S);
    return strbuf_str(&out);
}

static void backend_write(StrBuf *out, size_t slot, const GatewayCell *cell)
{
    size_t used = cell ? cell->address_count : 0;
    strbuf_format(out, "\nbackend cell-%zu\n%s", slot, CHECK);
    for (size_t i = 0; i < used; i++)
        strbuf_format(out, "    server s%zu %.*s check\n", i + 1, STR_ARG(cell->addresses[i]));
    if (used < GATEWAY_SERVERS)
        strbuf_format(out, "    server-template s %zu-%d 0.0.0.0:1 check disabled\n", used + 1, GATEWAY_SERVERS);
}

static Str backends_text(const GatewayRecord *record, Arena *arena)
{
    size_t count = gateway_slots_wanted(record);
    const GatewayCell **by_slot = arena_array(arena, count + 1, const GatewayCell *);
    StrBuf out = {.arena = arena};
    for (size_t i = 0; by_slot && i < record->cell_count; i++)
        if (record->cells[i].slot)
            by_slot[record->cells[i].slot] = &record->cells[i];
    for (size_t slot = 1; by_slot && slot <= count; slot++)
        backend_write(&out, slot, by_slot[slot]);
    return strbuf_str(&out);
}

// Of all that a running HAProxy can't be given.
static Str fingerprint(const Str *parts, size_t count, Arena *arena)
{
    char text[DIGEST_TEXT];
    Str all = str_join(arena, parts, count, S("\n"));
    return str_copy(arena, str_slice(digest_text(all, text), 0, FINGERPRINT));
}

static Str configuration_text(const GatewayOptions *options, const GatewayRecord *record, const GatewayFiles *files,
                              Arena *arena, Str *out_description)
{
    StrBuf any_backend = {.arena = arena};
    Str head = head_text(options, arena);
    backend_write(&any_backend, 0, NULL);
    const Str parts[] = {head,
                         strbuf_str(&any_backend),
                         files->files[0].content,
                         files->files[1].content,
                         files->files[2].content,
                         certificates_text(options->certificates, arena)};
    *out_description = str_format(arena, "shopctl gateway %.*s", STR_ARG(fingerprint(parts, COUNT(parts), arena)));
    return str_format(arena,
                      "# Written by shopctl gateway; it is written again.\nglobal\n    description '%.*s'\n%.*s%.*s",
                      STR_ARG(*out_description), STR_ARG(head), STR_ARG(backends_text(record, arena)));
}

// ---- the files

static bool is_same(Str path, Str content, Arena *arena)
{
    Error ignored = {0};
    Str there;
    return file_read(path, FILE_MAX, arena, &there, &ignored) && str_eq(there, content);
}

bool gateway_files_make(const GatewayOptions *options, const GatewayRecord *record, Arena *arena, GatewayFiles *out,
                        Error *err)
{
    GatewayMap cells;
    if (!gateway_cells_map(record, SIZE_MAX, arena, &cells, err))
        return false;
    *out = (GatewayFiles){.files = {{.name = BACK, .content = gateway_page_back(arena)},
                                    {.name = MISSING, .content = gateway_page_missing(arena)},
                                    {.name = BUSY, .content = gateway_page_busy(arena)},
                                    {.name = GATEWAY_LIMITS_MAP, .content = gateway_map_text(&record->limits, arena)},
                                    {.name = GATEWAY_CELLS_MAP, .content = gateway_map_text(&cells, arena)},
                                    {.name = GATEWAY_HOSTS_MAP, .content = gateway_map_text(&record->hosts, arena)},
                                    {.name = CONFIGURATION}}};
    out->files[GATEWAY_FILES - 1].content = configuration_text(options, record, out, arena, &out->description);
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < GATEWAY_FILES; i++) {
        GatewayFile *file = &out->files[i];
        file->is_changed = !is_same(gateway_path(options, file->name, arena), file->content, arena);
    }
    return arena_ok(arena, err);
}

bool gateway_files_write(const GatewayOptions *options, const GatewayFiles *files, Arena *arena, Error *err)
{
    for (size_t i = 0; i < GATEWAY_FILES; i++) {
        const GatewayFile *file = &files->files[i];
        Str path = gateway_path(options, file->name, arena);
        if (!arena_ok(arena, err) || (file->is_changed && !file_write(path, file->content, 0600, err)))
            return false;
    }
    return true;
}

bool gateway_files_cells(const GatewayOptions *options, Arena *arena, GatewayMap *out, Error *err)
{
    Error ignored = {0};
    Str text = S("");
    if (!file_read(gateway_path(options, GATEWAY_CELLS_MAP, arena), FILE_MAX, arena, &text, &ignored))
        text = S("");
    return arena_ok(arena, err) && gateway_map_read(text, false, arena, out, err);
}
