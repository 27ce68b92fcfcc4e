// cli/prompt.h: asks a person: before something can't be undone, and for secrets.
#pragma once
#include "cli/command.h"

// Asks on stderr to type `word` after the question ("this deletes the shop 'acme'"); --yes and --dry-run ask nothing.
// Fails with ERR_USAGE where the standard input has ended (next: --yes) and ERR_FAILED where something else was typed.
MUST_CHECK bool prompt_word(const CommandCall *call, Str question, Str word, Error *err);

// Asks on the terminal for a text that isn't shown, and writes it to `out`, ending in NUL. Fails with ERR_FORBIDDEN
// where there is no terminal.
MUST_CHECK bool prompt_secret(const char *question, char *out, size_t size, Error *err);
