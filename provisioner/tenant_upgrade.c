// provisioner/tenant_upgrade.c: finds out what of a shop is another version's, and has the operation run.
#include "provisioner/tenant_upgrade.h"

#include "base/arena.h"
#include "provisioner/cell.h"
#include "provisioner/container_driver.h"
#include "provisioner/dedicated_make.h"
#include "provisioner/gateway_leads.h"
#include "provisioner/host.h"
#include "provisioner/image_content.h"
#include "provisioner/tenant_container.h"

enum { BUDGET = 64 * MIB };

typedef enum Part { PART_POSTGRES, PART_SCHEMA, PART_SHOPD, PARTS } Part;
static const char *const PART_NAMES[PARTS] = {
    [PART_POSTGRES] = "postgres", [PART_SCHEMA] = "schema", [PART_SHOPD] = "shopd"};

typedef struct Upgrading {
    Platform *platform;
    Arena *arena;
    TenantRecord tenant;
    Dedicated cell;
    Engine *engine;
    Json *changes;
    bool has[PARTS];
    Str postgres_image;
} Upgrading;

static void upgrading_close(Upgrading *upgrading)
{
    json_close(&upgrading->changes);
    arena_close(&upgrading->arena);
}

static bool change_add(Upgrading *upgrading, Part part, Json *from, Json *to, Error *err)
{
    upgrading->has[part] = true;
    return json_append(upgrading->changes,
                       json_build("{s:s, s:o, s:o}", "key", PART_NAMES[part], "from", from, "to", to)) ||
           json_ok(NULL, err);
}

static Json *text_json(Str text) { return text.len ? json_from_str(text) : json_build("n"); }

// ---- what is another version's

// Files of one major version are nothing to another one.
static bool major_check(const Upgrading *upgrading, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Db *db = NULL;
    int64_t major = 0;
    if (!image_postgres_major(&platform_options(upgrading->platform)->images, upgrading->arena, &major, err) ||
        !platform_cell(upgrading->platform, upgrading->cell.cell, &db, err) ||
        !db_query(db, S("select current_setting('server_version_num')::integer / 10000"), NO_PARAMS, &rows, err))
        return false;
    int64_t there = rows_int64(rows, 0, 0);
    if (there == major)
        return true;
    error_set(err, ERR_STATE, "the PostgreSQL of the shop '%.*s' can't be upgraded in place",
              STR_ARG(upgrading->tenant.slug));
    error_why(err, "it is PostgreSQL %lld, and the image is of PostgreSQL %lld", (long long)there, (long long)major);
    return error_next(err,
                      "name the programs of PostgreSQL %lld by the setting postgres_bin, or move the shop: shopctl "
                      "tenant move",
                      (long long)there);
}

static bool postgres_look(Upgrading *upgrading, Error *err)
{
    Image image;
    Made made;
    if (!image_find(&platform_options(upgrading->platform)->images, IMAGE_POSTGRES, upgrading->arena, &image, err) ||
        !dedicated_made(upgrading->engine, upgrading->cell.postgres_name, upgrading->arena, &made, err))
        return false;
    upgrading->postgres_image = made.image;
    if (str_eq(made.image, image.reference))
        return true;
    bool is_pulled = image.path.len == 0;    // then PostgreSQL itself finds it out, and the step is taken back
    return (is_pulled || major_check(upgrading, err)) &&
           change_add(upgrading, PART_POSTGRES, text_json(made.image), json_from_str(image.reference), err);
}

static bool schema_look(Upgrading *upgrading, Error *err)
{
    size_t files = 0;
    int64_t tenants = 0;
    if (!cell_pending(upgrading->platform, upgrading->cell.cell, &files, &tenants, err))
        return false;
    if (files == 0 && tenants == 0)
        return true;
    Str what = str_format(upgrading->arena, "%zu files of the cell, %lld schemas", files, (long long)tenants);
    return arena_ok(upgrading->arena, err) &&
           change_add(upgrading, PART_SCHEMA, json_build("n"), json_from_str(what), err);
}

// The same image with other arguments, as after a resize, is another shopd, too.
static bool shopd_look(Upgrading *upgrading, Error *err)
{
    Image image;
    Made made;
    Str command;
    if (!image_find(&platform_options(upgrading->platform)->images, IMAGE_SHOPD, upgrading->arena, &image, err) ||
        !dedicated_made(upgrading->engine, upgrading->cell.shopd_name, upgrading->arena, &made, err) ||
        !dedicated_command(upgrading->engine, &upgrading->cell, upgrading->arena, &command, err))
        return false;
    if (!str_eq(made.image, image.reference))
        return change_add(upgrading, PART_SHOPD, text_json(made.image), json_from_str(image.reference), err);
    return str_eq(made.command, command) ||
           change_add(upgrading, PART_SHOPD, text_json(made.command), json_from_str(command), err);
}

static bool upgrading_open(Platform *platform, Slug slug, Upgrading *out, Error *err)
{
    Host *host = NULL;
    out->platform = platform;
    out->arena = arena_open(BUDGET);
    out->changes = json_build("[]");
    if (!json_ok(out->changes, err) || !tenant_cell_find(platform, slug, out->arena, &out->tenant, &out->cell, err) ||
        !platform_host(platform, out->cell.host, &host, err))
        return false;
    out->engine = host_engine(host);
    return postgres_look(out, err) && schema_look(out, err) && shopd_look(out, err);
}

// ---- the operation

static bool input_make(const Upgrading *upgrading, bool is_moved, Json **out, Error *err)
{
    bool is_there = false;
    if (!is_moved && !gateway_is_there(upgrading->platform, &is_there, err))
        return false;
    *out = json_build("{s:b, s:b, s:b, s:s%, s:I, s:b, s:O}", "postgres", (int)upgrading->has[PART_POSTGRES], "schema",
                      (int)upgrading->has[PART_SCHEMA], "shopd", (int)upgrading->has[PART_SHOPD], "postgres_image",
                      upgrading->postgres_image.data, upgrading->postgres_image.len, "port",
                      (json_int)upgrading->cell.port, "is_moved", (int)(is_moved || is_there), "changes",
                      upgrading->changes);
    return json_ok(*out, err);
}

// By the record of the operation; id 0: there was none.
static bool answer_make(Platform *platform, Slug slug, int64_t id, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(rows_close) Rows *rows = NULL;
    TenantRecord tenant;
    Dedicated cell;
    Json *changes = NULL;
    if (!tenant_cell_find(platform, slug, arena, &tenant, &cell, err) ||
        !db_query(platform_control(platform),
                  S("select (select coalesce(json_agg(json_build_object('key', c -> 'key', 'from', c -> 'from', 'to', "
                    "c -> 'to')), '[]') from jsonb_array_elements(o.input -> 'changes') c), coalesce((o.data ->> "
                    "'write_pause_ms')::bigint, 0), "
                    "coalesce((o.data ->> 'away_ms')::bigint, 0) "
                    "from (select) one left join control.operations o on o.id = $1::bigint"),
                  PARAMS(str_int(arena, id)), &rows, err) ||
        !json_parse(rows_str(rows, 0, 0), &changes, err))
        return false;
    *out = json_build("{s:s%, s:b, s:o, s:s%, s:I, s:I}", "slug", slug.text.data, slug.text.len, "changed", id != 0,
                      "changes", changes, "url", cell.url.data, cell.url.len, "write_pause_ms",
                      (json_int)rows_int64(rows, 0, 1), "away_ms", (json_int)rows_int64(rows, 0, 2));
    return json_ok(*out, err);
}

bool tenant_upgrade_preview(Platform *platform, Slug slug, Json **out, Error *err)
{
    CLEANUP(upgrading_close) Upgrading upgrading = {0};
    int64_t left = 0;
    if (!operation_left(platform, &CONTAINER_UPGRADE, slug.text, &left, err))
        return false;
    if (left)
        return operation_preview(platform, left, false, out, err);
    if (!upgrading_open(platform, slug, &upgrading, err) ||
        !db_run(platform_control(platform), S("select control.lease_check_free($1, false)"), PARAMS(slug.text), err))
        return false;
    *out = json_build("{s:O}", "changes", upgrading.changes);
    return json_ok(*out, err);
}

bool tenant_upgrade(Platform *platform, Slug slug, bool is_moved, Json **out, Error *err)
{
    CLEANUP(upgrading_close) Upgrading upgrading = {0};
    CLEANUP(json_close) Json *input = NULL;
    bool is_done = false;
    int64_t id = 0;
    if (!operation_continue(platform, &CONTAINER_UPGRADE, slug.text, &is_done, &id, err))
        return false;
    if (!is_done) {
        id = 0;
        if (!upgrading_open(platform, slug, &upgrading, err) || !input_make(&upgrading, is_moved, &input, err))
            return false;
        const OperationSpec spec = {.driver = &CONTAINER_UPGRADE, .slug = slug.text, .input = input};
        if (json_count(upgrading.changes) && !operation_run(platform, &spec, &id, err))
            return false;
    }
    return answer_make(platform, slug, id, out, err);
}
