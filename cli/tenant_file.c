// cli/tenant_file.c: the shops of a file: YAML or JSON lines into specs, and a fault for all that is wrong.
#include "cli/tenant_file.h"

#include "base/arena.h"
#include "base/file.h"
#include "provisioner/tenant_check.h"

enum { FILE_MAX = 16 * MIB };

// What is read, while it is read.
typedef struct Reading {
    const TenantSpec *defaults;
    const Plans *plans;
    Str base_domain;
    Arena *arena;
    Faults *faults;
    Json *slugs, *hosts;    // the line of each that there was
} Reading;

// ---- one entry ----

// In YAML a key may be written with '_' or '-'.
static const YamlNode *member_of(const TenantEntry *entry, Str key)
{
    const YamlNode *member = entry->mapping ? entry->mapping->first : NULL;
    for (; member; member = member->next) {
        bool is_same = member->key.len == key.len;
        for (size_t i = 0; i < key.len && is_same; i++)
            is_same = member->key.data[i] == key.data[i] || (member->key.data[i] == '_' && key.data[i] == '-');
        if (is_same)
            return member;
    }
    return NULL;
}

static void fault_place(const TenantEntry *entry, Fault *fault)
{
    const YamlNode *member = member_of(entry, fault->where);
    fault->line = member && !entry->is_line ? member->key_line : entry->line;
    fault->column = !member ? entry->column : entry->is_line ? entry->column - 1 + member->column : member->key_column;
}

void tenant_entry_fault(const TenantEntry *entry, const Error *err, Faults *faults)
{
    Fault fault = {
        .where = str_of(err->where), .what = str_of(err->what), .why = str_of(err->why), .next = str_of(err->next)};
    fault_place(entry, &fault);
    faults_add(faults, &fault);
}

static bool has_fault(const Fault *from, Str where)
{
    for (const Fault *fault = from; fault; fault = fault->next_fault)
        if (str_eq(fault->where, where))
            return true;
    return false;
}

// What is wrong with the values, but for keys that were refused already.
static void values_check(const Reading *reading, const TenantEntry *entry, const Fault *before)
{
    Faults found = {.arena = reading->arena};
    tenant_spec_faults(&entry->spec, reading->base_domain, &found);
    const Fault *own = before ? before->next_fault : reading->faults->first;
    for (const Fault *fault = found.first; fault; fault = fault->next_fault) {
        if (has_fault(own, fault->where))
            continue;
        Fault placed = *fault;
        fault_place(entry, &placed);
        faults_add(reading->faults, &placed);
    }
}

// That this is the first entry with it.
static void only_check(const Reading *reading, const TenantEntry *entry, Json *seen, const char *key, Str text)
{
    int64_t line = json_int64(json_member(seen, text));
    if (line == 0 && text.len > 0) {
        (void)json_put(seen, str_copy(reading->arena, text).data, json_from_int(entry->line));
        return;
    }
    if (text.len == 0)
        return;
    Error err = {0};
    error_set(&err, ERR_INVALID, "'%.*s' stands twice", STR_ARG(str_slice(text, 0, 80)));
    error_where(&err, "%s", key);
    error_why(&err, "line %lld has it already", (long long)line);
    error_next(&err, "leave it in one of them");
    tenant_entry_fault(entry, &err, reading->faults);
}

static bool is_earlier(const TenantSpec *spec, size_t domain)
{
    for (size_t i = 0; i < domain; i++)
        if (str_eq(spec->domains[i], spec->domains[domain]))
            return true;
    return false;
}

static void entry_read(const Reading *reading, const Json *json, TenantEntry *entry)
{
    const Fault *before = reading->faults->last;
    Error err = {0};
    entry->spec = *reading->defaults;
    if (json_kind(json) != JSON_KIND_OBJECT) {
        error_set(&err, ERR_INVALID, "it isn't a mapping with a slug");
        error_next(&err, "write slug, plan, email and other keys of `shopctl tenant create`");
        tenant_entry_fault(entry, &err, reading->faults);
        return;
    }
    for (JsonIter it = json_iter(json); json_next(&it); error_clear(&err)) {
        err = (Error){0};
        if (!tenant_spec_member(it.key, it.value, reading->plans, reading->arena, &entry->spec, &err))
            tenant_entry_fault(entry, &err, reading->faults);
    }
    if (!json_get(json, "plan") && !tenant_spec_complete(&entry->spec, &err))
        tenant_entry_fault(entry, &err, reading->faults);
    values_check(reading, entry, before);
    only_check(reading, entry, reading->slugs, "slug", entry->spec.slug);
    for (size_t i = 0; i < entry->spec.domain_count; i++)
        if (!is_earlier(&entry->spec, i))    // values_check says so
            only_check(reading, entry, reading->hosts, "domains", entry->spec.domains[i]);
}

// ---- JSON lines ----

static bool entries_make(Reading *reading, size_t count, TenantFile *file, Error *err)
{
    file->entries = arena_array(reading->arena, count + 1, TenantEntry);
    return arena_ok(reading->arena, err);
}

static size_t lines_count(Str text)
{
    size_t count = 0;
    for (Str line = S(""); str_cut(&text, '\n', &line);)
        count += !str_is_empty(str_trim(line));
    return count;
}

// A line that isn't JSON, at the character that libjansson stopped at.
static void line_fault(const Reading *reading, const TenantEntry *entry, const Error *wrong)
{
    Error ignored = {0};
    int64_t column = 1;
    Str where = str_of(wrong->where);
    if (!str_int64(str_skip(where, str_find_char(where, ':') + 1), 1, FILE_MAX, &column, &ignored))
        column = 1;
    faults_add(reading->faults, &(Fault){.line = entry->line,
                                         .column = entry->column - 1 + (unsigned)column,
                                         .what = str_of(wrong->what),
                                         .why = str_of(wrong->why),
                                         .next = S("write an object in one line")});
}

// Reads the line as YAML too, which JSON is: that knows the places of its keys, and goes on after a key that stands
// twice. *out is NULL where it can't be read.
static bool line_parse(const Reading *reading, Str line, TenantEntry *entry, Json **out, Error *err)
{
    Error wrong = {0};
    Faults twice = {.arena = reading->arena};
    bool is_json = json_parse(line, out, &wrong);
    if (wrong.code == ERR_NO_MEMORY) {
        *err = wrong;
        return false;
    }
    if (!yaml_parse(line, reading->arena, &twice, &entry->mapping, err))
        return false;
    if (entry->mapping && entry->mapping->kind != YAML_KIND_MAPPING)
        entry->mapping = NULL;
    if (is_json)
        return true;
    if (!entry->mapping || twice.count == 0) {
        line_fault(reading, entry, &wrong);
        return true;
    }
    for (const Fault *fault = twice.first; fault; fault = fault->next_fault) {
        Fault placed = *fault;
        placed.line = entry->line;
        placed.column = entry->column - 1 + fault->column;
        placed.why = S("the key stands twice");
        faults_add(reading->faults, &placed);
    }
    return yaml_to_json(entry->mapping, out, err);
}

static bool lines_read(Reading *reading, Str text, TenantFile *file, Error *err)
{
    Str whole = S("");
    file->list = json_build("[]");
    if (!json_ok(file->list, err) || !entries_make(reading, lines_count(text), file, err))
        return false;
    for (unsigned number = 1; str_cut(&text, '\n', &whole); number++) {
        Json *json = NULL;
        Str line = str_trim(whole);
        if (str_is_empty(line))
            continue;
        TenantEntry *entry = &file->entries[file->count++];
        *entry = (TenantEntry){.line = number, .column = (unsigned)(line.data - whole.data) + 1, .is_line = true};
        if (!line_parse(reading, line, entry, &json, err))
            return false;
        if (!json)
            continue;
        if (!json_append(file->list, json))
            return json_ok(NULL, err);
        entry_read(reading, json, entry);
    }
    return true;
}

// ---- YAML ----

static bool yaml_read(Reading *reading, Str text, TenantFile *file, Error *err)
{
    const YamlNode *node = NULL;
    if (!yaml_parse(text, reading->arena, reading->faults, &node, err) || (!node && reading->faults->count > 0))
        return err->code == ERR_NONE;
    if (!node || node->kind != YAML_KIND_SEQUENCE) {
        Str why = str_format(reading->arena, "it is %s, not a list of shops", node ? yaml_kind_name(node) : "empty");
        faults_add(reading->faults,
                   &(Fault){.line = node ? node->line : 1,
                            .column = node ? node->column : 1,
                            .why = why,
                            .next = S("write a YAML list with a slug in each item, or a JSON object per line")});
        return arena_ok(reading->arena, err);
    }
    if (!yaml_to_json(node, &file->list, err) || !entries_make(reading, node->count, file, err))
        return false;
    for (const YamlNode *item = node->first; item; item = item->next) {
        TenantEntry *entry = &file->entries[file->count];
        *entry = (TenantEntry){.line = item->line, .column = item->column, .mapping = item};
        entry_read(reading, json_element(file->list, file->count++), entry);
    }
    return true;
}

// ---- the file ----

void tenant_file_close(TenantFile *file) { json_close(&file->list); }

bool tenant_file_read(Str path, const TenantSpec *defaults, const Plans *plans, Str base_domain, Arena *arena,
                      Faults *faults, TenantFile *out, Error *err)
{
    Str text = S("");
    CLEANUP(json_close) Json *slugs = json_build("{}");
    CLEANUP(json_close) Json *hosts = json_build("{}");
    CLEANUP(tenant_file_close) TenantFile file = {.path = path};
    Reading reading = {defaults, plans, base_domain, arena, faults, slugs, hosts};
    if (!json_ok(slugs, err) || !json_ok(hosts, err) || !file_read(path, FILE_MAX, arena, &text, err))
        return false;
    bool is_json = str_has_prefix(str_trim(text), S("{"));
    if (!(is_json ? lines_read(&reading, text, &file, err) : yaml_read(&reading, text, &file, err)) ||
        !arena_ok(arena, err))
        return false;
    *out = file;
    file.list = NULL;
    return true;
}
