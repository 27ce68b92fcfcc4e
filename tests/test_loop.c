// tests/test_loop.c: turns, timers, tasks of other threads, and what is deferred.
#include "runtime/core/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "tests/support/more_check.h"

typedef struct World {
    Arena *arena;
    Loop *loop;
    int64_t start_ms;
} World;

static World world_open(void)
{
    World world = {.arena = arena_open(MIB), .start_ms = clock_ms()};
    Error err = {0};
    ck_assert_ok(loop_open(world.arena, &world.loop, &err), &err);
    return world;
}

static void world_close(World *world)
{
    loop_close(&world->loop);
    arena_close(&world->arena);
}

typedef struct Alarm {
    Timer timer;
    World *world;
    int64_t fired_ms;
    int order;
    Timer *stops;
    bool is_last;
} Alarm;

static int fired_count;

static void alarm_due(Timer *timer)
{
    Alarm *alarm = container_of(timer, Alarm, timer);
    alarm->fired_ms = clock_ms() - alarm->world->start_ms;
    alarm->order = ++fired_count;
    if (alarm->stops)
        timer_stop(alarm->world->loop, alarm->stops);
    if (alarm->is_last)
        loop_stop(alarm->world->loop);
}

TEST(timers_are_due_in_their_order_and_never_early)
{
    World world = world_open();
    const int64_t after_ms[] = {130, 20, 70, 0, 20};
    Alarm alarms[COUNT(after_ms)] = {0};
    fired_count = 0;
    for (size_t i = 0; i < COUNT(alarms); i++) {
        alarms[i] = (Alarm){.timer.due = alarm_due, .world = &world, .is_last = i == 0};
        timer_start(world.loop, &alarms[i].timer, 1000000);
        timer_start(world.loop, &alarms[i].timer, after_ms[i]);    // moved
    }
    loop_run(world.loop);
    for (size_t i = 0; i < COUNT(alarms); i++) {
        ck_assert_int_ge(alarms[i].fired_ms, after_ms[i] - 1);
        ck_assert(!timer_is_started(&alarms[i].timer));
    }
    ck_assert_int_eq(alarms[3].order, 1);
    ck_assert_int_eq(alarms[2].order, 4);
    ck_assert_int_eq(alarms[0].order, 5);
    world_close(&world);
}

TEST(a_timer_may_stop_another_of_the_same_moment)
{
    World world = world_open();
    Alarm alarms[3] = {0};
    fired_count = 0;
    for (size_t i = 0; i < COUNT(alarms); i++)
        alarms[i] = (Alarm){.timer.due = alarm_due, .world = &world};
    alarms[0].stops = &alarms[1].timer;
    alarms[1].stops = &alarms[0].timer;
    alarms[2].is_last = true;
    timer_start(world.loop, &alarms[0].timer, 20);
    timer_start(world.loop, &alarms[1].timer, 20);
    timer_start(world.loop, &alarms[2].timer, 80);
    loop_run(world.loop);
    ck_assert_int_eq(fired_count, 2);
    world_close(&world);
}

enum { THREADS = 4, TASKS = 5000 };

typedef struct Note {
    Task task;
    int thread, number;
} Note;

typedef struct Sender {
    pthread_t thread;
    Loop *loop;
    Note notes[TASKS];
} Sender;

static int last_of[THREADS];
static int note_count;
static Loop *note_loop;

static void note_run(Task *task)
{
    const Note *note = container_of(task, Note, task);
    ck_assert_int_eq(note->number, last_of[note->thread] + 1);    // in the order in which its thread posted it
    last_of[note->thread] = note->number;
    if (++note_count == THREADS * TASKS)
        loop_stop(note_loop);
}

static void *sender_main(void *argument)
{
    Sender *sender = argument;
    for (size_t i = 0; i < TASKS; i++)
        loop_post(sender->loop, &sender->notes[i].task);
    return NULL;
}

TEST(tasks_of_each_thread_run_once_and_in_order)
{
    World world = world_open();
    static Sender senders[THREADS];
    memset(last_of, 0, sizeof(last_of));
    note_count = 0;
    note_loop = world.loop;
    for (int t = 0; t < THREADS; t++) {
        senders[t].loop = world.loop;
        for (int i = 0; i < TASKS; i++)
            senders[t].notes[i] = (Note){.task.run = note_run, .thread = t, .number = i + 1};
        ck_assert_int_eq(pthread_create(&senders[t].thread, NULL, sender_main, &senders[t]), 0);
    }
    loop_run(world.loop);
    for (int t = 0; t < THREADS; t++)
        ck_assert_int_eq(pthread_join(senders[t].thread, NULL), 0);
    ck_assert_int_eq(note_count, THREADS * TASKS);
    world_close(&world);
}

typedef struct Side {
    Watch watch;
    World *world;
    Watch *other;
    Deferred deferred;
} Side;

static char events[16];
static size_t event_count;

static void side_deferred(Deferred *deferred)
{
    events[event_count++] = 'd';
    loop_stop(container_of(deferred, Side, deferred)->world->loop);
}

static void side_ready(Watch *watch, uint32_t ready UNUSED)
{
    Side *side = container_of(watch, Side, watch);
    events[event_count++] = watch->is_late ? 'L' : 'c';
    loop_defer(side->world->loop, &side->deferred);
    loop_defer(side->world->loop, &side->deferred);
    if (side->other)
        loop_unwatch(side->world->loop, side->other);
    loop_unwatch(side->world->loop, watch);
}

TEST(late_watches_come_after_the_others_and_unwatched_ones_not_at_all)
{
    World world = world_open();
    Error err = {0};
    int pairs[3][2];
    Side sides[3] = {0};
    memset(events, 0, sizeof(events));
    event_count = 0;
    for (size_t i = 0; i < COUNT(sides); i++) {
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        sides[i] = (Side){.watch.ready = side_ready, .world = &world, .deferred.run = side_deferred};
        sides[i].watch.is_late = i == 0;
        ck_assert_ok(loop_watch(world.loop, &sides[i].watch, pairs[i][0], EPOLLIN, &err), &err);
        ck_assert_int_eq(write(pairs[i][1], "x", 1), 1);
    }
    sides[1].other = &sides[2].watch;    // whichever comes first ends the other
    sides[2].other = &sides[1].watch;
    loop_run(world.loop);
    ck_assert_str(str_of(events), S("cLdd"));
    for (size_t i = 0; i < COUNT(sides); i++) {
        fd_close(&pairs[i][0]);
        fd_close(&pairs[i][1]);
    }
    world_close(&world);
}

SUITE(loop, ONCE(timers_are_due_in_their_order_and_never_early), ONCE(a_timer_may_stop_another_of_the_same_moment),
      ONCE(tasks_of_each_thread_run_once_and_in_order),
      ONCE(late_watches_come_after_the_others_and_unwatched_ones_not_at_all))
