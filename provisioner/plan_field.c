// provisioner/plan_field.c: the table of a plan's fields, and their places in a Plan.
#include "provisioner/plan_field.h"

static const char *const PLAN_TIERS[] = {"shared", "container", "server", NULL};
static const char *const PLAN_PERIODS[] = {"month", "year", NULL};
static const char *const PLAN_CUSTOMISATIONS[] = {"colours", "theme", "templates", NULL};
static const char *const PLAN_CHANNELS[] = {"community", "email", "phone", NULL};

const PlanField PLAN_FIELDS[] = {
#define PLAN_FIELD(key_, member, type_, unit_, need_, choices_, min_, max_, initial_, example_, heading, help_, who)   \
    {.key = (key_),                                                                                                    \
     .type = PLAN_##type_,                                                                                             \
     .unit = UNIT_##unit_,                                                                                             \
     .need = PLAN_##need_,                                                                                             \
     .choices = (choices_),                                                                                            \
     .min = (min_),                                                                                                    \
     .max = (max_),                                                                                                    \
     .initial = (initial_),                                                                                            \
     .example = (example_),                                                                                            \
     .help = (help_),                                                                                                  \
     .enforcer = (who),                                                                                                \
     .offset = offsetof(Plan, member)},
#include "provisioner/plan_field.def"
#undef PLAN_FIELD
    {0},
};

int64_t *plan_field_int(const PlanField *field, Plan *plan) { return (int64_t *)((char *)plan + field->offset); }
Str *plan_field_str(const PlanField *field, Plan *plan) { return (Str *)((char *)plan + field->offset); }
bool *plan_field_bool(const PlanField *field, Plan *plan) { return (bool *)((char *)plan + field->offset); }

int64_t plan_choice_index(const char *const *choices, Str text)
{
    for (int64_t i = 0; choices[i]; i++)
        if (str_eq(str_of(choices[i]), text))
            return i;
    return -1;
}

void plan_field_initial(const PlanField *field, Plan *plan)
{
    Error impossible = {0};
    Str text = str_of(field->initial);
    switch (field->type) {
    case PLAN_TEXT: *plan_field_str(field, plan) = text; return;
    case PLAN_INT: {
        bool is_read = unit_parse(field->unit, text, plan_field_int(field, plan), &impossible);
        assert(is_read);
        return;
    }
    case PLAN_BOOL: *plan_field_bool(field, plan) = str_eq(text, S("true")); return;
    case PLAN_CHOICE: *plan_field_int(field, plan) = plan_choice_index(field->choices, text); return;
    }
}

const char *plan_tier_name(int64_t tier)
{
    assert(tier >= PLAN_TIER_SHARED && tier <= PLAN_TIER_SERVER);
    return PLAN_TIERS[tier];
}

const char *plan_field_expected(const PlanField *field)
{
    static const char *const EXPECTED[] = {
        [PLAN_TEXT] = "a text", [PLAN_INT] = "an amount", [PLAN_BOOL] = "true or false", [PLAN_CHOICE] = "a word"};
    return EXPECTED[field->type];
}
