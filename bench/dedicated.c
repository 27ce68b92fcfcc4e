// bench/dedicated.c: the peers of shops of their own.
// dedicated bare CONTROL_DSN SOCKET CELL NAME PORT: makes and starts with an engine's own calls what a cell like this
// one consists of, with names that begin with NAME, waits until PostgreSQL and shopd answer, and prints the seconds.
// dedicated remove ...: the same, removed again.
// dedicated calls SOCKET COUNT [SSH_PORT KEY KNOWN_HOSTS]: so many calls, and the seconds that they took.
#include "provisioner/dedicated.h"
#include "base/arena.h"
#include "base/clock.h"
#include "provisioner/container.h"
#include "provisioner/dedicated_addresses.h"
#include "provisioner/http_client.h"
#include "provisioner/ssh.h"

enum { BUDGET = 64 * MIB, PAUSE_MS = 20, DEADLINE_MS = 60000, PORT_MAX = 65535 };

typedef struct Bare {
    Platform *platform;
    Engine *engine;
    Arena *arena;
    Dedicated reference;    // the cell that is there
    Dedicated cell;         // the one that is made
} Bare;

static void bare_close(Bare *bare)
{
    engine_close(&bare->engine);
    platform_close(&bare->platform);
    arena_close(&bare->arena);
}

static bool connect_to(Str socket, Engine **out, Error *err)
{
    return engine_open(&(HttpServer){.name = S("the engine"), .url = S("http://engine"), .socket = socket}, out, err);
}

static bool bare_open(char **words, Bare *bare, Error *err)
{
    int64_t port = 0;
    bare->arena = arena_open(BUDGET);
    if (!str_int64(str_of(words[4]), 1, PORT_MAX, &port, err) || !connect_to(str_of(words[1]), &bare->engine, err) ||
        !platform_open_with(&(PlatformOptions){.control_dsn = str_of(words[0])}, &bare->platform, err) ||
        !dedicated_find(bare->platform, str_of(words[2]), bare->arena, &bare->reference, err))
        return false;
    Dedicated *cell = &bare->cell;
    *cell = bare->reference;
    cell->port = port;
    cell->url = str_format(bare->arena, "http://%.*s:%lld", STR_ARG(cell->address), (long long)port);
    const struct {
        Str *name;
        const char *end;
    } names[] = {{&cell->network, "network"},        {&cell->data_volume, "data"}, {&cell->secrets_volume, "secrets"},
                 {&cell->postgres_name, "postgres"}, {&cell->shopd_name, "shopd"}, {&cell->secrets_name, "keeper"}};
    for (size_t i = 0; i < COUNT(names); i++)
        *names[i].name = str_format(bare->arena, "%s-%s", words[3], names[i].end);
    if (!arena_ok(bare->arena, err) || !dedicated_addresses_find(bare->engine, &bare->reference, bare->arena, err))
        return false;
    cell->trusted_proxies = bare->reference.trusted_proxies;
    cell->postgres_address = bare->reference.postgres_address;
    return true;
}

static bool image_of(const Bare *bare, Str container, Str *out, Error *err)
{
    CLEANUP(json_close) Json *there = NULL;
    if (!thing_find(bare->engine, THING_CONTAINER, container, &there, err))
        return false;
    *out = str_copy(bare->arena, json_str(json_get(json_get(there, "Config"), "Image")));
    return arena_ok(bare->arena, err);
}

static bool postgres_make(const Bare *bare, Str image, Error *err)
{
    Dedicated own = bare->cell, *cell = &own;
    Engine *engine = bare->engine;
    own.postgres_address = S("");    // the other one's
    const ContainerFile files[] = {
        {S("postgresql.conf"), dedicated_postgres_conf(&cell->postgres, bare->arena), 0444, 0},
        {S("pg_hba.conf"), dedicated_hba_conf(bare->arena), 0444, 0},
    };
    return dedicated_network_make(engine, cell, err) &&
           thing_make(engine, THING_VOLUME, cell->data_volume, dedicated_volume(cell, cell->data_volume), err) &&
           thing_make(engine, THING_VOLUME, cell->secrets_volume, dedicated_volume(cell, cell->secrets_volume), err) &&
           thing_make(engine, THING_CONTAINER, cell->secrets_name, dedicated_secrets_container(cell, image), err) &&
           container_put(engine, cell->secrets_name, S(IMAGE_SECRETS), files, COUNT(files), err) &&
           thing_remove(engine, THING_CONTAINER, cell->secrets_name, err) &&
           thing_make(engine, THING_CONTAINER, cell->postgres_name, dedicated_postgres_container(cell, image), err) &&
           container_start(engine, cell->postgres_name, err);
}

// With the secrets and the database of the cell that is there: one without tables would be nothing to it.
static bool shopd_make(const Bare *bare, Str image, Error *err)
{
    Dedicated cell = bare->cell;
    cell.secrets_volume = bare->reference.secrets_volume;
    return thing_make(bare->engine, THING_CONTAINER, cell.shopd_name, dedicated_shopd_container(&cell, image), err) &&
           container_connect(bare->engine, cell.shopd_name, bare->reference.network, err) &&
           container_start(bare->engine, cell.shopd_name, err);
}

static bool is_postgres_ready(const Bare *bare, bool *out, Error *err)
{
    static const char *const ARGV[] = {"pg_isready", "-q", "-h", IMAGE_SOCKETS, NULL};
    CLEANUP(engine_exec_close) EngineExec *exec = NULL;
    EngineOutput output;
    Str part;
    int status = 1;
    bool is_end = false;
    *out = false;
    if (!engine_exec(bare->engine, &(EngineExecSpec){.container = bare->cell.postgres_name, .argv = ARGV}, &exec, err))
        return false;
    for (; !is_end; clock_sleep_ms(1))
        if (!engine_exec_receive(exec, &part, &output, &is_end, err))
            return false;
    if (!engine_exec_status(bare->engine, exec, &status, err))
        return false;
    *out = status == 0;
    return true;
}

static bool both_answer(const Bare *bare, Error *err)
{
    Str ready = str_format(bare->arena, "%.*s/readyz", STR_ARG(bare->cell.url));
    bool is_postgres = false, is_shopd = false;
    for (int64_t deadline_ms = clock_ms() + DEADLINE_MS; clock_ms() < deadline_ms; clock_sleep_ms(PAUSE_MS)) {
        Error ignored = {0};
        int status = 0;
        if (!is_postgres && !is_postgres_ready(bare, &is_postgres, err))
            return false;
        is_shopd =
            is_shopd || (http_get_status(ready, S("localhost"), DEADLINE_MS, &status, &ignored) && status == 200);
        if (is_postgres && is_shopd)
            return true;
    }
    return error_set(err, ERR_UNREACHABLE, "%s doesn't answer", is_postgres ? "shopd" : "PostgreSQL");
}

static bool bare_run(char **words, Error *err)
{
    CLEANUP(bare_close) Bare bare = {0};
    Str postgres, shopd;
    if (!bare_open(words, &bare, err) || !image_of(&bare, bare.reference.postgres_name, &postgres, err) ||
        !image_of(&bare, bare.reference.shopd_name, &shopd, err))
        return false;
    int64_t from_us = clock_us();
    if (!postgres_make(&bare, postgres, err) || !shopd_make(&bare, shopd, err) || !both_answer(&bare, err))
        return false;
    printf("%.3f\n", (double)(clock_us() - from_us) / 1e6);
    return true;
}

static bool remove_run(char **words, Error *err)
{
    CLEANUP(bare_close) Bare bare = {0};
    return bare_open(words, &bare, err) && thing_remove(bare.engine, THING_CONTAINER, bare.cell.shopd_name, err) &&
           thing_remove(bare.engine, THING_CONTAINER, bare.cell.postgres_name, err) &&
           thing_remove(bare.engine, THING_VOLUME, bare.cell.data_volume, err) &&
           thing_remove(bare.engine, THING_VOLUME, bare.cell.secrets_volume, err) &&
           thing_remove(bare.engine, THING_NETWORK, bare.cell.network, err);
}

static bool calls_make(Str socket, int64_t count, Error *err)
{
    static const Str PATHS[] = {S("/containers/json?all=true"), S("/networks"), S("/volumes"), S("/images/json")};
    CLEANUP(engine_close) Engine *engine = NULL;
    if (!connect_to(socket, &engine, err))
        return false;
    int64_t from_us = clock_us();
    for (int64_t i = 0; i < count; i++) {
        CLEANUP(json_close) Json *answer = NULL;
        if (!engine_call(engine, &(EngineCall){.method = "GET", .path = PATHS[i % (int64_t)COUNT(PATHS)]}, &answer,
                         err))
            return false;
    }
    printf("%.4f\n", (double)(clock_us() - from_us) / 1e6);
    return true;
}

static bool calls_run(int count, char **words, Error *err)
{
    CLEANUP(ssh_close) Ssh *ssh = NULL;
    SshServer server = {.name = S("the host"), .host = S("127.0.0.1")};
    int64_t calls = 0;
    Str socket = str_of(words[0]);
    if (!str_int64(str_of(words[1]), 1, INT32_MAX, &calls, err))
        return false;
    if (count == 2)
        return calls_make(socket, calls, err);
    server.key_file = str_of(words[3]);
    server.known_hosts = str_of(words[4]);
    return str_int64(str_of(words[2]), 1, PORT_MAX, &server.port, err) && ssh_open(&server, &ssh, err) &&
           ssh_forward(ssh, socket, &socket, err) && calls_make(socket, calls, err);
}

int main(int argc, char **argv)
{
    Error err = {0};
    Str verb = argc > 1 ? str_of(argv[1]) : S("");
    bool ok = false;
    if (argc == 7 && str_eq(verb, S("bare")))
        ok = bare_run(&argv[2], &err);
    else if (argc == 7 && str_eq(verb, S("remove")))
        ok = remove_run(&argv[2], &err);
    else if ((argc == 4 || argc == 7) && str_eq(verb, S("calls")))
        ok = calls_run(argc - 2, &argv[2], &err);
    else
        return fputs("usage: see bench/dedicated.c\n", stderr), 64;
    if (!ok)
        fprintf(stderr, "dedicated: %s: %s\n", err.what, err.why);
    return ok ? 0 : 70;
}
