// cli/product.c: `shopctl product`: a shop's catalogue in and out of Shopify's product CSV.
#include <errno.h>
#include <unistd.h>

#include "base/arena.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "provisioner/platform.h"
#include "provisioner/product_export.h"
#include "provisioner/product_import.h"

static const OutputKey IMPORT_KEYS[] = {
    {.key = "products", .type = "integer", .help = "Distinct handles that the file names, also where nothing changed."},
    {.key = "variants", .type = "integer", .help = "Lines with an option value."},
    {.key = "images", .type = "integer", .help = "Distinct images of a handle."},
    {.key = "skipped", .type = "integer", .help = "Lines that can't be used."},
    {.key = "changed", .type = "bool", .help = "Whether the catalogue changed, or would have with --dry-run."},
    {.key = "errors", .type = "list", .help = "The lines that can't be used."},
    {.key = "errors[].line", .type = "integer", .help = "The line in the file, from 1."},
    {.key = "errors[].column", .type = "text", .help = "The column's name."},
    {.key = "errors[].value", .type = "text", .help = "What stands there."},
    {.key = "errors[].reason", .type = "text", .help = "Why it can't be used."},
    {0},
};

static const OutputKey EXPORT_KEYS[] = {
    {.key = "file", .type = "text", .help = "The file that was written."},
    {.key = "products", .type = "integer", .help = "Products in it."},
    {0},
};

static const DbOptions PATIENT = {.statement_timeout_ms =
                                      INT64_C(30) * 60 * 1000};    // a catalogue of 100,000 products

// The tenant's number, and a connection to its cell as the owner of its tables, which lives as long as the platform.
typedef struct Catalogue {
    Platform *platform;
    Db *db;
    int64_t number;
} Catalogue;

static void catalogue_close(Catalogue *catalogue)
{
    db_close(&catalogue->db);
    platform_close(&catalogue->platform);
}

static bool catalogue_open(const CommandCall *call, Catalogue *out, Error *err)
{
    Slug slug = {0};
    TenantRecord tenant = {0};
    if (!slug_parse(command_argument(call, 0), &slug, err) || !platform_open(call->settings, &out->platform, err) ||
        !platform_tenant(out->platform, slug, call->arena, &tenant, err))
        return false;
    if (!tenant.number || !tenant.cell.len) {
        error_set(err, ERR_STATE, "the shop '%.*s' has no catalogue", STR_ARG(slug.text));
        return error_why(err, "it is %.*s", STR_ARG(tenant.status));
    }
    out->number = tenant.number;
    return platform_cell_open_with(out->platform, tenant.cell, &PATIENT, &out->db, err);
}

// "1 product, "
static void count_add(StrBuf *buf, int64_t count, const char *noun, const char *end)
{
    strbuf_format(buf, "%lld %s%s%s", (long long)count, noun, count == 1 ? "" : "s", end);
}

static bool report_print(const CommandCall *call, const ImportReport *report, Error *err)
{
    if (call->format != OUTPUT_TABLE) {
        CLEANUP(json_close) Json *answer = NULL;
        return product_import_json(report, &answer, err) && command_answer(call, answer, err);
    }
    StrBuf buf = {.arena = call->arena};
    for (const Fault *fault = report->faults.first; fault; fault = fault->next_fault)
        strbuf_format(&buf, "line %u, %.*s '%.*s': %.*s\n", fault->line,
                      STR_ARG(str_visible(call->arena, fault->where)), STR_ARG(str_visible(call->arena, fault->what)),
                      STR_ARG(str_visible(call->arena, fault->why)));
    count_add(&buf, report->products, "product", ", ");
    count_add(&buf, report->variants, "variant", ", ");
    count_add(&buf, report->images, "image", ", ");
    count_add(&buf, report->skipped, "line", " skipped: ");
    strbuf_format(&buf, "%s\n",
                  report->is_refused    ? "nothing is imported"
                  : !report->is_changed ? "nothing had to change"
                  : call->is_dry_run    ? "they would be imported"
                                        : "imported");
    return arena_ok(call->arena, err) && command_print(call, strbuf_str(&buf), err);
}

static void import_progress(void *progress, int64_t line_count) { progress_show(progress, line_count); }

static bool import_run(CommandCall *call, Error *err)
{
    CLEANUP(catalogue_close) Catalogue catalogue = {0};
    ImportReport report = {0};
    CLEANUP(progress_end) Progress progress = progress_start(call, "importing", "lines", 0);
    Str path = command_argument(call, 1);
    const ImportOptions options = {.skip_invalid = command_flag(call, "skip-invalid"),
                                   .set_stock = command_flag(call, "set-stock"),
                                   .is_dry_run = call->is_dry_run,
                                   .progress = import_progress,
                                   .progress_context = &progress};
    if (!catalogue_open(call, &catalogue, err) ||
        !product_import(catalogue.db, catalogue.number, path, &options, call->arena, &report, err))
        return false;
    progress_end(&progress);
    if (!report_print(call, &report, err))
        return false;
    if (!report.is_refused)
        return true;
    error_set(err, ERR_INVALID, "nothing is imported: lines that can't be used: %lld", (long long)report.skipped);
    const Fault *first = report.faults.first;
    if (first) {
        error_where(err, "%.*s:%u: %.*s", STR_ARG(path), first->line, STR_ARG(first->where));
        error_why(err, "%.*s", STR_ARG(first->why));
    }
    return error_next(err, "mend them, or add --skip-invalid to import the others");
}

static bool file_put(void *file, Str bytes, Error *err)
{
    if (fwrite(bytes.data, 1, bytes.len, file) == bytes.len)
        return true;
    return error_from_errno(err, errno, "the export can't be written");
}

static void export_close(FILE **file)
{
    if (*file && *file != stdout)
        (void)fclose(*file);
    *file = NULL;
}

// Writes beside the file and renames, so that an export that fails leaves the old one.
static bool export_to_file(const CommandCall *call, Str path, Error *err)
{
    CLEANUP(catalogue_close) Catalogue catalogue = {0};
    int64_t count = 0;
    Str part = str_format(call->arena, "%.*s.part", STR_ARG(path));
    if (!arena_ok(call->arena, err) || !catalogue_open(call, &catalogue, err))
        return false;
    CLEANUP(export_close) FILE *file = fopen(part.data, "we");
    if (!file)
        return error_from_errno(err, errno, "the file '%.*s' can't be written", STR_ARG(part));
    bool is_written = product_export(catalogue.db, catalogue.number, file_put, file, &count, err);
    if (is_written && (fflush(file) != 0 || fsync(fileno(file)) != 0 || rename(part.data, path.data) != 0))
        is_written = error_from_errno(err, errno, "the file '%.*s' can't be written", STR_ARG(path));
    if (!is_written) {
        (void)unlink(part.data);
        return false;
    }
    CLEANUP(json_close)
    Json *answer = json_build("{s:s%, s:I}", "file", path.data, path.len, "products", (json_int)count);
    return json_ok(answer, err) && command_answer(call, answer, err);
}

static bool export_run(CommandCall *call, Error *err)
{
    CLEANUP(catalogue_close) Catalogue catalogue = {0};
    if (command_argument_count(call) > 1 && !str_eq(command_argument(call, 1), S("-")))
        return export_to_file(call, command_argument(call, 1), err);
    if (command_has(call, "output")) {
        error_set(err, ERR_USAGE, "without a FILE the answer is the catalogue itself");
        return error_next(err, "leave --output out, or name a FILE");
    }
    return catalogue_open(call, &catalogue, err) &&
           product_export(catalogue.db, catalogue.number, file_put, stdout, NULL, err) &&
           output_text(S(""), stdout, err);
}

const Command PRODUCT_COMMANDS[] = {
    {.verb = "import",
     .summary = "imports a catalogue from Shopify's product CSV",
     .description = "Imports the file in one transaction; the same file again changes nothing. Products that the file "
                    "doesn't name "
                    "stay. Images are taken from files beside it where `Image Src` is a path. A file with lines that "
                    "can't be used "
                    "changes nothing, unless `--skip-invalid`. A quantity sets the stock of new variants only, unless "
                    "`--set-stock`.",
     .arguments =
         (const Argument[]){
             {.name = "TENANT", .is_required = true, .names = "tenant list", .help = "The shop's slug."},
             {.name = "FILE", .is_required = true, .is_file = true, .help = "The CSV; - is the standard input."},
             {0}},
     .options =
         (const Option[]){
             {.name = "skip-invalid", .help = "Imports the good lines of a file that has bad ones."},
             {.name = "set-stock", .help = "Quantities set the stock of variants that are there already, too."},
             {0}},
     .examples = (const Example[]){{"shopctl product import acme catalogue.csv", "Imports a catalogue."},
                                   {"shopctl product import acme catalogue.csv --dry-run -o json",
                                    "Says what that would do, bad lines included."},
                                   {0}},
     .keys = IMPORT_KEYS,
     .changes = true,
     .run = import_run},
    {.verb = "export",
     .summary = "exports a catalogue as Shopify's product CSV",
     .description =
         "Prints a file that imports to the same catalogue, in the same order. A cell that a spreadsheet would "
         "take for a formula gets a leading ', which the import takes off.",
     .arguments =
         (const Argument[]){{.name = "TENANT", .is_required = true, .names = "tenant list", .help = "The shop's slug."},
                            {.name = "FILE", .is_file = true, .help = "Where to; - or none is the standard output."},
                            {0}},
     .examples = (const Example[]){{"shopctl product export acme > acme.csv", "Keeps a copy of the catalogue."},
                                   {"shopctl product export acme acme.csv -o json",
                                    "Writes it to a file, and says how many products are in it."},
                                   {0}},
     .keys = EXPORT_KEYS,
     .run = export_run},
    {0},
};
