// cli/answer.h: answers that a person reads as a text of their own.
#pragma once
#include "cli/command.h"
#include "provisioner/platform.h"

// Notes what an operator should know; its context is the CommandCall.
PlatformWarned answer_warned;

// For a person the text, a line or two; for scripts the answer.
MUST_CHECK bool answer_say(const CommandCall *call, const Json *answer, Str text, Error *err);

// A text that is printed as it is; with -o json or yaml, {name_key: name, text_key: text}, which has UTF-8 alone.
MUST_CHECK bool answer_text(const CommandCall *call, const char *name_key, Str name, const char *text_key, Str text,
                            Error *err);

// What --dry-run says by the preview of an operation: {"id", "kind", "tenant", "would_do"|"would_revert": [...]}.
// For a person: would go on with operation 17 (create of acme): register, smoke, activate
MUST_CHECK bool answer_operation(const CommandCall *call, const Json *answer, Error *err);

// What --dry-run says by {"changes": [{"key", "from", "to"}, ...]}: for a person KEY: OLD -> NEW, a line each.
MUST_CHECK bool answer_changes(const CommandCall *call, const Json *answer, Error *err);

// Whichever of these a preview is, else the answer as it is.
MUST_CHECK bool answer_preview(const CommandCall *call, const Json *answer, Error *err);
