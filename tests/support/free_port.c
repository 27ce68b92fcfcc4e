// tests/support/free_port.c: each port is taken once in a run, whoever takes it.
#include "tests/support/free_port.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/more_check.h"

enum { FIRST = 24100, END = 32768 };

static bool can_listen(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

// The run's suites are processes of their own, and so are forks: what is taken is known by a file.
static bool take(unsigned port)
{
    const char *work = getenv("TEST_WORK");
    char path[512];
    ck_assert_msg(work != NULL, "TEST_WORK is unset: run this by `make check`");
    (void)snprintf(path, sizeof(path), "%s/port-%u", work, port);
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0;
}

unsigned test_free_port(void)
{
    unsigned begin = (unsigned)getpid() % (END - FIRST);    // runs beside this one begin elsewhere
    for (unsigned i = 0; i < END - FIRST; i++) {
        unsigned port = FIRST + (begin + i) % (END - FIRST);
        if (can_listen(port) && take(port))
            return port;
    }
    ck_abort_msg("all ports are taken");
}
