// runtime/core/connection.c: the life of a connection: head, body, wait, send, and again; or linger, and gone.
#include "runtime/core/connection.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdalign.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/core/dispatch.h"

enum {
    INPUT_SMALL = 4 * KIB - 128,    // with its arena's own bytes a page; most heads fit
    INPUT_LARGE = HEAD_MAX + 4 * KIB,
    SCRATCH = 16 * KIB,           // read at once of a body
    SCRATCH_CHUNKED = 4 * KIB,    // what may be left of it fits into an INPUT_LARGE
    DISCARDED_MAX = 64 * KIB,     // of a refused request's body, to keep its connection
    CONNECTIONS_AT_ONCE = 64,     // made, and accepted
    SPARE_MAX = 256,              // inputs and requests that are kept for the next one
    LISTENERS_MAX = 16,
    PARTS_AT_ONCE = 64,
    RATE_CHECKS = 2,          // in the time of grace
    ACCEPT_PAUSE_MS = 100,    // when the process has no descriptor left
    DRAIN_MOMENT_MS = 250,    // for a request that is on its way to an idle connection
};

typedef struct Input Input;
struct Input {
    Input *next;
    Arena *arena;    // where it lives
    Clients *clients;
    size_t size;          // of data
    size_t start, end;    // the bytes that haven't been dealt with
    Guard guard;          // of the head at `start`
    HeaderAt headers[HEADERS_MAX];
    char data[];
};

typedef enum State {
    STATE_HEAD,    // nothing, or a part of a head
    STATE_BODY,
    STATE_WAIT,    // the handler waits; only the client's going is watched
    STATE_SEND,
    STATE_LINGER,    // answered early; what the client still sends is read and dropped
    STATE_CLOSED,
} State;

struct Connection {
    Watch watch;
    Timer timer;
    Clients *clients;
    Input *input;         // NULL while there is nothing in it
    Input *next_input;    // what came behind a chunked body
    Request *request;
    Connection *before, *after;    // in the list of idle or of busy ones
    Address peer;
    State state;
    bool is_idle;          // in the idle list
    bool is_head_timed;    // the timer is that of a head
    bool closes;           // after this answer
    bool has_unread;       // ... with a body that wasn't read to its end
    Str head;              // of the answer
    size_t sent;           // bytes of head and parts
    int64_t moved;         // bytes in this state, for the minimum rate
    int64_t moved_before;
    int64_t since_ms;
};

typedef struct Listener {
    Watch watch;
    Clients *clients;
    bool is_shared;
} Listener;

typedef struct List {
    Connection *first, *last;
} List;

struct Clients {
    Thread *thread;
    Loop *loop;
    void (*drained)(Thread *thread);
    Listener listeners[LISTENERS_MAX];
    size_t listener_count;
    bool is_paused;    // at the cap, or without descriptors: the listeners aren't watched
    bool is_draining;
    bool is_drained;
    bool was_cut;
    Timer pause, drain;
    List idle, busy;    // idle: the longest first
    int64_t stamped_ms;
    int64_t open_count;
    int64_t request_count;    // also of those whose client has gone
    Connection *spare_connections;
    Input *spare_small, *spare_large;
    size_t spare_small_count, spare_large_count, spare_request_count;
    Request *spare_requests;
    char scratch[SCRATCH];
};

// ---- memory ----

static Input *input_take(Clients *clients, bool is_large)
{
    Input **spare = is_large ? &clients->spare_large : &clients->spare_small;
    Input *input = *spare;
    if (input) {
        *spare = input->next;
        *(is_large ? &clients->spare_large_count : &clients->spare_small_count) -= 1;
    } else {
        size_t size = is_large ? INPUT_LARGE + sizeof(Input) : (size_t)INPUT_SMALL;
        Arena *arena = arena_open(size + alignof(max_align_t));
        input = arena_bytes(arena, size);
        if (!input) {
            arena_close(&arena);
            return NULL;
        }
        input->arena = arena;
        input->clients = clients;
        input->size = size - sizeof(Input);
    }
    input->start = input->end = 0;
    input->guard = (Guard){0};
    return input;
}

static void input_give(Input *input)
{
    if (!input)
        return;
    Clients *clients = input->clients;
    bool is_large = input->size >= INPUT_LARGE;
    size_t *count = is_large ? &clients->spare_large_count : &clients->spare_small_count;
    Input **spare = is_large ? &clients->spare_large : &clients->spare_small;
    if (*count >= SPARE_MAX) {
        Arena *arena = input->arena;
        arena_close(&arena);
        return;
    }
    input->next = *spare;
    *spare = input;
    *count += 1;
}

static void input_release(void *input) { input_give(input); }

static Request *request_take(Clients *clients)
{
    Request *r = clients->spare_requests;
    if (r) {
        clients->spare_requests = r->next_free;
        clients->spare_request_count--;
    } else {
        Arena *home = arena_open(sizeof(Request) + alignof(max_align_t));
        Arena *arena = arena_open(clients->thread->request_budget);
        r = arena_new(home, Request);
        if (!r || !arena_bytes(arena, 0)) {    // neither is looked at again
            arena_close(&arena);
            arena_close(&home);
            return NULL;
        }
        r->home = home;
        r->arena = arena;
    }
    r->thread = clients->thread;
    dispatch_begin(r);
    clients->request_count++;
    metrics_add(clients->thread->metrics, COUNTER_REQUESTS_OPEN, 1);
    return r;
}

static void request_give(Clients *clients, Request *r)
{
    if (r->input.release)
        r->input.release(r->input.thing);
    clients->request_count--;
    metrics_add(clients->thread->metrics, COUNTER_REQUESTS_OPEN, -1);
    Arena *home = r->home, *arena = r->arena;
    if (clients->spare_request_count >= SPARE_MAX) {
        arena_close(&arena);
        arena_close(&home);
        return;
    }
    arena_reset(arena);
    memset(r, 0, offsetof(Request, database.query.err));
    r->database.query.err.code = r->err.code = ERR_NONE;
    r->home = home;
    r->arena = arena;
    r->next_free = clients->spare_requests;
    clients->spare_requests = r;
    clients->spare_request_count++;
}

// ---- lists ----

static List *list_of(Connection *c) { return c->is_idle ? &c->clients->idle : &c->clients->busy; }

static void list_remove(Connection *c)
{
    List *list = list_of(c);
    *(c->before ? &c->before->after : &list->first) = c->after;
    *(c->after ? &c->after->before : &list->last) = c->before;
}

static void list_append(Connection *c)
{
    List *list = list_of(c);
    c->before = list->last;
    c->after = NULL;
    *(list->last ? &list->last->after : &list->first) = c;
    list->last = c;
}

static void list_move(Connection *c, bool to_idle)
{
    list_remove(c);
    c->is_idle = to_idle;
    list_append(c);
}

static void busy(Connection *c)
{
    if (c->is_idle)
        list_move(c, false);
}

// ---- the end ----

static void accept_resume(Clients *clients);

static void drain_check(Clients *clients)
{
    if (!clients->is_draining || clients->is_drained || clients->open_count > 0 || clients->request_count > 0)
        return;
    clients->is_drained = true;
    timer_stop(clients->loop, &clients->drain);
    clients->drained(clients->thread);
}

static void request_end(Connection *c)
{
    Request *r = TAKE(c->request);
    dispatch_end(r, c->sent, false);
    request_give(c->clients, r);
}

// A request whose client is gone keeps what its views look into until its wait is over.
static void request_abandon(Connection *c)
{
    Request *r = TAKE(c->request);
    r->connection = NULL;
    r->input = (Hold){TAKE(c->input), input_release};
}

static void connection_close(Connection *c)
{
    Clients *clients = c->clients;
    Loop *loop = clients->loop;
    timer_stop(loop, &c->timer);
    loop_unwatch(loop, &c->watch);
    fd_close(&c->watch.fd);
    if (c->request && c->request->waits > 0) {
        request_abandon(c);
    } else if (c->request) {
        Request *r = TAKE(c->request);
        dispatch_end(r, c->sent, true);
        request_give(clients, r);
    }
    input_give(TAKE(c->input));
    input_give(TAKE(c->next_input));
    list_remove(c);
    c->state = STATE_CLOSED;
    c->after = clients->spare_connections;
    clients->spare_connections = c;
    clients->open_count--;
    metrics_add(clients->thread->metrics, COUNTER_CONNECTIONS_OPEN, -1);
    accept_resume(clients);
    drain_check(clients);
}

static void linger(Connection *c)
{
    const Settings *settings = c->clients->thread->settings;
    busy(c);
    (void)shutdown(c->watch.fd, SHUT_WR);
    c->state = STATE_LINGER;
    loop_watch_change(c->clients->loop, &c->watch, EPOLLIN);
    timer_start(c->clients->loop, &c->timer, settings->linger_ms);
}

// ---- sending ----

#define NO_MEMORY_HEAD(type, length)                                                                                   \
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: " type "\r\nContent-Length: " length                            \
    "\r\nRetry-After: 5\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"

// What is said when there is no memory for an answer: to browsers, and under /api/.
static const struct {
    Str head, body;
} NO_MEMORY[] = {
    {S(NO_MEMORY_HEAD("text/html; charset=utf-8", "55")),
     S("<!doctype html>\n<title>503 Service Unavailable</title>\n")},
    {S(NO_MEMORY_HEAD("application/problem+json", "92")),
     S("{\"type\":\"about:blank\",\"title\":\"Out of memory\",\"status\":503,\"detail\":\"try again\",\"errors\":[]}")},
};

typedef enum Sent { SENT_ALL, SENT_PART, SENT_FAILED } Sent;

// The bytes of head and parts that haven't been sent yet, for one writev.
static int parts_left(const Connection *c, struct iovec parts[PARTS_AT_ONCE])
{
    const Response *response = &c->request->response;
    size_t skip = c->sent;
    int count = 0;
    bool has_body = c->request->method != METHOD_HEAD;
    for (size_t i = 0; i <= (has_body ? response->part_count : 0) && count < PARTS_AT_ONCE; i++) {
        Str part = i == 0 ? c->head : response->parts[i - 1];
        if (skip >= part.len) {
            skip -= part.len;
            continue;
        }
        parts[count++] = (struct iovec){(char *)(uintptr_t)part.data + skip, part.len - skip};
        skip = 0;
    }
    return count;
}

static Sent send_parts(Connection *c)
{
    for (;;) {
        struct iovec parts[PARTS_AT_ONCE];
        int count = parts_left(c, parts);
        if (count == 0)
            return SENT_ALL;
        size_t wanted = 0;
        for (int i = 0; i < count; i++)
            wanted += parts[i].iov_len;
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
        ssize_t sent = sendmsg(c->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? SENT_PART : SENT_FAILED;
        c->sent += (size_t)sent;
        c->moved += sent;
        if ((size_t)sent < wanted)
            return SENT_PART;
    }
}

// The answer is out: on to the next request, or to the end. False: the connection is gone or lingers.
static bool answer_end(Connection *c)
{
    request_end(c);
    if (c->closes) {
        bool is_unread = c->has_unread || c->next_input || (c->input && c->input->start < c->input->end);
        if (is_unread)
            linger(c);
        else
            connection_close(c);
        return false;
    }
    if (c->next_input) {
        input_give(c->input);
        c->input = TAKE(c->next_input);
    }
    if (c->input)
        c->input->guard = (Guard){0};
    c->state = STATE_HEAD;
    return true;
}

static void stamp_refresh(Clients *clients)
{
    if (clients->stamped_ms == loop_now_ms(clients->loop))
        return;
    clients->stamped_ms = loop_now_ms(clients->loop);
    stamp_update(&clients->thread->stamp, clock_unix_ms());
}

static int64_t rate_check_ms(const Connection *c) { return c->clients->thread->settings->rate_grace_ms / RATE_CHECKS; }

static void rate_start(Connection *c)
{
    c->moved = c->moved_before = 0;
    c->since_ms = loop_now_ms(c->clients->loop);
    busy(c);
    timer_start(c->clients->loop, &c->timer, rate_check_ms(c));
}

// Sends the answer of c->request. True: all of it, and the connection goes on with its next request.
static bool answer_send(Connection *c)
{
    Request *r = c->request;
    c->closes = c->closes || !r->framing.keeps_alive || c->clients->is_draining;
    c->sent = 0;
    stamp_refresh(c->clients);
    c->head = response_head(r, &c->clients->thread->stamp, c->closes);
    if (c->head.len == 0) {    // its arena is spent
        bool is_api = str_has_prefix(r->path, S("/api/"));
        (void)respond(r, 503, S(""), NO_MEMORY[is_api].body);
        c->head = NO_MEMORY[is_api].head;
        c->closes = true;
    }
    switch (send_parts(c)) {
    case SENT_ALL: return answer_end(c);
    case SENT_PART:
        c->state = STATE_SEND;
        rate_start(c);
        loop_watch_change(c->clients->loop, &c->watch, EPOLLOUT);
        return false;
    case SENT_FAILED: break;
    }
    connection_close(c);
    return false;
}

// ---- requests ----

// The handler has run: sends its answer, or waits for it.
static bool request_go_on(Connection *c)
{
    if (c->request->waits == 0)
        return answer_send(c);
    c->state = STATE_WAIT;
    busy(c);
    timer_stop(c->clients->loop, &c->timer);
    loop_watch_change(c->clients->loop, &c->watch, EPOLLRDHUP);
    return false;
}

// Answers before the request was read to its end, or waits for the answer, as for a page that asks for the shop's name.
static bool request_refuse(Connection *c, bool has_unread)
{
    c->closes = true;
    c->has_unread = has_unread;
    c->request->is_refused = true;
    dispatch_run(c->request);
    return request_go_on(c);
}

// Whether a program asks, as far as a head that can't be read says so: programs are answered in JSON.
static bool is_of_api(const Input *input)
{
    Str head = {input->data + input->start, input->end - input->start};
    return str_has_prefix(str_skip(head, str_find_char(head, ' ') + 1), S("/api/"));
}

// A request that is refused before its head could be read.
static bool head_refuse(Connection *c, GuardFault fault, bool is_slow)
{
    Request *r = c->request = request_take(c->clients);
    if (!r) {
        connection_close(c);
        return false;
    }
    r->connection = c;
    r->peer = c->peer;
    r->path = is_of_api(c->input) ? S("/api/") : S("");
    if (is_slow) {
        error_set(&r->err, ERR_SLOW, "the request came too slowly");
        (void)error_next(&r->err, "send it within %lld ms", (long long)c->clients->thread->settings->head_timeout_ms);
    } else {
        guard_error(fault, c->input->guard.line + 1, &r->err);
    }
    return request_refuse(c, true);
}

// Whether a refused request's connection is kept: its body ends where it says, is short, and on its way.
static bool is_kept(const Request *r)
{
    const Framing *framing = &r->framing;
    if (!framing->is_read || r->err.code == ERR_MALFORMED)
        return false;
    return !framing_has_body(framing) ||
           (!framing->expects_continue && framing->content_length <= DISCARDED_MAX && r->err.code != ERR_TOO_LARGE);
}

// Begins a request at the complete head in c->input. False: it was refused, and the connection doesn't go on.
static bool request_begin(Connection *c)
{
    Input *input = c->input;
    const Guard *guard = &input->guard;
    Request *r = c->request = request_take(c->clients);
    if (!r) {
        const Str *head = &NO_MEMORY[0].head, *body = &NO_MEMORY[0].body;
        (void)send(c->watch.fd, head->data, head->len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
        (void)send(c->watch.fd, body->data, body->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        connection_close(c);
        return false;
    }
    const char *base = input->data + input->start;
    r->connection = c;
    r->head = (Str){base, guard->head_end};
    r->headers = input->headers;
    r->header_count = guard->header_count;
    r->target = (Str){base + guard->target_at, guard->target_len};
    r->peer = c->peer;
    c->closes = c->has_unread = c->is_head_timed = false;
    c->moved = 0;
    input->start += guard->head_end;
    c->state = STATE_BODY;
    if (dispatch_head(r, guard))
        return true;
    r->is_refused = true;
    if (!is_kept(r))
        return request_refuse(c, true);
    framing_limit(&r->framing, DISCARDED_MAX, true, r->arena);
    return true;
}

// A body's bytes. False: the body was refused.
static bool body_take(Connection *c, Str bytes, bool bytes_stay, size_t *used)
{
    Request *r = c->request;
    Error err = {0};
    *used = 0;
    c->moved += (int64_t)bytes.len;
    if (framing_body(&r->framing, bytes, bytes_stay, used, &err))
        return true;
    if (!r->is_refused || err.code == ERR_MALFORMED) {    // a wrong frame comes before any other fault
        error_clear(&r->err);
        r->err = err;
    }
    return false;
}

// Takes what c->input holds of the body. False: refused, or there is more to come.
static bool body_from_input(Connection *c)
{
    Input *input = c->input;
    Request *r = c->request;
    if (!r->framing.is_complete && input->start < input->end) {
        size_t used;
        if (!body_take(c, (Str){input->data + input->start, input->end - input->start}, true, &used)) {
            (void)request_refuse(c, true);
            return false;
        }
        input->start += used;
    }
    if (r->framing.is_complete)
        return true;
    if (r->framing.expects_continue && !r->framing.is_old) {
        static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
        (void)send(c->watch.fd, CONTINUE, sizeof(CONTINUE) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    rate_start(c);
    if (r->is_refused)    // only to keep the connection: not for long
        timer_start(c->clients->loop, &c->timer, c->clients->thread->settings->linger_ms);
    return false;
}

static bool request_run(Connection *c)
{
    Request *r = c->request;
    r->body = r->framing.body;
    dispatch_run(r);
    return request_go_on(c);
}

static void connection_idle(Connection *c)
{
    const Clients *clients = c->clients;
    input_give(TAKE(c->input));
    loop_watch_change(clients->loop, &c->watch, EPOLLIN);
    timer_start(clients->loop, &c->timer,
                clients->is_draining ? DRAIN_MOMENT_MS : clients->thread->settings->idle_timeout_ms);
    list_move(c, true);
}

// The head isn't complete: its time runs from its first byte.
static void head_wait(Connection *c)
{
    const Clients *clients = c->clients;
    loop_watch_change(clients->loop, &c->watch, EPOLLIN);
    busy(c);
    if (c->is_head_timed)
        return;
    c->is_head_timed = true;
    timer_start(clients->loop, &c->timer, clients->thread->settings->head_timeout_ms);
}

// Does all that can be done with the bytes that are there. The connection may be gone afterwards.
static void connection_run(Connection *c)
{
    for (;;) {
        Input *input = c->input;
        if (!input || input->start == input->end) {
            connection_idle(c);
            return;
        }
        if (!guard_head(&input->guard, input->data + input->start, input->end - input->start, input->headers)) {
            (void)head_refuse(c, input->guard.fault, false);
            return;
        }
        if (!input->guard.head_end) {
            head_wait(c);
            return;
        }
        if (!request_begin(c) || !body_from_input(c) || !request_run(c))
            return;
    }
}

// ---- events ----

// Room for more of a head: the rest of a large input, or a large one instead of a small one.
static bool input_grow(Connection *c)
{
    Input *input = c->input;
    if (input->end < input->size)
        return true;
    Input *to = input;
    if (input->start == 0) {
        to = input_take(c->clients, true);
        if (!to)
            return false;
        to->guard = input->guard;
        memcpy(to->headers, input->headers, sizeof(input->headers));
    }
    memmove(to->data, input->data + input->start, input->end - input->start);
    to->end = input->end - input->start;
    to->start = 0;
    if (to != input)
        input_give(input);
    c->input = to;
    return true;
}

static bool is_again(ssize_t got) { return got < 0 && (errno == EAGAIN || errno == EINTR); }

static void head_ready(Connection *c)
{
    if (!c->input)
        c->input = input_take(c->clients, false);
    if (!c->input || !input_grow(c)) {
        connection_close(c);
        return;
    }
    Input *input = c->input;
    ssize_t got = recv(c->watch.fd, input->data + input->end, input->size - input->end, MSG_DONTWAIT);
    if (got > 0) {
        input->end += (size_t)got;
        connection_run(c);
    } else if (!is_again(got)) {
        connection_close(c);
    } else if (input->start == input->end) {
        input_give(TAKE(c->input));
    }
}

// Keeps what was read behind the end of a chunked body.
static bool rest_keep(Connection *c, Str rest)
{
    if (rest.len == 0)
        return true;
    c->next_input = input_take(c->clients, true);
    if (!c->next_input)
        return false;
    memcpy(c->next_input->data, rest.data, rest.len);
    c->next_input->end = rest.len;
    return true;
}

static void body_ready(Connection *c)
{
    const Framing *framing = &c->request->framing;
    size_t wanted = framing->is_chunked ? (size_t)SCRATCH_CHUNKED
                                        : MIN((size_t)SCRATCH, (size_t)framing->content_length - framing->body_bytes);
    ssize_t got = recv(c->watch.fd, c->clients->scratch, wanted, MSG_DONTWAIT);
    if (is_again(got))
        return;
    size_t used = 0;
    if (got <= 0) {
        connection_close(c);
        return;
    }
    Str bytes = {c->clients->scratch, (size_t)got};
    if (!body_take(c, bytes, false, &used)) {
        (void)request_refuse(c, true);
        return;
    }
    if (!framing->is_complete)
        return;
    if (!rest_keep(c, str_skip(bytes, used)))
        connection_close(c);
    else if (request_run(c))
        connection_run(c);
}

static void send_ready(Connection *c)
{
    switch (send_parts(c)) {
    case SENT_ALL:
        loop_watch_change(c->clients->loop, &c->watch, EPOLLIN);
        if (answer_end(c))
            connection_run(c);
        return;
    case SENT_PART: return;
    case SENT_FAILED: connection_close(c);
    }
}

static void linger_ready(Connection *c)
{
    ssize_t got = recv(c->watch.fd, c->clients->scratch, SCRATCH, MSG_DONTWAIT);
    if (got <= 0 && !is_again(got))
        connection_close(c);
}

static void connection_ready(Watch *watch, uint32_t events UNUSED)
{
    Connection *c = container_of(watch, Connection, watch);
    switch (c->state) {
    case STATE_HEAD: head_ready(c); return;
    case STATE_BODY: body_ready(c); return;
    case STATE_WAIT: connection_close(c); return;    // EPOLLRDHUP, EPOLLHUP or EPOLLERR: the client has gone
    case STATE_SEND: send_ready(c); return;
    case STATE_LINGER: linger_ready(c); return;
    case STATE_CLOSED: return;
    }
}

// Bytes that have really left or come since the state began.
static int64_t moved_now(const Connection *c)
{
    int queued = 0;
    if (c->state == STATE_SEND && ioctl(c->watch.fd, SIOCOUTQ, &queued) != 0)
        queued = 0;
    return c->moved - queued;
}

static bool is_too_slow(Connection *c)
{
    const Settings *settings = c->clients->thread->settings;
    int64_t moved = moved_now(c);
    int64_t wanted = settings->body_rate_bytes * rate_check_ms(c) / 1000;
    bool is_slow =
        moved - c->moved_before < wanted && loop_now_ms(c->clients->loop) - c->since_ms >= settings->rate_grace_ms;
    c->moved_before = moved;
    return is_slow;
}

static void connection_due(Timer *timer)
{
    Connection *c = container_of(timer, Connection, timer);
    Clients *clients = c->clients;
    bool is_head = c->state == STATE_HEAD && c->input;
    bool is_refused = c->state == STATE_BODY && c->request->is_refused;
    if ((c->state == STATE_BODY || c->state == STATE_SEND) && !is_refused && !is_too_slow(c)) {
        timer_start(clients->loop, &c->timer, rate_check_ms(c));
        return;
    }
    if (is_head || c->state == STATE_BODY || c->state == STATE_SEND)
        metrics_add(clients->thread->metrics, COUNTER_TIMEOUTS, 1);
    if (is_head) {
        (void)head_refuse(c, GUARD_FINE, true);
    } else if (is_refused) {
        (void)request_refuse(c, true);
    } else if (c->state == STATE_BODY) {
        error_clear(&c->request->err);
        error_set(&c->request->err, ERR_SLOW, "the body comes too slowly");
        (void)request_refuse(c, true);
    } else {
        connection_close(c);
    }
}

// ---- waiting ----

void request_wait(Request *r) { r->waits++; }

void request_resume(Request *r, bool is_ok)
{
    assert(r->waits > 0);
    r->waits--;
    if (r->waits > 0) {
        assert(is_ok);
        return;
    }
    Connection *c = r->connection;
    Clients *clients = r->thread->clients;
    dispatch_answer(r, is_ok);
    if (r->waits > 0)    // for what an error page shows
        return;
    if (!c) {
        dispatch_end(r, 0, true);
        request_give(clients, r);
        drain_check(clients);
        return;
    }
    loop_watch_change(clients->loop, &c->watch, EPOLLIN);
    if (answer_send(c))
        connection_run(c);
}

// ---- accepting ----

static Connection *connection_take(Clients *clients)
{
    if (!clients->spare_connections) {
        arena_retry(clients->thread->arena);
        Connection *made = arena_array(clients->thread->arena, CONNECTIONS_AT_ONCE, Connection);
        for (size_t i = 0; made && i < CONNECTIONS_AT_ONCE; i++) {
            made[i].after = clients->spare_connections;
            clients->spare_connections = &made[i];
        }
    }
    Connection *c = clients->spare_connections;
    if (!c)
        return NULL;
    clients->spare_connections = c->after;
    *c = (Connection){.clients = clients, .watch.ready = connection_ready, .timer.due = connection_due};
    return c;
}

static Address address_of(const struct sockaddr_storage *from)
{
    Address address = {0};
    if (from->ss_family == AF_INET6)
        memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, sizeof(address.bytes));
    if (from->ss_family == AF_INET) {
        address.bytes[10] = address.bytes[11] = 0xFF;
        memcpy(address.bytes + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    }
    return address;
}

static void connection_open(Clients *clients, int fd, const struct sockaddr_storage *from)
{
    Error err = {0};
    Connection *c = connection_take(clients);
    if (!c || !loop_watch(clients->loop, &c->watch, fd, EPOLLIN, &err)) {
        if (c) {
            c->after = clients->spare_connections;
            clients->spare_connections = c;
        }
        fd_close(&fd);
        metrics_add(clients->thread->metrics, COUNTER_CONNECTIONS_REFUSED, 1);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));    // a Unix socket has none
    c->peer = address_of(from);
    c->is_idle = true;
    clients->open_count++;
    metrics_add(clients->thread->metrics, COUNTER_CONNECTIONS_OPEN, 1);
    metrics_add(clients->thread->metrics, COUNTER_CONNECTIONS_ACCEPTED, 1);
    list_append(c);
    timer_start(clients->loop, &c->timer, clients->thread->settings->idle_timeout_ms);
    head_ready(c);    // its request has most often come with it
}

static void accept_pause(Clients *clients)
{
    clients->is_paused = true;
    for (size_t i = 0; i < clients->listener_count; i++)
        loop_watch_change(clients->loop, &clients->listeners[i].watch, 0);
}

static void accept_resume(Clients *clients)
{
    if (!clients->is_paused || clients->is_draining || timer_is_started(&clients->pause))
        return;
    clients->is_paused = false;
    for (size_t i = 0; i < clients->listener_count; i++)
        loop_watch_change(clients->loop, &clients->listeners[i].watch, EPOLLIN);
}

static void pause_due(Timer *timer) { accept_resume(container_of(timer, Clients, pause)); }

static bool is_full(const Clients *clients) { return clients->open_count >= clients->thread->settings->clients_max; }

// At the cap the longest idle connection makes room; without one, accepting pauses until a connection ends.
static bool has_room(Clients *clients)
{
    if (!is_full(clients) || clients->idle.first)
        return true;
    metrics_add(clients->thread->metrics, COUNTER_CONNECTIONS_REFUSED, 1);
    accept_pause(clients);
    return false;
}

static void room_make(Clients *clients)
{
    metrics_add(clients->thread->metrics, COUNTER_CONNECTIONS_REFUSED, 1);
    if (clients->idle.first)
        connection_close(clients->idle.first);
}

// Takes in who stands in the queue, at most `max`.
static void accept_some(Clients *clients, int listener, int max)
{
    for (int i = 0; i < max && has_room(clients); i++) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof(from);
        int fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (is_full(clients))
                room_make(clients);
            connection_open(clients, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            room_make(clients);
            timer_start(clients->loop, &clients->pause, ACCEPT_PAUSE_MS);
            accept_pause(clients);
            return;
        }
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

static void listener_ready(Watch *watch, uint32_t events UNUSED)
{
    const Listener *listener = container_of(watch, Listener, watch);
    accept_some(listener->clients, watch->fd, listener->is_shared ? 1 : CONNECTIONS_AT_ONCE);
}

// ---- the set ----

static void drain_due(Timer *timer)
{
    Clients *clients = container_of(timer, Clients, drain);
    clients->was_cut = true;
    while (clients->busy.first)
        connection_close(clients->busy.first);
    while (clients->idle.first)
        connection_close(clients->idle.first);
    if (clients->is_drained)
        return;
    clients->is_drained = true;    // requests still wait, for nobody
    clients->drained(clients->thread);
}

bool clients_open(Thread *thread, void (*drained)(Thread *thread), Clients **out, Error *err)
{
    Clients *clients = arena_new(thread->arena, Clients);
    if (!arena_ok(thread->arena, err))
        return false;
    clients->thread = thread;
    clients->loop = thread->loop;
    clients->drained = drained;
    clients->pause.due = pause_due;
    clients->drain.due = drain_due;
    *out = clients;
    return true;
}

bool clients_listen(Clients *clients, int listener, bool is_shared, Error *err)
{
    if (clients->listener_count == LISTENERS_MAX)
        return error_set(err, ERR_INVALID, "there are more than %d addresses to listen on", LISTENERS_MAX);
    Listener *added = &clients->listeners[clients->listener_count];
    *added = (Listener){.clients = clients, .watch.ready = listener_ready, .is_shared = is_shared};
    if (!loop_watch(clients->loop, &added->watch, listener, EPOLLIN, err))
        return false;
    clients->listener_count++;
    return true;
}

static void listeners_close(Clients *clients)
{
    for (size_t i = 0; i < clients->listener_count; i++) {
        loop_unwatch(clients->loop, &clients->listeners[i].watch);
        fd_close(&clients->listeners[i].watch.fd);
    }
    clients->listener_count = 0;
}

void clients_drain(Clients *clients)
{
    if (clients->is_draining)
        return;
    for (size_t i = 0; i < clients->listener_count; i++)
        if (!clients->listeners[i].is_shared)    // else who stands in the queue is another's, too
            accept_some(clients, clients->listeners[i].watch.fd, INT_MAX);
    clients->is_draining = true;
    listeners_close(clients);
    for (Connection *c = clients->idle.first; c; c = c->after)
        timer_start(clients->loop, &c->timer, DRAIN_MOMENT_MS);
    timer_start(clients->loop, &clients->drain, clients->thread->settings->drain_timeout_ms);
    drain_check(clients);
}

bool clients_were_cut(const Clients *clients) { return clients->was_cut; }

static void inputs_close(Input *input)
{
    while (input) {
        Arena *arena = input->arena;
        input = input->next;
        arena_close(&arena);
    }
}

void clients_close(Clients **clients)
{
    if (!*clients)
        return;
    Clients *all = TAKE(*clients);
    listeners_close(all);
    while (all->busy.first)
        connection_close(all->busy.first);
    while (all->idle.first)
        connection_close(all->idle.first);
    inputs_close(all->spare_small);
    inputs_close(all->spare_large);
    while (all->spare_requests) {
        Request *r = all->spare_requests;
        all->spare_requests = r->next_free;
        Arena *home = r->home, *arena = r->arena;
        arena_close(&arena);
        arena_close(&home);
    }
}
