// tests/test_own_lost_calls.c: every operation on a shop of its own loses any one of its calls to the engine or to
// PostgreSQL, or an arena of its is spent, or its disk fails, and whoever asks again, goes on or takes it back loses
// another one; in the end the shop is as the operation or its taking back leaves it, on the engine and in the record.
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/loss.h"
#include "tests/support/more_check.h"
#include "tests/support/own_kind.h"

// Of what an operation could lose each so-and-so-many-th is lost.
static const LossStep FIRST[LOSS_COUNT] = {{97, 7}, {89, 11}, {1511, 211}, {41, 5}, {11, 3}};
static const LossStep LATER[LOSS_COUNT] = {{7, 3}, {5, 2}, {113, 61}, {3, 1}, {2, 1}};

enum { LATER_SPREAD = 7 };

static OwnShops shops;

#define LINE(...) str_format(shops.runner.world.arena, __VA_ARGS__).data

// Goes this way with an operation, or gives the command (0), in a process of its own, so that nobody holds what it
// leaves; false: it makes fewer calls.
static bool lose(const OwnKind *kind, int64_t id, OwnWay way, Loss loss, long number)
{
    enum { WHOLE = 0, STRUCK = 1 };
    int status = 0;
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        Error err = {0};
        Platform *platform = own_shops_platform(&shops);
        loss_arm(loss, number, shops.runner.world.arena);
        bool ok = own_kind_go(&shops, kind, id, way, platform, &err), is_struck = loss_disarm();
        if (!ok && !err.what[0])
            ck_abort_msg("it doesn't say what it lost");
        platform_close(&platform);
        LOSS_LEAVE(is_struck ? STRUCK : WHOLE);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) <= STRUCK, "%s lost %s %ld: status %d", kind->name,
                  LOSSES[loss], number, status);
    return WEXITSTATUS(status) == STRUCK;
}

static bool lose_one(const OwnKind *kind, OwnWay way, Loss loss, long number)
{
    const char *moment = LINE("%s lost %s %ld, then %s", kind->name, LOSSES[loss], number, OWN_WAYS[way]);
    int64_t before_id = own_operation_newest(&shops), id = 0;
    bool is_struck = lose(kind, 0, way, loss, number);
    if (own_operation_newest(&shops) > before_id)
        id = own_operation_newest(&shops);
    if (is_struck && !has_own_operation_ended(&shops, id))
        (void)lose(kind, id, way, loss, 1 + number % LATER_SPREAD * loss_step(LATER, loss));
    if (own_operation_newest(&shops) > before_id)
        id = own_operation_newest(&shops);
    bool is_done = own_kind_finish(&shops, kind, id, way, moment);
    if (!is_done && kind->before.things)    // what a step had taken away before it was lost the controller makes again
        (void)own_shops_mended(&shops, ERR_NONE, "");
    own_kind_check(&shops, kind, is_done, moment);
    own_kind_again(&shops, kind, is_done);
    return is_struck;
}

TEST(whatever_a_shop_of_its_own_loses_its_operation_comes_to_an_end)
{
    const OwnKind *kind = &OWN_KINDS[_i];
    own_shops_open(&shops, HOST_UNIX);
    own_kind_first(&shops, kind);
    for (Loss loss = 0; loss < LOSS_COUNT; loss++) {
        size_t way = (size_t)loss + (size_t)_i;
        for (long number = 1 + _i; lose_one(kind, (OwnWay)(way++ % OWN_WAY_COUNT), loss, number);)
            number += loss_step(FIRST, loss);
    }
    own_shops_close(&shops);
}

static const struct {
    size_t kind;
    long number;
} SOME[] = {{OWN_CREATE, 77}, {OWN_UPGRADE_MOVED, 102}, {OWN_MOVE, 163}};

TEST(what_some_operations_lose_is_done_all_the_same)
{
    const OwnKind *kind = &OWN_KINDS[SOME[_i].kind];
    own_shops_open(&shops, HOST_UNIX);
    own_kind_first(&shops, kind);
    ck_assert(lose_one(kind, OWN_TAKEN_BACK, OF_CALL, SOME[_i].number));
    ck_assert(lose_one(kind, OWN_RESUMED, OF_ANSWER, SOME[_i].number / 2));
    own_shops_close(&shops);
}

SUITE(own_lost_calls, EACH(what_some_operations_lose_is_done_all_the_same, SOME),
      LONG_EACH(whatever_a_shop_of_its_own_loses_its_operation_comes_to_an_end, OWN_KINDS))
