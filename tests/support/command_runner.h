// tests/support/command_runner.h: shopctl's commands run inside of the test, so that what they stand on can be broken.
#pragma once
#include "tests/support/test_world.h"

typedef struct CommandRunner {
    TestWorld world;
    int out, said;             // files of the standard output and error
    Str slug, file, number;    // what $, ~ and % stand for in a line
    Str second_dsn;            // a test's own; empty
} CommandRunner;

typedef struct CommandResult {
    int exit_code;
    Str out, said;    // in world.arena
} CommandResult;

void command_runner_open(CommandRunner *runner, const char *noun);
void command_runner_open_served(CommandRunner *runner, const char *noun);    // with a shopd for the cell
void command_runner_close(CommandRunner *runner);
// Runs one line, cut at its blanks; # stands for the newest operation, ^ for #. `typed` is the standard input. `before`
// is called (NULL: not) when all is ready for the command, `after` when it has ended.
CommandResult command_runner_run(CommandRunner *runner, const char *line, Str typed, void (*before)(void),
                                 void (*after)(void));

#define SPEC "--plan free --email owner@bazar.example"

// A platform with the shop 'bazar', which has a catalogue (FILE.csv) and an order.
void command_shop_open(CommandRunner *runner, const char *noun);
// Runs a line that must end with this code, and gives what it printed; where it failed and said why, that.
Str command_ends(CommandRunner *runner, int exit_code, const char *line);
// A member of a JSON document by its path ("items.0.name"), printed as JSON; "null" where there is none.
Str command_member(const CommandRunner *runner, Str document, const char *path);
// Runs a line that must succeed.
void command_check(CommandRunner *runner, const char *line);
// Writes FILE with this ending.
void command_file(const CommandRunner *runner, const char *ending, Str content);
void command_sql(Db *db, Str sql);
// The text with the slug in place of $.
Str command_text_of(const CommandRunner *runner, const char *text);
// The number of the shop with the slug.
Str command_number(const CommandRunner *runner);
