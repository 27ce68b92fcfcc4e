// provisioner/plan_field.h: where a field's value lies in a Plan; for those who read and write plans field by field.
#pragma once
#include "provisioner/plan.h"

enum { PLAN_FIELDS_MAX = 64 };    // rows of PLAN_FIELDS at most

// The member that the field is about; each for its own types (a choice is an integer, as PLAN_INT).
int64_t *plan_field_int(const PlanField *field, Plan *plan);
Str *plan_field_str(const PlanField *field, Plan *plan);
bool *plan_field_bool(const PlanField *field, Plan *plan);

int64_t plan_choice_index(const char *const *choices, Str text);    // -1 where it isn't one of them
// Sets a field that has a default to it.
void plan_field_initial(const PlanField *field, Plan *plan);
const char *plan_field_expected(const PlanField *field);    // "a text", "an amount" ...: for messages
