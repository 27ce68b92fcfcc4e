// cli/order.c: `shopctl order`: what a shop has sold.
#include "provisioner/order.h"
#include "cli/command.h"

static const OutputKey KEYS[] = {
    {.key = "number",
     .type = "integer",
     .help = "Its number in the shop.",
     .heading = "NUMBER",
     .is_right = true,
     .is_name = true},
    {.key = "placed_at", .type = "time", .help = "When it was placed.", .heading = "PLACED"},
    {.key = "status", .type = "text", .help = "pending, paid, shipped, completed or cancelled.", .heading = "STATUS"},
    {.key = "email", .type = "text", .help = "The buyer's address.", .heading = "EMAIL"},
    {.key = "currency", .type = "text", .help = "ISO 4217, of all its amounts."},
    {.key = "lines", .type = "list", .help = "What was bought, with names and prices as they were then."},
    {.key = "lines[].id", .type = "text", .help = "The line's number."},
    {.key = "lines[].variant_id", .type = "text", .help = "The variant's number, or null where it is gone."},
    {.key = "lines[].title", .type = "text", .help = "The product."},
    {.key = "lines[].variant_title", .type = "text", .help = "The variant, or null."},
    {.key = "lines[].sku", .type = "text", .help = "Its SKU, or null."},
    {.key = "lines[].handle", .type = "text", .help = "The product's part of its page's address."},
    {.key = "lines[].image", .type = "text", .help = "Its picture's address, or null."},
    {.key = "lines[].quantity", .type = "integer", .help = "How many."},
    {.key = "lines[].price", .type = "money", .help = "Of one."},
    {.key = "lines[].total", .type = "money", .help = "Of the line."},
    {.key = "subtotal", .type = "money", .help = "Of the lines."},
    {.key = "shipping", .type = "money", .help = "What sending it costs."},
    {.key = "tax", .type = "money", .help = "The tax, contained in the total where prices include it."},
    {.key = "total", .type = "money", .help = "What the buyer pays.", .heading = "TOTAL", .is_right = true},
    {.key = "shipping_address", .type = "object", .help = "Where it goes."},
    {.key = "shipping_method", .type = "text", .help = "How it goes there."},
    {.key = "payment_method", .type = "text", .help = "bank_transfer or cash_on_delivery.", .heading = "PAYMENT"},
    {.key = "payment_instructions", .type = "text", .help = "What the buyer is told about where to pay, or null."},
    {.key = "token", .type = "text", .help = "Its part of the link to its page, /orders/TOKEN."},
    {0},
};

static bool list_run(CommandCall *call, Error *err)
{
    Slug slug = {0};
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return slug_parse(command_argument(call, 0), &slug, err) && platform_open(call->settings, &platform, err) &&
           order_list(platform, slug, command_int(call, "limit"), &answer, err) && command_answer(call, answer, err);
}

static bool show_run(CommandCall *call, Error *err)
{
    Slug slug = {0};
    int64_t number = 0;
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return slug_parse(command_argument(call, 0), &slug, err) &&
           (str_int64(command_argument(call, 1), 1, INT64_MAX, &number, err) ||
            error_next(err, "take a number from shopctl order list %.*s", STR_ARG(slug.text))) &&
           platform_open(call->settings, &platform, err) && order_show(platform, slug, number, &answer, err) &&
           command_answer(call, answer, err);
}

const Command ORDER_COMMANDS[] = {
    {.verb = "list",
     .summary = "lists a shop's orders, the newest first",
     .arguments =
         (const Argument[]){{.name = "TENANT", .is_required = true, .names = "tenant list", .help = "The shop's slug."},
                            {0}},
     .options = (const Option[]){{.name = "limit",
                                  .type = OPTION_INT,
                                  .value = "N",
                                  .max = INT32_MAX,
                                  .initial = "0",
                                  .help = "At most so many; 0: all."},
                                 {0}},
     .examples = (const Example[]){{"shopctl order list acme --limit 20", "Shows the last twenty orders."}, {0}},
     .keys = KEYS,
     .is_list = true,
     .run = list_run},
    {.verb = "show",
     .summary = "shows one order",
     .arguments =
         (const Argument[]){{.name = "TENANT", .is_required = true, .names = "tenant list", .help = "The shop's slug."},
                            {.name = "NUMBER", .is_required = true, .help = "The order's number."},
                            {0}},
     .examples =
         (const Example[]){{"shopctl order show acme 1001 -o json", "Prints an order with all of its lines."}, {0}},
     .keys = KEYS,
     .run = show_run},
    {0},
};
