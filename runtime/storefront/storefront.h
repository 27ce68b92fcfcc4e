// runtime/storefront/storefront.h: the storefront module: the HTML shop and the store API.
#pragma once
#include "runtime/storefront/page.h"

extern const RouteSet ROUTES_STOREFRONT;

// Handlers, for the table in routes.c alone.
RouteHandler home_get, collection_get, product_get, search_get;
RouteHandler cart_get, cart_lines_post, cart_line_post;
RouteHandler checkout_get, checkout_post, order_get;
RouteHandler robots_get, theme_css_get, asset_get, media_get;
RouteHandler api_products_get, api_product_get, api_categories_get, api_shipping_get;
RouteHandler api_carts_post, api_cart_get, api_lines_post, api_line_patch, api_line_delete, api_checkout_post,
    api_order_get;
