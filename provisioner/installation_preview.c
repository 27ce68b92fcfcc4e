// provisioner/installation_preview.c: what bringing a platform up, or taking it down, would do.
#include "base/arena.h"
#include "base/file.h"
#include "base/pg.h"
#include "provisioner/address.h"
#include "provisioner/cell.h"
#include "provisioner/cluster.h"
#include "provisioner/installation.h"
#include "provisioner/platform.h"
#include "provisioner/running.h"
#include "provisioner/server.h"

enum { BUDGET = 64 * MIB };

static const char FIRST_CELL[] = "main";

// Lists that grow; one that couldn't be made is NULL, which json_build refuses at the end.
typedef struct Preview {
    const InstallationOptions *options;
    Arena *arena;
    Launch launch;
    Json *make;
    Json *migrate;
    Json *start;
} Preview;

static void preview_close(Preview *preview)
{
    json_close(&preview->make);
    json_close(&preview->migrate);
    json_close(&preview->start);
}

static bool add(Json *list, Str text, Error *err)
{
    return json_ok(list && json_append(list, json_from_str(text)) ? list : NULL, err);
}

static bool add_migration(Preview *preview, Str name, size_t files, int64_t shops, Error *err)
{
    if (files == 0 && shops == 0)
        return true;
    Json *item =
        json_build("{s:s%, s:I, s:I}", "name", name.data, name.len, "files", (json_int)files, "shops", (json_int)shops);
    return json_ok(preview->migrate && json_append(preview->migrate, item) ? preview->migrate : NULL, err);
}

// ---- the databases ----

// The first cell is to be made, and the control database where it is named here.
static bool first_make(Preview *preview, Str database, bool is_first_time, Error *err)
{
    return (database.len == 0 ||
            add(preview->make, str_format(preview->arena, "database %.*s", STR_ARG(database)), err)) &&
           add(preview->make, str_format(preview->arena, "cell %s", FIRST_CELL), err) &&
           (!is_first_time || add(preview->start, str_format(preview->arena, "shopd-%s", FIRST_CELL), err));
}

// The cells that the control database knows, with those programs that would serve them.
static bool cells_look(Preview *preview, Platform *platform, bool is_first_time, Error *err)
{
    CLEANUP(json_close) Json *list = NULL;
    bool has_first = false;
    if (!cell_list(platform, &list, err))
        return false;
    const Json *items = json_get(list, "items");
    for (size_t i = 0; i < json_count(items); i++) {
        const Json *cell = json_element(items, i);
        Str name = json_str(json_get(cell, "name"));
        bool is_first = str_eq(name, str_of(FIRST_CELL));
        has_first = has_first || is_first;
        size_t files = 0;
        int64_t shops = 0;
        bool is_hosted = json_str(json_get(cell, "host")).len > 0;
        if (str_eq(json_str(json_get(cell, "state")), S("open")) && !is_hosted &&
            (!cell_pending(platform, name, &files, &shops, err) ||
             !add_migration(preview, str_format(preview->arena, "cell %.*s", STR_ARG(name)), files, shops, err)))
            return false;
        if (is_first_time && !is_hosted && (is_first || address_of_url(json_str(json_get(cell, "url"))).len) &&
            !add(preview->start, str_format(preview->arena, "shopd-%.*s", STR_ARG(name)), err))
            return false;
    }
    return has_first || first_make(preview, S(""), is_first_time, err);
}

static bool control_look(Preview *preview, Str dsn, bool is_first_time, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(rows_close) Rows *rows = NULL;
    PlatformOptions options = {.control_dsn = dsn, .data = preview->launch.place.data};
    size_t files = 0;
    if (!platform_open_with(&options, &platform, err) || !platform_pending(platform_control(platform), &files, err) ||
        !add_migration(preview, S("control"), files, 0, err) ||
        !db_query(platform_control(platform), S("select to_regclass('control.cells') is not null"), NO_PARAMS, &rows,
                  err))
        return false;
    return rows_bool(rows, 0, 0) ? cells_look(preview, platform, is_first_time, err)
                                 : first_make(preview, S(""), is_first_time, err);
}

static bool databases_look(Preview *preview, const Json *record, const Running *running, Error *err)
{
    const Place *place = &preview->launch.place;
    Str dsn = place->is_embedded ? cluster_dsn(place, preview->arena, S("shop_control"))
                                 : setting_text(preview->options->settings, "control_dsn");
    bool is_running = running->count > 0 && running->services[0].process.pid, is_missing = false;
    if (place->is_embedded && !is_running)
        return is_cluster_made(place) ? record || add(preview->start, S("shopd-main"), err)
                                      : add(preview->make, S("PostgreSQL cluster"), err) &&
                                            first_make(preview, S("shop_control"), !record, err);
    if (!server_control_check(dsn, &is_missing, err))
        return false;
    return is_missing ? first_make(preview, dsn_database(dsn, preview->arena), !record, err)
                      : control_look(preview, dsn, !record, err);
}

// ---- the programs ----

// What of the list runs, or doesn't.
static bool programs_list(const Running *running, bool is_running, Json *list, Error *err)
{
    for (size_t i = 0; i < running->count; i++)
        if ((running->services[i].process.pid != 0) == is_running && !add(list, running->services[i].name, err))
            return false;
    return true;
}

static bool up_look(Preview *preview, const Json *record, const Running *running, Error *err)
{
    bool has_supervisor = running->supervisor.pid != 0;
    bool is_new = str_eq(setting_text(preview->options->settings, "gateway"), S("always")) &&
                  !json_bool(json_get(json_get(record, "gateway"), "is_on"));
    if (is_new && !add(preview->start, S("gateway"), err))
        return false;
    if (record && has_supervisor && running->alive == running->count)
        return true;
    return programs_list(running, false, preview->start, err) && databases_look(preview, record, running, err) &&
           (record || add(preview->start, S("controller"), err)) &&
           (has_supervisor || add(preview->start, S("supervisor"), err));
}

static bool up_preview(Preview *preview, Json **out, Error *err)
{
    CLEANUP(json_close) Json *record = NULL;
    CLEANUP(running_close) Running running = {0};
    const Place *place = &preview->launch.place;
    preview->make = json_build("[]");
    preview->migrate = json_build("[]");
    preview->start = json_build("[]");
    if (!installation_up_check(preview->options, err) ||
        !launch_make(preview->options->settings, preview->arena, &preview->launch, err) ||
        !place_record_read(place, &record, err) || !running_open(place, record, preview->arena, &running, err) ||
        !up_look(preview, record, &running, err))
        return false;
    *out = json_build("{s:b, s:O, s:O, s:O}", "changed", 0, "would_make", preview->make, "would_migrate",
                      preview->migrate, "would_start", preview->start);
    return json_ok(*out, err);
}

static bool down_preview(Preview *preview, Json **out, Error *err)
{
    CLEANUP(json_close) Json *record = NULL;
    CLEANUP(running_close) Running running = {0};
    Place *place = &preview->launch.place;
    CLEANUP(json_close) Json *stop = json_build("[]");
    if (!launch_place(preview->options->settings, preview->arena, place, err) ||
        (file_exists(place->run) && !installation_owner_check(place, err)) || !place_record_read(place, &record, err) ||
        !running_open(place, record, preview->arena, &running, err) || !programs_list(&running, true, stop, err) ||
        (running.supervisor.pid && !add(stop, S("supervisor"), err)))
        return false;
    *out = json_build("{s:b, s:O}", "changed", 0, "would_stop", stop);
    return json_ok(*out, err);
}

bool installation_preview(const InstallationOptions *options, bool is_up, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(preview_close) Preview preview = {.options = options, .arena = arena};
    return is_up ? up_preview(&preview, out, err) : down_preview(&preview, out, err);
}
