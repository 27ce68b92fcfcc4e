// runtime/core/cache.c: a thread's rendered pages.
#include "runtime/core/cache.h"

#include "base/arena.h"
#include "base/json.h"

enum {
    BUCKETS = 8192,
    TENANT_BUCKETS = 1024,
    MISS_BUCKETS = 256,
    CANDIDATES = 8,         // pages that are looked at for one that can make room
    USES_MAX = 4,           // that count: so often a page that was used is passed over
    PAGE_ALIGNMENT = 64,    // a page at a bad address takes many times as long to copy
    ARENA_BUDGET = 64 * MIB,
};

typedef struct TenantPages {
    int64_t number;
    int64_t newest;           // version
    uint64_t suspected_at;    // on the cache's clock
    uint64_t confirmed_at;
    Json *shop;
    struct TenantPages *next;
} TenantPages;

struct Cache {
    Arena *arena;
    TokenKey key;
    size_t budget_bytes;
    uint64_t clock;    // counts what has been heard
    uint64_t all_suspected_at;
    CachedPage *buckets[BUCKETS];
    size_t hand;    // the bucket at which the search for room goes on
    TenantPages *tenants[TENANT_BUCKETS];
    Miss *misses[MISS_BUCKETS];
    CacheCounts counts;
};

#define COUNT_CHANGE(cache, field, by) ((void)__atomic_fetch_add(&(cache)->counts.field, by, __ATOMIC_RELAXED))

static uint64_t key_hash(const Cache *cache, PageKey key)
{
    return token_hash(&cache->key, key.text) ^ (uint64_t)key.tenant * UINT64_C(0x9E3779B97F4A7C15);
}

static bool key_eq(PageKey a, PageKey b) { return a.tenant == b.tenant && str_eq(a.text, b.text); }

// ---- versions ----

static TenantPages *tenant_find(const Cache *cache, int64_t number)
{
    TenantPages *tenant = cache->tenants[(uint64_t)number % TENANT_BUCKETS];
    while (tenant && tenant->number != number)
        tenant = tenant->next;
    return tenant;
}

// NULL only when memory ran out: then nothing of the tenant is kept.
static TenantPages *tenant_make(Cache *cache, int64_t number)
{
    TenantPages *tenant = tenant_find(cache, number);
    if (tenant)
        return tenant;
    arena_retry(cache->arena);
    tenant = arena_new(cache->arena, TenantPages);
    if (!tenant)
        return NULL;
    TenantPages **bucket = &cache->tenants[(uint64_t)number % TENANT_BUCKETS];
    *tenant = (TenantPages){.number = number, .confirmed_at = cache->clock, .next = *bucket};
    return *bucket = tenant;
}

static uint64_t suspected_at(const Cache *cache, const TenantPages *tenant)
{
    return MAX(tenant->suspected_at, cache->all_suspected_at);
}

void cache_suspect(Cache *cache, int64_t tenant)
{
    cache->clock++;
    if (tenant == 0) {
        cache->all_suspected_at = cache->clock;
        return;
    }
    TenantPages *pages = tenant_find(cache, tenant);
    if (pages)
        pages->suspected_at = cache->clock;
}

uint64_t cache_begin(const Cache *cache) { return cache->clock; }

void cache_confirm(Cache *cache, int64_t tenant, int64_t version, uint64_t begun)
{
    TenantPages *pages = tenant_make(cache, tenant);
    if (!pages)
        return;
    pages->newest = MAX(pages->newest, version);
    pages->confirmed_at = MAX(pages->confirmed_at, begun);
}

// ---- pages ----

static void page_unkeep(Cache *cache, CachedPage *page)
{
    CachedPage **link = &cache->buckets[page->key_hash % BUCKETS];
    while (*link != page)
        link = &(*link)->next_bucket;
    *link = page->next_bucket;
    page->is_kept = false;
    COUNT_CHANGE(cache, bytes, -(unsigned long long)page->size_bytes);
    page_release(page);
}

void page_release(void *page)
{
    CachedPage *released = page;
    if (--released->holders > 0)
        return;
    Arena *arena = released->arena;
    if (released->gzip_arena)
        arena_close(&released->gzip_arena);
    arena_close(&arena);
}

static CachedPage *page_find(Cache *cache, PageKey key)
{
    uint64_t hash = key_hash(cache, key);
    CachedPage *page = cache->buckets[hash % BUCKETS];
    while (page && (page->key_hash != hash || !key_eq(page->key, key)))
        page = page->next_bucket;
    return page;
}

CachedPage *cache_find(Cache *cache, PageKey key)
{
    CachedPage *page = page_find(cache, key);
    const TenantPages *tenant = page ? tenant_find(cache, key.tenant) : NULL;
    if (!page || page->is_adopted || tenant->confirmed_at < suspected_at(cache, tenant) ||
        page->version < tenant->newest) {
        COUNT_CHANGE(cache, misses, 1);
        return NULL;
    }
    page->uses = MIN(page->uses + 1, USES_MAX);
    page->holders++;
    COUNT_CHANGE(cache, hits, 1);
    return page;
}

CachedPage *cache_find_old(Cache *cache, PageKey key)
{
    CachedPage *page = page_find(cache, key);
    if (page)
        page->holders++;
    return page;
}

static bool is_text(Str content_type)
{
    static const Str TYPES[] = {S("text/"), S("application/json"), S("image/svg+xml")};
    for (size_t i = 0; i < COUNT(TYPES); i++)
        if (str_has_prefix(content_type, TYPES[i]))
            return true;
    return false;
}

static CachedPage *page_make(PageKey key, Str content_type, const PagePart *parts, size_t part_count, Error *err)
{
    size_t text_len = 0;
    for (size_t i = 0; i < part_count; i++)
        text_len += parts[i].text.len;
    size_t size = sizeof(CachedPage) + part_count * sizeof(PagePart) + key.text.len + content_type.len + text_len;
    Arena *arena = arena_open(size + 6 * PAGE_ALIGNMENT);
    char *bytes = arena_bytes(arena, size + 5 * PAGE_ALIGNMENT);    // one piece, for one chunk of the right size
    if (!arena_ok(arena, err)) {
        arena_close(&arena);
        return NULL;
    }
    CachedPage *page = (CachedPage *)(void *)bytes;
    PagePart *copies = (PagePart *)(void *)(page + 1);
    char *at = (char *)(((uintptr_t)(copies + part_count) + PAGE_ALIGNMENT - 1) / PAGE_ALIGNMENT * PAGE_ALIGNMENT);
    *page = (CachedPage){.parts = copies,
                         .part_count = part_count,
                         .arena = arena,
                         .holders = 1,
                         .key = key,
                         .is_text = is_text(content_type)};
    page->size_bytes = size + 8 * PAGE_ALIGNMENT;
    for (size_t i = 0; i < part_count; i++) {
        copies[i] = (PagePart){{at, parts[i].text.len}, parts[i].hole};
        memcpy(at, parts[i].text.len ? parts[i].text.data : "", parts[i].text.len);
        at += parts[i].text.len;
        page->hole_count += parts[i].hole != HOLE_NONE;
    }
    memcpy(at, key.text.data, key.text.len);
    page->key.text.data = at;
    at += key.text.len;
    memcpy(at, content_type.data, content_type.len);
    page->content_type = (Str){at, content_type.len};
    return page;
}

// The next page that nobody uses, or the least used of some (GCLOCK); those that are passed over lose a use. The hand
// goes in the order of the keys' hash: so what is asked for in a circle that is larger than the budget keeps some of
// its pages, where by age each would go just before it is wanted again.
static CachedPage *page_to_drop(Cache *cache)
{
    CachedPage *least = NULL;
    for (size_t seen = 0, passed = 0; seen < CANDIDATES && passed < BUCKETS; passed++) {
        cache->hand = (cache->hand + 1) % BUCKETS;
        for (CachedPage *page = cache->buckets[cache->hand]; page; page = page->next_bucket, seen++) {
            if (page->uses == 0)
                return page;
            if (!least || page->uses < least->uses)
                least = page;
            page->uses--;
        }
    }
    return least;
}

// Until there is room for `wanted` bytes, which are no more than the budget.
static void pages_trim(Cache *cache, size_t wanted)
{
    while (cache->counts.bytes + wanted > cache->budget_bytes) {
        COUNT_CHANGE(cache, evicted, 1);
        page_unkeep(cache, page_to_drop(cache));
    }
}

static void page_keep(Cache *cache, CachedPage *page)
{
    CachedPage *before = page_find(cache, page->key);
    if (before) {
        page->uses = before->uses;
        page_unkeep(cache, before);
    }
    pages_trim(cache, page->size_bytes);
    CachedPage **bucket = &cache->buckets[page->key_hash % BUCKETS];
    page->next_bucket = *bucket;
    *bucket = page;
    page->is_kept = true;
    page->holders++;
    COUNT_CHANGE(cache, bytes, page->size_bytes);
}

bool cache_put(Cache *cache, PageKey key, int64_t version, Str content_type, const PagePart *parts, size_t part_count,
               CachedPage **out, Error *err)
{
    CachedPage *page = page_make(key, content_type, parts, part_count, err);
    if (!page)
        return false;
    page->version = version;
    page->key_hash = key_hash(cache, key);
    for (size_t i = 0; i < part_count; i++)
        page->hash = (page->hash ^ token_hash(&cache->key, page->parts[i].text)) * UINT64_C(0x100000001b3);
    const TenantPages *tenant = tenant_make(cache, key.tenant);
    if (tenant && version >= tenant->newest && page->size_bytes <= cache->budget_bytes)
        page_keep(cache, page);
    *out = page;
    return true;
}

CachedPage *cache_copy(Cache *cache, PageKey key)
{
    Error err = {0};
    const CachedPage *page = page_find(cache, key);
    CachedPage *copy = page ? page_make(page->key, page->content_type, page->parts, page->part_count, &err) : NULL;
    if (!copy)
        return NULL;
    copy->version = page->version;
    copy->key_hash = page->key_hash;    // all threads of a cell hash alike
    copy->hash = page->hash;
    copy->is_adopted = true;
    return copy;
}

void cache_adopt(Cache *cache, CachedPage *page)
{
    if (!page_find(cache, page->key) && tenant_make(cache, page->key.tenant) && page->size_bytes <= cache->budget_bytes)
        page_keep(cache, page);
}

// ---- compressed ----

// The pieces of a page, and what they take; 0 where that isn't less.
static size_t pieces_make(const CachedPage *page, Arena *scratch, Arena *arena, const GzipPiece **out)
{
    Error err = {0};
    size_t plain = 0, smaller = 0;
    GzipPiece *pieces = arena_array(arena, page->part_count, GzipPiece);
    for (size_t i = 0; pieces && i < page->part_count; i++) {
        Str text = page->parts[i].text;
        if (text.len == 0)
            continue;
        if (!gzip_piece(text, scratch, &pieces[i], &err))
            return 0;
        pieces[i].bytes = str_copy(arena, pieces[i].bytes);
        plain += text.len;
        smaller += pieces[i].bytes.len;
    }
    *out = pieces;
    return arena_ok(arena, &err) && smaller + GZIP_START.len + GZIP_END < plain ? smaller : 0;
}

const GzipPiece *page_gzip(Cache *cache, CachedPage *page)
{
    if (page->is_gzip_tried || !page->is_kept || !page->is_text)
        return page->gzip;
    page->is_gzip_tried = true;
    CLEANUP(arena_close) Arena *scratch = arena_open(ARENA_BUDGET);
    Arena *arena = arena_open(page->size_bytes + page->part_count * sizeof(GzipPiece) + KIB);
    const GzipPiece *pieces = NULL;
    size_t size = pieces_make(page, scratch, arena, &pieces);
    if (size == 0) {
        arena_close(&arena);
        return NULL;
    }
    size += page->part_count * sizeof(GzipPiece);
    page->gzip_arena = arena;
    page->gzip = pieces;
    page->size_bytes += size;
    COUNT_CHANGE(cache, bytes, size);
    pages_trim(cache, 0);
    return pieces;
}

const Json *cache_shop(const Cache *cache, int64_t tenant)
{
    const TenantPages *pages = tenant_find(cache, tenant);
    return pages ? pages->shop : NULL;
}

void cache_shop_set(Cache *cache, int64_t tenant, Json *shop)
{
    TenantPages *pages = tenant_make(cache, tenant);
    if (!pages)
        return;
    json_close(&pages->shop);
    pages->shop = json_hold(shop);
}

// ---- misses ----

static Miss **miss_bucket(Cache *cache, PageKey key) { return &cache->misses[key_hash(cache, key) % MISS_BUCKETS]; }

Miss *miss_find(Cache *cache, PageKey key)
{
    const TenantPages *tenant = tenant_find(cache, key.tenant);
    uint64_t since = tenant ? suspected_at(cache, tenant) : cache->all_suspected_at;
    for (Miss *miss = *miss_bucket(cache, key); miss; miss = miss->next)
        if (miss->begun >= since && key_eq(miss->key, key))
            return miss;
    return NULL;
}

void miss_start(Cache *cache, Miss *miss, PageKey key)
{
    (void)tenant_make(cache, key.tenant);    // so that news about it is kept from now on
    Miss **bucket = miss_bucket(cache, key);
    *miss = (Miss){.key = key, .begun = cache_begin(cache), .next = *bucket};
    *bucket = miss;
}

void miss_end(Cache *cache, Miss *miss)
{
    Miss **link = miss_bucket(cache, miss->key);
    while (*link && *link != miss)
        link = &(*link)->next;
    if (*link)
        *link = miss->next;
}

// ---- the cache ----

bool cache_open(size_t budget_bytes, const TokenKey *key, Cache **out, Error *err)
{
    Arena *arena = arena_open(ARENA_BUDGET);
    Cache *cache = arena_new(arena, Cache);
    if (!arena_ok(arena, err)) {
        arena_close(&arena);
        return false;
    }
    cache->arena = arena;
    cache->key = *key;
    cache->budget_bytes = budget_bytes;
    *out = cache;
    return true;
}

void cache_budget_set(Cache *cache, size_t budget_bytes)
{
    cache->budget_bytes = budget_bytes;
    pages_trim(cache, 0);
}

void cache_close(Cache **cache)
{
    if (!*cache)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while ((*cache)->buckets[i])
            page_unkeep(*cache, (*cache)->buckets[i]);
    for (size_t i = 0; i < TENANT_BUCKETS; i++)
        for (TenantPages *tenant = (*cache)->tenants[i]; tenant; tenant = tenant->next)
            json_close(&tenant->shop);
    Arena *arena = (*cache)->arena;
    arena_close(&arena);
    *cache = NULL;
}

CacheCounts cache_counts(const Cache *cache)
{
    return (CacheCounts){
        .hits = __atomic_load_n(&cache->counts.hits, __ATOMIC_RELAXED),
        .misses = __atomic_load_n(&cache->counts.misses, __ATOMIC_RELAXED),
        .evicted = __atomic_load_n(&cache->counts.evicted, __ATOMIC_RELAXED),
        .bytes = __atomic_load_n(&cache->counts.bytes, __ATOMIC_RELAXED),
    };
}
