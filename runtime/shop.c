// runtime/shop.c: the layers and modules that make a shopd.
#include "runtime/shop.h"

#include "runtime/core/cell.h"
#include "runtime/storefront/storefront.h"

static const ServerHooks HOOKS = {
    .start = cell_start,
    .stop = cell_stop,
    .thread_start = cell_thread_start,
    .thread_stop = cell_thread_stop,
    .reload = cell_reload,
    .find_tenant = cell_find_tenant,
    .release_tenant = cell_release_tenant,
    .error_page = storefront_error_page,
    .ready = cell_ready,
    .metrics = cell_metrics,
};

void shop_options(ServerOptions *options)
{
    options->hooks = &HOOKS;
    options->routes = &ROUTES_STOREFRONT;
    options->route_set_count = 1;
}
