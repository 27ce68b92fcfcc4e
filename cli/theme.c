// cli/theme.c: `shopctl theme render`: a template tried out with data from a file.
#include "provisioner/theme_render.h"

#include "base/arena.h"
#include "cli/answer.h"

static const OutputKey KEYS[] = {
    {.key = "template", .type = "text", .help = "The template's file.", .is_name = true},
    {.key = "text", .type = "text", .help = "What `-o table` prints as it is."},
    {0},
};

static bool render_run(CommandCall *call, Error *err)
{
    Str file = command_argument(call, 0), text = S("");
    return theme_render_files(file, command_text(call, "data"), command_text(call, "partials"), call->arena, &text,
                              err) &&
           answer_text(call, "template", file, "text", text, err);
}

const Command THEME_COMMANDS[] = {
    {.verb = "render",
     .summary = "renders a template with data from a file",
     .description =
         "Prints the Mustache template rendered with the JSON document, which may be of any kind. All data "
         "counts as safe HTML. A partial that has no file is empty. It needs no platform. The text is printed as it "
         "is; with `-o json` and `-o yaml` it is a text of the document.",
     .arguments =
         (const Argument[]){
             {.name = "FILE", .is_required = true, .is_file = true, .help = "The template, NAME.mustache."}, {0}},
     .options =
         (const Option[]){
             {.name = "data",
              .type = OPTION_TEXT,
              .is_required = true,
              .value = "FILE",
              .help = "The data, as JSON; - is the standard input."},
             {.name = "partials", .type = OPTION_TEXT, .value = "DIR", .help = "Partial X is DIR/X.mustache."},
             {0}},
     .examples = (const Example[]){{"shopctl theme render home.mustache --data home.json --partials web/theme",
                                    "Prints the page that the template makes of the data."},
                                   {0}},
     .keys = KEYS,
     .is_standalone = true,
     .run = render_run},
    {0},
};
