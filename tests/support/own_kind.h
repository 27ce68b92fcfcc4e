// tests/support/own_kind.h: every kind of operation on a shop with containers of its own, with a shop 'bazar' to do it
// with and what must be so at its end.
#pragma once
#include "tests/support/own_shops.h"

// What there is of the shop when the operation hasn't begun, and when it is done.
typedef struct OwnState {
    size_t things;       // on the engine, as own_shops_things
    bool is_served;      // its page answers
    const char *size;    // CPU in thousandths and MiB, by its record, where it has a cell of its own
} OwnState;

enum { OWN_LINES_MAX = 4 };

typedef struct OwnKind {
    const char *name;
    const Driver *driver;
    OwnShopsAct *act;                    // the command
    const char *first[OWN_LINES_MAX];    // commands that make the shop, as the operation begins with
    const char *again[OWN_LINES_MAX];    // those that make it so after the operation
    bool has_old_images;                 // and then its containers are an older version's
    OwnState before, after;
} OwnKind;

enum {
    OWN_CREATE,
    OWN_DELETE,
    OWN_RESTORE,
    OWN_RESIZE,
    OWN_UPGRADE_IN_PLACE,
    OWN_UPGRADE_MOVED,
    OWN_MOVE,
    OWN_ROLLBACK,
    OWN_FINALIZE,
    OWN_KIND_COUNT
};
extern const OwnKind OWN_KINDS[OWN_KIND_COUNT];

// The shop is as the operation begins with: a new one, or that which the operation left, done or not.
void own_kind_first(OwnShops *shops, const OwnKind *kind);
void own_kind_again(OwnShops *shops, const OwnKind *kind, bool is_done);

// What is done about an operation that was cut short.
typedef enum OwnWay { OWN_ASKED_AGAIN, OWN_RESUMED, OWN_TAKEN_BACK, OWN_WAY_COUNT } OwnWay;
extern const char *const OWN_WAYS[OWN_WAY_COUNT];    // for messages

int64_t own_operation_newest(const OwnShops *shops);    // its number; 0: there is none
bool has_own_operation_ended(const OwnShops *shops, int64_t id);
// Goes on with the operation, or back, or gives the command again where there is no operation (0).
bool own_kind_go(const OwnShops *shops, const OwnKind *kind, int64_t id, OwnWay way, Platform *platform, Error *err);
// Takes it to its end, this way if that can still be; whether that is the operation's, not its taking back's.
bool own_kind_finish(const OwnShops *shops, const OwnKind *kind, int64_t id, OwnWay way, const char *moment);
// Fails the test unless the shop is as the operation, or its taking back, leaves it, in the record and on the engine.
void own_kind_check(OwnShops *shops, const OwnKind *kind, bool is_done, const char *moment);
