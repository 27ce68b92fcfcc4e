// tests/support/existing_stage.h: a platform on a PostgreSQL that was there before, by a login that is no superuser.
#pragma once
#include "tests/support/more_check.h"
#include "tests/support/own_server.h"
#include "tests/support/test_platform.h"

typedef struct Stage {
    Arena *arena;
    OwnServer server;
    TestPlatform platform;
    Str config;
    unsigned second_port;
} Stage;

// Makes and starts the server with the login 'ops'; SHOPCTL_CONFIG names settings that lead there. Nothing is up yet.
void stage_open(Stage *stage);
void stage_close(Stage *stage);

// The settings of this run: `dsn` is what comes before user and password.
void stage_config(const Stage *stage, const char *dsn);
// A DSN of ops for a database of the server, with the password.
Str stage_dsn(const Stage *stage, const char *database);

// Runs a script in which $S is shopctl, $D the platform's directory, $P the server's port, $L shopd's address and $M a
// second one; gives both streams and, at the end, "exit CODE".
Str stage_script(const Stage *stage, const char *text);

#define SAYS(stage, text, says)                                                                                        \
    do {                                                                                                               \
        Str said_ = stage_script(stage, text);                                                                         \
        ck_assert_msg(str_find(said_, S(says)) < said_.len, "%s doesn't say '%s':\n%.*s", text, says, STR_ARG(said_)); \
    } while (0)

// The shop 'acme' with one product.
void stage_shop_make(const Stage *stage);
// An order as a shopper places it; gives its path.
Str stage_buy(const Stage *stage, unsigned port);
// What the shop answers at the platform's address.
int stage_status(const Stage *stage, const char *method, const char *path);
