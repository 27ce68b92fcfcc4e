// cli/commands.c: every command of shopctl; adding a noun is a line in cli/commands.def.
#include "cli/command.h"

#define NOUN(table, name, summary) extern const Command table##_COMMANDS[];
#include "cli/commands.def"
#undef NOUN

const Noun NOUNS[] = {
#define NOUN(table, name, summary) {name, summary, table##_COMMANDS},
#include "cli/commands.def"
#undef NOUN
    {0},
};
