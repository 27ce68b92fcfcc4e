// runtime/core/version.c: the version that make passes in.
#include "runtime/core/version.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

const char SHOPD_VERSION[] = VERSION;
