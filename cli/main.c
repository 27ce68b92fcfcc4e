// cli/main.c: shopctl.
#include "cli/command.h"

int main(int argc, char **argv) { return command_main(NOUNS, argc, argv); }
