// provisioner/gateway_map.h: a map of HAProxy: lines KEY VALUE, sorted by key.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct MapLine {
    Str key, value;
} MapLine;

typedef struct GatewayMap {
    MapLine *lines;
    size_t count;
} GatewayMap;

// Room for `line_max` lines in `arena`.
MUST_CHECK bool gateway_map_make(size_t line_max, Arena *arena, GatewayMap *out, Error *err);
// To a map that has room; before gateway_map_sort.
void gateway_map_add(GatewayMap *map, Str key, Str value);
void gateway_map_sort(GatewayMap *map);

// Reads the lines of a file, or with `has_ids` what `show map` says, where the first word of each is HAProxy's own.
// Views into `text`.
MUST_CHECK bool gateway_map_read(Str text, bool has_ids, Arena *arena, GatewayMap *out, Error *err);
Str gateway_map_get(const GatewayMap *map, Str key);    // of a sorted map; empty where there is none
Str gateway_map_text(const GatewayMap *map, Arena *arena);
