// provisioner/setting.c: the table of settings, and where their values come from.
#include "provisioner/setting.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/yaml.h"

enum { SETTINGS_MAX = 64, CONFIG_BYTES_MAX = 64 * KIB };

static const char DEFAULT_CONFIG[] = "/etc/shopctl/config.yaml";
static const char ENVIRONMENT_PREFIX[] = "SHOPCTL_";

static const char *const GATEWAYS[] = {"auto", "always", "never", NULL};
static const char *const LOG_LEVELS[] = {"debug", "info", "warning", "error", NULL};

// In the order of shopctl-config(5).
const SettingRow SETTING_ROWS[] = {
    {.name = "data",
     .type = SETTING_TEXT,
     .initial = ".shop",
     .help = "Folder of the platform that `shopctl up` starts: PostgreSQL's files, sockets, logs and dumps."},
    {.name = "listen",
     .type = SETTING_TEXT,
     .initial = "127.0.0.1:8080",
     .help = "ADDRESS:PORT that shopd answers HTTP on; an IPv6 address stands in brackets."},
    {.name = "base_domain",
     .type = SETTING_TEXT,
     .initial = "localhost",
     .help = "A shop's first host name is SLUG.BASE_DOMAIN."},
    {.name = "control_dsn",
     .type = SETTING_TEXT,
     .initial = "",
     .help = "Connection string of the control database in an existing PostgreSQL, where `shopctl up` makes it; empty: "
             "the platform in `data` has a PostgreSQL of its own."},
    {.name = "postgres_bin",
     .type = SETTING_TEXT,
     .initial = "",
     .help = "Folder of initdb and postgres; empty: the newest below /usr/lib/postgresql."},
    {.name = "postgres_image",
     .type = SETTING_TEXT,
     .initial = "",
     .help = "Image of PostgreSQL for containers, in a registry, as `shopctl image push` prints it; empty: it is made "
             "here and loaded."},
    {.name = "shopd_image", .type = SETTING_TEXT, .initial = "", .help = "The same of shopd."},
    {.name = "registry_auth",
     .type = SETTING_TEXT,
     .initial = "",
     .help = "File with the credentials of registries, as `docker login` writes it; nobody else may read it."},
    {.name = "database_user",
     .type = SETTING_TEXT,
     .initial = "postgres",
     .help = "Unix user that PostgreSQL runs as when root starts it."},
    {.name = "shopd_user",
     .type = SETTING_TEXT,
     .initial = "shopd",
     .help = "Unix user that shopd runs as when root starts it; made as a system user where it is missing."},
    {.name = "shopd", .type = SETTING_TEXT, .initial = "", .help = "Path of the program shopd; empty: beside shopctl."},
    {.name = "start_timeout_s",
     .type = SETTING_INT,
     .unit = UNIT_SECONDS,
     .min = 1,
     .max = 3600,
     .initial = "60",
     .help = "How long `shopctl up` waits until everything answers."},
    {.name = "stop_timeout_s",
     .type = SETTING_INT,
     .unit = UNIT_SECONDS,
     .min = 0,
     .max = 3600,
     .initial = "30",
     .help = "How long shopd may take to answer what is under way when it is stopped."},
    {.name = "plans",
     .type = SETTING_TEXT,
     .initial = "",
     .help = "Folder of plans, NAME.yaml each; empty: the plans that are part of shopctl."},
    {.name = "cell_capacity",
     .type = SETTING_INT,
     .min = 1,
     .max = 100000,
     .initial = "1000",
     .help = "Tenants that the first cell, which shopctl up makes, may hold."},
    {.name = "spares",
     .type = SETTING_INT,
     .min = 0,
     .max = 10000,
     .initial = "8",
     .help = "Empty tenants that the controller keeps ready in the first cell, so that a new shop takes no time."},
    {.name = "controller_takeover_s",
     .type = SETTING_INT,
     .unit = UNIT_SECONDS,
     .min = 1,
     .max = 86400,
     .initial = "60",
     .help = "How long an operation may rest before the controller takes it up."},
    {.name = "threads",
     .type = SETTING_INT,
     .min = 0,
     .max = 256,
     .initial = "0",
     .help = "Threads of each shopd; 0 is one per CPU."},
    {.name = "cache_bytes",
     .type = SETTING_INT,
     .unit = UNIT_BYTES,
     .min = 0,
     .max = (int64_t)1024 * 1024 * MIB,
     .initial = "32MiB",
     .help = "Memory for rendered pages in each shopd."},
    {.name = "haproxy",
     .type = SETTING_TEXT,
     .initial = "",
     .help = "Path of the program haproxy; empty: the one in PATH, or in /usr/sbin."},
    {.name = "gateway",
     .type = SETTING_CHOICE,
     .choices = GATEWAYS,
     .initial = "auto",
     .help = "Whether `shopctl up` runs the gateway, HAProxy in front of all cells, on the address `listen`: auto, "
             "from the "
             "second cell on; always; never. Where it isn't set, `up` does as it did the last time."},
    {.name = "gateway_listen",
     .type = SETTING_TEXT,
     .initial = "127.0.0.1:8000",
     .help = "ADDRESS:PORT that a gateway which isn't run by `shopctl up` answers HTTP on; several with commas."},
    {.name = "gateway_certificates",
     .type = SETTING_TEXT,
     .initial = "",
     .help = "Folder of PEM files, each with a certificate, its chain and its key; then the gateway answers TLS, too."},
    {.name = "gateway_tls_listen",
     .type = SETTING_TEXT,
     .initial = "127.0.0.1:8443",
     .help = "ADDRESS:PORT that the gateway answers TLS on, with HTTP/2 and HTTP/1.1; several with commas."},
    {.name = "gateway_user",
     .type = SETTING_TEXT,
     .initial = "haproxy",
     .help = "Unix user that the gateway becomes when root starts it."},
    {.name = "trusted_proxies",
     .type = SETTING_TEXT,
     .initial = "",
     .help =
         "Addresses and networks, with commas, of proxies of yours whose X-Forwarded-For and X-Forwarded-Proto shopd "
         "believes; those of this machine it does in any case."},
    {.name = "ssh_key",
     .type = SETTING_TEXT,
     .initial = "",
     .help = "Private key, Ed25519 or ECDSA, by which hosts are reached over SSH; empty: the keys of ssh-agent, then "
             "~/.ssh/id_ed25519 and ~/.ssh/id_ecdsa."},
    {.name = "ssh_passphrase_file",
     .type = SETTING_TEXT,
     .initial = "",
     .help = "File with the passphrase of that key; empty: a person is asked."},
    {.name = "ssh_known_hosts",
     .type = SETTING_TEXT,
     .initial = "",
     .help =
         "File that `shopctl host trust` writes hosts' keys to; empty: known_hosts in `data`. ~/.ssh/known_hosts is "
         "read beside it."},
    {.name = "log_level",
     .type = SETTING_CHOICE,
     .choices = LOG_LEVELS,
     .initial = "info",
     .help = "The least important lines that shopd and the controller log."},
    {0},
};
_Static_assert(COUNT(SETTING_ROWS) <= SETTINGS_MAX, "SETTINGS_MAX is too small");

typedef struct SettingValue {
    Str text;
    int64_t number;
    bool truth;
    Str source;    // empty: not set yet
} SettingValue;

struct Settings {
    SettingValue values[SETTINGS_MAX];
    Str config;
};

static const SettingRow *row_find(Str name)
{
    for (const SettingRow *row = SETTING_ROWS; row->name; row++)
        if (str_eq(str_of(row->name), name))
            return row;
    return NULL;
}

static Str name_nearest(Str name)
{
    Str names[SETTINGS_MAX];
    size_t count = 0;
    for (const SettingRow *row = SETTING_ROWS; row->name; row++)
        names[count++] = str_of(row->name);
    return str_nearest(name, names, count);
}

static bool int_parse(const SettingRow *row, Str text, Arena *arena, int64_t *out, Error *err)
{
    Error unused = {0};
    int64_t value = 0;
    // A name that ends in its unit (_s, _bytes) makes a plain number clear.
    if (!str_int64(text, 0, INT64_MAX, &value, &unused) && !unit_parse(row->unit, text, &value, err))
        return false;
    if (value < row->min || value > row->max) {
        error_set(err, ERR_INVALID, "'%.*s' is refused", STR_ARG(text));
        Str low = unit_text(row->unit, row->min, arena), high = unit_text(row->unit, row->max, arena);
        error_why(err, "it isn't from %.*s to %.*s", STR_ARG(low), STR_ARG(high));
        return error_next(err, "write it as in '%s'", row->initial);
    }
    *out = value;
    return true;
}

static bool choice_parse(const SettingRow *row, Str text, Arena *arena, Error *err)
{
    StrBuf known = {.arena = arena};
    for (size_t i = 0; row->choices[i]; i++) {
        if (str_eq(str_of(row->choices[i]), text))
            return true;
        strbuf_format(&known, "%s%s", i == 0 ? "" : row->choices[i + 1] ? ", " : " or ", row->choices[i]);
    }
    error_set(err, ERR_INVALID, "'%.*s' is refused", STR_ARG(text));
    error_why(err, "it isn't a value of '%s'", row->name);
    return error_next(err, "use %.*s", STR_ARG(strbuf_str(&known)));
}

static bool bool_parse(Str text, bool *out, Error *err)
{
    bool is_true = str_eq(text, S("true"));
    if (!is_true && !str_eq(text, S("false"))) {
        error_set(err, ERR_INVALID, "'%.*s' is refused", STR_ARG(text));
        return error_next(err, "write true or false");
    }
    *out = is_true;
    return true;
}

// Reads the text into *value; what, why and next of `err` say what is wrong with it.
static bool value_parse(const SettingRow *row, Str text, Arena *arena, SettingValue *value, Error *err)
{
    value->text = str_copy(arena, text);
    switch (row->type) {
    case SETTING_TEXT:
        if (str_is_utf8(text))
            return true;
        error_set(err, ERR_INVALID, "the value of '%s' is refused", row->name);
        return error_why(err, "it isn't UTF-8");
    case SETTING_INT: return int_parse(row, text, arena, &value->number, err);
    case SETTING_BOOL: return bool_parse(text, &value->truth, err);
    case SETTING_CHOICE: return choice_parse(row, text, arena, err);
    }
    return false;
}

static SettingValue *value_of(Settings *settings, const SettingRow *row)
{
    return &settings->values[row - SETTING_ROWS];
}

static bool unknown_name(Str name, const char *where, ErrorCode code, Error *err)
{
    Str nearest = name_nearest(name);
    error_set(err, code, "there is no setting '%.*s'", STR_ARG(name));
    error_where(err, "%s", where);
    if (nearest.len)
        return error_next(err, "did you mean '%.*s'?", STR_ARG(nearest));
    return error_next(err, "see shopctl-config(5)");
}

static bool given_read(Settings *settings, const SettingSources *sources, Arena *arena, Error *err)
{
    for (size_t i = 0; i < sources->given_count; i++) {
        const SettingGiven *given = &sources->given[i];
        Str option = str_copy(arena, given->option);
        const SettingRow *row = row_find(given->name);
        if (!row)
            return unknown_name(given->name, option.data, ERR_USAGE, err);
        SettingValue *value = value_of(settings, row);
        if (!value_parse(row, given->value, arena, value, err)) {
            err->code = ERR_USAGE;
            return error_where(err, "%.*s", STR_ARG(option));
        }
        value->source = option;
    }
    return true;
}

// SHOPCTL_CELL_CAPACITY=500: *name is cell_capacity; false for other variables.
static bool variable_read(const char *entry, Arena *arena, Str *variable, Str *name, Str *value)
{
    Str text = str_of(entry), prefix = str_of(ENVIRONMENT_PREFIX);
    size_t end = str_find_char(text, '=');
    if (!str_has_prefix(text, prefix) || end == text.len)
        return false;
    *variable = str_slice(text, 0, end);
    *name = str_lower(arena, str_slice(text, prefix.len, end));
    *value = str_skip(text, end + 1);
    return value->len > 0;    // empty is as good as unset
}

static bool environment_read(Settings *settings, const SettingSources *sources, Arena *arena, Str *config, Error *err)
{
    for (const char *const *entry = sources->environment; entry && *entry; entry++) {
        Str variable, name, text;
        if (!variable_read(*entry, arena, &variable, &name, &text))
            continue;
        if (str_eq(name, S("config"))) {
            *config = text;
            continue;
        }
        const SettingRow *row = row_find(name);
        Str where = str_copy(arena, variable);
        if (!row && name_nearest(name).len)
            return unknown_name(name, where.data, ERR_INVALID, err);
        if (!row || value_of(settings, row)->source.len)    // others' variables may begin with SHOPCTL_ as well
            continue;
        SettingValue *value = value_of(settings, row);
        if (!value_parse(row, text, arena, value, err))
            return error_where(err, "%.*s", STR_ARG(where));
        value->source = where;
    }
    return true;
}

static void key_fault(Faults *faults, const YamlNode *node, Arena *arena)
{
    Str nearest = name_nearest(node->key);
    faults_add(faults, &(Fault){.line = node->key_line,
                                .column = node->key_column,
                                .where = node->key,
                                .what = node->key,
                                .why = str_format(arena, "there is no setting '%.*s'", STR_ARG(node->key)),
                                .next = nearest.len ? str_format(arena, "did you mean '%.*s'?", STR_ARG(nearest))
                                                    : S("see shopctl-config(5)")});
}

static void member_read(Settings *settings, const YamlNode *node, Str path, Arena *arena, Faults *faults)
{
    const SettingRow *row = row_find(node->key);
    if (!row) {
        key_fault(faults, node, arena);
        return;
    }
    Fault fault = {.line = node->line, .column = node->column, .where = node->key, .what = yaml_text(node)};
    Error wrong = {0};
    SettingValue read = {0};
    bool is_empty_text = yaml_is_null(node) && node->kind == YAML_KIND_SCALAR;
    if (node->kind != YAML_KIND_SCALAR || is_empty_text) {
        fault.why = str_format(arena, "the value of '%s' is %s, not a value", row->name, yaml_kind_name(node));
        fault.next = str_format(arena, "write it as in '%s: %s'", row->name, row->initial);
    } else if (row->type != SETTING_TEXT && row->type != SETTING_CHOICE && !node->is_plain) {
        fault.why = str_format(arena, "the value of '%s' is a quoted text", row->name);
        fault.next = S("take the quotes off");
    } else if (!value_parse(row, node->text, arena, &read, &wrong)) {
        fault.why = str_format(arena, "the value of '%s': %s", row->name, wrong.why[0] ? wrong.why : wrong.what);
        fault.next = str_of(wrong.next);
    } else {
        SettingValue *value = value_of(settings, row);
        read.source = str_format(arena, "%.*s:%u", STR_ARG(path), node->line);
        if (!value->source.len)
            *value = read;
        return;
    }
    faults_add(faults, &fault);
}

// There is only an error to name them in: "1:1: there is no setting 'lisen'; 2:9: ...".
static bool config_is_right(const Faults *faults, Str path, Arena *arena, Error *err)
{
    if (faults_none(faults, path, err))
        return true;
    if (faults->count == 1)
        return false;
    StrBuf why = {.arena = arena};
    for (const Fault *fault = faults->first; fault; fault = fault->next_fault)
        strbuf_format(&why, "%s%u:%u: %.*s", why.len ? "; " : "", fault->line, fault->column, STR_ARG(fault->why));
    return error_why(err, "%.*s", STR_ARG(strbuf_str(&why)));
}

static bool config_read(Settings *settings, Str path, Arena *arena, Error *err)
{
    Str text = S("");
    Faults faults = {.arena = arena};
    const YamlNode *root = NULL;
    if (!file_read(path, CONFIG_BYTES_MAX, arena, &text, err) || !yaml_parse(text, arena, &faults, &root, err))
        return false;
    if (root && root->kind != YAML_KIND_MAPPING)
        faults_add(&faults, &(Fault){.line = root->line,
                                     .column = root->column,
                                     .why = S("the document is no mapping of settings"),
                                     .next = S("write a line 'NAME: VALUE' for each setting")});
    for (const YamlNode *node = root && root->kind == YAML_KIND_MAPPING ? root->first : NULL; node; node = node->next)
        member_read(settings, node, path, arena, &faults);
    settings->config = str_copy(arena, path);
    return config_is_right(&faults, path, arena, err);
}

bool settings_gather(const SettingSources *sources, Arena *arena, const Settings **out, Error *err)
{
    Settings *settings = arena_new(arena, Settings);
    Str config = S("");
    if (!arena_ok(arena, err) || !given_read(settings, sources, arena, err) ||
        !environment_read(settings, sources, arena, &config, err))
        return false;
    if (sources->config.len)
        config = sources->config;
    if (!config.len && file_exists(str_of(DEFAULT_CONFIG)))
        config = str_of(DEFAULT_CONFIG);
    if (config.len && !config_read(settings, config, arena, err))
        return false;
    for (const SettingRow *row = SETTING_ROWS; row->name; row++) {
        SettingValue *value = value_of(settings, row);
        if (value->source.len)
            continue;
        if (!value_parse(row, str_of(row->initial), arena, value, err))
            return false;
        value->source = S("default");
    }
    if (!arena_ok(arena, err))
        return false;
    *out = settings;
    return true;
}

static const SettingValue *value_get(const Settings *settings, const char *name)
{
    const SettingRow *row = row_find(str_of(name));
    assert(row);
    return &settings->values[row - SETTING_ROWS];
}

Str setting_text(const Settings *settings, const char *name) { return value_get(settings, name)->text; }
int64_t setting_int(const Settings *settings, const char *name) { return value_get(settings, name)->number; }
bool setting_is_true(const Settings *settings, const char *name) { return value_get(settings, name)->truth; }
Str setting_source(const Settings *settings, const char *name) { return value_get(settings, name)->source; }
Str settings_config(const Settings *settings) { return settings->config; }
