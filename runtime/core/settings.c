// runtime/core/settings.c: the table of options, and all that is made from it.
#include "runtime/core/settings.h"

#include "base/arena.h"
#include "base/file.h"

const Str MODULES[MODULE_COUNT] = {S("storefront"), S("auth"), S("billing"), S("admin"), S("platform"), S("worker")};

static const Str LEVELS[] = {
    [LOG_DEBUG] = S("debug"), [LOG_INFO] = S("info"), [LOG_WARNING] = S("warning"), [LOG_ERROR] = S("error")};

typedef enum SettingType { TYPE_TEXT, TYPE_NUMBER, TYPE_SWITCH, TYPE_ASK } SettingType;

typedef enum SettingTime { AT_START, AT_ONCE } SettingTime;    // AT_ONCE: also by SIGHUP

typedef struct SettingRow {
    const char *name;    // of the option and, in the config file, of the line; SHOPD_NAME with _ is the variable
    SettingType type;
    size_t offset;         // in Settings
    const char *unit;      // what stands for the value in help
    const char *absent;    // the default; for a switch there is none
    int64_t min, max;      // of a number
    SettingsAsk ask;       // of TYPE_ASK
    const char *help;
    SettingTime time;    // when a change of it takes effect
} SettingRow;

#define AT(member) offsetof(Settings, member)

// In the order of the help.
static const SettingRow SETTINGS[] = {
    {"cell", TYPE_TEXT, AT(cell), "DSN", "", 0, 0, 0, "The cell's database, as libpq writes it.", AT_START},
    {"role", TYPE_TEXT, AT(role), "NAME", "", 0, 0, 0,
     "The login in that database. Without it, the database's name and _shopd.", AT_START},
    {"listen", TYPE_TEXT, AT(listen), "ADDR:PORT", "127.0.0.1:8080", 0, 0, 0,
     "Where to accept, several with commas; an IPv6 address stands in brackets; port 0 is any free one.", AT_START},
    {"modules", TYPE_TEXT, AT(modules), "LIST", "", 0, 0, 0,
     "The modules to serve, with commas. Without it, all of them.", AT_START},
    {"base-domain", TYPE_TEXT, AT(base_domain), "DOMAIN", "localhost", 0, 0, 0,
     "The domain below which shops have their addresses.", AT_ONCE},
    {"threads", TYPE_NUMBER, AT(threads), "N", "0", 0, 256, 0,
     "Threads that serve; 0 is one for each core that shopd may run on.", AT_START},
    {"pin", TYPE_SWITCH, AT(pin), "", NULL, 0, 0, 0, "Pin each thread to a core.", AT_START},
    {"user", TYPE_TEXT, AT(user), "NAME", "", 0, 0, 0,
     "The user to become once the addresses are bound, when started by root.", AT_START},
    {"trusted-proxies", TYPE_TEXT, AT(trusted_proxies), "LIST", "", 0, 0, 0,
     "Addresses and networks, or 'loopback', whose X-Forwarded-For, X-Forwarded-Proto and X-Request-Id are believed.",
     AT_ONCE},
    {"connections", TYPE_NUMBER, AT(connections), "N", "8", 1, 1000, 0, "Connections to the database.", AT_START},
    {"database-timeout", TYPE_NUMBER, AT(database_timeout_ms), "MS", "5000", 10, 600000, 0,
     "How long a request may wait for the database, its place in the queue included.", AT_ONCE},
    {"start-timeout", TYPE_NUMBER, AT(start_timeout_ms), "MS", "0", 0, 3600000, 0,
     "How long to wait for a cell that isn't there yet; a database that can't be reached has 5 s in any case.",
     AT_START},
    {"clients-max", TYPE_NUMBER, AT(clients_max), "N", "16384", 1, 1000000, 0,
     "Open client connections of a thread; beyond it the longest idle one goes.", AT_ONCE},
    {"cache-bytes", TYPE_NUMBER, AT(cache_bytes), "BYTES", "33554432", 0, 1LL << 40, 0,
     "Memory for rendered pages, of the process.", AT_ONCE},
    {"head-timeout", TYPE_NUMBER, AT(head_timeout_ms), "MS", "10000", 10, 600000, 0, "Time for a whole request head.",
     true},
    {"body-rate", TYPE_NUMBER, AT(body_rate_bytes), "BYTES", "500", 0, 1LL << 30, 0,
     "Bytes a second below which a request's body, or a reader of an answer, is cut.", AT_ONCE},
    {"rate-grace", TYPE_NUMBER, AT(rate_grace_ms), "MS", "10000", 10, 600000, 0,
     "How long a body or a reader may be slower than that at the start.", AT_ONCE},
    {"idle-timeout", TYPE_NUMBER, AT(idle_timeout_ms), "MS", "75000", 10, 3600000, 0,
     "How long a connection without a request is kept.", AT_ONCE},
    {"linger", TYPE_NUMBER, AT(linger_ms), "MS", "2000", 0, 60000, 0,
     "How long to read on after an early refusal, so that the client sees the answer.", AT_ONCE},
    {"drain-timeout", TYPE_NUMBER, AT(drain_timeout_ms), "MS", "25000", 0, 3600000, 0,
     "How long what is under way may take after SIGTERM.", AT_ONCE},
    {"log-level", TYPE_TEXT, AT(log_level), "LEVEL", "info", 0, 0, 0, "debug, info, warning or error.", AT_ONCE},
    {"config", TYPE_TEXT, AT(config), "FILE", "", 0, 0, 0,
     "A file of lines NAME = VALUE with these same names. SIGHUP reads it again.", AT_START},
    {"help", TYPE_ASK, 0, "", NULL, 0, 0, ASK_HELP, "Print this help.", AT_START},
    {"man", TYPE_ASK, 0, "", NULL, 0, 0, ASK_MAN, "Print the manual page shopd(8).", AT_START},
    {"openapi", TYPE_ASK, 0, "", NULL, 0, 0, ASK_OPENAPI, "Print the store API's OpenAPI document.", AT_START},
    {"ready", TYPE_ASK, 0, "", NULL, 0, 0, ASK_READY,
     "Ask the shopd that listens at --listen whether it serves: ends with 0 when it does.", AT_START},
    {"version", TYPE_ASK, 0, "", NULL, 0, 0, ASK_VERSION, "Print the version.", AT_START},
};

// ---- one value ----

static const SettingRow *row_find(Str name)
{
    for (size_t i = 0; i < COUNT(SETTINGS); i++)
        if (str_eq(str_of(SETTINGS[i].name), name))
            return &SETTINGS[i];
    return NULL;
}

static bool value_set(Settings *settings, const SettingRow *row, Str value, Error *err)
{
    char *place = (char *)settings + row->offset;
    switch (row->type) {
    case TYPE_TEXT: memcpy(place, &value, sizeof(value)); return true;
    case TYPE_SWITCH: *(bool *)place = true; return true;
    case TYPE_ASK: return true;
    case TYPE_NUMBER: break;
    }
    int64_t number;
    if (!str_int64(value, row->min, row->max, &number, err)) {
        err->code = ERR_USAGE;
        return error_wrap(err, "the option '--%s' is refused", row->name);
    }
    memcpy(place, &number, sizeof(number));
    return true;
}

// A value from a file or a variable, where a switch has one, too.
static bool text_set(Settings *settings, const SettingRow *row, Str value, Error *err)
{
    if (row->type != TYPE_SWITCH)
        return value_set(settings, row, value, err);
    bool is_on = str_eq(value, S("true")) || str_eq(value, S("1"));
    *(bool *)((char *)settings + row->offset) = is_on;
    if (is_on || str_eq(value, S("false")) || str_eq(value, S("0")))
        return true;
    error_set(err, ERR_USAGE, "'%s' is neither true nor false", row->name);
    error_why(err, "it is '%.*s'", STR_ARG(value));
    return error_next(err, "write true or false");
}

// `kind` ends in what stands before the name: "module '".
static bool unknown(Str name, const char *kind, const Str *names, size_t count, Error *err)
{
    error_set(err, ERR_USAGE, "there is no %s%.*s'", kind, STR_ARG(name));
    Str nearest = str_nearest(name, names, count);
    if (nearest.len > 0)
        return error_next(err, "did you mean %s%.*s'?", strchr(kind, '\''), STR_ARG(nearest));
    return error_next(err, "see shopd --help");
}

static bool unknown_option(Str name, Error *err)
{
    Str names[COUNT(SETTINGS)];
    for (size_t i = 0; i < COUNT(SETTINGS); i++)
        names[i] = str_of(SETTINGS[i].name);
    return unknown(name, "option '--", names, COUNT(SETTINGS), err);
}

Settings shopd_settings_default(void)
{
    Settings settings = {0};
    for (size_t i = 0; i < COUNT(SETTINGS); i++) {
        Error err = {0};
        bool ok = !SETTINGS[i].absent || value_set(&settings, &SETTINGS[i], str_of(SETTINGS[i].absent), &err);
        assert(ok);
    }
    return settings;
}

// ---- where values come from ----

static bool environment_read(char *const *environment, Settings *settings, Error *err)
{
    for (; environment && *environment; environment++) {
        Str entry = str_of(*environment);
        if (!str_has_prefix(entry, S("SHOPD_")))
            continue;
        char name[64];
        Str key = str_slice(entry, sizeof("SHOPD_") - 1, str_find_char(entry, '='));
        if (key.len >= sizeof(name))
            continue;
        for (size_t i = 0; i < key.len; i++)
            name[i] = (char)(key.data[i] == '_'                         ? '-'
                             : key.data[i] >= 'A' && key.data[i] <= 'Z' ? key.data[i] | 0x20
                                                                        : key.data[i]);
        const SettingRow *row = row_find((Str){name, key.len});
        Str value = str_skip(entry, str_find_char(entry, '=') + 1);
        if (!row || row->type == TYPE_ASK)
            return unknown_option((Str){name, key.len}, err) || error_where(err, "SHOPD_%.*s", STR_ARG(key));
        if (!text_set(settings, row, value, err))
            return error_where(err, "SHOPD_%.*s", STR_ARG(key));
    }
    return true;
}

static bool config_line(Str line, Settings *settings, Error *err)
{
    line = str_trim(line);
    if (line.len == 0 || line.data[0] == '#')
        return true;
    size_t at = str_find_char(line, '=');
    Str name = str_trim(str_slice(line, 0, at)), value = str_trim(str_skip(line, MIN(at + 1, line.len)));
    const SettingRow *row = row_find(name);
    if (!row || row->type == TYPE_ASK || row->offset == AT(config))
        return unknown_option(name, err);
    if (at == line.len) {
        error_set(err, ERR_USAGE, "the line for '%.*s' has no value", STR_ARG(name));
        return error_next(err, "write NAME = VALUE");
    }
    return text_set(settings, row, value, err);
}

static bool config_read(Str path, Arena *arena, Settings *settings, Error *err)
{
    Str content, line;
    if (!file_read(path, MIB, arena, &content, err))
        return error_wrap(err, "the config file '%.*s' can't be read", STR_ARG(path));
    for (unsigned number = 1; content.len > 0 && str_cut(&content, '\n', &line); number++)
        if (!config_line(line, settings, err))
            return error_where(err, "%.*s:%u", STR_ARG(path), number);
    return true;
}

// The options of the command line; `only` is one that is read alone, before the others.
static bool arguments_read(int argc, char *const *argv, const char *only, Settings *settings, SettingsAsk *ask,
                           Error *err)
{
    for (int i = 1; i < argc; i++) {
        Str argument = str_of(argv[i]);
        if (!str_has_prefix(argument, S("--"))) {
            error_set(err, ERR_USAGE, "the argument '%.*s' isn't an option", STR_ARG(argument));
            return error_next(err, "options begin with '--'; see shopd --help");
        }
        size_t equal = str_find_char(argument, '=');
        Str name = str_slice(argument, 2, equal);
        const SettingRow *row = row_find(name);
        if (!row)
            return unknown_option(name, err);
        bool has_value = equal < argument.len, takes_value = row->type == TYPE_TEXT || row->type == TYPE_NUMBER;
        if (has_value && !takes_value)
            return error_set(err, ERR_USAGE, "the option '--%s' takes no value", row->name);
        if (!has_value && takes_value && i + 1 == argc) {
            error_set(err, ERR_USAGE, "the option '--%s' needs a value", row->name);
            return error_next(err, "write --%s %s", row->name, row->unit);
        }
        Str value = has_value ? str_skip(argument, equal + 1) : takes_value ? str_of(argv[++i]) : S("");
        if (only && strcmp(row->name, only) != 0)
            continue;
        if (row->type == TYPE_ASK && *ask == ASK_RUN)
            *ask = row->ask;
        if (!value_set(settings, row, value, err))
            return false;
    }
    return true;
}

static bool modules_check(Str modules, Error *err)
{
    Str name;
    while (modules.len > 0 && str_cut(&modules, ',', &name)) {
        name = str_trim(name);
        bool is_known = false;
        for (size_t i = 0; i < MODULE_COUNT; i++)
            is_known |= str_eq(MODULES[i], name);
        if (!is_known)
            return unknown(name, "module '", MODULES, MODULE_COUNT, err);
    }
    return true;
}

LogLevel shopd_settings_log_level(const Settings *settings)
{
    for (LogLevel level = LOG_DEBUG; level <= LOG_ERROR; level++)
        if (str_eq(LEVELS[level], settings->log_level))
            return level;
    return LOG_INFO;
}

static bool level_check(Str name, Error *err)
{
    for (size_t i = 0; i < COUNT(LEVELS); i++)
        if (str_eq(LEVELS[i], name))
            return true;
    return unknown(name, "log level '", LEVELS, COUNT(LEVELS), err);
}

bool shopd_settings_read(int argc, char *const *argv, char *const *environment, Arena *arena, Settings *out,
                         SettingsAsk *ask, Error *err)
{
    Settings settings = shopd_settings_default(), first = settings;
    *ask = ASK_RUN;
    if (!environment_read(environment, &first, err) || !arguments_read(argc, argv, "config", &first, ask, err))
        return false;
    if (first.config.len > 0 && !config_read(first.config, arena, &settings, err))
        return false;
    if (!environment_read(environment, &settings, err) || !arguments_read(argc, argv, NULL, &settings, ask, err) ||
        !modules_check(settings.modules, err) || !level_check(settings.log_level, err))
        return false;
    if (*ask == ASK_RUN && settings.cell.len == 0) {
        error_set(err, ERR_USAGE, "the option '--cell' is missing");
        return error_next(err, "write --cell DSN, as in --cell 'host=/run/postgresql dbname=cell_main'");
    }
    *out = settings;
    return true;
}

// ---- again ----

static bool is_same(const Settings *a, const Settings *b, const SettingRow *row)
{
    const char *in_a = (const char *)a + row->offset, *in_b = (const char *)b + row->offset;
    switch (row->type) {
    case TYPE_TEXT: return str_eq(*(const Str *)(const void *)in_a, *(const Str *)(const void *)in_b);
    case TYPE_NUMBER: return memcmp(in_a, in_b, sizeof(int64_t)) == 0;
    case TYPE_SWITCH: return *(const bool *)in_a == *(const bool *)in_b;
    case TYPE_ASK: break;
    }
    return true;
}

static size_t row_size(const SettingRow *row)
{
    return row->type == TYPE_TEXT ? sizeof(Str) : row->type == TYPE_NUMBER ? sizeof(int64_t) : sizeof(bool);
}

void shopd_settings_renew(Settings *settings, const Settings *running, Arena *arena, Str *changed, Str *waiting)
{
    StrBuf now = {.arena = arena}, later = {.arena = arena};
    for (size_t i = 0; i < COUNT(SETTINGS); i++) {
        const SettingRow *row = &SETTINGS[i];
        if (row->type == TYPE_ASK)
            continue;
        if (!is_same(settings, running, row)) {
            StrBuf *names = row->time == AT_ONCE ? &now : &later;
            strbuf_format(names, "%s%s", names->len ? ", " : "", row->name);
        }
        if (row->time == AT_START)
            memcpy((char *)settings + row->offset, (const char *)running + row->offset, row_size(row));
    }
    *changed = strbuf_str(&now);
    *waiting = strbuf_str(&later);
}

// ---- documents ----

static Str default_text(const SettingRow *row, Arena *arena)
{
    return row->absent && row->absent[0] ? str_format(arena, " [%s]", row->absent) : S("");
}

Str shopd_settings_help(Arena *arena)
{
    StrBuf out = {.arena = arena};
    strbuf_add(&out, S("shopd serves the shops of one cell.\n\n"
                       "usage: shopd --cell DSN [--listen ADDR:PORT] [OPTION...]\n\noptions:\n"));
    for (size_t i = 0; i < COUNT(SETTINGS); i++) {
        const SettingRow *row = &SETTINGS[i];
        Str option = str_format(arena, "--%s %s", row->name, row->unit);
        strbuf_format(&out, "  %-26.*s%s%.*s%s\n", STR_ARG(option), row->help, STR_ARG(default_text(row, arena)),
                      row->time == AT_ONCE ? " *" : "");
    }
    strbuf_add(&out, S("\nEach option is also a variable: --base-domain is SHOPD_BASE_DOMAIN.\n"
                       "SIGTERM and SIGINT drain; SIGHUP reads the config file again: what is marked with * "
                       "changes at once.\n\nexample:\n"
                       "  shopd --cell 'host=/run/postgresql dbname=cell_main' --listen 127.0.0.1:8080\n"));
    return strbuf_str(&out);
}

Str shopd_settings_man(Arena *arena)
{
    StrBuf out = {.arena = arena};
    strbuf_add(&out, S(".TH SHOPD 8 2026-11-25 shopctl \"shopctl manual\"\n.SH NAME\nshopd \\- serves the shops of one "
                       "cell\n.SH SYNOPSIS\n"
                       ".B shopd\n\\-\\-cell DSN [\\-\\-listen ADDR:PORT] [OPTION...]\n.SH DESCRIPTION\n"
                       "shopd answers HTTP for all shops of one cell: a PostgreSQL database that shopctl(1) keeps. It "
                       "serves in the process that was started and writes a JSON line per request to standard error.\n"
                       ".SH OPTIONS\n"));
    for (size_t i = 0; i < COUNT(SETTINGS); i++) {
        const SettingRow *row = &SETTINGS[i];
        strbuf_format(&out, ".TP\n.B \\-\\-%s %s\n%s%.*s%s\n", row->name, row->unit, row->help,
                      STR_ARG(default_text(row, arena)), row->time == AT_ONCE ? " *" : "");
    }
    strbuf_add(
        &out,
        S(".SH ENVIRONMENT\nEach option is also a variable: \\-\\-base\\-domain is SHOPD_BASE_DOMAIN. The "
          "command line comes before variables, these before the config file.\n.TP\n.B LISTEN_FDS\n"
          "Sockets from systemd are served instead of those of \\-\\-listen.\n.TP\n.B NOTIFY_SOCKET\n"
          "Told READY=1 once requests are accepted, and STOPPING=1.\n"
          ".SH SIGNALS\n.TP\n.B SIGTERM, SIGINT\nAccept nothing more, answer what is under way, exit.\n"
          ".TP\n.B SIGHUP\nRead the config file again. What is marked with * takes effect at once; the log names what "
          "has changed, and what waits for the next start. A file with a fault changes nothing.\n"
          ".SH PATHS\nOf shopd itself, at any host:\n.TP\n.B /healthz\nAnswers 200 as long as the "
          "process lives.\n.TP\n.B /readyz\n"
          "Answers 200 once shops are served, else 503.\n.TP\n.B /metrics\nPrometheus metrics, for this "
          "machine and trusted proxies, not under a shop's name.\n.SH EXIT STATUS\n0 drained, 1 failed, 64 wrong "
          "option, 69 the "
          "database can't be reached, 73 an address is in use, 77 not allowed.\n.SH EXAMPLES\n.na\n.nh\n"
          "\\fBshopd \\-\\-user shopd \\-\\-cell \"$(shopctl status \\-o json | jq \\-r '.cells[0].dsn')\" "
          "\\-\\-listen "
          "0.0.0.0:8081\\fR\n.hy\n.ad\n.RS\nServes the first cell at one more address.\n.RE\n.SH SEE ALSO\n"
          "shopctl(1)\n"));
    return strbuf_str(&out);
}
