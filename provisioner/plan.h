// provisioner/plan.h: what a shop gets and pays: plans/NAME.yaml, read, checked and described by one table of fields.
#pragma once
#include "base/faults.h"
#include "base/json.h"
#include "provisioner/unit.h"

typedef enum PlanTier { PLAN_TIER_SHARED, PLAN_TIER_CONTAINER, PLAN_TIER_SERVER } PlanTier;
typedef enum PlanPeriod { PLAN_PERIOD_MONTH, PLAN_PERIOD_YEAR } PlanPeriod;
typedef enum PlanCustomisation { PLAN_COLOURS, PLAN_THEME, PLAN_TEMPLATES } PlanCustomisation;
typedef enum PlanChannel { PLAN_CHANNEL_COMMUNITY, PLAN_CHANNEL_EMAIL, PLAN_CHANNEL_PHONE } PlanChannel;

// A value; its texts live in the arena of whoever made it. In limits, 0 means none.
typedef struct Plan {
    Str name;
    int64_t version;    // raised with every change: a tenant keeps the version that it bought
    Str title;
    Str description;
    int64_t tier;    // PlanTier; the kinds below are whole numbers so that one table of fields reads them all
    int64_t price_minor;
    Str price_currency;      // ISO 4217
    int64_t price_period;    // PlanPeriod
    int64_t products_max;
    int64_t requests_per_second;
    int64_t requests_burst;    // 0: requests_per_second
    int64_t storage_bytes;
    int64_t staff_max;
    int64_t customisation;    // PlanCustomisation
    int64_t domains_max;
    int64_t postgres_millicpu;    // resources: 0 in tier shared
    int64_t postgres_memory_bytes;
    int64_t postgres_disk_bytes;
    int64_t shopd_millicpu;
    int64_t shopd_memory_bytes;
    bool is_exclusive;    // a host that no other tenant is placed on
    int64_t availability_millipercent;
    int64_t recovery_time_s;
    int64_t recovery_point_s;
    int64_t backup_interval_s;
    int64_t backup_retention_s;
    int64_t support_channel;    // PlanChannel
    int64_t support_response_s;
    int64_t delete_retention_s;    // how long a deleted tenant's dump is kept
} Plan;

enum { PLAN_BYTES_MAX = 64 * KIB };

// Reads and checks a plan. What is wrong with the document goes to `faults` (its place, the key, what was expected, the
// nearest known key), all of it; *out is written when there are none. `name` is the file's name without folder and
// .yaml, which the plan's own must equal; the empty text for any. Fails with ERR_NO_MEMORY alone.
MUST_CHECK bool plan_parse(Str text, Str name, Arena *arena, Faults *faults, Plan *out, Error *err);

// Reads the file at `path` ("-" is the standard input), faults as above.
MUST_CHECK bool plan_read(Str path, Arena *arena, Faults *faults, Plan *out, Error *err);

// The plans that there are: those of `directory` (NAME.yaml), and, where it is empty, those that are part of the
// program.
typedef struct Plans {
    const Plan *rows;    // by tier, then by price, then by name
    size_t count;
} Plans;

// Reads all plans. Fails with ERR_INVALID on the first file with a fault (where = FILE:LINE:COLUMN).
MUST_CHECK bool plans_read(Str directory, Arena *arena, Plans *out, Error *err);

// The plan with this name, or NULL.
const Plan *plans_find(const Plans *plans, Str name);
// The same, which must be there. Fails with ERR_NOT_FOUND, naming the nearest one.
MUST_CHECK bool plans_get(const Plans *plans, Str name, const Plan **out, Error *err);

const char *plan_tier_name(int64_t tier);    // "shared", as in files and in the control database

// A plan as JSON, with the keys of its file; amounts are whole numbers in base units (bytes, seconds, thousandths). The
// caller closes *out.
MUST_CHECK bool plan_to_json(const Plan *plan, Json **out, Error *err);
// {"name","checksum","document"}: how the control database keeps a plan; the caller closes *out.
MUST_CHECK bool plan_record_json(const Plan *plan, Json **out, Error *err);
// The reverse, for what the control database keeps: keys that this version doesn't know are passed over, missing ones
// have their defaults. Fails with ERR_INVALID on a wrong type.
MUST_CHECK bool plan_from_json(const Json *json, Arena *arena, Plan *out, Error *err);

// 16 hexadecimal digits that follow from the plan's content: two plans with the same one are the same. Not for
// security.
enum { PLAN_CHECKSUM_TEXT = 17 };
Str plan_checksum(const Plan *plan, char text[PLAN_CHECKSUM_TEXT]);

// The table of fields, for man pages and tests: in the order of the file, ending with a row whose key is NULL.
typedef enum PlanFieldType { PLAN_TEXT, PLAN_INT, PLAN_BOOL, PLAN_CHOICE } PlanFieldType;
typedef enum PlanNeed { PLAN_OPTIONAL, PLAN_REQUIRED, PLAN_DEDICATED } PlanNeed;    // the last: not in tier shared
typedef struct PlanField {
    const char *key;    // with its section: "limits.products"
    PlanFieldType type;
    UnitKind unit;    // of PLAN_INT
    PlanNeed need;
    const char *const *choices;    // of PLAN_CHOICE, ending in NULL
    int64_t min, max;              // of PLAN_INT in base units, of PLAN_TEXT in bytes
    const char *initial;           // the default as it would be written; NULL where the field is required
    const char *example;           // as it would be written
    const char *help;
    const char *enforcer;    // who sees to it
    size_t offset;           // in Plan
} PlanField;
extern const PlanField PLAN_FIELDS[];
