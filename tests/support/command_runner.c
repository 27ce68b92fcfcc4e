// tests/support/command_runner.c: runs shopctl's commands with their streams in files.
#include "tests/support/command_runner.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/command.h"
#include "tests/support/more_check.h"
#include "tests/support/pg_server.h"

enum { WORDS_MAX = 40 };

static void open_world(CommandRunner *runner, const char *noun, bool is_served)
{
    *runner = (CommandRunner){.out = memfd_create("out", MFD_CLOEXEC), .said = memfd_create("said", MFD_CLOEXEC)};
    ck_assert(runner->out >= 0 && runner->said >= 0);
    test_world_open(&runner->world, noun, is_served);
    const TestWorld *world = &runner->world;
    ck_assert_int_eq(setenv("SHOPCTL_CONTROL_DSN", str_copy(world->arena, world->control_dsn).data, 1), 0);
    ck_assert_int_eq(setenv("SHOPCTL_DATA", str_copy(world->arena, world->data).data, 1), 0);
}

void command_runner_open(CommandRunner *runner, const char *noun) { open_world(runner, noun, false); }
void command_runner_open_served(CommandRunner *runner, const char *noun) { open_world(runner, noun, true); }

void command_runner_close(CommandRunner *runner)
{
    test_world_close(&runner->world);
    fd_close(&runner->out);
    fd_close(&runner->said);
}

static Str replaced(const CommandRunner *runner, Str word)
{
    Arena *arena = runner->world.arena;
    StrBuf buf = {.arena = arena};
    for (size_t i = 0; i < word.len; i++) {
        char c = word.data[i];
        strbuf_add(&buf, c == '$'   ? runner->slug
                         : c == '~' ? runner->file
                         : c == '%' ? runner->number
                         : c == '^' ? S("#")
                         : c == '#' ? test_value(runner->world.control, arena, "select max(id) from control.operations")
                                    : str_slice(word, i, i + 1));
    }
    return str_copy(arena, strbuf_str(&buf));
}

static int input_open(Str typed)
{
    int input = memfd_create("typed", MFD_CLOEXEC);
    ck_assert_int_eq(write(input, typed.data, typed.len), (ssize_t)typed.len);
    ck_assert_int_eq(lseek(input, 0, SEEK_SET), 0);
    return input;
}

static Str content_of(int file, Arena *arena)
{
    off_t size = lseek(file, 0, SEEK_END);
    char *bytes = arena_bytes(arena, (size_t)size + 1);
    ck_assert_int_eq(pread(file, bytes, (size_t)size, 0), size);
    return (Str){bytes, (size_t)size};
}

CommandResult command_runner_run(CommandRunner *runner, const char *line, Str typed, void (*before)(void),
                                 void (*after)(void))
{
    Arena *arena = runner->world.arena;
    char *words[WORDS_MAX] = {(char *)"shopctl"};
    int count = 1, kept[3], files[3] = {input_open(typed), runner->out, runner->said};
    Str rest = str_of(line);
    for (Str word = S(""); rest.len && str_cut(&rest, ' ', &word) && count < WORDS_MAX - 1;)
        words[count++] = (char *)replaced(runner, word).data;
    (void)fflush(NULL);
    clearerr(stdin);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            ck_assert_int_eq(ftruncate(files[i], 0), 0);
        ck_assert_int_eq(lseek(files[i], 0, SEEK_SET), 0);
        kept[i] = dup(i);
        ck_assert_int_eq(dup2(files[i], i), i);
    }
    if (before)
        before();
    int exit_code = command_main(NOUNS, count, words);
    if (after)
        after();
    (void)fflush(NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(dup2(kept[i], i), i);
        fd_close(&kept[i]);
    }
    fd_close(&files[0]);
    return (CommandResult){exit_code, content_of(runner->out, arena), content_of(runner->said, arena)};
}

// ---- a platform with a shop ----

void command_sql(Db *db, Str sql)
{
    Error err = {0};
    ck_assert_ok(db_script(db, sql, &err), &err);
}

void command_file(const CommandRunner *runner, const char *ending, Str content)
{
    Error err = {0};
    Str path = str_format(runner->world.arena, "%.*s%s", STR_ARG(runner->file), ending);
    ck_assert_ok(file_write(path, content, 0600, &err), &err);
}

static CommandResult run(CommandRunner *runner, const char *line)
{
    return command_runner_run(runner, line, S(""), NULL, NULL);
}

void command_check(CommandRunner *runner, const char *line)
{
    CommandResult result = run(runner, line);
    ck_assert_msg(result.exit_code == 0, "%s: %d: %.*s", line, result.exit_code, STR_ARG(result.said));
}

Str command_text_of(const CommandRunner *runner, const char *text)
{
    StrBuf buf = {.arena = runner->world.arena};
    for (; *text; text++)
        strbuf_add(&buf, *text == '$' ? runner->slug : (Str){text, 1});
    return strbuf_str(&buf);
}

Str command_number(const CommandRunner *runner)
{
    Str sql = command_text_of(runner, "select (control.tenant_of('$')).number");
    return test_value(runner->world.control, runner->world.arena, str_copy(runner->world.arena, sql).data);
}

static const char CATALOGUE[] =
    "Handle,Title,Body (HTML),Vendor,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,"
    "Variant Price,Image Src,Image Position\n"
    "taza,Taza,<p>De barro</p>,Acme,azul,TRUE,Size,S,T-S,10,19.00,https://a.example/s.jpg,1\n"
    "taza,,,,,,,L,T-L,4,25.00,,\n"
    "luz,L\xC3\xA1mpara,,Lumen,,TRUE,,,,7,45.00,./picture.gif,1\n";

// A shop with a catalogue and an order.
static void command_goods(CommandRunner *runner)
{
    static const char ORDER[] =
        "set search_path = t_%.*s, pg_temp; insert into carts (token) values (repeat('a', 22));"
        "insert into cart_lines (cart_id, variant_id, quantity) select max(c.id), min(v.id), 1 from carts c, variants "
        "v;"
        "select order_place_%.*s(repeat('a', 22), 'key', 'hash', 'ana@example.org', '{\"name\": \"Ana\"}', 'standard', "
        "'bank_transfer'); reset search_path";
    TestWorld *world = &runner->world;
    command_check(runner, "tenant create $ " SPEC " --domains $.example");
    command_check(runner, "product import $ ~.csv");
    command_sql(world->cell,
                str_format(world->arena, ORDER, STR_ARG(command_number(runner)), STR_ARG(command_number(runner))));
}

void command_shop_open(CommandRunner *runner, const char *noun)
{
    command_runner_open(runner, noun);
    runner->slug = S("bazar");
    runner->file = str_format(runner->world.arena, "%.*s/file", STR_ARG(runner->world.data));
    command_file(runner, ".csv", str_of(CATALOGUE));
    Error err = {0};
    Str picture = str_format(runner->world.arena, "%.*s/picture.gif", STR_ARG(runner->world.data));
    ck_assert_ok(file_write(picture, S("GIF89ax"), 0600, &err), &err);
    command_goods(runner);
}

enum { DIFFERS = 2 };    // an answer, too

Str command_ends(CommandRunner *runner, int exit_code, const char *line)
{
    CommandResult result = command_runner_run(runner, line, S(""), NULL, NULL);
    ck_assert_msg(result.exit_code == exit_code, "%s: %d: %.*s%.*s", line, result.exit_code,
                  STR_ARG(str_slice(result.out, 0, KIB)), STR_ARG(str_slice(result.said, 0, KIB)));
    return exit_code && exit_code != DIFFERS && result.said.len ? result.said : result.out;
}

Str command_member(const CommandRunner *runner, Str document, const char *path)
{
    Error err = {0};
    Json *json = NULL;
    ck_assert_ok(json_parse(document, &json, &err), &err);
    const Json *value = json;
    Str rest = str_of(path), key;
    while (str_cut(&rest, '.', &key))
        value = json_kind(value) == JSON_KIND_ARRAY ? json_element(value, (size_t)(key.data[0] - '0'))
                                                    : json_member(value, key);
    Str text = S("");
    ck_assert_ok(json_print(value, 0, runner->world.arena, &text, &err), &err);
    json_close(&json);
    return text;
}
