// runtime/main.c: shopd: from the command line to a running server.
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "runtime/core/version.h"
#include "runtime/shop.h"
#include "runtime/storefront/openapi.h"
#include "runtime/storefront/storefront.h"

enum { MAIN_BUDGET = 4 * MIB };

// What the settings are read from again on SIGHUP: set once, before anything runs.
static struct {
    int argc;
    char **argv;
} command_line;

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
    command_line.argc = argc;
    command_line.argv = argv;
    Settings settings;
    SettingsAsk ask;
    Error err = {0};
    if (!shopd_settings_read(argc, argv, environ, arena, &settings, &ask, &err))
        return failed(&err);
    switch (ask) {
    case ASK_HELP: return print(shopd_settings_help(arena));
    case ASK_MAN: return print(shopd_settings_man(arena));
    case ASK_OPENAPI: return openapi(arena);
    case ASK_VERSION: return print(str_format(arena, "shopd %s\n", SHOPD_VERSION));
    case ASK_RUN: break;
    }
    return serve(&settings);
}
