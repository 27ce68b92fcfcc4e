// tests/torture_own_shops.c: a shop of its own is made by all three ways to a host, while shopctl, the engine or sshd
// is killed around each step, or the host's link is cut; it goes on or back, and nothing is left.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "provisioner/container_driver.h"
#include "provisioner/move_driver.h"
#include "provisioner/tenant_move.h"
#include "provisioner/tenant_resize.h"
#include "provisioner/tenant_upgrade.h"
#include "tests/support/more_check.h"
#include "tests/support/own_shops.h"
#include "tests/support/pg_server.h"
#include "tests/support/step_moment.h"

typedef enum Victim { VICTIM_SHOPCTL, VICTIM_ENGINE, VICTIM_SSHD, VICTIM_LINK } Victim;

static OwnShops shops;
static StepMoment kill_at;
static Victim victim;

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

static void observe(void *context, const Event *event)
{
    (void)context;
    if (!is_step_moment(event, kill_at))
        return;
    switch (victim) {
    case VICTIM_SHOPCTL: (void)kill(getpid(), SIGKILL); break;
    case VICTIM_ENGINE: engine_server_kill(shops.engine); break;
    case VICTIM_SSHD: ssh_daemon_kill(&shops.ssh); break;
    case VICTIM_LINK: engine_server_cut(shops.engine); break;
    }
}

static bool create(Platform *platform, Error *err)
{
    const TenantSpec spec = {.slug = S("bazar"), .email = S("a@b.example"), .plan = own_shops_plan(&shops)};
    return tenant_create(platform, &spec, NULL, err);
}
static bool delete_(Platform *platform, Error *err) { return tenant_delete(platform, test_slug("bazar"), err); }
static bool restore(Platform *platform, Error *err) { return tenant_restore(platform, test_slug("bazar"), err); }

static bool resize(Platform *platform, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    const TenantSize size = {.millicpu = 1500, .memory_bytes = 480 * (int64_t)MIB};    // more of one, less of the other
    return tenant_resize(platform, test_slug("bazar"), &size, &answer, err);
}

static bool upgrade(Platform *platform, bool is_moved, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    return tenant_upgrade(platform, test_slug("bazar"), is_moved, &answer, err);
}
static bool upgrade_in_place(Platform *platform, Error *err) { return upgrade(platform, false, err); }
static bool upgrade_moved(Platform *platform, Error *err) { return upgrade(platform, true, err); }

static bool set_plan(Platform *platform, Error *err)
{
    CLEANUP(json_close) Json *answer = NULL;
    return tenant_set_plan(platform, test_slug("bazar"), &(TenantMove){.plan = own_shops_plan(&shops)}, &answer, err);
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
        _exit(act(platform, &err) ? 0 : 1);
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

static Str state(void)
{
    return test_value(shops.runner.world.control, shops.runner.world.arena,
                      "select state from control.operations order by id desc limit 1");
}

// Takes the operation that was struck to its end, unless it has come to one.
static void settle(bool is_resumed)
{
    Str id = test_value(shops.runner.world.control, shops.runner.world.arena, "select max(id) from control.operations");
    Str was = state();
    if (!str_eq(was, S("done")) && !str_eq(was, S("reverted")))
        (void)command_ends(&shops.runner, 0, LINE("operation %s %s", is_resumed ? "resume" : "revert", id.data));
}

static void ends_well(bool is_resumed, const char *moment)
{
    settle(is_resumed);
    if (str_eq(state(), S("done"))) {
        ck_assert_msg(own_shops_status(&shops, "bazar", "/") == 200, "%s: the shop doesn't answer", moment);
        ck_assert_msg(own_shops_things(&shops, "bazar") == 5, "%s: it isn't whole", moment);
        static const char *const LINES[] = {"tenant suspend bazar", "tenant archive bazar",
                                            "tenant delete bazar --yes"};
        for (size_t i = 0; i < COUNT(LINES); i++)
            (void)command_ends(&shops.runner, 0, LINES[i]);
    }
    ck_assert_msg(own_shops_things(&shops, "bazar") == 0, "%s: something is left", moment);
    Str cells = test_value(shops.runner.world.control, shops.runner.world.arena,
                           "select count(*) from control.cells where host is not null");
    ck_assert_msg(str_eq(cells, S("0")), "%s: a cell is left in the record", moment);
}

static const struct {
    HostTransport transport;
    Victim victim;
    const char *name;
    size_t create_stride, move_stride, sides_stride;    // from one step, or side of one, that it strikes to the next
} WAYS[] = {
    {HOST_UNIX, VICTIM_SHOPCTL, "unix, shopctl", 1, 1, 1},
    {HOST_UNIX, VICTIM_ENGINE, "unix, the engine", 1, 3, 5},
    {HOST_TCP, VICTIM_SHOPCTL, "tcp, shopctl", 1, 3, 5},
    {HOST_TCP, VICTIM_ENGINE, "tcp, the engine", 1, 3, 5},
    {HOST_SSH, VICTIM_SHOPCTL, "ssh, shopctl", 1, 3, 5},
    {HOST_SSH, VICTIM_ENGINE, "ssh, the engine", 1, 3, 5},
    {HOST_SSH, VICTIM_SSHD, "ssh, sshd", 1, 3, 5},
    // What a link that is cut holds up is only given up after two minutes.
    {HOST_UNIX, VICTIM_LINK, "unix, the link", 4, 7, 5},
    {HOST_TCP, VICTIM_LINK, "tcp, the link", 4, 7, 5},
    {HOST_SSH, VICTIM_LINK, "ssh, the link", 4, 7, 5},
};

TEST(a_creation_survives_whoever_is_killed_at_any_step)
{
    victim = WAYS[_i].victim;
    own_shops_open(&shops, WAYS[_i].transport);
    for (kill_at.step = 0; kill_at.step < CONTAINER_CREATE.count; kill_at.step += WAYS[_i].create_stride) {
        kill_at.phase = kill_at.step % 2 ? EVENT_BEFORE : EVENT_AFTER;
        const char *moment = LINE("%s, step %s", WAYS[_i].name, CONTAINER_CREATE.steps[kill_at.step].name);
        strike(create);
        victim_revive();
        ends_well(kill_at.step % 3 != 1, moment);
    }
    own_shops_close(&shops);
}

static void finish(const char *moment)
{
    settle(true);
    ck_assert_msg(str_eq(state(), S("done")), "%s: it isn't done", moment);
}

TEST(a_deletion_and_a_restoration_survive_a_kill_at_any_step)
{
    victim = VICTIM_SHOPCTL;
    own_shops_open(&shops, HOST_UNIX);
    (void)command_ends(&shops.runner, 0, "tenant create bazar --plan own --email a@b.example");
    for (size_t round = 0; round < MAX(CONTAINER_DELETE.count, CONTAINER_RESTORE.count); round++) {
        kill_at.phase = round % 2 ? EVENT_BEFORE : EVENT_AFTER;
        (void)command_ends(&shops.runner, 0, "tenant suspend bazar");
        (void)command_ends(&shops.runner, 0, "tenant archive bazar");
        kill_at.step = round % CONTAINER_DELETE.count;
        const char *moment = LINE("deletion, step %s", CONTAINER_DELETE.steps[kill_at.step].name);
        strike(delete_);
        finish(moment);
        ck_assert_msg(own_shops_things(&shops, "bazar") == 0, "%s: something is left", moment);
        kill_at.step = round % CONTAINER_RESTORE.count;
        moment = LINE("restoration, step %s", CONTAINER_RESTORE.steps[kill_at.step].name);
        strike(restore);
        finish(moment);
        ck_assert_msg(own_shops_status(&shops, "bazar", "/") == 200, "%s: the shop doesn't answer", moment);
        ck_assert_msg(own_shops_things(&shops, "bazar") == 5, "%s: it isn't whole", moment);
    }
    own_shops_close(&shops);
}

// The containers are as the record says, which says this.
static void check_size(const char *size, const char *moment)
{
    ck_assert_msg(str_eq(own_shops_mended(&shops, ERR_NONE, ""), S("[]")), "%s: something had to be mended", moment);
    Str there =
        test_value(shops.runner.world.control, shops.runner.world.arena,
                   "select control.cell_takes(resources, 'millicpu')::text || ' ' || control.cell_takes(resources, "
                   "'memory_bytes') / 1048576 from control.cells where host is not null");
    ck_assert_msg(str_eq(there, str_of(size)), "%s: it has %.*s", moment, STR_ARG(there));
    ck_assert_msg(own_shops_status(&shops, "bazar", "/") == 200, "%s: the shop doesn't answer", moment);
    ck_assert_msg(own_shops_things(&shops, "bazar") == 5, "%s: something is left", moment);
}

TEST(a_resize_survives_whoever_is_killed_on_either_side_of_any_step)
{
    victim = WAYS[_i].victim;
    own_shops_open(&shops, WAYS[_i].transport);
    (void)command_ends(&shops.runner, 0, "tenant create bazar --plan own --email a@b.example");
    for (size_t round = 0; round < 4 * CONTAINER_RESIZE.count; round += WAYS[_i].sides_stride) {
        kill_at.step = round / 4;
        kill_at.phase = round % 2 ? EVENT_AFTER : EVENT_BEFORE;
        const char *moment = LINE("%s, step %s", WAYS[_i].name, CONTAINER_RESIZE.steps[kill_at.step].name);
        strike(resize);
        victim_revive();
        settle(round % 4 >= 2 || (kill_at.step == CONTAINER_RESIZE.count - 1 && kill_at.phase == EVENT_AFTER));
        check_size(str_eq(state(), S("done")) ? "1500 480" : "1000 512", moment);
        (void)command_ends(&shops.runner, 0, "tenant resize bazar --plan-size");
        check_size("1000 512", moment);
    }
    own_shops_close(&shops);
}

TEST(an_upgrade_survives_whoever_is_killed_on_either_side_of_any_step)
{
    victim = WAYS[_i].victim;
    own_shops_open(&shops, WAYS[_i].transport);
    (void)command_ends(&shops.runner, 0, "tenant create bazar --plan own --email a@b.example");
    own_shops_age(&shops, true, true);
    for (size_t round = 0; round < 4 * CONTAINER_UPGRADE.count; round += WAYS[_i].sides_stride) {
        kill_at.step = round / 4;
        kill_at.phase = round % 2 ? EVENT_AFTER : EVENT_BEFORE;
        const char *moment = LINE("%s, step %s", WAYS[_i].name, CONTAINER_UPGRADE.steps[kill_at.step].name);
        bool is_past = kill_at.step == CONTAINER_UPGRADE.count - 1 && kill_at.phase == EVENT_AFTER;
        strike(round % 3 ? upgrade_moved : upgrade_in_place);
        victim_revive();
        settle(round % 4 >= 2 || is_past);
        check_size("1000 512", moment);
        bool is_done = str_eq(state(), S("done"));
        Str would = command_ends(&shops.runner, 0, "tenant upgrade bazar --dry-run -o json");
        ck_assert_msg((str_find(would, S(":old")) == would.len) == is_done, "%s: %.*s", moment, STR_ARG(would));
        if (is_done)
            own_shops_age(&shops, true, true);
    }
    own_shops_close(&shops);
}

TEST(a_move_to_a_cell_of_its_own_survives_whoever_is_killed_at_any_step)
{
    victim = WAYS[_i].victim;
    own_shops_open(&shops, WAYS[_i].transport);
    (void)command_ends(&shops.runner, 0, "tenant create bazar --plan free --email a@b.example");
    for (kill_at.step = 0; kill_at.step < TENANT_MOVE_DEDICATED.count; kill_at.step += WAYS[_i].move_stride) {
        kill_at.phase = kill_at.step % 2 ? EVENT_BEFORE : EVENT_AFTER;
        const char *moment = LINE("%s, step %s", WAYS[_i].name, TENANT_MOVE_DEDICATED.steps[kill_at.step].name);
        strike(set_plan);
        victim_revive();
        bool is_resumed =
            kill_at.step / WAYS[_i].move_stride % 3 == 1 || is_past_return(&TENANT_MOVE_DEDICATED, kill_at);
        settle(is_resumed);
        if (str_eq(state(), S("done"))) {
            ck_assert_msg(own_shops_status(&shops, "bazar", "/") == 200, "%s: the shop doesn't answer", moment);
            ck_assert_msg(own_shops_things(&shops, "bazar") == 5, "%s: it isn't whole", moment);
            (void)command_ends(&shops.runner, 0, "tenant move bazar --rollback");
        }
        ck_assert_msg(own_shops_status(&shops, "bazar", "/") == 200, "%s: it doesn't answer where it was", moment);
        ck_assert_msg(own_shops_things(&shops, "bazar") == 0, "%s: something is left", moment);
    }
    own_shops_close(&shops);
}

SUITE(own_shops, EACH(a_move_to_a_cell_of_its_own_survives_whoever_is_killed_at_any_step, WAYS),
      EACH(an_upgrade_survives_whoever_is_killed_on_either_side_of_any_step, WAYS),
      EACH(a_resize_survives_whoever_is_killed_on_either_side_of_any_step, WAYS),
      ONCE(a_deletion_and_a_restoration_survive_a_kill_at_any_step),
      EACH(a_creation_survives_whoever_is_killed_at_any_step, WAYS))
