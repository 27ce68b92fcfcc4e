// runtime/main.c: shopd.
#include "base/def.h"

int main(void) { return EXIT_SUCCESS; }
