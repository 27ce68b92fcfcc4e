// cli/plan.c: `shopctl plan`: the plans that there are, and whether a file is one.
#include "provisioner/plan.h"

#include "base/arena.h"
#include "base/file.h"
#include "cli/command.h"

#define KEY_TYPE_TEXT "text"
#define KEY_TYPE_INT "integer"
#define KEY_TYPE_BOOL "bool"
#define KEY_TYPE_CHOICE "text"

static const OutputKey PLAN_KEYS[] = {
#define PLAN_FIELD(key_, member, type_, unit_, need, choices, min, max, initial, example, heading_, help_, who)        \
    {.key = (key_),                                                                                                    \
     .type = KEY_TYPE_##type_,                                                                                         \
     .unit = UNIT_##unit_,                                                                                             \
     .help = (help_),                                                                                                  \
     .heading = (heading_),                                                                                            \
     .is_right = sizeof(KEY_TYPE_##type_) == sizeof("integer")},
#include "provisioner/plan_field.def"
#undef PLAN_FIELD
    {.key = "price", .type = "money", .help = "The price as a whole.", .heading = "PRICE", .is_right = true},
    {.key = "checksum", .type = "text", .help = "Follows from the plan's content: same content, same checksum."},
    {0},
};

static Json *plan_answer(const Plan *plan, Error *err)
{
    CLEANUP(json_close) Json *json = NULL;
    char checksum[PLAN_CHECKSUM_TEXT];
    if (!plan_to_json(plan, &json, err))
        return NULL;
    if (!json_set(json, "checksum", json_from_str(plan_checksum(plan, checksum)), err))
        return NULL;
    return TAKE(json);
}

static bool list_run(CommandCall *call, Error *err)
{
    Plans plans = {0};
    if (!plans_read(setting_text(call->settings, "plans"), call->arena, &plans, err))
        return false;
    CLEANUP(json_close) Json *items = json_build("[]");
    for (size_t i = 0; i < plans.count; i++) {
        Json *plan = plan_answer(&plans.rows[i], err);
        if (!plan)
            return false;
        if (!json_append(items, plan))
            return json_ok(NULL, err);
    }
    CLEANUP(json_close) Json *answer = json_build("{s:O, s:I}", "items", items, "total", (json_int)plans.count);
    return json_ok(answer, err) && command_answer(call, answer, err);
}

static bool show_run(CommandCall *call, Error *err)
{
    Plans plans = {0};
    const Plan *plan = NULL;
    if (!plans_read(setting_text(call->settings, "plans"), call->arena, &plans, err) ||
        !plans_get(&plans, command_argument(call, 0), &plan, err))
        return false;
    CLEANUP(json_close) Json *answer = plan_answer(plan, err);
    return answer && command_answer(call, answer, err);
}

// ---- validate ----

static const OutputKey VALIDATE_KEYS[] = {
    {.key = "files", .type = "integer", .help = "Files that were read."},
    {.key = "valid", .type = "bool", .help = "Whether all of them are plans."},
    {.key = "errors", .type = "list", .help = "What is wrong, in the order of files and lines."},
    {.key = "errors[].file", .type = "text", .help = "The file."},
    {.key = "errors[].line", .type = "integer", .help = "The line, from 1; 0 where the file can't be read."},
    {.key = "errors[].column", .type = "integer", .help = "The character in the line, from 1."},
    {.key = "errors[].key", .type = "text", .help = "The plan's key, with its section."},
    {.key = "errors[].value", .type = "text", .help = "What stands there."},
    {.key = "errors[].reason", .type = "text", .help = "Why it is refused."},
    {.key = "errors[].next", .type = "text", .help = "What to write instead."},
    {0},
};

static bool faults_append(Json *errors, Str file, const Faults *faults, Error *err)
{
    for (const Fault *fault = faults->first; fault; fault = fault->next_fault) {
        Json *row = json_build("{s:s%, s:i, s:i, s:s%, s:s%, s:s%, s:s%}", "file", file.data, file.len, "line",
                               (int)fault->line, "column", (int)fault->column, "key", fault->where.data,
                               fault->where.len, "value", fault->what.data, fault->what.len, "reason", fault->why.data,
                               fault->why.len, "next", fault->next.data, fault->next.len);
        if (!json_append(errors, row))
            return json_ok(NULL, err);
    }
    return true;
}

// FILE:LINE:COLUMN: KEY 'VALUE': WHY; NEXT
static bool faults_print(const CommandCall *call, Str file, const Faults *faults, Error *err)
{
    StrBuf buf = {.arena = call->arena};
    for (const Fault *fault = faults->first; fault; fault = fault->next_fault) {
        strbuf_add(&buf, file);
        if (fault->line)
            strbuf_format(&buf, ":%u:%u", fault->line, fault->column);
        strbuf_add(&buf, S(": "));
        if (fault->where.len)
            strbuf_format(&buf, "%.*s: ", STR_ARG(fault->where));
        if (fault->what.len && !str_eq(fault->what, fault->where))
            strbuf_format(&buf, "'%.*s': ", STR_ARG(str_visible(call->arena, fault->what)));
        strbuf_format(&buf, "%.*s", STR_ARG(fault->why));
        if (fault->next.len)
            strbuf_format(&buf, "; %.*s", STR_ARG(fault->next));
        strbuf_add_char(&buf, '\n');
    }
    if (faults->count == 0)
        strbuf_format(&buf, "%.*s: ok\n", STR_ARG(file));
    return arena_ok(call->arena, err) && command_print(call, strbuf_str(&buf), err);
}

// Checks one file. *out_refused is what the command fails with on its account, also that it can't be read: that is a
// fault without a place, and the other files are checked all the same.
static bool file_check(const CommandCall *call, Str file, Faults *faults, Error *out_refused, Error *err)
{
    Plan plan = {0};
    Str text = S("");
    if (!file_read(file, PLAN_BYTES_MAX, call->arena, &text, out_refused)) {
        if (out_refused->code == ERR_NO_MEMORY) {
            *err = *out_refused;
            return false;
        }
        faults_add(faults, &(Fault){.why = str_of(out_refused->why[0] ? out_refused->why : out_refused->what),
                                    .next = str_of(out_refused->next)});
        return true;
    }
    // A draft may have any name: that both are the same is a rule of the folder that plans are loaded from.
    return plan_parse(text, S(""), call->arena, faults, &plan, err) &&
           (faults_none(faults, file, out_refused) || out_refused->code != ERR_NONE);
}

static bool validate_run(CommandCall *call, Error *err)
{
    CLEANUP(json_close) Json *errors = json_build("[]");
    size_t file_count = command_argument_count(call), refused_count = 0;
    Error first = {0};
    for (size_t i = 0; i < file_count; i++) {
        Str file = command_argument(call, i);
        Faults faults = {.arena = call->arena};
        Error refused = {0};
        if (!file_check(call, file, &faults, &refused, err))
            return false;
        refused_count += refused.code != ERR_NONE;
        if (first.code == ERR_NONE)
            first = refused;
        if (call->format == OUTPUT_TABLE ? !faults_print(call, file, &faults, err)
                                         : !faults_append(errors, file, &faults, err))
            return false;
    }
    if (call->format != OUTPUT_TABLE) {
        CLEANUP(json_close)
        Json *answer =
            json_build("{s:I, s:b, s:O}", "files", (json_int)file_count, "valid", refused_count == 0, "errors", errors);
        if (!json_ok(answer, err) || !command_answer(call, answer, err))
            return false;
    }
    *err = first;
    return refused_count == 0;
}

static const Argument NAME_ARGUMENTS[] = {
    {.name = "NAME", .is_required = true, .names = "plan list", .help = "The plan's name."}, {0}};
static const Argument FILE_ARGUMENTS[] = {{.name = "FILE",
                                           .is_required = true,
                                           .is_repeated = true,
                                           .is_file = true,
                                           .help = "A plan's file, NAME.yaml; - is the standard input."},
                                          {0}};

const Command PLAN_COMMANDS[] = {
    {.verb = "list",
     .summary = "lists the plans",
     .examples = (const Example[]){{"shopctl plan list", "Lists the plans, the smallest first."},
                                   {"shopctl plan list -o name", "Prints their names alone, for scripts."},
                                   {0}},
     .keys = PLAN_KEYS,
     .is_list = true,
     .run = list_run},
    {.verb = "show",
     .summary = "shows a plan",
     .arguments = NAME_ARGUMENTS,
     .examples = (const Example[]){{"shopctl plan show premium", "Shows everything about the plan 'premium'."},
                                   {"shopctl plan show premium -o yaml", "Prints it as YAML, with plain numbers."},
                                   {0}},
     .keys = PLAN_KEYS,
     .run = show_run},
    {.verb = "validate",
     .summary = "checks files of plans",
     .description = "Reads each file as a plan and says all that is wrong with it: file, line, column, key, what was "
                    "expected and the nearest known key. It needs no platform. The keys are described in plan(5).",
     .arguments = FILE_ARGUMENTS,
     .examples = (const Example[]){{"shopctl plan validate plans/*.yaml", "Checks every plan of a folder."}, {0}},
     .keys = VALIDATE_KEYS,
     .is_standalone = true,
     .run = validate_run},
    {0},
};
