// runtime/core/metrics.c: counters of one writer each, and Prometheus' text format.
#include "runtime/core/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"

enum { ROWS = 2048, SLUG_MAX = 40, STATUS_CLASSES = 5 };

static const int64_t BOUNDS_US[] = {500, 1000, 2500, 5000, 10000, 25000, 100000, 500000, 2500000};
static const char *const BOUND_NAMES[] = {"0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.1", "0.5", "2.5"};
static_assert(COUNT(BOUNDS_US) == COUNT(BOUND_NAMES), "each bound has its name");
enum { BUCKETS = COUNT(BOUNDS_US) + 1 };

typedef _Atomic uint64_t Sum;

typedef struct Cell {
    Sum statuses[STATUS_CLASSES];
    Sum buckets[BUCKETS];    // each alone; they are added up when written
    Sum duration_us;
    Sum bytes;
} Cell;

typedef struct Row {
    _Atomic uint32_t slug_len;    // written last; SLUG_NONE: free
    char slug[SLUG_MAX];
    Cell cells[CLASS_COUNT];
} Row;

// Row 0 is for requests without a tenant, row 1 for tenants beyond the table; the rest is a hash table of slugs.
enum { ROW_NONE, ROW_OTHER, ROW_FIRST };

struct Metrics {
    Sum counters[COUNTER_COUNT];
    _Atomic uint32_t used_count;    // rows that have a tenant, in the order of their first requests
    uint16_t used[METRICS_TENANTS_MAX];
    Row rows[ROWS];
};

static void sum_add(Sum *sum, uint64_t by)    // there is one writer: no locked instruction is needed
{
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + by, memory_order_relaxed);
}

static uint64_t sum_of(const Sum *sum) { return atomic_load_explicit(sum, memory_order_relaxed); }

bool metrics_open(Metrics **out, Error *err)
{
    void *memory = mmap(NULL, sizeof(Metrics), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return error_from_errno(err, errno, "the table of metrics can't be made");
    *out = memory;
    return true;
}

void metrics_close(Metrics **metrics)
{
    if (*metrics)
        (void)munmap(*metrics, sizeof(Metrics));
    *metrics = NULL;
}

void metrics_add(Metrics *metrics, Counter counter, int64_t by) { sum_add(&metrics->counters[counter], (uint64_t)by); }

// ---- counting ----

static size_t slug_start(Str slug)
{
    uint32_t hash = 2166136261U;    // FNV-1a
    for (size_t i = 0; i < slug.len; i++)
        hash = (hash ^ (unsigned char)slug.data[i]) * 16777619U;
    return hash % (ROWS - ROW_FIRST);
}

static Str row_slug(const Row *row)
{
    return (Str){row->slug, atomic_load_explicit(&row->slug_len, memory_order_acquire)};
}

// The row of a slug, or the free one where it would be, or NULL.
static Row *row_place(const Metrics *metrics, Str slug)
{
    size_t start = slug_start(slug);
    for (size_t i = 0; i < ROWS - ROW_FIRST; i++) {
        const Row *row = &metrics->rows[ROW_FIRST + (start + i) % (ROWS - ROW_FIRST)];
        Str taken = row_slug(row);
        if (taken.len == 0 || str_eq(taken, slug))
            return (Row *)row;
    }
    return NULL;
}

static Row *row_of(Metrics *metrics, Str slug)
{
    if (slug.len == 0 || slug.len > SLUG_MAX)
        return &metrics->rows[slug.len ? ROW_OTHER : ROW_NONE];
    Row *row = row_place(metrics, slug);
    if (row && row_slug(row).len > 0)
        return row;
    uint32_t used = atomic_load_explicit(&metrics->used_count, memory_order_relaxed);
    if (!row || used == METRICS_TENANTS_MAX)
        return &metrics->rows[ROW_OTHER];
    memcpy(row->slug, slug.data, slug.len);
    atomic_store_explicit(&row->slug_len, (uint32_t)slug.len, memory_order_release);
    metrics->used[used] = (uint16_t)(row - metrics->rows);
    atomic_store_explicit(&metrics->used_count, used + 1, memory_order_release);
    return row;
}

void metrics_request(Metrics *metrics, Str tenant, RouteClass class_, int status, int64_t duration_us, size_t bytes)
{
    Cell *cell = &row_of(metrics, tenant)->cells[class_];
    size_t bucket = 0;
    while (bucket < COUNT(BOUNDS_US) && duration_us > BOUNDS_US[bucket])
        bucket++;
    sum_add(&cell->statuses[MIN(MAX(status / 100, 1), STATUS_CLASSES) - 1], 1);
    sum_add(&cell->buckets[bucket], 1);
    sum_add(&cell->duration_us, (uint64_t)duration_us);
    sum_add(&cell->bytes, bytes);
}

// ---- writing ----

void metrics_write_head(StrBuf *out, const char *name, const char *type, const char *help)
{
    strbuf_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_write_sample(StrBuf *out, const char *name, Str labels, double value)
{
    strbuf_add(out, str_of(name));
    if (labels.len > 0)
        strbuf_format(out, "{%.*s}", STR_ARG(labels));
    if (value == floor(value) && fabs(value) < 1e15)
        strbuf_format(out, " %.0f\n", value);
    else
        strbuf_format(out, " %.9g\n", value);
}

// One tenant and class, added up over the threads.
typedef struct Total {
    Str slug;
    RouteClass class_;
    uint64_t statuses[STATUS_CLASSES];
    uint64_t buckets[BUCKETS];
    uint64_t count;
    uint64_t duration_us;
    uint64_t bytes;
} Total;

static void total_add(Total *total, const Cell *cell)
{
    for (size_t i = 0; i < STATUS_CLASSES; i++)
        total->statuses[i] += sum_of(&cell->statuses[i]);
    for (size_t i = 0; i < BUCKETS; i++) {
        total->buckets[i] += sum_of(&cell->buckets[i]);
        total->count += sum_of(&cell->buckets[i]);
    }
    total->duration_us += sum_of(&cell->duration_us);
    total->bytes += sum_of(&cell->bytes);
}

// The row of a slug; the fixed ones go by their number.
static const Row *row_in(const Metrics *metrics, size_t fixed, Str slug)
{
    if (fixed < ROW_FIRST)
        return &metrics->rows[fixed];
    const Row *row = row_place(metrics, slug);
    return row && row_slug(row).len > 0 ? row : NULL;
}

static bool is_in_earlier(Metrics *const *threads, size_t thread, size_t fixed, Str slug)
{
    for (size_t t = 0; t < thread; t++)
        if (row_in(threads[t], fixed, slug))
            return true;
    return false;
}

typedef struct Totals {
    Total *rows;    // NULL: they are counted only
    size_t count;
    size_t max;
} Totals;

static void totals_add(Totals *totals, Metrics *const *threads, size_t first, size_t count, size_t fixed, Str slug)
{
    for (RouteClass class_ = 0; class_ < CLASS_COUNT && totals->count < totals->max; class_++) {
        Total total = {.slug = slug, .class_ = class_};
        for (size_t t = first; t < count; t++) {
            const Row *row = row_in(threads[t], fixed, slug);
            if (row)
                total_add(&total, &row->cells[class_]);
        }
        if (total.count > 0 && totals->rows)
            totals->rows[totals->count] = total;
        totals->count += total.count > 0;
    }
}

// All totals that aren't zero; each tenant once, with the first thread that has it.
static void totals_read(Metrics *const *threads, size_t count, Totals *totals)
{
    totals_add(totals, threads, 0, count, ROW_NONE, S(""));
    totals_add(totals, threads, 0, count, ROW_OTHER, S("other"));
    for (size_t t = 0; t < count; t++) {
        size_t used = atomic_load_explicit(&threads[t]->used_count, memory_order_acquire);
        for (size_t i = 0; i < used; i++) {
            Str slug = row_slug(&threads[t]->rows[threads[t]->used[i]]);
            if (!is_in_earlier(threads, t, ROW_FIRST, slug))
                totals_add(totals, threads, t, count, ROW_FIRST, slug);
        }
    }
}

static void requests_write(StrBuf *out, const char *name, const Total *total)
{
    for (size_t i = 0; i < STATUS_CLASSES; i++)
        if (total->statuses[i])
            strbuf_format(out, "%s{tenant=\"%.*s\",class=\"%s\",status=\"%zuxx\"} %llu\n", name, STR_ARG(total->slug),
                          route_class_name(total->class_), i + 1, (unsigned long long)total->statuses[i]);
}

static void bytes_write(StrBuf *out, const char *name, const Total *total)
{
    strbuf_format(out, "%s{tenant=\"%.*s\",class=\"%s\"} %llu\n", name, STR_ARG(total->slug),
                  route_class_name(total->class_), (unsigned long long)total->bytes);
}

static void durations_write(StrBuf *out, const char *name, const Total *total)
{
    const char *class_ = route_class_name(total->class_);
    uint64_t sum = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        sum += total->buckets[i];
        strbuf_format(out, "%s_bucket{tenant=\"%.*s\",class=\"%s\",le=\"%s\"} %llu\n", name, STR_ARG(total->slug),
                      class_, i < COUNT(BOUND_NAMES) ? BOUND_NAMES[i] : "+Inf", (unsigned long long)sum);
    }
    strbuf_format(out, "%s_sum{tenant=\"%.*s\",class=\"%s\"} %.6f\n", name, STR_ARG(total->slug), class_,
                  (double)total->duration_us / 1e6);
    strbuf_format(out, "%s_count{tenant=\"%.*s\",class=\"%s\"} %llu\n", name, STR_ARG(total->slug), class_,
                  (unsigned long long)total->count);
}

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long long size = 0, resident = 0;
    if (file && fscanf(file, "%lld %lld", &size, &resident) != 2)    // NOLINT(cert-err34-c): the kernel's own numbers
        resident = 0;
    if (file)
        (void)fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// Every metric of core, in the order in which they are written.
static const struct {
    const char *name;
    const char *type;
    const char *help;
    void (*write)(StrBuf *out, const char *name, const Total *total);    // for each tenant and class
    double (*process)(void);                                             // of the process
    Counter counter;                                                     // else: the threads' sum
} METRICS[] = {
    {"shopd_requests_total", "counter", "Requests answered.", .write = requests_write},
    {"shopd_request_duration_seconds", "histogram", "Time from the whole head to the answer's last byte.",
     .write = durations_write},
    {"shopd_response_bytes_total", "counter", "Bytes of heads and bodies sent.", .write = bytes_write},
    {"shopd_connections_accepted_total", "counter", "Client connections accepted.",
     .counter = COUNTER_CONNECTIONS_ACCEPTED},
    {"shopd_connections_refused_total", "counter", "Client connections closed or left waiting at the cap.",
     .counter = COUNTER_CONNECTIONS_REFUSED},
    {"shopd_connections_open", "gauge", "Client connections.", .counter = COUNTER_CONNECTIONS_OPEN},
    {"shopd_requests_open", "gauge", "Requests under way.", .counter = COUNTER_REQUESTS_OPEN},
    {"shopd_requests_abandoned_total", "counter", "Requests whose client went before the answer.",
     .counter = COUNTER_REQUESTS_ABANDONED},
    {"shopd_requests_limited_total", "counter", "Requests over a tenant's rate.", .counter = COUNTER_REQUESTS_LIMITED},
    {"shopd_timeouts_total", "counter", "Connections cut because the client was too slow.",
     .counter = COUNTER_TIMEOUTS},
    {"shopd_log_lines_dropped_total", "counter", "Log lines that the reader had no room for.",
     .counter = COUNTER_LOG_DROPPED},
    {"process_cpu_seconds_total", "counter", "User and system time.", .process = cpu_seconds},
    {"process_resident_memory_bytes", "gauge", "Resident memory.", .process = resident_bytes},
};

static double counter_sum(Metrics *const *threads, size_t count, Counter counter)
{
    uint64_t sum = 0;
    for (size_t t = 0; t < count; t++)
        sum += sum_of(&threads[t]->counters[counter]);
    return (double)(int64_t)sum;
}

void metrics_write(Metrics *const *threads, size_t count, StrBuf *out)
{
    Totals counted = {.max = SIZE_MAX};
    totals_read(threads, count, &counted);
    Totals totals = {.rows = arena_array(out->arena, counted.count + 1, Total), .max = counted.count};
    if (totals.rows)
        totals_read(threads, count, &totals);
    for (size_t i = 0; i < COUNT(METRICS); i++) {
        metrics_write_head(out, METRICS[i].name, METRICS[i].type, METRICS[i].help);
        if (METRICS[i].process)
            metrics_write_sample(out, METRICS[i].name, S(""), METRICS[i].process());
        else if (!METRICS[i].write)
            metrics_write_sample(out, METRICS[i].name, S(""), counter_sum(threads, count, METRICS[i].counter));
        for (size_t j = 0; METRICS[i].write && j < totals.count; j++)
            METRICS[i].write(out, METRICS[i].name, &totals.rows[j]);
    }
}
