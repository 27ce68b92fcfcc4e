// tests/test_confine.c: what a confined process can't do any more, asked in children, and what shopd still has to.
#include "runtime/core/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/more_check.h"

enum { KILLED = -1, ALLOWED = 0, NOT_CONFINED = 200 };

// Each gives 0 or the error's number.
static int number_of(long result) { return result < 0 ? errno : 0; }
static int socket_of(int family, int type, int protocol)
{
    int fd = socket(family, type, protocol);
    return number_of(fd);
}

static int call_execve(void)
{
    char *argv[] = {(char[]){"true"}, NULL};
    return number_of(execve("/bin/true", argv, NULL));
}
static int call_fork(void) { return number_of(syscall(SYS_fork)); }
static int call_vfork(void) { return number_of(syscall(SYS_vfork)); }
static int call_vm_read(void) { return number_of(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0)); }
static int call_memfd(void) { return number_of(syscall(SYS_memfd_create, "x", 0)); }
static int call_bpf(void) { return number_of(syscall(SYS_bpf, 0, NULL, 0)); }
static int call_io_uring(void) { return number_of(syscall(SYS_io_uring_setup, 1, NULL)); }
static int call_mount(void) { return number_of(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL)); }
static int call_setuid(void) { return number_of(syscall(SYS_setuid, 0)); }
static int call_unshare(void) { return number_of(syscall(SYS_unshare, 0)); }
static int call_module(void) { return number_of(syscall(SYS_init_module, NULL, 0, "")); }

static int call_packet(void) { return socket_of(AF_PACKET, SOCK_RAW, 0); }
static int call_vsock(void) { return socket_of(AF_VSOCK, SOCK_STREAM, 0); }
static int call_alg(void) { return socket_of(AF_ALG, SOCK_SEQPACKET, 0); }
static int call_audit(void) { return socket_of(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT); }
static int call_chmod(void) { return number_of(syscall(SYS_chmod, "/tmp", 01777)); }
static int call_chown(void) { return number_of(syscall(SYS_chown, "/tmp", 0, 0)); }
static int call_rename(void) { return number_of(syscall(SYS_rename, "/nowhere", "/nowhere/else")); }
static int call_mkdir(void) { return number_of(syscall(SYS_mkdir, "/nowhere/else", 0700)); }
static int call_symlink(void) { return number_of(syscall(SYS_symlink, "/nowhere", "/nowhere/else")); }
static int call_mknod(void) { return number_of(syscall(SYS_mknod, "/nowhere/else", 0, 0)); }
static int call_setpgid(void) { return number_of(syscall(SYS_setpgid, 0, 0)); }
static int call_reboot(void) { return number_of(syscall(SYS_reboot, 0, 0, 0, NULL)); }
static int call_tiocsti(void) { return number_of(ioctl(STDERR_FILENO, TIOCSTI, "x")); }
static int call_listen(void) { return number_of(syscall(SYS_listen, -1, 1)); }
#ifndef DEF_SANITIZE
static int call_ptrace(void) { return number_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL)); }
static int call_kill(void) { return number_of(kill(getppid(), 0)); }
static int call_kill_thread(void) { return number_of(syscall(SYS_tgkill, getppid(), getppid(), 0)); }
static int call_dumpable(void) { return number_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }
static int call_core(void) { return number_of(setrlimit(RLIMIT_CORE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY})); }
static int call_clone(void) { return number_of(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0)); }
static int call_map_code(void)
{
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED ? errno : 0;
}
static int call_map_file(int protection, int flags)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    void *code = mmap(NULL, 4096, protection, flags, fd, 0);
    return code == MAP_FAILED ? errno : 0;
}
static int call_library(void) { return call_map_file(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_DENYWRITE); }
static int call_written_code(void) { return call_map_file(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE); }
static int call_protect_code(void)
{
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return number_of(mprotect(data, 4096, PROT_READ | PROT_EXEC));
}
#endif

static void *thread_main(void *argument) { return argument; }
static int call_thread(void)
{
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, thread_main, NULL);
    return failed ? failed : pthread_join(thread, NULL);
}
static int call_resolve(void)
{
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int failed = getaddrinfo("localhost", "5432", &hints, &found);
    if (!failed)
        freeaddrinfo(found);
    return failed ? NOT_CONFINED : 0;
}
static int call_sockets(void)
{
    int failed = socket_of(AF_UNIX, SOCK_DGRAM, 0);
    failed = failed ? failed : socket_of(AF_INET, SOCK_STREAM, 0);
    return failed ? failed : socket_of(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}
static int call_own_signal(void) { return number_of(syscall(SYS_tgkill, getpid(), gettid(), 0)); }
static int call_files(void) { return number_of(access("/etc/hosts", R_OK)); }

static const struct {
    const char *name;
    int (*call)(void);
    int wanted;
} CALLS[] = {
    {"execve", call_execve, KILLED},
    {"fork", call_fork, KILLED},
    {"vfork", call_vfork, KILLED},
    {"process_vm_readv", call_vm_read, KILLED},
    {"memfd_create", call_memfd, KILLED},
    {"bpf", call_bpf, KILLED},
    {"io_uring_setup", call_io_uring, KILLED},
    {"mount", call_mount, KILLED},
    {"setuid", call_setuid, KILLED},
    {"unshare", call_unshare, KILLED},
    {"init_module", call_module, KILLED},
    {"a packet socket", call_packet, EPERM},
    {"a vsock socket", call_vsock, EPERM},
    {"an alg socket", call_alg, EPERM},
    {"an audit socket", call_audit, EPERM},
    {"chmod", call_chmod, EPERM},
    {"chown", call_chown, EPERM},
    {"rename", call_rename, EPERM},
    {"mkdir", call_mkdir, EPERM},
    {"symlink", call_symlink, EPERM},
    {"mknod", call_mknod, EPERM},
    {"setpgid", call_setpgid, EPERM},
    {"reboot", call_reboot, EPERM},
    {"a key put into the terminal", call_tiocsti, EPERM},
    {"listen", call_listen, EPERM},
#ifndef DEF_SANITIZE
    {"ptrace", call_ptrace, KILLED},
    {"kill", call_kill, EPERM},
    {"tgkill of another", call_kill_thread, EPERM},
    {"becoming dumpable", call_dumpable, EPERM},
    {"core dumps", call_core, EPERM},
    {"clone of a process", call_clone, EPERM},
    {"memory with code", call_map_code, EPERM},
    {"data made code", call_protect_code, EPERM},
    {"a file's code to be changed", call_written_code, EPERM},
    {"a library", call_library, ALLOWED},
#endif
    {"a thread", call_thread, ALLOWED},
    {"a name", call_resolve, ALLOWED},
    {"sockets", call_sockets, ALLOWED},
    {"a signal to itself, as abort does", call_own_signal, ALLOWED},
    {"a file", call_files, ALLOWED},
};

TEST(a_confined_process_has_the_calls_of_a_server_and_no_others)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error err = {0};
        bool ok = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && confine(&err);
        _exit(ok ? CALLS[_i].call() : NOT_CONFINED);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    int result = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? KILLED : WEXITSTATUS(status);
    ck_assert_msg(result == CALLS[_i].wanted, "%s: %d, not %d", CALLS[_i].name, result, CALLS[_i].wanted);
}

SUITE(confine, EACH(a_confined_process_has_the_calls_of_a_server_and_no_others, CALLS))
