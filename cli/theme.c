// cli/theme.c: `shopctl theme render`: a template tried out with data from a file.
#include "provisioner/theme_render.h"

#include "base/arena.h"
#include "cli/command.h"

static bool render_run(CommandCall *call, Error *err)
{
    Str text = S("");
    return theme_render_files(command_argument(call, 0), command_text(call, "data"), command_text(call, "partials"),
                              call->arena, &text, err) &&
           command_print(call, text, err);
}

const Command THEME_COMMANDS[] = {
    {.verb = "render",
     .summary = "renders a template with data from a file",
     .description = "Prints the Mustache template rendered with the JSON document, which may be of any kind. All data "
                    "counts as safe HTML. A partial that has no file is empty. It needs no platform.",
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
     .is_standalone = true,
     .run = render_run},
    {0},
};
