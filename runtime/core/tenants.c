// runtime/core/tenants.c: the snapshot of a cell's directory.
#include "runtime/core/tenants.h"

#include "base/arena.h"
#include "base/json.h"

enum { DIRECTORY_BUDGET = 256 * MIB };

typedef struct HostSlot {
    Str host;    // data is NULL: free
    const Tenant *tenant;
} HostSlot;

struct Directory {
    Arena *arena;
    unsigned holders;    // atomic
    Tenant *tenants;
    size_t count;
    HostSlot *slots;
    size_t slot_count;    // a power of two
};

static uint64_t host_hash(Str host)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);    // FNV-1a; the hosts are our own, so nobody floods it
    for (size_t i = 0; i < host.len; i++)
        hash = (hash ^ (unsigned char)host.data[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

// The next name of an array's text. No host's name has anything for which PostgreSQL would put quotes around it.
static bool host_next(Str *rest, Str *host)
{
    while (str_cut(rest, ',', host))
        if (host->len > 0)
            return true;
    return false;
}

static Str hosts_inside(Str hosts) { return hosts.len > 1 ? str_slice(hosts, 1, hosts.len - 1) : (Str){0}; }

static void slot_put(Directory *directory, Str host, const Tenant *tenant)
{
    size_t i = host_hash(host) & (directory->slot_count - 1);
    while (directory->slots[i].host.data && !str_eq(directory->slots[i].host, host))
        i = (i + 1) & (directory->slot_count - 1);
    directory->slots[i] = (HostSlot){host, tenant};
}

static bool slots_make(Directory *directory, Error *err)
{
    size_t host_count = 0;
    Str host;
    for (size_t i = 0; i < directory->count; i++)
        for (Str rest = hosts_inside(directory->tenants[i].hosts); host_next(&rest, &host);)
            host_count++;
    directory->slot_count = 16;
    while (directory->slot_count < host_count * 2)
        directory->slot_count *= 2;
    directory->slots = arena_array(directory->arena, directory->slot_count, HostSlot);
    if (!arena_ok(directory->arena, err))
        return false;
    for (size_t i = 0; i < directory->count; i++)
        for (Str rest = hosts_inside(directory->tenants[i].hosts); host_next(&rest, &host);)
            slot_put(directory, host, &directory->tenants[i]);
    return true;
}

static Str looks_of(const Rows *rows, size_t row)
{
    for (size_t column = 0; column < rows_width(rows); column++)
        if (strcmp(rows_name(rows, column), "looks") == 0)
            return rows_str(rows, row, column);
    return S("");
}

static bool tenant_read(const Rows *rows, size_t row, Arena *arena, Tenant *out, Error *err)
{
    Str state = rows_str(rows, row, rows_column(rows, "state"));
    CLEANUP(json_close) Json *limits = NULL;
    Str text = rows_str(rows, row, rows_column(rows, "limits"));
    if (!json_parse(text.len ? text : S("{}"), &limits, err))
        return false;
    *out = (Tenant){
        .number = rows_int64(rows, row, rows_column(rows, "number")),
        .slug = str_copy(arena, rows_str(rows, row, rows_column(rows, "slug"))),
        .schema = str_copy(arena, rows_str(rows, row, rows_column(rows, "schema"))),
        .hosts = str_lower(arena, rows_str(rows, row, rows_column(rows, "hosts"))),
        .looks = str_copy(arena, looks_of(rows, row)),
        .refusal = str_eq(state, S("suspended")) ? ERR_SUSPENDED : ERR_NONE,
        .requests_per_second = json_int64(json_get(limits, "requests_per_second")),
        .requests_burst = json_int64(json_get(limits, "requests_burst")),
    };
    return true;
}

static Tenant tenant_copy(const Tenant *tenant, Arena *arena)
{
    Tenant copy = *tenant;
    copy.slug = str_copy(arena, tenant->slug);
    copy.schema = str_copy(arena, tenant->schema);
    copy.hosts = str_copy(arena, tenant->hosts);
    copy.looks = str_copy(arena, tenant->looks);
    return copy;
}

static bool is_served(const Rows *rows, size_t row)
{
    Str state = rows_str(rows, row, rows_column(rows, "state"));
    // one that is reserved and has its hosts is whole, and waits for the smoke request
    return str_eq(state, S("active")) || str_eq(state, S("suspended")) || str_eq(state, S("reserved"));
}

static bool directory_fill(Directory *directory, const Directory *before, int64_t changed, const Rows *rows, Error *err)
{
    size_t before_count = before ? before->count : 0;
    directory->tenants = arena_array(directory->arena, before_count + rows_count(rows), Tenant);
    if (!arena_ok(directory->arena, err))
        return false;
    for (size_t i = 0; i < before_count; i++)
        if (before->tenants[i].number != changed)
            directory->tenants[directory->count++] = tenant_copy(&before->tenants[i], directory->arena);
    for (size_t row = 0; row < rows_count(rows); row++)
        if (is_served(rows, row)) {
            if (!tenant_read(rows, row, directory->arena, &directory->tenants[directory->count], err))
                return false;
            directory->count++;
        }
    for (size_t i = 0; i < directory->count; i++)
        directory->tenants[i].directory = directory;
    return slots_make(directory, err);
}

bool directory_build(const Directory *before, int64_t changed, const Rows *rows, Directory **out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(DIRECTORY_BUDGET);
    Directory *directory = arena_new(arena, Directory);
    if (!arena_ok(arena, err))
        return false;
    directory->arena = arena;
    directory->holders = 1;
    if (!directory_fill(directory, before, changed, rows, err))
        return false;
    *out = directory;
    arena = NULL;    // the directory's own
    return true;
}

Directory *directory_hold(Directory *directory)
{
    (void)__atomic_fetch_add(&directory->holders, 1, __ATOMIC_RELAXED);
    return directory;
}

void directory_release(Directory **directory)
{
    if (*directory && __atomic_sub_fetch(&(*directory)->holders, 1, __ATOMIC_ACQ_REL) == 0) {
        Arena *arena = (*directory)->arena;
        arena_close(&arena);
    }
    *directory = NULL;
}

const Tenant *directory_find(const Directory *directory, Str host)
{
    size_t i = host_hash(host) & (directory->slot_count - 1);
    while (directory->slots[i].host.data) {
        if (str_eq(directory->slots[i].host, host))
            return directory->slots[i].tenant;
        i = (i + 1) & (directory->slot_count - 1);
    }
    return NULL;
}

size_t directory_count(const Directory *directory) { return directory->count; }
const Tenant *directory_tenant(const Directory *directory, size_t i) { return &directory->tenants[i]; }

// The place for the one that is shown now, if requests still hold tenants of it. False: there is none.
static bool view_put_aside(DirectoryView *view)
{
    if (view->now.holds == 0) {
        directory_release(&view->now.directory);
        return true;
    }
    for (size_t i = 0; i < DIRECTORY_OLD_MAX; i++)
        if (!view->old[i].directory) {
            view->old[i] = view->now;
            return true;
        }
    return false;
}

void directory_view_show(DirectoryView *view, Directory *directory)
{
    Directory *held = directory_hold(directory);    // first: it may be the one that waits
    directory_release(&view->waiting);
    if (view_put_aside(view))
        view->now = (DirectoryHolds){.directory = held};
    else
        view->waiting = held;
}

const Tenant *directory_view_find(DirectoryView *view, Str host)
{
    const Tenant *tenant = view->now.directory ? directory_find(view->now.directory, host) : NULL;
    view->now.holds += tenant != NULL;
    return tenant;
}

void directory_view_release(DirectoryView *view, const Tenant *tenant)
{
    if (tenant->directory == view->now.directory) {
        view->now.holds--;
        return;
    }
    for (size_t i = 0; i < DIRECTORY_OLD_MAX; i++)
        if (view->old[i].directory == tenant->directory) {
            if (--view->old[i].holds > 0)
                return;
            directory_release(&view->old[i].directory);
            if (view->waiting)
                directory_view_show(view, view->waiting);
            return;
        }
    assert(false && "a tenant of a directory that this thread doesn't show");
}

void directory_view_close(DirectoryView *view)
{
    directory_release(&view->now.directory);
    directory_release(&view->waiting);
    for (size_t i = 0; i < DIRECTORY_OLD_MAX; i++)
        directory_release(&view->old[i].directory);
}
