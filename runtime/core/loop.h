// runtime/core/loop.h: one thread's event loop: descriptors, timers, tasks from other threads, work at a turn's end.
#pragma once
#include <sys/epoll.h>

#include "base/arena.h"
#include "base/error.h"

// One turn: wait; client watches; late watches (database sockets: they may free what a client event still points to);
// tasks posted by other threads; timers; what was deferred. All structs here are members of their owner and are zero
// before their first use; nothing allocates. Only loop_post may be called from another thread.
typedef struct Loop Loop;

MUST_CHECK bool loop_open(Arena *arena, Loop **out, Error *err);    // fails with ERR_NO_MEMORY or ERR_FAILED
void loop_close(Loop **loop);
void loop_run(Loop *loop);                // until loop_stop
void loop_stop(Loop *loop);               // this turn is the last one
int64_t loop_now_ms(const Loop *loop);    // clock_ms() as of this turn's start

// A descriptor and what to do when it is ready. `ready` may unwatch this or any other watch and free its owner.
typedef struct Watch Watch;
struct Watch {
    void (*ready)(Watch *watch, uint32_t events);    // EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR
    int fd;
    uint32_t events;    // what it is watched for; 0 also when unwatched
    bool is_late;       // after all watches that aren't late
    bool is_watched;
};
// Starts watching `fd` for `events` (level-triggered). Fails with ERR_FAILED.
MUST_CHECK bool loop_watch(Loop *loop, Watch *watch, int fd, uint32_t events, Error *err);
void loop_watch_change(Loop *loop, Watch *watch, uint32_t events);    // nothing happens when they are the same
void loop_unwatch(Loop *loop, Watch *watch);                          // before the descriptor is closed; twice is fine

// A call in the future, counted from this turn's start, up to LOOP_TICK_MS late. O(1) to start, move and stop.
enum { LOOP_TICK_MS = 16 };
typedef struct Timer Timer;
struct Timer {
    void (*due)(Timer *timer);
    int64_t due_ms;
    Timer *next;
    Timer **link;    // what points to it; NULL: not started
};
void timer_start(Loop *loop, Timer *timer, int64_t after_ms);    // moves one that is started already
void timer_stop(Loop *loop, Timer *timer);
static inline bool timer_is_started(const Timer *timer) { return timer->link; }

// Work at the end of this turn, once however often it is asked for: one libpq flush, one write of log lines.
typedef struct Deferred Deferred;
struct Deferred {
    void (*run)(Deferred *deferred);
    Deferred *next;
    bool is_queued;
};
void loop_defer(Loop *loop, Deferred *deferred);    // in the order of the calls

// Work handed to another thread's loop. Never blocks, takes no lock. A task may be posted again once it runs; tasks of
// one thread run in the order in which it posted them. A task that is posted after the loop's last turn is not run.
typedef struct Task Task;
struct Task {
    void (*run)(Task *task);
    Task *next;
};
void loop_post(Loop *loop, Task *task);

// The struct that has this member: container_of(watch, Connection, watch).
#define container_of(pointer, Type, member) ((Type *)((char *)(pointer)-offsetof(Type, member)))
