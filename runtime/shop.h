// runtime/shop.h: what shopd serves: the hooks of its layers and the routes of its modules.
#pragma once
#include "runtime/core/server.h"

// Sets the hooks and the routes; for main and for tests that serve in their own process.
void shop_options(ServerOptions *options);
