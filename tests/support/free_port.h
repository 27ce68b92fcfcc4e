// tests/support/free_port.h: ports for the servers of tests.
#pragma once

// A port of the loopback address on which nobody listens. No other test of the run gets it, and no connection: it is
// below those that the kernel gives away itself, and above those of containers.
unsigned test_free_port(void);
