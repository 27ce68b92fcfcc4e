// cli/answer.c: answers that a person reads as a text of their own.
#include "cli/answer.h"

#include "base/arena.h"

void answer_warned(void *context, const char *text) { command_note(context, "warning: %s", text); }

bool answer_say(const CommandCall *call, const Json *answer, Str text, Error *err)
{
    return call->format == OUTPUT_TABLE ? command_print(call, text, err) : command_answer(call, answer, err);
}

bool answer_text(const CommandCall *call, const char *name_key, Str name, const char *text_key, Str text, Error *err)
{
    if (call->format == OUTPUT_TABLE)
        return command_print(call, text, err);
    CLEANUP(json_close) Json *answer = json_build("{}");
    return json_set(answer, name_key, json_from_str(name), err) &&
           json_set(answer, text_key, json_from_str(text), err) && command_answer(call, answer, err);
}

bool answer_operation(const CommandCall *call, const Json *answer, Error *err)
{
    const Json *back = json_get(answer, "would_revert");
    Str steps = output_value(back ? back : json_get(answer, "would_do"), call->arena);
    Str text = str_format(call->arena, "would %s operation %lld (%.*s of %.*s): %.*s\n", back ? "revert" : "go on with",
                          (long long)json_int64(json_get(answer, "id")), STR_ARG(json_str(json_get(answer, "kind"))),
                          STR_ARG(json_str(json_get(answer, "tenant"))),
                          STR_ARG(steps.len ? steps : S("only its record is to be ended")));
    return arena_ok(call->arena, err) && answer_say(call, answer, text, err);
}

bool answer_changes(const CommandCall *call, const Json *answer, Error *err)
{
    const Json *changes = json_get(answer, "changes");
    if (call->format == OUTPUT_JSON || call->format == OUTPUT_YAML)
        return command_answer(call, answer, err);
    StrBuf lines = {.arena = call->arena};
    for (size_t i = 0; i < json_count(changes); i++) {
        const Json *change = json_element(changes, i);
        Str from = output_value(json_get(change, "from"), call->arena);
        Str to = output_value(json_get(change, "to"), call->arena);
        strbuf_format(&lines, "%.*s: %.*s -> %.*s\n", STR_ARG(json_str(json_get(change, "key"))),
                      STR_ARG(from.len ? from : S("(none)")), STR_ARG(to.len ? to : S("(none)")));
    }
    return arena_ok(call->arena, err) &&
           command_print(call, lines.len ? strbuf_str(&lines) : S("nothing would change\n"), err);
}

bool answer_preview(const CommandCall *call, const Json *answer, Error *err)
{
    if (json_get(answer, "would_do") || json_get(answer, "would_revert"))
        return answer_operation(call, answer, err);
    return json_get(answer, "changes") ? answer_changes(call, answer, err) : command_answer(call, answer, err);
}
