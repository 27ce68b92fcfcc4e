// provisioner/setting.h: what an operator may set, in one table: command line, environment, file, default.
#pragma once
#include "base/error.h"
#include "base/str.h"
#include "provisioner/unit.h"

typedef enum SettingType { SETTING_TEXT, SETTING_INT, SETTING_BOOL, SETTING_CHOICE } SettingType;

typedef struct SettingRow {
    const char *name;    // as in the file; SHOPCTL_NAME in the environment
    SettingType type;
    UnitKind unit;                 // of SETTING_INT
    const char *const *choices;    // of SETTING_CHOICE, ending in NULL
    int64_t min, max;              // of SETTING_INT, in base units
    const char *initial;           // the default, as it would be written
    const char *help;
} SettingRow;

extern const SettingRow SETTING_ROWS[];    // ends with a row whose name is NULL

// The values of one run; lives in the arena of settings_gather.
typedef struct Settings Settings;

// One that comes from the command line; it wins over all else.
typedef struct SettingGiven {
    Str name;
    Str value;
    Str option;    // how it was given, for messages: "--data"
} SettingGiven;

typedef struct SettingSources {
    const SettingGiven *given;
    size_t given_count;
    const char *const *environment;    // as `environ`; NULL: none. SHOPCTL_CONFIG names the file
    Str config;    // the file's path; empty: SHOPCTL_CONFIG's, else /etc/shopctl/config.yaml where it is there
} SettingSources;

// Reads every setting from the first source that has it. Fails with ERR_NOT_FOUND where a named file is missing,
// ERR_INVALID where a value is refused (where = FILE:LINE:COLUMN, the variable or the option) or a key is unknown (the
// nearest is named), and ERR_USAGE for an unknown name on the command line.
MUST_CHECK bool settings_gather(const SettingSources *sources, Arena *arena, const Settings **out, Error *err);

// A setting's value by its name, which must be in the table and of this type; as long as the settings live.
Str setting_text(const Settings *settings, const char *name);        // of text or choice
int64_t setting_int(const Settings *settings, const char *name);     // in base units
bool setting_is_true(const Settings *settings, const char *name);    // of bool
Str setting_source(const Settings *settings, const char *name);      // "default", "--data", "SHOPCTL_DATA", "FILE:LINE"
Str settings_config(const Settings *settings);                       // the path of the file that was read, or empty
