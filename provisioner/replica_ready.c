// provisioner/replica_ready.c: what a cell's server lacks for a move.
#include "provisioner/replica_ready.h"

#include "base/arena.h"

enum { BUDGET = 64 * KIB, SERVER_SETTING = 64 };    // as servers of ours have it

static bool facts_read(Db *db, Arena *arena, ReplicaFacts *out, Error *err)
{
    CLEANUP(rows_close) Rows *rows = NULL;
    if (!db_query(db,
                  S("select current_user, rolsuper or rolreplication, current_setting('wal_level'), slots, "
                    "slots - (select count(*) from pg_replication_slots), senders, "
                    "senders - (select count(*) from pg_stat_replication) "
                    "from pg_roles, cast(current_setting('max_replication_slots') as bigint) slots, "
                    "cast(current_setting('max_wal_senders') as bigint) senders where rolname = current_user"),
                  NO_PARAMS, &rows, err))
        return false;
    *out = (ReplicaFacts){.login = str_copy(arena, rows_str(rows, 0, 0)),
                          .can_replicate = rows_bool(rows, 0, 1),
                          .wal_level = str_copy(arena, rows_str(rows, 0, 2)),
                          .slots_max = rows_int64(rows, 0, 3),
                          .slots_free = rows_int64(rows, 0, 4),
                          .senders_max = rows_int64(rows, 0, 5),
                          .senders_free = rows_int64(rows, 0, 6)};
    return arena_ok(arena, err);
}

typedef struct Room {
    const char *setting;
    int64_t max, free, wanted;
} Room;

static bool room_check(Str cell_name, const Room *room, Error *err)
{
    if (room->free >= room->wanted)
        return true;
    error_set(err, ERR_STATE, "the server of the cell '%.*s' has no room for a move", STR_ARG(cell_name));
    error_why(err, "its %s is %lld, of which %lld are free; a move takes %lld", room->setting, (long long)room->max,
              (long long)MAX(room->free, (int64_t)0), (long long)room->wanted);
    return error_next(err,
                      "finish moves that are pending, or as a superuser: alter system set %s = %lld; "
                      "then restart it",
                      room->setting, (long long)MAX(room->max * 2, (int64_t)SERVER_SETTING));
}

bool replica_facts_check(const ReplicaFacts *facts, Str cell_name, int64_t slots, int64_t senders, Error *err)
{
    if (!facts->can_replicate) {
        error_set(err, ERR_FORBIDDEN, "the login '%.*s' may not replicate from the cell '%.*s', as a move does",
                  STR_ARG(facts->login), STR_ARG(cell_name));
        error_why(err, "it lacks REPLICATION");
        return error_next(err, "as a superuser: alter role \"%.*s\" replication;", STR_ARG(facts->login));
    }
    if (!str_eq(facts->wal_level, S("logical"))) {
        error_set(err, ERR_STATE, "the server of the cell '%.*s' doesn't log what a move reads", STR_ARG(cell_name));
        error_why(err, "its wal_level is %.*s, not logical", STR_ARG(facts->wal_level));
        return error_next(err, "as a superuser: alter system set wal_level = logical; then restart it");
    }
    const Room rooms[] = {{"max_replication_slots", facts->slots_max, facts->slots_free, slots},
                          {"max_wal_senders", facts->senders_max, facts->senders_free, senders}};
    for (size_t i = 0; i < COUNT(rooms); i++)
        if (!room_check(cell_name, &rooms[i], err))
            return false;
    return true;
}

static bool end_check(Platform *platform, Str cell_name, int64_t slots, int64_t senders, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(db_close) Db *connection = NULL;
    ReplicaFacts facts;
    Db *cell = NULL;
    return platform_cell(platform, cell_name, &cell, err) && facts_read(cell, arena, &facts, err) &&
           replica_facts_check(&facts, cell_name, slots, senders, err) &&
           platform_cell_replication(platform, cell_name, NULL, &connection, err);
}

bool replica_ready(Platform *platform, Str source, Str target, bool is_back, Error *err)
{
    int64_t slots = is_back ? REPLICA_SOURCE_SLOTS - 1 : REPLICA_SOURCE_SLOTS;
    return end_check(platform, source, slots, REPLICA_SOURCE_SENDERS, err) &&
           (target.len == 0 || end_check(platform, target, REPLICA_TARGET_SLOTS, REPLICA_TARGET_SENDERS, err));
}
