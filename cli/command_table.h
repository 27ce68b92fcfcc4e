// cli/command_table.h: walks over the command table, for the frame itself: parsing, help, completion, man pages.
#pragma once
#include "cli/command.h"

typedef enum OptionGroup {
    OPTION_GROUP_OWN,
    OPTION_GROUP_CHANGE,      // --dry-run, --yes
    OPTION_GROUP_ANSWER,      // -o
    OPTION_GROUP_SETTINGS,    // --config, --data, --setting
    OPTION_GROUP_COMMON,      // --help ...
    OPTION_GROUP_COUNT
} OptionGroup;

// for (OptionIter it = option_iter(command); option_next(&it);) use it.option, it.group. Without a command (NULL):
// those that may stand before it.
typedef struct OptionIter {
    const Command *command;
    const Option *option;
    OptionGroup group;
} OptionIter;
OptionIter option_iter(const Command *command);
bool option_next(OptionIter *it);

const Noun *noun_find(const Noun *nouns, Str name);      // NULL where there is none
const Command *verb_find(const Noun *noun, Str verb);    // NULL where there is none
static inline bool noun_is_verbless(const Noun *noun) { return !noun->commands[0].verb; }
bool noun_is_hidden(const Noun *noun);    // every command of it is

// What each exit code means, ending with a row whose meaning is NULL.
typedef struct ExitRow {
    int code;
    const char *meaning;
} ExitRow;
extern const ExitRow EXIT_ROWS[];

// "-o, --output FORMAT": how an option is written in help.
Str option_usage(const Option *option, Arena *arena);
// "[SLUG] FILE...": how a command's arguments are written.
Str arguments_usage(const Command *command, Arena *arena);
// "shopctl tenant create"
Str command_path(const Noun *noun, const Command *command, Arena *arena);

// Help as text: of shopctl (noun NULL), of a noun (command NULL), of a command.
Str help_text(const Noun *nouns, const Noun *noun, const Command *command, Arena *arena);

// Prints an error, as text or as one line of JSON.
void error_print(const Error *err, const CommandCall *call, bool is_json, FILE *file);
