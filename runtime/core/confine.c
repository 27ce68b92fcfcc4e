// runtime/core/confine.c: tables of system calls, made into a seccomp filter.
#include "runtime/core/confine.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Whatever their arguments are: the kernel remembers that these are allowed, and the filter costs nothing on them.
static const int ALLOWED[] = {
    // bytes and descriptors
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(pipe2),
    // files: the config file, certificates, the resolver's, the table of rates in /dev/shm
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(fstatfs),
    SCMP_SYS(getdents64),
    SCMP_SYS(ftruncate),
    SCMP_SYS(flock),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    // sockets
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    // waiting
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(signalfd4),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(restart_syscall),
    // memory
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    SCMP_SYS(membarrier),
    // threads
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(getcpu),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    // signals
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack),
    // who and when
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(times),
    SCMP_SYS(time),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(getrandom),
#ifdef DEF_SANITIZE    // the leak sanitizer stops all threads from a process of its own and looks into them
    SCMP_SYS(ptrace),
    SCMP_SYS(getdents),
    SCMP_SYS(clone),
    SCMP_SYS(wait4),
    SCMP_SYS(kill),
    SCMP_SYS(tgkill),
    SCMP_SYS(prctl),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mincore),
    SCMP_SYS(prlimit64),
    SCMP_SYS(socketpair),
#endif
};

// Where arguments decide: (argument & mask) == value.
typedef struct AllowedWith {
    int call;
    unsigned count;
    struct scmp_arg_cmp arguments[2];
} AllowedWith;

#define MASKED(argument, mask, value)                                                                                  \
    {                                                                                                                  \
        argument, SCMP_CMP_MASKED_EQ, mask, value                                                                      \
    }
#define INT(argument, value) MASKED(argument, UINT32_MAX, value)    // of its register the lower half counts
#define POINTER(argument, value) MASKED(argument, UINT64_MAX, value)

static const AllowedWith ALLOWED_WITH[] = {
    {SCMP_SYS(socket), 1, {INT(0, AF_UNIX)}},
    {SCMP_SYS(socket), 1, {INT(0, AF_INET)}},
    {SCMP_SYS(socket), 1, {INT(0, AF_INET6)}},
    {SCMP_SYS(socket), 2, {INT(0, AF_NETLINK), INT(2, NETLINK_ROUTE)}},
    {SCMP_SYS(ioctl), 1, {INT(1, SIOCOUTQ)}},
    {SCMP_SYS(ioctl), 1, {INT(1, FIONREAD)}},
    {SCMP_SYS(ioctl), 1, {INT(1, FIONBIO)}},
    {SCMP_SYS(ioctl), 1, {INT(1, TCGETS)}},
    {SCMP_SYS(prctl), 1, {INT(0, PR_SET_NAME)}},
    {SCMP_SYS(prctl), 1, {INT(0, PR_SET_VMA)}},
#ifndef DEF_SANITIZE
    {SCMP_SYS(mmap), 1, {MASKED(2, PROT_EXEC, 0)}},
    // a library that the name resolver or OpenSSL's configuration asks for: a file, and not to be written
    {SCMP_SYS(mmap), 2, {MASKED(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), MASKED(3, MAP_ANONYMOUS, 0)}},
    {SCMP_SYS(mprotect), 1, {MASKED(2, PROT_EXEC, 0)}},
    {SCMP_SYS(clone), 1, {MASKED(0, CLONE_THREAD, CLONE_THREAD)}},
    {SCMP_SYS(prlimit64), 2, {INT(0, 0), POINTER(2, 0)}},    // asked of ourselves, not set
#endif
};

// Nothing of ours calls these, so who does is somebody else.
static const int DEADLY[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
#ifndef DEF_SANITIZE
    SCMP_SYS(ptrace),
#endif
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(memfd_create),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(bpf),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(personality),
    SCMP_SYS(setuid),
    SCMP_SYS(setresuid),
};

static int rules_add(scmp_filter_ctx filter)
{
    int failed = 0;
    for (size_t i = 0; !failed && i < COUNT(ALLOWED); i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, ALLOWED[i], 0);
    for (size_t i = 0; !failed && i < COUNT(ALLOWED_WITH); i++)
        failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, ALLOWED_WITH[i].call, ALLOWED_WITH[i].count,
                                        ALLOWED_WITH[i].arguments);
    for (size_t i = 0; !failed && i < COUNT(DEADLY); i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, DEADLY[i], 0);
    return failed;
}

#ifdef DEF_SANITIZE
static int rules_add_more(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone3), 0);
}
#else
// What the tables can't say: abort signals this process; pthread_create, told that clone3 isn't there, takes clone,
// whose flags a filter sees.
static int rules_add_more(scmp_filter_ctx filter)
{
    struct scmp_arg_cmp us = INT(0, (scmp_datum_t)getpid());
    int failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &us);
    return failed ? failed : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}
#endif

bool confine(Error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int failed = filter ? 0 : -ENOMEM;
    if (!failed)    // it is our own code that runs: no detours against what it could learn by speculation
        failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    if (!failed)
        failed = rules_add(filter);
    if (!failed)
        failed = rules_add_more(filter);
    if (!failed)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    if (!failed)
        return true;
    error_from_errno(err, -failed, "the filter of system calls can't be set");
    return error_next(err, "shopd needs a kernel, and a container around it, that allow seccomp(2)");
}
