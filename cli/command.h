// cli/command.h: the frame of shopctl's commands: a row each, from which parsing, help, completion and man pages
// follow.
#pragma once
#include "cli/output.h"
#include "provisioner/setting.h"

typedef enum OptionType {
    OPTION_FLAG,    // no value
    OPTION_TEXT,
    OPTION_INT,       // a whole number in [min, max]
    OPTION_CHOICE,    // one of `choices`
    OPTION_PAIR,      // KEY=VALUE
} OptionType;

typedef struct Option {
    const char *name;    // without --
    char letter;         // -f; 0: none
    OptionType type;
    bool is_required;
    bool is_repeated;              // may be given several times
    const char *value;             // what the value is called in help; FILE and DIR are completed as such
    const char *const *choices;    // of OPTION_CHOICE, ending in NULL
    int64_t min, max;              // of OPTION_INT; both 0: from 0
    const char *initial;           // the default as text; NULL: none
    const char *setting;           // the row of SETTING_ROWS that it sets for this run; NULL: none
    const char *names;             // the command whose -o name completes it: "plan list"; NULL: none
    const char *help;
} Option;

typedef struct Argument {
    const char *name;    // in capitals: "SLUG"
    bool is_required;
    bool is_repeated;       // the last one alone
    bool is_file;           // completed as a file's name
    const char *names;      // the command whose -o name completes it: "tenant list"; NULL: none
    const char *choices;    // the words that it may be, with blanks between; NULL: any
    const char *help;
} Argument;

typedef struct Example {
    const char *command;    // "shopctl tenant list -o json"
    const char *meaning;    // what it does, a sentence
} Example;

typedef struct Noun Noun;
typedef struct Command Command;
typedef struct CommandCall CommandCall;

// Does the work and answers by command_answer or command_print. False: the frame prints `err` and ends with its exit
// code.
typedef bool CommandRun(CommandCall *call, Error *err);

// A row. The arrays end with {0}; NULL is an empty one. A file's rows are NOUN_COMMANDS[], ending with {0}, named in
// cli/commands.def.
struct Command {
    const char *verb;           // NULL: the noun alone is the command (up, status)
    const char *summary;        // a line, small first letter, no full stop
    const char *description;    // sentences; paragraphs are separated by an empty line; NULL: the summary says all
    const Argument *arguments;
    const Option *options;
    const Example *examples;    // at least one
    const OutputKey *keys;      // of the answer; NULL: it prints text of its own and takes no -o
    bool is_list;               // the answer is {"items": [...], "total": N}
    bool changes;               // gets --dry-run and --yes
    bool is_standalone;         // reads no settings: call->settings is NULL, --config and --data mean nothing
    bool is_hidden;             // for our own use: not in help, completion and man pages
    CommandRun *run;
};

struct Noun {
    const char *name;
    const char *summary;
    const Command *commands;
};
extern const Noun NOUNS[];    // from cli/commands.def, ending with {0}

// One call, read by the frame. Members are for reading, but for exit_code.
struct CommandCall {
    const Noun *nouns;
    const Noun *noun;
    const Command *command;
    Arena *arena;    // of the whole command
    const Settings *settings;
    OutputFormat format;
    bool is_dry_run;
    bool is_yes;
    bool is_quiet;                       // no progress, no notes
    bool is_verbose;                     // causes of errors
    bool is_help;                        // --help: the frame prints it and runs nothing; noun and command may be NULL
    int exit_code;                       // of success; a command may set COMMAND_DIFFERS
    const struct CommandInput *input;    // what was given; for the accessors
};

enum { COMMAND_DIFFERS = 2 };    // differences or problems were found

// What was given. Options by their name, which must be in the row; arguments by their position.
size_t command_argument_count(const CommandCall *call);
Str command_argument(const CommandCall *call, size_t i);          // the empty text where it wasn't given
bool command_has(const CommandCall *call, const char *option);    // given on the command line
size_t command_count(const CommandCall *call, const char *option);
bool command_flag(const CommandCall *call, const char *option);
Str command_text(const CommandCall *call, const char *option);    // the last one given, the default, or the empty text
int64_t command_int(const CommandCall *call, const char *option);              // the same; 0 where there is neither
Str command_text_at(const CommandCall *call, const char *option, size_t i);    // i < command_count
// The i-th KEY=VALUE, cut at its first '='.
void command_pair_at(const CommandCall *call, const char *option, size_t i, Str *out_key, Str *out_value);

// Prints the answer by the call's format and the command's keys.
MUST_CHECK bool command_answer(const CommandCall *call, const Json *answer, Error *err);
// Prints text as it is.
MUST_CHECK bool command_print(const CommandCall *call, Str text, Error *err);
// A note for a person on stderr ("acme is created"), unless --quiet.
void command_note(const CommandCall *call, const char *format, ...) PRINTF(2, 3);

// Reads the words after the program's name into *out, which lives in `arena`. Fails with ERR_USAGE, naming the nearest
// noun, verb, option or choice. Settings are read unless the command is standalone; `environment` as `environ`.
MUST_CHECK bool command_parse(const Noun *nouns, const char *const *words, const char *const *environment, Arena *arena,
                              CommandCall **out, Error *err);

// All of main: parses, runs, prints the error, gives the exit code.
int command_main(const Noun *nouns, int argc, char **argv);
