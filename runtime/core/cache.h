// runtime/core/cache.h: a thread's rendered pages: what is kept, how long it is right, and who waits for a render.
#pragma once
#include "base/json.h"
#include "runtime/core/compress.h"
#include "runtime/core/response.h"
#include "runtime/core/token.h"

typedef struct Cache Cache;

typedef struct PageKey {
    int64_t tenant;
    Str text;    // route, path and the known query parameters in their order: "product socks"
} PageKey;

// What differs for each shopper.
typedef enum HoleKind { HOLE_NONE, HOLE_CART_COUNT, HOLE_CSRF } HoleKind;
typedef struct PagePart {
    Str text;    // empty where there is a hole
    HoleKind hole;
} PagePart;

enum { PAGE_ETAG = 16 };

// A rendered page: immutable, counted, of one thread.
typedef struct CachedPage {
    Str content_type;
    const PagePart *parts;
    size_t part_count;
    size_t hole_count;
    bool is_text;       // worth compressing
    int64_t version;    // of the catalogue that it shows
    uint64_t hash;      // of its bytes, for the ETag
    // the cache's own
    Arena *arena;
    Arena *gzip_arena;
    const GzipPiece *gzip;    // one for each part
    bool is_gzip_tried;
    unsigned holders;
    PageKey key;
    uint64_t key_hash;
    size_t size_bytes;
    struct CachedPage *next_bucket;
    int uses;    // since it was kept, less what the search for room has taken
    bool is_kept;
    bool is_adopted;    // nothing is known of its catalogue here
} CachedPage;

// Opens a cache of at most `budget_bytes` of pages. Those that are used least make room, so that a shop that is read
// from end to end doesn't cost others their pages, nor itself all of them. Fails with ERR_NO_MEMORY.
MUST_CHECK bool cache_open(size_t budget_bytes, const TokenKey *key, Cache **out, Error *err);
void cache_close(Cache **cache);
void cache_budget_set(Cache *cache, size_t budget_bytes);    // pages beyond it go at once

// The page, held; NULL where it is absent or may be of an older catalogue than the newest.
CachedPage *cache_find(Cache *cache, PageKey key);
// The page, held, however old: for when the database can't be asked.
CachedPage *cache_find_old(Cache *cache, PageKey key);
void page_release(void *page);    // a Hold's release

// The compressed form of each part (an empty one where there is a hole), made when it is first asked for, which the
// budget counts. NULL where the page isn't kept, isn't smaller that way, or memory ran out.
const GzipPiece *page_gzip(Cache *cache, CachedPage *page);

// ---- between threads, for when the database can't be asked ----

// A copy of the page, however old, held once, that belongs to no cache and to whichever thread has it; NULL where the
// page is absent or memory ran out.
CachedPage *cache_copy(Cache *cache, PageKey key);
// Keeps another thread's copy for cache_find_old alone, unless the page is here by now.
void cache_adopt(Cache *cache, CachedPage *page);

// ---- versions: a page is right while no newer catalogue was heard of ----

// A tenant's catalogue has changed (0: any may have, as after a lost connection): its pages are right again only when
// a query that began later has told the version.
void cache_suspect(Cache *cache, int64_t tenant);
uint64_t cache_begin(const Cache *cache);    // to call before the query, for cache_confirm
// A query that began at `begun` has read this version: pages of older ones are gone.
void cache_confirm(Cache *cache, int64_t tenant, int64_t version, uint64_t begun);

// Makes a page out of copies of the parts, held once, and keeps it unless its version is older than the newest one.
// Fails with ERR_NO_MEMORY.
MUST_CHECK bool cache_put(Cache *cache, PageKey key, int64_t version, Str content_type, const PagePart *parts,
                          size_t part_count, CachedPage **out, Error *err);

// What a tenant's pages all show (name, colours, navigation), for error pages: NULL where no page was rendered yet.
const Json *cache_shop(const Cache *cache, int64_t tenant);
void cache_shop_set(Cache *cache, int64_t tenant, Json *shop);    // held by the cache

// ---- misses: simultaneous ones for one page share a render ----

typedef struct MissWaiter {
    void *who;
    struct MissWaiter *next;
} MissWaiter;
typedef struct Miss {
    PageKey key;
    uint64_t begun;
    MissWaiter *waiters;
    struct Miss *next;
} Miss;    // of whoever renders
// A render of this page under way whose query began after the newest news; NULL: start one.
Miss *miss_find(Cache *cache, PageKey key);
void miss_start(Cache *cache, Miss *miss, PageKey key);
void miss_end(Cache *cache, Miss *miss);

typedef struct CacheCounts {
    unsigned long long hits;
    unsigned long long misses;
    unsigned long long evicted;
    unsigned long long bytes;
} CacheCounts;
CacheCounts cache_counts(const Cache *cache);    // from any thread
