// runtime/core/connection.h: client connections of a thread: bytes in, requests in order, answers out.
#pragma once
#include "runtime/core/server.h"

// Opens the thread's set of connections (in its arena). `drained` is called once, on the thread, when clients_drain has
// let the last connection and the last request go. Fails with ERR_NO_MEMORY.
MUST_CHECK bool clients_open(Thread *thread, void (*drained)(Thread *thread), Clients **out, Error *err);
// Accepts from a listening socket, which becomes the set's to close; from one that is shared, no more than one
// connection a turn, so that each gets its part. Fails with ERR_FAILED.
MUST_CHECK bool clients_listen(Clients *clients, int listener, bool is_shared, Error *err);

// Stops accepting (those who already stand in the queue are let in), closes idle connections after a moment for what is
// on its way, answers what is under way with Connection: close. After the settings' drain time all that is left is cut.
void clients_drain(Clients *clients);
bool clients_were_cut(const Clients *clients);    // the drain took too long
void clients_close(Clients **clients);            // after the loop has ended
