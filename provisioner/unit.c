// provisioner/unit.c: amounts with units.
#include "provisioner/unit.h"

#include "base/arena.h"

typedef struct UnitRow {
    UnitKind kind;
    const char *suffix;
    int64_t factor;
    const char *meant;    // for a suffix that is refused: the right one
} UnitRow;

// The largest first, for unit_text.
static const UnitRow UNIT_ROWS[] = {
    {UNIT_BYTES, "TiB", (int64_t)MIB *MIB, NULL},
    {UNIT_BYTES, "GiB", (int64_t)KIB *MIB, NULL},
    {UNIT_BYTES, "MiB", MIB, NULL},
    {UNIT_BYTES, "KiB", KIB, NULL},
    {UNIT_BYTES, "B", 1, NULL},
    {UNIT_SECONDS, "d", 86400, NULL},
    {UNIT_SECONDS, "h", 3600, NULL},
    {UNIT_SECONDS, "min", 60, NULL},
    {UNIT_SECONDS, "s", 1, NULL},
    {UNIT_SECONDS, "w", INT64_C(7) * 86400, NULL},    // read, never written: 28d reads better than 4w
    {UNIT_MILLICPU, "", 1000, NULL},
    {UNIT_MILLICPU, "m", 1, NULL},
    {UNIT_MILLIPERCENT, "%", 1000, NULL},
    {UNIT_BYTES, "TB", 0, "TiB"},
    {UNIT_BYTES, "GB", 0, "GiB"},
    {UNIT_BYTES, "MB", 0, "MiB"},
    {UNIT_BYTES, "kB", 0, "KiB"},
    {UNIT_BYTES, "KB", 0, "KiB"},
    {UNIT_BYTES, "T", 0, "TiB"},
    {UNIT_BYTES, "G", 0, "GiB"},
    {UNIT_BYTES, "M", 0, "MiB"},
    {UNIT_BYTES, "K", 0, "KiB"},
    {UNIT_BYTES, "Ti", 0, "TiB"},
    {UNIT_BYTES, "Gi", 0, "GiB"},
    {UNIT_BYTES, "Mi", 0, "MiB"},
    {UNIT_BYTES, "Ki", 0, "KiB"},
    {UNIT_SECONDS, "m", 0, "min"},
    {UNIT_SECONDS, "sec", 0, "s"},
    {UNIT_SECONDS, "day", 0, "d"},
    {UNIT_SECONDS, "days", 0, "d"},
    {UNIT_SECONDS, "hours", 0, "h"},
};

static const struct {
    const char *name;
    const char *example;
    const char *known;
} KIND_ROWS[UNIT_COUNT] = {
    [UNIT_NONE] = {"", "10", "no unit"},
    [UNIT_BYTES] = {"bytes", "512MiB", "B, KiB, MiB, GiB or TiB"},
    [UNIT_SECONDS] = {"seconds", "30d", "s, min, h, d or w"},
    [UNIT_MILLICPU] = {"thousandths of a core", "250m", "m, or none for whole cores"},
    [UNIT_MILLIPERCENT] = {"thousandths of a per cent", "99.9%", "%"},
};

const char *unit_name(UnitKind kind) { return KIND_ROWS[kind].name; }
const char *unit_example(UnitKind kind) { return KIND_ROWS[kind].example; }

static bool refuse(UnitKind kind, Str text, const char *why, Error *err)
{
    error_set(err, ERR_INVALID, "the amount '%.*s' is refused", STR_ARG(text));
    error_why(err, "%s", why);
    return error_next(err, "write it as in '%s'", unit_example(kind));
}

static const UnitRow *unit_find(UnitKind kind, Str suffix)
{
    for (size_t i = 0; i < COUNT(UNIT_ROWS); i++)
        if (UNIT_ROWS[i].kind == kind && str_eq(str_of(UNIT_ROWS[i].suffix), suffix))
            return &UNIT_ROWS[i];
    return NULL;
}

// Where the number ends: digits with at most one point that has digits on both sides.
static size_t number_end(Str text, size_t *point)
{
    size_t end = 0;
    *point = text.len;
    for (; end < text.len; end++) {
        char c = text.data[end];
        if (c == '.' && *point == text.len && end > 0)
            *point = end;
        else if (c < '0' || c > '9')
            break;
    }
    return *point + 1 == end ? *point : end;
}

// digits * factor, exactly; false when the result isn't whole or too large.
static bool amount_value(Str whole, Str fraction, int64_t factor, int64_t *out)
{
    Error unused = {0};
    int64_t value = 0, part = 0, scale = 1;
    if (!str_int64(whole, 0, INT64_MAX, &value, &unused) || __builtin_mul_overflow(value, factor, &value))
        return false;
    if (fraction.len > 9 || (fraction.len > 0 && !str_int64(fraction, 0, INT64_MAX, &part, &unused)))
        return false;
    for (size_t i = 0; i < fraction.len; i++)
        scale *= 10;
    if (__builtin_mul_overflow(part, factor, &part) || part % scale != 0)
        return false;
    return !__builtin_add_overflow(value, part / scale, out);
}

bool unit_parse(UnitKind kind, Str text, int64_t *out, Error *err)
{
    size_t point = 0, end = number_end(text, &point);
    if (end == 0)
        return refuse(kind, text, "it doesn't begin with a digit", err);
    Str suffix = str_trim(str_skip(text, end));
    int64_t factor = 1;
    bool is_zero = end == 1 && text.data[0] == '0' && suffix.len == 0;
    if (kind == UNIT_NONE && (suffix.len > 0 || point < end))
        return refuse(kind, text, "it isn't a whole number without unit", err);
    if (kind != UNIT_NONE && !is_zero) {
        const UnitRow *row = unit_find(kind, suffix);
        if (!row || row->meant) {
            refuse(kind, text, "", err);
            if (suffix.len == 0)
                error_why(err, "its unit is missing: %s", KIND_ROWS[kind].known);
            else
                error_why(err, "the unit '%.*s' isn't one of its units: %s", STR_ARG(suffix), KIND_ROWS[kind].known);
            return row ? error_next(err, "write '%.*s%s'", (int)end, text.data, row->meant) : false;
        }
        factor = row->factor;
    }
    Str whole = str_slice(text, 0, MIN(point, end)), fraction = point < end ? str_slice(text, point + 1, end) : S("");
    int64_t value = 0;
    if (!amount_value(whole, fraction, factor, &value))
        return refuse(kind, text, "it is too large, or isn't a whole number of the smallest unit", err);
    *out = value;
    return true;
}

Str unit_text(UnitKind kind, int64_t value, Arena *arena)
{
    if (kind == UNIT_MILLIPERCENT && value % 1000 != 0) {
        Str text = str_format(arena, "%lld.%03lld", (long long)value / 1000, (long long)value % 1000);
        while (str_has_suffix(text, S("0")))
            text.len--;
        return str_format(arena, "%.*s%%", STR_ARG(text));
    }
    for (size_t i = 0; value != 0 && i < COUNT(UNIT_ROWS); i++)
        if (UNIT_ROWS[i].kind == kind && UNIT_ROWS[i].factor > 0 && value % UNIT_ROWS[i].factor == 0)
            return str_format(arena, "%lld%s", (long long)(value / UNIT_ROWS[i].factor), UNIT_ROWS[i].suffix);
    return str_int(arena, value);
}
