// base/process.h: other programs: started with nothing of ours but what they are given, and watched by pidfd.
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { PROCESS_PASSED_FIRST = 3, PROCESS_PASSED_MAX = 16 };

typedef struct ProcessSpec {
    const char *const *argv;           // ends in NULL; argv[0] holds a slash or is looked up in our PATH
    const char *const *environment;    // ends in NULL; NULL: ours
    const char *user;                  // whose user, group and groups it gets; NULL: ours
    const char *directory;             // where it starts; NULL: "/"
    const char *pid_path;    // it writes who it is there before it becomes the program, so none is ever lost; or NULL
    int output;              // descriptor of its standard output and error; 0: /dev/null. Its input is /dev/null.
    bool is_session;         // it leads a session of its own
    const int *passed;       // descriptors that become its 3, 4, ..., of which LISTEN_FDS tells it (sd_listen_fds(3))
    size_t passed_count;     // up to PROCESS_PASSED_MAX
} ProcessSpec;

// A process that may be ours, or of a parent that is dead. `pid` 0 is none.
typedef struct Process {
    int pid;
    int pidfd;
    uint64_t started;    // clock ticks since the machine started: tells it from a later one with the same pid
    bool is_child;       // of this process: process_wait must take its exit status
} Process;

typedef struct ProcessEnd {
    int exit_code;    // -1 when a signal ended it, or when only its parent could know
    int signal;       // 0 when it wasn't one
} ProcessEnd;

// Starts a program. All descriptors but those of the spec are closed in it, all signals are as at a program's start.
// Fails with ERR_NOT_FOUND or ERR_FORBIDDEN when the program or the user can't be had. The caller closes *out.
MUST_CHECK bool process_start(const ProcessSpec *spec, Process *out, Error *err);

// The process that a pid file names, when it still lives; else out->pid is 0, which is success. A file of an earlier
// start of the machine, and one whose pid now belongs to another process, name no process.
MUST_CHECK bool process_open(const char *pid_path, Process *out, Error *err);

// The process with this number, when it lives; else out->pid is 0, which is success.
MUST_CHECK bool process_open_pid(int pid, Process *out, Error *err);

// Writes who we are, in the form that process_open reads.
MUST_CHECK bool process_write_self(const char *pid_path, Error *err);

void process_close(Process *process);    // forgets it (it goes on); pid becomes 0
int64_t process_age_ms(const Process *process);
bool is_process_alive(const Process *process);
void process_signal(const Process *process, int signal);    // one that has ended is none

// Waits up to `timeout_ms` for the end. True when it has ended: *end is set, and the process is closed.
bool has_process_ended(Process *process, int64_t timeout_ms, ProcessEnd *end);

// Ends it with `signal`, after `timeout_ms` with SIGKILL, waits, and closes it. False when SIGKILL was needed.
bool process_stop(Process *process, int signal, int64_t timeout_ms);

enum { PROCESS_OUTPUT_MAX = 64 * KIB };

// Runs a program to its end and gives its output (of both streams, at most PROCESS_OUTPUT_MAX, the rest is dropped) as
// a text in `arena`. Fails with ERR_FAILED, with the last line of the output as why, unless it exits with 0 within
// `timeout_ms`; after that it is killed. `output`, `pid_path` and `is_session` of the spec are not used.
MUST_CHECK bool process_run(const ProcessSpec *spec, int64_t timeout_ms, Arena *arena, Str *out, Error *err);

// Numbers of a user. Fails with ERR_NOT_FOUND.
typedef struct User {
    unsigned uid;
    unsigned gid;
} User;
MUST_CHECK bool user_find(const char *name, User *out, Error *err);

// Runs `call` in a child as `user` (NULL: ours) and gives what it returned, 0 to 255.
typedef int ProcessCall(void *context);
MUST_CHECK bool process_call_as(const char *user, ProcessCall *call, void *context, int *out, Error *err);
