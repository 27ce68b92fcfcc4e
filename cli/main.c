// cli/main.c: shopctl.
#include "base/def.h"

int main(void) { return EXIT_SUCCESS; }
