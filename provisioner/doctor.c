// provisioner/doctor.c: goes over hosts and cells.
#include "provisioner/doctor.h"

#include <stdarg.h>

#include "base/arena.h"
#include "provisioner/cell.h"
#include "provisioner/dedicated_state.h"
#include "provisioner/engine.h"
#include "provisioner/host.h"

enum { BUDGET = 16 * MIB, TEXT_MAX = 512 };

typedef struct Doctor {
    Platform *platform;
    Arena *arena;
    Json *problems;
    Str name;             // of the platform
    const Json *cells;    // of cell_list
} Doctor;

static void problem(const Doctor *doctor, Str where, const char *next, const char *format, ...) PRINTF(4, 5);
static void problem(const Doctor *doctor, Str where, const char *next, const char *format, ...)
{
    char what[TEXT_MAX];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    (void)json_append(doctor->problems,
                      json_build("{s:s%, s:s, s:s}", "where", where.data, where.len, "what", what, "next", next));
}

// What can't be asked is a problem of its own, which hides others.
static void unreachable(const Doctor *doctor, Str where, Error *why)
{
    problem(doctor, where, why->next[0] ? why->next : "see that it runs, then ask again", "%s%s%s", why->what,
            why->why[0] ? ": " : "", why->why);
    error_clear(why);
}

// ---- hosts

static bool is_cell(const Doctor *doctor, Str name)
{
    for (size_t i = 0; i < json_count(doctor->cells); i++)
        if (str_eq(json_str(json_get(json_element(doctor->cells, i), "name")), name))
            return true;
    return false;
}

static const struct {
    const char *path;    // up to the label's value
    const char *list;    // where the list is in the answer; NULL: it is the answer
    const char *name;
    const char *what;
    const char *next;
    bool is_platforms_too;    // there are such of no cell
} THINGS[] = {
    {"/containers/json?all=true&filters=", NULL, "Names", "container",
     "nobody uses it: remove it by the engine of its host, volumes last", false},
    {"/networks?filters=", NULL, "Name", "network", "nobody uses it: remove it by the engine of its host", true},
    {"/volumes?filters=", "Volumes", "Name", "volume",
     "no shop of the record has it: keep a copy of its data, then remove it by the engine of its host", false},
};

static Str thing_name(const Json *thing, const char *key)
{
    const Json *value = json_get(thing, key);
    Str name = json_str(json_kind(value) == JSON_KIND_ARRAY ? json_element(value, 0) : value);
    return str_has_prefix(name, S("/")) ? str_skip(name, 1) : name;
}

static bool things_look(const Doctor *doctor, Engine *engine, size_t kind, Str where, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    // {"label":["shopctl.platform=NAME"]}
    Str path = str_format(doctor->arena, "%s%%7B%%22label%%22%%3A%%5B%%22shopctl.platform%%3D%.*s%%22%%5D%%7D",
                          THINGS[kind].path, STR_ARG(doctor->name));
    if (!arena_ok(doctor->arena, err) ||
        !engine_call(engine, &(EngineCall){.method = "GET", .path = path}, &answer, err))
        return false;
    const Json *list = THINGS[kind].list ? json_get(answer, THINGS[kind].list) : answer;
    for (size_t i = 0; i < json_count(list); i++) {
        const Json *thing = json_element(list, i), *labels = json_get(thing, "Labels");
        Str cell = json_str(json_get(labels, "shopctl.cell")), tenant = json_str(json_get(labels, "shopctl.tenant"));
        Str operation = json_str(json_get(labels, "shopctl.operation")), name = thing_name(thing, THINGS[kind].name);
        bool is_platforms = cell.len == 0 && THINGS[kind].is_platforms_too;
        if (is_platforms || (cell.len && is_cell(doctor, cell)))
            continue;
        if (operation.len)
            problem(doctor, where, THINGS[kind].next,
                    "the %s '%.*s' belongs to no cell: it was made for '%.*s' by operation %.*s", THINGS[kind].what,
                    STR_ARG(name), STR_ARG(tenant), STR_ARG(operation));
        else
            problem(doctor, where, THINGS[kind].next, "the %s '%.*s' belongs to no cell, and no operation made it",
                    THINGS[kind].what, STR_ARG(name));
    }
    return true;
}

static void host_look(const Doctor *doctor, Str name)
{
    Host *host = NULL;
    Error why = {0};
    Str where = str_format(doctor->arena, "host %.*s", STR_ARG(name));
    bool is_there = platform_host(doctor->platform, name, &host, &why);
    for (size_t kind = 0; is_there && kind < COUNT(THINGS); kind++)
        is_there = things_look(doctor, host_engine(host), kind, where, &why);
    if (!is_there)
        unreachable(doctor, where, &why);
}

// ---- cells

// What is in a cell's database and belongs to no tenant of the cell itself.
static const struct {
    Str sql;    // gives names
    const char *what;
    const char *next;
} ORPHANS[] = {
    {S("select nspname from pg_namespace n where nspname ~ '^t_[0-9]+$' "
       "and not exists (select from cell.tenants where 't_' || number = nspname) order by 1"),
     "schema", "look into it, then drop it with its role"},
    {S("select rolname from pg_roles r join pg_shdescription d on d.objoid = r.oid and d.classoid = "
       "'pg_authid'::regclass "
       "where rolname ~ '^t_[0-9]+$' and d.description = 'tenant of the cell in database ' || current_database() "
       "and not exists (select from cell.tenants where 't_' || number = rolname) order by 1"),
     "role", "drop it: drop owned by it, then the role"},
};

static bool orphans_look(const Doctor *doctor, Db *db, Str where, Error *err)
{
    for (size_t kind = 0; kind < COUNT(ORPHANS); kind++) {
        CLEANUP(rows_close) Rows *rows = NULL;
        if (!db_query(db, ORPHANS[kind].sql, NO_PARAMS, &rows, err))
            return false;
        for (size_t i = 0; i < rows_count(rows); i++)
            problem(doctor, where, ORPHANS[kind].next, "the %s '%.*s' belongs to no tenant", ORPHANS[kind].what,
                    STR_ARG(rows_str(rows, i, 0)));
    }
    return true;
}

// The two sides of a cell, compared by the control database: it has both then.
static bool tenants_compare(const Doctor *doctor, Db *db, Str cell, Str where, Error *err)
{
    CLEANUP(rows_close) Rows *there = NULL;
    CLEANUP(rows_close) Rows *differences = NULL;
    if (!db_query(
            db,
            S("select coalesce(json_agg(json_build_object('number', number, 'slug', slug, 'state', state)), '[]') "
              "from cell.tenants where state <> 'spare'"),
            NO_PARAMS, &there, err) ||
        !db_query(platform_control(doctor->platform),
                  S("select what, next from control.cell_differences($1, $2::jsonb)"),
                  PARAMS(cell, rows_str(there, 0, 0)), &differences, err))
        return false;
    for (size_t i = 0; i < rows_count(differences); i++) {
        Str next = str_copy(doctor->arena, rows_str(differences, i, 1));
        problem(doctor, where, next.data, "%.*s", STR_ARG(rows_str(differences, i, 0)));
    }
    return arena_ok(doctor->arena, err);
}

// Of a cell of its own.
static void containers_look(const Doctor *doctor, Str cell, Str where)
{
    CLEANUP(json_close) Json *answer = NULL;
    Error why = {0};
    if (!dedicated_state(doctor->platform, cell, &answer, &why)) {
        unreachable(doctor, where, &why);
        return;
    }
    const Json *containers = json_get(answer, "containers");
    for (size_t i = 0; i < json_count(containers); i++) {
        const Json *container = json_element(containers, i);
        Str name = json_str(json_get(container, "name")), state = json_str(json_get(container, "state")),
            health = json_str(json_get(container, "health"));
        bool is_up = str_eq(state, S("running"));
        if (!is_up || str_eq(health, S("unhealthy")))
            problem(doctor, where, "see that the controller runs, which mends it, and what shopctl tenant logs says",
                    "the container '%.*s' is %.*s", STR_ARG(name), STR_ARG(is_up ? health : state));
    }
}

static void cell_look(const Doctor *doctor, Str name)
{
    Db *db = NULL;
    Error why = {0};
    Str where = str_format(doctor->arena, "cell %.*s", STR_ARG(name));
    if (!platform_cell(doctor->platform, name, &db, &why) || !orphans_look(doctor, db, where, &why) ||
        !tenants_compare(doctor, db, name, where, &why))
        unreachable(doctor, where, &why);
    containers_look(doctor, name, where);
}

static bool look(Doctor *doctor, const Json *hosts, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(doctor->platform), S("select name from control.platforms"), NO_PARAMS, &rows, err))
        return false;
    doctor->name = str_copy(doctor->arena, rows_str(rows, 0, 0));
    for (size_t i = 0; i < json_count(hosts); i++)
        host_look(doctor, json_str(json_get(json_element(hosts, i), "name")));
    for (size_t i = 0; i < json_count(doctor->cells); i++)
        if (str_eq(json_str(json_get(json_element(doctor->cells, i), "state")), S("open")))
            cell_look(doctor, json_str(json_get(json_element(doctor->cells, i), "name")));
    return arena_ok(doctor->arena, err);
}

bool doctor_run(Platform *platform, Json **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(json_close) Json *hosts = NULL;
    CLEANUP(json_close) Json *cells = NULL;
    CLEANUP(json_close) Json *problems = json_build("[]");
    Doctor doctor = {.platform = platform, .arena = arena, .problems = problems};
    if (!json_ok(problems, err) || !host_list(platform, &hosts, err) || !cell_list(platform, &cells, err))
        return false;
    doctor.cells = json_get(cells, "items");
    if (!look(&doctor, json_get(hosts, "items"), err))
        return false;
    *out = json_build("{s:O, s:I, s:I}", "problems", problems, "hosts", (json_int)json_count(json_get(hosts, "items")),
                      "cells", (json_int)json_count(doctor.cells));
    return json_ok(*out, err);
}
