// runtime/main.c: shopd: from the command line to a running server.
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/pg.h"
#include "runtime/core/ready.h"
#include "runtime/core/version.h"
#include "runtime/shop.h"
#include "runtime/storefront/openapi.h"
#include "runtime/storefront/storefront.h"

enum { MAIN_BUDGET = 4 * MIB, READY_MS = 3000 };

// What the settings are read from again on SIGHUP: copies, set once, before anything runs.
static struct {
    int argc;
    char **argv;
} command_line;

// Everybody may read our command line, and our user our environment: a copy stays with us alone. What is left there
// is as long and tells no password; of a connection string it is the rest, by which `shopctl status` knows the cell.
static char *hide(Arena *arena, char *text, size_t shown, bool is_dsn)
{
    Error ignored = {0};
    Str copy = str_copy(arena, str_of(text)), rest = S("");
    if (copy.len <= shown)
        return (char *)(uintptr_t)copy.data;
    size_t length = copy.len - shown;
    if (!is_dsn || !dsn_public(str_skip(copy, shown), arena, &rest, &ignored) || rest.len > length) {
        memset(text + shown, '*', length);
    } else {
        memcpy(text + shown, rest.data, rest.len);
        memset(text + shown + rest.len, ' ', length - rest.len);
    }
    return (char *)(uintptr_t)copy.data;
}

static bool has_password(Str text)
{
    return str_find(text, S("password")) < text.len || str_find(text, S("://")) < str_find_char(text, '@');
}

// Where the value of an argument such as --cell=DSN begins.
static size_t value_start(const char *argument)
{
    Str text = str_of(argument);
    return str_has_prefix(text, S("--")) ? MIN(str_find_char(text, '=') + 1, text.len) : 0;
}

static bool secrets_hide(Arena *arena, int argc, char **argv, Error *err)
{
    static const struct {
        Str start;
        bool is_dsn;
    } SECRETS[] = {{S("SHOPD_CELL="), true}, {S("PGPASSWORD="), false}};
    char **copies = arena_array(arena, (size_t)argc + 1, char *);
    for (int i = 0; copies && i < argc; i++)
        copies[i] = has_password(str_of(argv[i])) ? hide(arena, argv[i], value_start(argv[i]), true) : argv[i];
    for (char **entry = environ; *entry; entry++)
        for (size_t i = 0; i < COUNT(SECRETS); i++)
            if (str_has_prefix(str_of(*entry), SECRETS[i].start))
                *entry = hide(arena, *entry, SECRETS[i].start.len, SECRETS[i].is_dsn);
    command_line.argc = argc;
    command_line.argv = copies;
    return arena_ok(arena, err);
}

static bool settings_again(Arena *arena, Settings *out, Error *err)
{
    SettingsAsk ask;
    return shopd_settings_read(command_line.argc, command_line.argv, environ, arena, out, &ask, err);
}

static int failed(const Error *err)
{
    (void)fprintf(stderr, "shopd: %s\n", err->what);
    if (err->where[0])
        (void)fprintf(stderr, "  where: %s\n", err->where);
    if (err->why[0])
        (void)fprintf(stderr, "  why: %s\n", err->why);
    const char *next = err->next[0] ? err->next : error_advice(err->code);
    if (next[0])
        (void)fprintf(stderr, "  next: %s\n", next);
    return error_exit_code(err->code);
}

static int print(Str text)
{
    return fwrite(text.data, 1, text.len, stdout) == text.len && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int openapi(Arena *arena)
{
    Error err = {0};
    Str text;
    return openapi_print(&ROUTES_STOREFRONT, arena, &text, &err) ? print(text) : failed(&err);
}

static int serve(const Settings *settings)
{
    Error err = {0};
    log_level_set(shopd_settings_log_level(settings));
    Server *server = NULL;
    ServerOptions options = {.settings = settings, .reread = settings_again};
    shop_options(&options);
    if (!server_open(&options, &server, &err))
        return failed(&err);
    bool is_whole = server_wait(server);
    server_close(&server);
    return is_whole ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MAIN_BUDGET);
    Settings settings;
    SettingsAsk ask;
    Error err = {0};
    if (!secrets_hide(arena, argc, argv, &err) ||
        !shopd_settings_read(command_line.argc, command_line.argv, environ, arena, &settings, &ask, &err))
        return failed(&err);
    switch (ask) {
    case ASK_HELP: return print(shopd_settings_help(arena));
    case ASK_MAN: return print(shopd_settings_man(arena));
    case ASK_OPENAPI: return openapi(arena);
    case ASK_READY: return is_ready_at(settings.listen, READY_MS) ? EXIT_SUCCESS : EXIT_FAILURE;
    case ASK_VERSION: return print(str_format(arena, "shopd %s\n", SHOPD_VERSION));
    case ASK_RUN: break;
    }
    return serve(&settings);
}
