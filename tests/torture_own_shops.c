// tests/torture_own_shops.c: every kind of operation on a shop of its own, by all three ways to a host, while shopctl,
// the engine or sshd is killed around each step, or the host's link is cut; it goes on or back, and nothing is left.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/more_check.h"
#include "tests/support/own_kind.h"

typedef enum Victim { VICTIM_SHOPCTL, VICTIM_ENGINE, VICTIM_SSHD, VICTIM_LINK } Victim;

static const struct {
    HostTransport transport;
    Victim victim;
    const char *name;
    size_t stride;    // from one moment that it strikes to the next; none in common with a step's four
} PLACES[] = {
    {HOST_UNIX, VICTIM_SHOPCTL, "unix, shopctl", 3},
    {HOST_UNIX, VICTIM_ENGINE, "unix, the engine", 7},
    {HOST_TCP, VICTIM_SHOPCTL, "tcp, shopctl", 7},
    {HOST_TCP, VICTIM_ENGINE, "tcp, the engine", 9},
    {HOST_SSH, VICTIM_SHOPCTL, "ssh, shopctl", 9},
    {HOST_SSH, VICTIM_ENGINE, "ssh, the engine", 9},
    {HOST_SSH, VICTIM_SSHD, "ssh, sshd", 7},
    // What a link that is cut holds up is only given up after most of a minute.
    {HOST_UNIX, VICTIM_LINK, "unix, the link", 15},
    {HOST_TCP, VICTIM_LINK, "tcp, the link", 17},
    {HOST_SSH, VICTIM_LINK, "ssh, the link", 19},
};

enum {
    STEP_MOMENTS = 4,    // before it and after it, then resumed or taken back
    MENDED_MS = 30000,
    MENDED_STEP_MS = 100,
};

static OwnShops shops;
static StepMoment strike_at;
static Victim victim;

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

static void observe(void *context, const Event *event)
{
    (void)context;
    if (!is_step_moment(event, strike_at))
        return;
    switch (victim) {
    case VICTIM_SHOPCTL: (void)kill(getpid(), SIGKILL); break;
    case VICTIM_ENGINE: engine_server_kill(shops.engine); break;
    case VICTIM_SSHD: ssh_daemon_kill(&shops.ssh); break;
    case VICTIM_LINK: engine_server_cut(shops.engine); break;
    }
}

// Does it in a process of its own, in which the victim is killed.
static void strike(OwnShopsAct *act)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error err = {0};
        Platform *platform = own_shops_platform(&shops);
        platform_observe(platform, observe, NULL);
        _exit(act(&shops, platform, &err) ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

// The child's engine or sshd was the parent's too: it is dead by now.
static void victim_revive(void)
{
    ProcessEnd end;
    if (victim == VICTIM_ENGINE && has_process_ended(&shops.engine->process, 0, &end))
        engine_server_restart(shops.engine);
    if (victim == VICTIM_SSHD && has_process_ended(&shops.ssh.process, 0, &end))
        ssh_daemon_restart(&shops.ssh);
    if (victim == VICTIM_LINK)
        engine_server_join(shops.engine);
}

// The controller's part: an engine that was killed stops what it finds running, also where the operation needed it no
// more.
static void engine_mended(const OwnState *state, const char *moment)
{
    if (victim != VICTIM_ENGINE || !state->is_served || !state->things)
        return;
    (void)own_shops_mended(&shops, ERR_NONE, "");
    for (int64_t until_ms = clock_ms() + MENDED_MS; own_shops_status(&shops, "bazar", "/") != 200;
         clock_sleep_ms(MENDED_STEP_MS))
        ck_assert_msg(clock_ms() < until_ms, "%s: the shop doesn't answer once it is mended", moment);
}

static void strike_at_moment(const OwnKind *kind, size_t round, const char *place)
{
    strike_at = (StepMoment){round / STEP_MOMENTS, round % 2 ? EVENT_AFTER : EVENT_BEFORE};
    OwnWay way = round % STEP_MOMENTS >= 2 ? OWN_RESUMED : OWN_TAKEN_BACK;
    const char *moment = LINE("%s: %s, %s '%s', then %s", place, kind->name, round % 2 ? "after" : "before",
                              kind->driver->steps[strike_at.step].name, OWN_WAYS[way]);
    int64_t before_id = own_operation_newest(&shops);
    strike(kind->act);
    victim_revive();
    int64_t id = own_operation_newest(&shops);
    bool is_done = own_kind_finish(&shops, kind, id > before_id ? id : 0, way, moment);
    engine_mended(is_done ? &kind->after : &kind->before, moment);
    own_kind_check(&shops, kind, is_done, moment);
    own_kind_again(&shops, kind, is_done);
}

static void strike_all(int place, int kind)
{
    victim = PLACES[place].victim;
    own_shops_open(&shops, PLACES[place].transport);
    own_kind_first(&shops, &OWN_KINDS[kind]);
    for (size_t round = 0; round < STEP_MOMENTS * OWN_KINDS[kind].driver->count; round += PLACES[place].stride)
        strike_at_moment(&OWN_KINDS[kind], round, PLACES[place].name);
    own_shops_close(&shops);
}

TEST(a_creation_comes_to_an_end_whoever_is_killed)
{
    strike_all(_i, OWN_CREATE);
}
TEST(a_deletion_comes_to_an_end_whoever_is_killed)
{
    strike_all(_i, OWN_DELETE);
}
TEST(a_restoration_comes_to_an_end_whoever_is_killed)
{
    strike_all(_i, OWN_RESTORE);
}
TEST(a_resize_comes_to_an_end_whoever_is_killed)
{
    strike_all(_i, OWN_RESIZE);
}
TEST(an_upgrade_in_place_comes_to_an_end_whoever_is_killed)
{
    strike_all(_i, OWN_UPGRADE_IN_PLACE);
}
TEST(an_upgrade_that_moves_comes_to_an_end_whoever_is_killed)
{
    strike_all(_i, OWN_UPGRADE_MOVED);
}
TEST(a_move_comes_to_an_end_whoever_is_killed)
{
    strike_all(_i, OWN_MOVE);
}
TEST(a_rollback_comes_to_an_end_whoever_is_killed)
{
    strike_all(_i, OWN_ROLLBACK);
}
TEST(a_finalization_comes_to_an_end_whoever_is_killed)
{
    strike_all(_i, OWN_FINALIZE);
}

SUITE(own_shops, EACH(a_creation_comes_to_an_end_whoever_is_killed, PLACES),
      EACH(a_deletion_comes_to_an_end_whoever_is_killed, PLACES),
      EACH(a_restoration_comes_to_an_end_whoever_is_killed, PLACES),
      EACH(a_resize_comes_to_an_end_whoever_is_killed, PLACES),
      EACH(an_upgrade_in_place_comes_to_an_end_whoever_is_killed, PLACES),
      EACH(an_upgrade_that_moves_comes_to_an_end_whoever_is_killed, PLACES),
      EACH(a_move_comes_to_an_end_whoever_is_killed, PLACES),
      EACH(a_rollback_comes_to_an_end_whoever_is_killed, PLACES),
      EACH(a_finalization_comes_to_an_end_whoever_is_killed, PLACES))
