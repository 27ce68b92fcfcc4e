// runtime/core/version.h: which shopd this is.
#pragma once

extern const char SHOPD_VERSION[];    // as git describes it
