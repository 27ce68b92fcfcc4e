// cli/prompt.h: asks a person before something can't be undone.
#pragma once
#include "cli/command.h"

// Asks on the terminal to type `word` after the question ("this deletes the shop 'acme'"); --yes and --dry-run ask
// nothing. Fails with ERR_USAGE where there is no terminal (next: --yes) and ERR_FAILED where something else was typed.
MUST_CHECK bool prompt_word(const CommandCall *call, Str question, Str word, Error *err);
