// runtime/core/loop.c: the event loop of a thread, on epoll, with a timer wheel and a lock-free inbox.
#include "runtime/core/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"

enum {
    BATCH = 256,
    SLOTS = 4096,    // of LOOP_TICK_MS: one round of the wheel takes 65 s
    WORD_BITS = 64,
    DEFERRED_ROUNDS = 8,
};

struct Loop {
    int epoll;
    Watch inbox;    // the eventfd that wakes the loop for `posted`
    _Atomic(Task *) posted;
    bool is_stopped;
    int64_t now_ms;
    int64_t tick;    // the last one that was run
    Deferred *deferred;
    Deferred **deferred_end;
    struct epoll_event batch[BATCH];
    int batch_count;
    Timer *slots[SLOTS];
    uint64_t used_slots[SLOTS / WORD_BITS];
};

// ---- descriptors ----

bool loop_watch(Loop *loop, Watch *watch, int fd, uint32_t events, Error *err)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return error_from_errno(err, errno, "a descriptor can't be watched");
    watch->fd = fd;
    watch->events = events;
    watch->is_watched = true;
    return true;
}

void loop_watch_change(Loop *loop, Watch *watch, uint32_t events)
{
    if (!watch->is_watched || watch->events == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int failed = epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
    assert(failed == 0);    // it only fails for a descriptor that was closed while it was watched
    watch->events = events;
}

void loop_unwatch(Loop *loop, Watch *watch)
{
    if (!watch->is_watched)
        return;
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->is_watched = false;
    watch->events = 0;
    for (int i = 0; i < loop->batch_count; i++)
        if (loop->batch[i].data.ptr == watch)
            loop->batch[i].data.ptr = NULL;    // its owner may be freed before its turn comes
}

static void watches_run(Loop *loop, bool is_late)
{
    for (int i = 0; i < loop->batch_count; i++) {
        Watch *watch = loop->batch[i].data.ptr;
        if (!watch || watch->is_late != is_late)
            continue;
        loop->batch[i].data.ptr = NULL;
        watch->ready(watch, loop->batch[i].events);
    }
}

// ---- timers ----

static int64_t due_tick(const Timer *timer) { return (timer->due_ms + LOOP_TICK_MS - 1) / LOOP_TICK_MS; }

static void timer_insert(Loop *loop, Timer *timer)
{
    int64_t tick = MAX(due_tick(timer), loop->tick + 1);
    size_t slot = (size_t)tick % SLOTS;
    timer->next = loop->slots[slot];
    if (timer->next)
        timer->next->link = &timer->next;
    loop->slots[slot] = timer;
    timer->link = &loop->slots[slot];
    loop->used_slots[slot / WORD_BITS] |= 1ULL << (slot % WORD_BITS);
}

void timer_start(Loop *loop, Timer *timer, int64_t after_ms)
{
    timer_stop(loop, timer);
    timer->due_ms = loop->now_ms + MAX(after_ms, (int64_t)0);
    timer_insert(loop, timer);
}

void timer_stop(Loop *loop, Timer *timer)
{
    if (!timer->link)
        return;
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    if (timer->link >= loop->slots && timer->link < loop->slots + SLOTS && !*timer->link) {
        size_t slot = (size_t)(timer->link - loop->slots);
        loop->used_slots[slot / WORD_BITS] &= ~(1ULL << (slot % WORD_BITS));
    }
    timer->link = NULL;
    timer->next = NULL;
}

// Runs what is due in a slot. Any timer may be stopped or started meanwhile, so they are taken one by one from a list
// that is a proper list of timers itself.
static void slot_run(Loop *loop, size_t slot)
{
    Timer *first = loop->slots[slot];
    loop->slots[slot] = NULL;
    loop->used_slots[slot / WORD_BITS] &= ~(1ULL << (slot % WORD_BITS));
    if (first)
        first->link = &first;
    while (first) {
        Timer *timer = first;
        timer_stop(loop, timer);
        if (timer->due_ms <= loop->now_ms)
            timer->due(timer);
        else
            timer_insert(loop, timer);    // of a later round
    }
}

static void timers_run(Loop *loop)
{
    int64_t now = loop->now_ms / LOOP_TICK_MS;
    int64_t from = MAX(loop->tick + 1, now - SLOTS + 1);
    for (int64_t tick = from; tick <= now; tick++) {
        loop->tick = tick;
        if (loop->used_slots[(size_t)tick % SLOTS / WORD_BITS] & 1ULL << ((size_t)tick % WORD_BITS))
            slot_run(loop, (size_t)tick % SLOTS);
    }
}

// Milliseconds until the next slot that has timers; -1: there are none.
static int next_timeout_ms(const Loop *loop)
{
    size_t start = (size_t)(loop->tick + 1) % SLOTS;
    for (size_t i = 0; i <= SLOTS / WORD_BITS; i++) {
        size_t word = (start / WORD_BITS + i) % (SLOTS / WORD_BITS);
        uint64_t bits = loop->used_slots[word];
        if (i == 0)
            bits &= ~0ULL << (start % WORD_BITS);
        if (!bits)
            continue;
        size_t slot = word * WORD_BITS + (size_t)__builtin_ctzll(bits);
        int64_t tick = loop->tick + 1 + (int64_t)((slot + SLOTS - start) % SLOTS);
        return (int)MAX(tick * LOOP_TICK_MS - loop->now_ms, (int64_t)0);
    }
    return -1;
}

// ---- tasks and deferred work ----

void loop_post(Loop *loop, Task *task)
{
    Task *before = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do
        task->next = before;
    while (!atomic_compare_exchange_weak_explicit(&loop->posted, &before, task, memory_order_release,
                                                  memory_order_relaxed));
    if (before)
        return;    // whoever put the first one has woken the loop
    ssize_t written = write(loop->inbox.fd, &(uint64_t){1}, sizeof(uint64_t));
    assert(written == sizeof(uint64_t));
}

static void inbox_ready(Watch *watch, uint32_t events UNUSED)
{
    uint64_t count;
    ssize_t got = read(watch->fd, &count, sizeof(count));
    (void)got;    // nothing to read is no fault: the tasks are found by their list
}

static void tasks_run(Loop *loop)
{
    if (!atomic_load_explicit(&loop->posted, memory_order_relaxed))
        return;
    Task *newest = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    Task *first = NULL;
    while (newest) {    // the list has the newest one first
        Task *task = newest;
        newest = task->next;
        task->next = first;
        first = task;
    }
    while (first) {
        Task *task = first;
        first = task->next;    // it may be posted again, or be gone, once it runs
        task->run(task);
    }
}

void loop_defer(Loop *loop, Deferred *deferred)
{
    if (deferred->is_queued)
        return;
    deferred->is_queued = true;
    deferred->next = NULL;
    *loop->deferred_end = deferred;
    loop->deferred_end = &deferred->next;
}

static void deferred_run(Loop *loop)
{
    for (int round = 0; round < DEFERRED_ROUNDS && loop->deferred; round++) {
        Deferred *first = loop->deferred;
        loop->deferred = NULL;
        loop->deferred_end = &loop->deferred;
        while (first) {
            Deferred *deferred = first;
            first = deferred->next;
            deferred->is_queued = false;
            deferred->run(deferred);
        }
    }
}

// ---- the loop ----

bool loop_open(Arena *arena, Loop **out, Error *err)
{
    Loop *loop = arena_new(arena, Loop);
    if (!arena_ok(arena, err))
        return false;
    loop->inbox.ready = inbox_ready;
    loop->deferred_end = &loop->deferred;
    loop->now_ms = clock_ms();
    loop->tick = loop->now_ms / LOOP_TICK_MS;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    int inbox = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll < 0 || inbox < 0) {
        error_from_errno(err, errno, "an event loop can't be made");
        fd_close(&inbox);
        fd_close(&loop->epoll);
        return false;
    }
    loop->inbox.fd = inbox;
    if (!loop_watch(loop, &loop->inbox, inbox, EPOLLIN, err)) {
        loop_close(&loop);
        return false;
    }
    *out = loop;
    return true;
}

void loop_close(Loop **loop)
{
    if (*loop) {
        fd_close(&(*loop)->inbox.fd);
        fd_close(&(*loop)->epoll);
    }
    *loop = NULL;
}

int64_t loop_now_ms(const Loop *loop) { return loop->now_ms; }
void loop_stop(Loop *loop) { loop->is_stopped = true; }

void loop_run(Loop *loop)
{
    while (!loop->is_stopped) {
        int timeout = loop->deferred ? 0 : next_timeout_ms(loop);
        int count = epoll_wait(loop->epoll, loop->batch, BATCH, timeout);
        loop->batch_count = MAX(count, 0);    // -1 is a signal
        loop->now_ms = clock_ms();
        watches_run(loop, false);
        watches_run(loop, true);
        loop->batch_count = 0;
        tasks_run(loop);
        timers_run(loop);
        deferred_run(loop);
    }
    loop->is_stopped = false;    // it may run again
}
