// provisioner/gateway_record.c: hosts, limits and cells for the gateway, and which backend each cell gets.
#include "provisioner/gateway_record.h"

#include "base/arena.h"
#include "provisioner/address.h"
#include "provisioner/name.h"

enum { SLOT_MAX = 100000 };

static const Str BACKEND = S("cell-");

// Names of strangers are shown so that they can do nothing to a terminal.
static bool problem_add(GatewayRecord *record, const Error *failure, const char *what, Str name, Arena *arena,
                        Error *err)
{
    Str text = str_visible(arena, str_format(arena, "the %s '%.*s' is left out: %s%s%s", what, STR_ARG(name),
                                             failure->what, failure->why[0] ? ": " : "", failure->why));
    Json *problem = json_build("{s:s%, s:s}", "what", text.data, text.len, "next", failure->next);
    return arena_ok(arena, err) && (json_append(record->problems, problem) || json_ok(NULL, err));
}

// ---- cells

static bool cells_read(Platform *platform, Arena *arena, GatewayRecord *record, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(platform_control(platform), S("select name, url from control.gateway_cells()"), NO_PARAMS, &rows,
                  err))
        return false;
    record->cells = arena_array(arena, rows_count(rows) + 1, GatewayCell);
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < rows_count(rows); i++) {
        Error failure = {0};
        Str name = rows_str(rows, i, 0), url = rows_str(rows, i, 1);
        GatewayCell *cell = &record->cells[record->cell_count];
        if (!name_check("cell", name, &failure) || !address_of_server(url, arena, &cell->addresses[0], &failure)) {
            if (!problem_add(record, &failure, "cell", name, arena, err))
                return false;
            continue;
        }
        cell->name = str_copy(arena, name);
        cell->address_count = 1;
        record->cell_count++;
    }
    return arena_ok(arena, err);
}

// ---- hosts

static bool hosts_read(Platform *platform, Arena *arena, GatewayRecord *record, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    Str window = str_int(arena, GATEWAY_WINDOW_S);
    if (!arena_ok(arena, err) ||
        !db_query(platform_control(platform), S("select host, cell, requests from control.gateway_hosts($1, $2)"),
                  PARAMS(platform_options(platform)->base_domain, window), &rows, err) ||
        !gateway_map_make(rows_count(rows), arena, &record->hosts, err) ||
        !gateway_map_make(rows_count(rows), arena, &record->limits, err))
        return false;
    for (size_t i = 0; i < rows_count(rows); i++) {
        Error failure = {0};
        Str host = rows_str(rows, i, 0), cell = rows_str(rows, i, 1), normal;
        if (!host_parse(host, arena, &normal, &failure) || !name_check("cell", cell, &failure)) {
            if (!problem_add(record, &failure, "host", host, arena, err))
                return false;
            continue;
        }
        gateway_map_add(&record->hosts, normal, str_copy(arena, cell));
        if (rows_int64(rows, i, 2) > 0)
            gateway_map_add(&record->limits, normal, str_copy(arena, rows_str(rows, i, 2)));
    }
    gateway_map_sort(&record->hosts);
    gateway_map_sort(&record->limits);
    return arena_ok(arena, err);
}

bool gateway_record_read(Platform *platform, Arena *arena, GatewayRecord *out, Error *err)
{
    *out = (GatewayRecord){.problems = json_build("[]")};
    return json_ok(out->problems, err) && cells_read(platform, arena, out, err) &&
           hosts_read(platform, arena, out, err);
}

void gateway_record_close(GatewayRecord *record) { json_close(&record->problems); }

// ---- backends

Str gateway_backend(size_t slot, Arena *arena) { return str_format(arena, "%.*s%zu", STR_ARG(BACKEND), slot); }

size_t gateway_slot_of(Str backend)
{
    Error ignored = {0};
    int64_t slot = 0;
    if (!str_has_prefix(backend, BACKEND) || !str_int64(str_skip(backend, BACKEND.len), 1, SLOT_MAX, &slot, &ignored))
        return 0;
    return (size_t)slot;
}

typedef struct Slots {
    bool *taken;      // [0] isn't used
    bool *leaving;    // of a cell that is gone: its requests may still be under way
    size_t count;
} Slots;

static void slot_take(Slots *slots, GatewayCell *cell, size_t slot)
{
    if (slot == 0 || slot >= slots->count || slots->taken[slot])
        return;
    slots->taken[slot] = true;
    cell->slot = slot;
}

static size_t slot_free(const Slots *slots, size_t slot_max)
{
    for (size_t slot = 1; slot < slots->count && slot <= slot_max; slot++)
        if (!slots->taken[slot] && !slots->leaving[slot])
            return slot;
    for (size_t slot = 1; slot < slots->count; slot++)
        if (!slots->taken[slot])
            return slot;
    return 0;
}

static bool slots_make(const GatewayMap *first, Arena *arena, Slots *out, Error *err)
{
    *out = (Slots){.count = SLOT_MAX + 1};
    out->taken = arena_array(arena, out->count, bool);
    out->leaving = arena_array(arena, out->count, bool);
    if (!arena_ok(arena, err))
        return false;
    for (size_t i = 0; i < first->count; i++)
        out->leaving[gateway_slot_of(first->lines[i].value)] = true;
    return true;
}

bool gateway_slots_assign(GatewayRecord *record, const GatewayMap *first, const GatewayMap *second, size_t slot_max,
                          Arena *arena, Error *err)
{
    Slots slots;
    if (!slots_make(first, arena, &slots, err))
        return false;
    for (size_t i = 0; i < record->cell_count; i++)
        slot_take(&slots, &record->cells[i], gateway_slot_of(gateway_map_get(first, record->cells[i].name)));
    for (size_t i = 0; i < record->cell_count; i++) {
        size_t slot = gateway_slot_of(gateway_map_get(second, record->cells[i].name));
        if (!record->cells[i].slot && slot <= slot_max && !slots.leaving[slot])
            slot_take(&slots, &record->cells[i], slot);
    }
    for (size_t i = 0; i < record->cell_count; i++)
        if (!record->cells[i].slot)
            slot_take(&slots, &record->cells[i], slot_free(&slots, slot_max));
    return true;
}

size_t gateway_slots_wanted(const GatewayRecord *record)
{
    size_t highest = 0;
    for (size_t i = 0; i < record->cell_count; i++)
        highest = MAX(highest, record->cells[i].slot);
    return highest + GATEWAY_SPARES;
}

bool gateway_cells_map(const GatewayRecord *record, size_t slot_max, Arena *arena, GatewayMap *out, Error *err)
{
    if (!gateway_map_make(record->cell_count, arena, out, err))
        return false;
    for (size_t i = 0; i < record->cell_count; i++)
        if (record->cells[i].slot && record->cells[i].slot <= slot_max)
            gateway_map_add(out, record->cells[i].name, gateway_backend(record->cells[i].slot, arena));
    gateway_map_sort(out);
    return arena_ok(arena, err);
}
