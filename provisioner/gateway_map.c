// provisioner/gateway_map.c: maps of HAProxy in memory.
#include "provisioner/gateway_map.h"

#include "base/arena.h"

static int line_compare(const void *a, const void *b)
{
    return str_compare(((const MapLine *)a)->key, ((const MapLine *)b)->key);
}

bool gateway_map_make(size_t line_max, Arena *arena, GatewayMap *out, Error *err)
{
    *out = (GatewayMap){.lines = arena_array(arena, MAX(line_max, (size_t)1), MapLine)};
    return arena_ok(arena, err);
}

void gateway_map_add(GatewayMap *map, Str key, Str value) { map->lines[map->count++] = (MapLine){key, value}; }

void gateway_map_sort(GatewayMap *map)
{
    if (map->count > 1)
        qsort(map->lines, map->count, sizeof(*map->lines), line_compare);
}

static size_t lines_of(Str text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.data[i] == '\n';
    return count;
}

bool gateway_map_read(Str text, bool has_ids, Arena *arena, GatewayMap *out, Error *err)
{
    Str rest = text, line, word;
    if (!gateway_map_make(lines_of(text), arena, out, err))
        return false;
    while (str_cut(&rest, '\n', &line)) {
        line = str_trim(line);
        if (line.len == 0 || line.data[0] == '#' || (has_ids && !str_cut(&line, ' ', &word)))
            continue;
        if (str_cut(&line, ' ', &word) && line.len)
            gateway_map_add(out, word, str_trim(line));
    }
    gateway_map_sort(out);
    return true;
}

Str gateway_map_get(const GatewayMap *map, Str key)
{
    const MapLine wanted = {.key = key};
    const MapLine *line =
        map->count ? bsearch(&wanted, map->lines, map->count, sizeof(*map->lines), line_compare) : NULL;
    return line ? line->value : S("");
}

Str gateway_map_text(const GatewayMap *map, Arena *arena)
{
    StrBuf buf = {.arena = arena};
    for (size_t i = 0; i < map->count; i++) {
        strbuf_add(&buf, map->lines[i].key);
        strbuf_add_char(&buf, ' ');
        strbuf_add(&buf, map->lines[i].value);
        strbuf_add_char(&buf, '\n');
    }
    return strbuf_str(&buf);
}
