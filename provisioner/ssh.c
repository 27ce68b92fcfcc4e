// provisioner/ssh.c: SSH by libssh2.
#include "provisioner/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh2.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "provisioner/digest.h"
#include "provisioner/private_socket.h"

enum {
    TIMEOUT_MS = 10000,
    KEEPALIVE_MS = 15000,
    KEEPALIVE_LEAST_S = 2,    // libssh2 sends none more often
    KEEPALIVES_LOST = 3,      // without an answer, and the connection is given up
    BUDGET = 256 * KIB,
    KNOWN_HOSTS_MAX = 4 * MIB,
    CHUNK = 32 * KIB,
    WINDOW = 2 * MIB,
    PACKET = 32 * KIB,
    PASSPHRASE_MAX = 1024,
    AGENT_KEYS_MAX = 5,    // sshd ends it after six failures
    OUTPUT_MAX = 64 * KIB,
};

typedef struct Connection {
    int fd;
    LIBSSH2_SESSION *session;
    bool has_received;    // something, since it was last set to false
    int64_t heard_ms;     // when something was received last
} Connection;

// One connection to the local socket, and its channel. The place is free while it has neither.
typedef struct Channel {
    int fd;                      // -1 when the local side is gone
    LIBSSH2_CHANNEL *channel;    // NULL while it is being opened
    char up[CHUNK], down[CHUNK];
    size_t up_at, up_len, down_at, down_len;
    bool is_local_ended, is_end_sent;
    bool has_waited;    // for a connection after the first one was lost
} Channel;

struct Ssh {
    Arena *arena;
    SshServer server;
    Connection connection;
    Str remote_socket;
    int listener;
    Str path;
    int wake;    // an eventfd: the thread is to end
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t lock;    // of `failure` alone
    Error failure;           // what the thread knows of the trouble since it was last asked
    Channel *channels;
};

static void global_start(void) { (void)libssh2_init(0); }

static int64_t timeout_of(const SshServer *server) { return server->timeout_ms ? server->timeout_ms : TIMEOUT_MS; }

// ---- fingerprints and known hosts

// As OpenSSH writes it: without padding.
static Str fingerprint_text(Str hash, Arena *arena)
{
    Str text = base64_encode(hash, arena);
    while (str_has_suffix(text, S("=")))
        text.len--;
    return str_format(arena, "SHA256:%.*s", STR_ARG(text));
}

// Of a key in base64.
static Str fingerprint_of(const char *key, Arena *arena)
{
    unsigned char hash[DIGEST_BYTES];
    Str bytes = base64_decode(str_of(key), arena);
    digest_bytes(bytes, hash);
    return fingerprint_text((Str){(const char *)hash, sizeof(hash)}, arena);
}

// What the files of known hosts say.
typedef struct Known {
    LIBSSH2_KNOWNHOSTS *hosts;
    StrBuf revoked;    // keys in base64, a blank after each
} Known;

static void known_close(Known *known)
{
    if (known->hosts)
        libssh2_knownhost_free(known->hosts);
}

static Str home_path(Arena *arena, const char *below)
{
    const char *home = getenv("HOME");
    struct passwd entry, *found = NULL;
    char buffer[4 * KIB];
    if (!home && getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found)
        home = found->pw_dir;
    return str_format(arena, "%s/%s", home ? home : "", below);
}

// "@revoked HOSTS TYPE KEY" counts for every host; authorities ("@cert-authority") are none of ours. Source: sshd(8).
static void marked_line_add(Known *known, Str line)
{
    Str word, words[4] = {{0}};
    for (size_t count = 0; count < COUNT(words) && str_cut(&line, ' ', &word);)
        if (word.len)
            words[count++] = word;
    if (str_eq(words[0], S("@revoked")) && words[3].len)
        strbuf_format(&known->revoked, "%.*s ", STR_ARG(words[3]));
}

// In our own file each line has to be one; what a person's file has beside that is OpenSSH's.
static bool known_add(Known *known, Str path, bool is_ours, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(3 * KNOWN_HOSTS_MAX);
    Str text = S(""), line;
    if (path.len == 0 || !file_exists(path))
        return true;
    if (!file_read(path, KNOWN_HOSTS_MAX, arena, &text, err))
        return error_wrap(err, "the known hosts can't be read");
    for (size_t number = 1; str_cut(&text, '\n', &line); number++) {
        line = str_trim(str_replace(arena, line, '\t', ' '));
        if (str_has_prefix(line, S("@"))) {
            marked_line_add(known, line);
            continue;
        }
        int code = libssh2_knownhost_readline(known->hosts, line.data, line.len, LIBSSH2_KNOWNHOST_FILE_OPENSSH);
        if (code == LIBSSH2_ERROR_ALLOC)
            return error_set(err, ERR_NO_MEMORY, "no memory for the known hosts");
        if (code != 0 && is_ours) {
            error_set(err, ERR_INVALID, "the file of known hosts '%.*s' can't be read", STR_ARG(path));
            error_why(err, "its line %zu isn't one", number);
            return error_next(err, "write HOST TYPE KEY, as ssh-keyscan prints them, or take the line out");
        }
    }
    return arena_ok(arena, err);
}

static bool known_open(const SshServer *server, Connection *connection, Arena *arena, Known *out, Error *err)
{
    out->revoked = (StrBuf){.arena = arena};
    out->hosts = libssh2_knownhost_init(connection->session);
    if (!out->hosts)
        return error_set(err, ERR_NO_MEMORY, "no memory for the known hosts");
    return known_add(out, server->known_hosts, true, err) &&
           known_add(out, home_path(arena, ".ssh/known_hosts"), false, err);
}

typedef struct KeyType {
    const char *name;
    int host_key;      // LIBSSH2_HOSTKEY_TYPE_
    int known_host;    // LIBSSH2_KNOWNHOST_KEY_
} KeyType;

// In the order of what we would rather have. libssh2 1.10 can't do RSA with SHA-2, which sshd insists on.
static const KeyType KEY_TYPES[] = {
    {"ssh-ed25519", LIBSSH2_HOSTKEY_TYPE_ED25519, LIBSSH2_KNOWNHOST_KEY_ED25519},
    {"ecdsa-sha2-nistp256", LIBSSH2_HOSTKEY_TYPE_ECDSA_256, LIBSSH2_KNOWNHOST_KEY_ECDSA_256},
    {"ecdsa-sha2-nistp384", LIBSSH2_HOSTKEY_TYPE_ECDSA_384, LIBSSH2_KNOWNHOST_KEY_ECDSA_384},
    {"ecdsa-sha2-nistp521", LIBSSH2_HOSTKEY_TYPE_ECDSA_521, LIBSSH2_KNOWNHOST_KEY_ECDSA_521},
};

enum { KNOWN_FLAGS = LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_BASE64 };

// LIBSSH2_KNOWNHOST_CHECK_ of a key; *entry is what is known instead of it.
static int known_check(LIBSSH2_KNOWNHOSTS *known, const SshServer *server, const char *key, const KeyType *type,
                       struct libssh2_knownhost **entry)
{
    return libssh2_knownhost_checkp(known, server->host.data, (int)server->port, key, 0, KNOWN_FLAGS | type->known_host,
                                    entry);
}

// The types of keys that the host may show: those that we know of it before the others.
static Str key_types(LIBSSH2_KNOWNHOSTS *known, const SshServer *server, Arena *arena)
{
    StrBuf list = {.arena = arena};
    for (int is_known = 1; is_known >= 0; is_known--)
        for (size_t i = 0; i < COUNT(KEY_TYPES); i++) {
            struct libssh2_knownhost *entry = NULL;
            bool has = known_check(known, server, "AAAA", &KEY_TYPES[i], &entry) == LIBSSH2_KNOWNHOST_CHECK_MISMATCH;
            if (has == (is_known == 1))
                strbuf_format(&list, "%s%s", list.len ? "," : "", KEY_TYPES[i].name);
        }
    return strbuf_str(&list);
}

// ---- connecting

// What is sent after the goodbye fails at once, so that freeing waits for nothing.
static void connection_close(Connection *connection)
{
    if (connection->session) {
        libssh2_session_set_blocking(connection->session, 0);
        (void)libssh2_session_disconnect(connection->session, "bye");
        (void)shutdown(connection->fd, SHUT_RDWR);
        libssh2_session_set_blocking(connection->session, 1);
        libssh2_session_set_timeout(connection->session, 1000);
        (void)libssh2_session_free(connection->session);
    }
    connection->session = NULL;
    fd_close(&connection->fd);
}

static bool unreachable(const SshServer *server, const char *why, Error *err)
{
    error_set(err, ERR_UNREACHABLE, "%.*s doesn't answer", STR_ARG(server->name));
    error_where(err, "%.*s:%lld", STR_ARG(server->host), (long long)server->port);
    return error_why(err, "%s", why);
}

static bool error_from_ssh(Error *err, const Connection *connection, const SshServer *server, const char *what)
{
    char *said = NULL;
    int code = libssh2_session_last_error(connection->session, &said, NULL, 0);
    if (code == LIBSSH2_ERROR_ALLOC)
        return error_set(err, ERR_NO_MEMORY, "no memory for SSH to %.*s", STR_ARG(server->name));
    error_set(err, ERR_UNREACHABLE, "%.*s doesn't answer: %s", STR_ARG(server->name), what);
    error_where(err, "%.*s:%lld", STR_ARG(server->host), (long long)server->port);
    return error_why(err, "%s", code == LIBSSH2_ERROR_TIMEOUT ? "nothing came in time" : said ? said : "SSH failed");
}

static void infos_close(struct addrinfo **infos)
{
    if (*infos)
        freeaddrinfo(*infos);
}

// 0, or the errno of the attempt.
static int address_connect(const struct addrinfo *info, int64_t deadline_ms, int *out_fd)
{
    CLEANUP(fd_close)
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol);
    int number = 0, on = 1;
    socklen_t size = sizeof(number);
    if (fd < 0 || (connect(fd, info->ai_addr, info->ai_addrlen) != 0 && errno != EINPROGRESS))
        return errno;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int64_t left_ms = MAX(deadline_ms - clock_ms(), (int64_t)0);
    if (poll(&wait, 1, (int)left_ms) <= 0)
        return ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0 || number)
        return number ? number : EIO;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *out_fd = fd_take(&fd);
    return 0;
}

static bool tcp_connect(const SshServer *server, int *out_fd, Error *err)
{
    CLEANUP(infos_close) struct addrinfo *infos = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char port[8];
    int64_t deadline_ms = clock_ms() + timeout_of(server);
    (void)snprintf(port, sizeof(port), "%d", (int)server->port);
    int failure = getaddrinfo(server->host.data, port, &hints, &infos), number = EIO;
    if (failure)
        return unreachable(server, gai_strerror(failure), err);
    for (const struct addrinfo *info = infos; info; info = info->ai_next) {
        number = address_connect(info, deadline_ms, out_fd);
        if (number == 0)
            return true;
    }
    char text[128];
    return unreachable(server, strerror_r(number, text, sizeof(text)), err);
}

static bool methods_prefer(Connection *connection, Str types, Error *err)
{
    const struct {
        int method;
        const char *list;
    } methods[] = {
        {LIBSSH2_METHOD_KEX, "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
                             "ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group14-sha256"},
        {LIBSSH2_METHOD_HOSTKEY, types.data},
        {LIBSSH2_METHOD_CRYPT_CS, "aes256-ctr,aes192-ctr,aes128-ctr"},
        {LIBSSH2_METHOD_CRYPT_SC, "aes256-ctr,aes192-ctr,aes128-ctr"},
        {LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256,hmac-sha2-512"},
        {LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256,hmac-sha2-512"},
    };
    for (size_t i = 0; i < COUNT(methods); i++)
        if (libssh2_session_method_pref(connection->session, methods[i].method, methods[i].list) != 0)
            return error_set(err, ERR_FAILED, "libssh2 has none of our methods");
    return true;
}

static bool handshake(const SshServer *server, Connection *connection, Error *err)
{
    int code = libssh2_session_handshake(connection->session, connection->fd);
    if (code == 0)
        return true;
    if (code != LIBSSH2_ERROR_KEX_FAILURE)
        return error_from_ssh(err, connection, server, "SSH can't begin");
    error_set(err, ERR_FORBIDDEN, "%.*s and shopctl agree on no way to talk", STR_ARG(server->name));
    error_why(err, "its host key may be RSA, which shopctl doesn't take");
    return error_next(err, "give its sshd an Ed25519 or ECDSA host key: ssh-keygen -A there");
}

// TCP and the exchange of keys, up to where the host's key can be looked at. *known is the caller's to close first.
static bool greet(const SshServer *server, Arena *arena, Connection *connection, Known *known, Error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, global_start);
    if (!tcp_connect(server, &connection->fd, err))
        return false;
    connection->session = libssh2_session_init();
    if (!connection->session)
        return error_set(err, ERR_NO_MEMORY, "no memory for SSH to %.*s", STR_ARG(server->name));
    libssh2_session_set_timeout(connection->session, (long)timeout_of(server));
    if (!known_open(server, connection, arena, known, err))
        return false;
    Str types = key_types(known->hosts, server, arena);
    return arena_ok(arena, err) && methods_prefer(connection, types, err) && handshake(server, connection, err);
}

static bool key_revoked(const SshServer *server, const SshHostKey *key, Error *err)
{
    error_set(err, ERR_FORBIDDEN, "%.*s shows a key that is revoked", STR_ARG(server->name));
    error_where(err, "%.*s:%lld", STR_ARG(server->host), (long long)server->port);
    error_why(err, "a file of known hosts says @revoked of %.*s %.*s", STR_ARG(key->type), STR_ARG(key->fingerprint));
    return error_next(err, "give its sshd another key: remove /etc/ssh/ssh_host_*, then ssh-keygen -A there");
}

static bool host_key_read(const SshServer *server, Connection *connection, Known *known, Arena *arena, SshHostKey *out,
                          Error *err)
{
    size_t len = 0;
    int type = 0;
    const char *key = libssh2_session_hostkey(connection->session, &len, &type);
    const char *hash = libssh2_hostkey_hash(connection->session, LIBSSH2_HOSTKEY_HASH_SHA256);
    const KeyType *row = KEY_TYPES;
    while (row < KEY_TYPES + COUNT(KEY_TYPES) && row->host_key != type)
        row++;
    if (!key || !hash || row == KEY_TYPES + COUNT(KEY_TYPES))
        return error_set(err, ERR_MALFORMED, "%.*s shows no host key that we can read", STR_ARG(server->name));
    struct libssh2_knownhost *entry = NULL;
    Str text = base64_encode((Str){key, len}, arena);
    if (!arena_ok(arena, err))
        return false;
    int found = known_check(known->hosts, server, text.data, row, &entry);
    *out = (SshHostKey){.type = str_of(row->name),
                        .fingerprint = fingerprint_text((Str){hash, DIGEST_BYTES}, arena),
                        .key = text,
                        .is_known = found == LIBSSH2_KNOWNHOST_CHECK_MATCH};
    if (found == LIBSSH2_KNOWNHOST_CHECK_MISMATCH && entry && entry->key)
        out->before = fingerprint_of(entry->key, arena);
    Str revoked = strbuf_str(&known->revoked), word = str_format(arena, "%.*s ", STR_ARG(text));
    if (!arena_ok(arena, err))
        return false;
    return str_find(revoked, word) == revoked.len || key_revoked(server, out, err);
}

static bool host_key_check(const SshServer *server, const SshHostKey *key, Error *err)
{
    if (key->is_known)
        return true;
    if (key->before.len) {
        error_set(err, ERR_FORBIDDEN, "%.*s shows another key than before", STR_ARG(server->name));
        error_why(err, "it shows %.*s %.*s, known is %.*s: somebody may be in between, or the host was set up anew",
                  STR_ARG(key->type), STR_ARG(key->fingerprint), STR_ARG(key->before));
    } else {
        error_set(err, ERR_FORBIDDEN, "the key of %.*s isn't known", STR_ARG(server->name));
        error_why(err, "it shows %.*s %.*s, known is none", STR_ARG(key->type), STR_ARG(key->fingerprint));
    }
    error_where(err, "%.*s:%lld", STR_ARG(server->host), (long long)server->port);
    return error_next(err, "compare it with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there, then: %.*s",
                      STR_ARG(server->trust_command));
}

// ---- saying who we are

static const char *user_of(const SshServer *server, Arena *arena)
{
    struct passwd entry, *found = NULL;
    char buffer[4 * KIB];
    if (server->user.len)
        return server->user.data;
    if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found)
        return str_copy(arena, str_of(found->pw_name)).data;
    return "root";
}

static bool agent_try(Connection *connection, const char *user)
{
    LIBSSH2_AGENT *agent = getenv("SSH_AUTH_SOCK") ? libssh2_agent_init(connection->session) : NULL;
    bool is_in = false;
    if (agent && libssh2_agent_connect(agent) == 0 && libssh2_agent_list_identities(agent) == 0) {
        struct libssh2_agent_publickey *identity = NULL;
        for (int i = 0; i < AGENT_KEYS_MAX && !is_in && libssh2_agent_get_identity(agent, &identity, identity) == 0;
             i++)
            is_in = libssh2_agent_userauth(agent, user, identity) == 0;
        (void)libssh2_agent_disconnect(agent);
    }
    if (agent)
        libssh2_agent_free(agent);
    return is_in;
}

static int key_use(Connection *connection, const char *user, Str key_file, const char *passphrase)
{
    return libssh2_userauth_publickey_fromfile_ex(connection->session, user, (unsigned)strlen(user), NULL,
                                                  key_file.data, passphrase);
}

static bool passphrase_read(const SshServer *server, Str key_file, char out[PASSPHRASE_MAX], Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(PASSPHRASE_MAX * 8);
    Str text = S("");
    if (server->passphrase_file.len) {
        if (!file_read(server->passphrase_file, PASSPHRASE_MAX - 1, arena, &text, err))
            return error_wrap(err, "the passphrase of the key '%.*s' can't be read", STR_ARG(key_file));
        while (str_has_suffix(text, S("\n")) || str_has_suffix(text, S("\r")))
            text.len--;
        (void)snprintf(out, PASSPHRASE_MAX, "%.*s", STR_ARG(text));
        explicit_bzero((char *)text.data, text.len);
        return true;
    }
    if (server->ask)
        return server->ask(server->ask_context, key_file.data, out, PASSPHRASE_MAX, err);
    error_set(err, ERR_FORBIDDEN, "the key '%.*s' is locked", STR_ARG(key_file));
    error_why(err, "it has a passphrase, and nobody can be asked for it");
    return error_next(err, "name a file with it by the setting ssh_passphrase_file, or use ssh-agent");
}

static bool key_refused(const SshServer *server, Str key_file, Error *err)
{
    error_set(err, ERR_FORBIDDEN, "the key '%.*s' can't be read", STR_ARG(key_file));
    error_why(err, "its passphrase is another one, or it is no private key of a kind that we know");
    return error_next(err, "use an Ed25519 or ECDSA key%s",
                      server->passphrase_file.len ? ", or set ssh_passphrase_file to the right file" : "");
}

// *out_in tells whether the host took it.
static bool key_try(const SshServer *server, Connection *connection, const char *user, Str key_file, bool *out_in,
                    Error *err)
{
    char passphrase[PASSPHRASE_MAX] = "";
    int code = key_use(connection, user, key_file, NULL);
    if (code == LIBSSH2_ERROR_FILE || code == LIBSSH2_ERROR_METHOD_NONE) {
        if (!passphrase_read(server, key_file, passphrase, err))
            return false;
        code = key_use(connection, user, key_file, passphrase);
        explicit_bzero(passphrase, sizeof(passphrase));
        if (code == LIBSSH2_ERROR_FILE || code == LIBSSH2_ERROR_METHOD_NONE)
            return key_refused(server, key_file, err);
    }
    if (code == LIBSSH2_ERROR_SOCKET_RECV || code == LIBSSH2_ERROR_SOCKET_SEND || code == LIBSSH2_ERROR_TIMEOUT ||
        code == LIBSSH2_ERROR_SOCKET_DISCONNECT || code == LIBSSH2_ERROR_ALLOC)
        return error_from_ssh(err, connection, server, "SSH was cut off");
    *out_in = code == 0;
    return true;
}

static bool no_key_fits(const SshServer *server, const char *user, Error *err)
{
    error_set(err, ERR_FORBIDDEN, "%.*s doesn't let '%s' in", STR_ARG(server->name), user);
    error_where(err, "%.*s:%lld", STR_ARG(server->host), (long long)server->port);
    error_why(err, "it takes none of our keys: %s",
              server->key_file.len ? server->key_file.data : "the agent's, ~/.ssh/id_ed25519, ~/.ssh/id_ecdsa");
    return error_next(err, "add the public key to ~/.ssh/authorized_keys there, or name another one by the setting "
                           "ssh_key (Ed25519 or ECDSA)");
}

static bool authenticate(const SshServer *server, Connection *connection, Arena *arena, Error *err)
{
    static const char *const DEFAULTS[] = {".ssh/id_ed25519", ".ssh/id_ecdsa"};
    const char *user = user_of(server, arena);
    bool is_in = false;
    if (!arena_ok(arena, err))
        return false;
    if (server->key_file.len) {
        if (!file_exists(server->key_file)) {
            error_set(err, ERR_NOT_FOUND, "there is no key '%.*s'", STR_ARG(server->key_file));
            return error_next(err, "name another one by the setting ssh_key");
        }
        if (!key_try(server, connection, user, server->key_file, &is_in, err))
            return false;
        return is_in || no_key_fits(server, user, err);
    }
    is_in = agent_try(connection, user);
    for (size_t i = 0; i < COUNT(DEFAULTS) && !is_in; i++) {
        Str path = home_path(arena, DEFAULTS[i]);
        if (!arena_ok(arena, err) || (file_exists(path) && !key_try(server, connection, user, path, &is_in, err)))
            return false;
    }
    return is_in || no_key_fits(server, user, err);
}

static bool connection_open(const SshServer *server, Connection *out, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(connection_close) Connection connection = {.fd = -1};
    CLEANUP(known_close) Known known = {0};
    SshHostKey key = {0};
    if (!greet(server, arena, &connection, &known, err) ||
        !host_key_read(server, &connection, &known, arena, &key, err) || !host_key_check(server, &key, err) ||
        !authenticate(server, &connection, arena, err))
        return false;
    *out = connection;
    connection = (Connection){.fd = -1};
    return true;
}

static SshServer server_copy(const SshServer *server, Arena *arena)
{
    SshServer copy = *server;
    Str *texts[] = {&copy.name,         &copy.host,     &copy.user,
                    &copy.known_hosts,  &copy.key_file, &copy.passphrase_file,
                    &copy.trust_command};
    for (size_t i = 0; i < COUNT(texts); i++)
        if (texts[i]->len)
            *texts[i] = str_copy(arena, *texts[i]);
    return copy;
}

bool ssh_open(const SshServer *server, Ssh **out, Error *err)
{
    Arena *arena = arena_open(2 * SSH_CHANNELS_MAX * sizeof(Channel) + BUDGET);
    Ssh *ssh = arena_new(arena, Ssh);
    if (!ssh) {
        bool is_there = arena_ok(arena, err);
        assert(!is_there);
        arena_close(&arena);
        return false;
    }
    ssh->arena = arena;
    ssh->connection.fd = ssh->listener = ssh->wake = -1;
    ssh->server = server_copy(server, arena);
    (void)pthread_mutex_init(&ssh->lock, NULL);
    if (arena_ok(arena, err) && connection_open(&ssh->server, &ssh->connection, err)) {
        *out = ssh;
        return true;
    }
    ssh_close(&ssh);
    return false;
}

bool ssh_host_key(const SshServer *server, Arena *arena, SshHostKey *out, Error *err)
{
    CLEANUP(connection_close) Connection connection = {.fd = -1};
    CLEANUP(known_close) Known known = {0};
    SshServer copy = server_copy(server, arena);
    return arena_ok(arena, err) && greet(&copy, arena, &connection, &known, err) &&
           host_key_read(&copy, &connection, &known, arena, out, err);
}

// "eu1", or "[eu1]:2222" where the port isn't 22, as OpenSSH keeps it.
static Str known_name(const SshServer *server, Arena *arena)
{
    return server->port == 22 ? str_copy(arena, server->host)
                              : str_format(arena, "[%.*s]:%lld", STR_ARG(server->host), (long long)server->port);
}

bool ssh_trust(const SshServer *server, const SshHostKey *key, Error *err)
{
    CLEANUP(arena_close) Arena *arena = arena_open(3 * KNOWN_HOSTS_MAX);
    Str before = S(""), line;
    if (file_exists(server->known_hosts) && !file_read(server->known_hosts, KNOWN_HOSTS_MAX, arena, &before, err))
        return false;
    Str name = known_name(server, arena);
    StrBuf after = {.arena = arena};
    while (str_cut(&before, '\n', &line)) {
        Str host = str_slice(line, 0, str_find_char(line, ' '));
        if (line.len && !str_eq(host, name))
            strbuf_format(&after, "%.*s\n", STR_ARG(line));
    }
    strbuf_format(&after, "%.*s %.*s %.*s\n", STR_ARG(name), STR_ARG(key->type), STR_ARG(key->key));
    Str text = strbuf_str(&after);
    return arena_ok(arena, err) && file_write(server->known_hosts, text, 0600, err);
}

// ---- one command

static void channel_free(LIBSSH2_CHANNEL **channel)
{
    if (*channel)
        (void)libssh2_channel_free(*channel);
}

static bool output_read(const SshServer *server, const Connection *connection, LIBSSH2_CHANNEL *channel, int stream,
                        StrBuf *out, Error *err)
{
    char buf[4 * KIB];
    for (;;) {
        ssize_t len = libssh2_channel_read_ex(channel, stream, buf, sizeof(buf));
        if (len < 0)
            return error_from_ssh(err, connection, server, "the command's output was cut off");
        if (len == 0 || out->len + (size_t)len > OUTPUT_MAX)
            return true;
        strbuf_add(out, (Str){buf, (size_t)len});
    }
}

bool ssh_run(Ssh *ssh, const char *command, Arena *arena, Str *out, Error *err)
{
    const SshServer *server = &ssh->server;
    StrBuf output = {.arena = arena}, trouble = {.arena = arena};
    assert(!ssh->has_thread);
    CLEANUP(channel_free) LIBSSH2_CHANNEL *channel = libssh2_channel_open_session(ssh->connection.session);
    if (!channel || libssh2_channel_exec(channel, command) != 0)
        return error_from_ssh(err, &ssh->connection, server, "no command can be run");
    if (!output_read(server, &ssh->connection, channel, 0, &output, err) ||
        !output_read(server, &ssh->connection, channel, SSH_EXTENDED_DATA_STDERR, &trouble, err) ||
        libssh2_channel_close(channel) != 0)
        return err->code ? false : error_from_ssh(err, &ssh->connection, server, "the command didn't end");
    if (!arena_ok(arena, err))
        return false;
    if (libssh2_channel_get_exit_status(channel) == 0) {
        *out = strbuf_str(&output);
        return arena_ok(arena, err);
    }
    error_set(err, ERR_FAILED, "'%s' fails on %.*s", command, STR_ARG(server->name));
    return error_why(err, "%.*s", STR_ARG(str_trim(strbuf_str(&trouble))));
}

// ---- the thread that carries bytes between local connections and their channels

static void failure_set(Ssh *ssh, const Error *failure)
{
    (void)pthread_mutex_lock(&ssh->lock);
    ssh->failure = *failure;
    (void)pthread_mutex_unlock(&ssh->lock);
}

bool ssh_explain(Ssh *ssh, Error *err)
{
    (void)pthread_mutex_lock(&ssh->lock);
    if (ssh->failure.code)
        *err = ssh->failure;
    ssh->failure = (Error){0};
    (void)pthread_mutex_unlock(&ssh->lock);
    return false;
}

static bool is_free(const Channel *channel) { return channel->fd < 0 && !channel->channel; }

// Whoever came before the loss was noticed, and wasn't connected yet, waits for the next connection: once.
static bool is_waiting(const Channel *channel) { return channel->fd >= 0 && !channel->channel && !channel->has_waited; }

static void connection_lose(Ssh *ssh, bool is_last)
{
    for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
        Channel *channel = &ssh->channels[i];
        bool stays = is_waiting(channel) && !is_last;
        channel->has_waited = stays;
        channel->channel = NULL;    // freed with the session
        if (!stays)
            fd_close(&channel->fd);
    }
    connection_close(&ssh->connection);
}

// libssh2 wants the call that left a packet half sent to be repeated before any other: true when that was waited for.
static bool is_to_be_repeated(const Ssh *ssh, ssize_t code)
{
    if (code != LIBSSH2_ERROR_EAGAIN ||
        !(libssh2_session_block_directions(ssh->connection.session) & LIBSSH2_SESSION_BLOCK_OUTBOUND))
        return false;
    struct pollfd polls[] = {{.fd = ssh->connection.fd, .events = POLLOUT}, {.fd = ssh->wake, .events = POLLIN}};
    return poll(polls, COUNT(polls), (int)timeout_of(&ssh->server)) > 0 && !polls[1].revents;
}

#define REPEATED(ssh, code, call)                                                                                      \
    do                                                                                                                 \
        (code) = (call);                                                                                               \
    while (is_to_be_repeated(ssh, code))

// The local side is told at once; the host's answer to the closing may take a while, which channels_go_on waits for.
static void channel_end(Ssh *ssh, Channel *channel)
{
    int code = 0;
    fd_close(&channel->fd);
    if (channel->channel)
        REPEATED(ssh, code, libssh2_channel_free(channel->channel));
    if (code != LIBSSH2_ERROR_EAGAIN)
        channel->channel = NULL;
}

static void socket_unreachable(Ssh *ssh)
{
    char *said = NULL;
    Error failure = {0};
    (void)libssh2_session_last_error(ssh->connection.session, &said, NULL, 0);
    error_set(&failure, ERR_UNREACHABLE, "the engine's socket on %.*s can't be reached", STR_ARG(ssh->server.name));
    error_where(&failure, "%.*s", STR_ARG(ssh->remote_socket));
    error_why(&failure, "its sshd says: %s", said ? said : "nothing");
    error_next(&failure, "see that an engine listens there, that the user may use its socket, and that sshd has "
                         "AllowStreamLocalForwarding yes");
    failure_set(ssh, &failure);
}

// The message of direct-streamlocal: the path, a reserved text, a reserved number.
static Str streamlocal_message(const Ssh *ssh, char *buf, size_t size)
{
    size_t len = ssh->remote_socket.len;
    assert(len + 12 <= size);
    memset(buf, 0, len + 12);
    buf[2] = (char)(len >> 8);
    buf[3] = (char)(len & 0xff);
    memcpy(buf + 4, ssh->remote_socket.data, len);
    return (Str){buf, len + 12};
}

// False when the connection is lost.
static bool channel_open(Ssh *ssh, Channel *channel)
{
    static const char TYPE[] = "direct-streamlocal@openssh.com";
    char buf[256];
    Str message = streamlocal_message(ssh, buf, sizeof(buf));
    int code = 0;
    do {
        channel->channel = libssh2_channel_open_ex(ssh->connection.session, TYPE, sizeof(TYPE) - 1, WINDOW, PACKET,
                                                   message.data, (unsigned)message.len);
        code = channel->channel ? 0 : libssh2_session_last_errno(ssh->connection.session);
    } while (is_to_be_repeated(ssh, code));
    if (code != LIBSSH2_ERROR_CHANNEL_FAILURE)
        return code == 0 || code == LIBSSH2_ERROR_EAGAIN;
    socket_unreachable(ssh);
    fd_close(&channel->fd);
    return true;
}

static bool local_read(Channel *channel)
{
    if (channel->up_len || channel->is_local_ended)
        return false;
    ssize_t len = recv(channel->fd, channel->up, sizeof(channel->up), 0);
    channel->is_local_ended = len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR);
    channel->up_at = 0;
    channel->up_len = len > 0 ? (size_t)len : 0;
    return channel->up_len > 0 || channel->is_local_ended;
}

// What the local side gives goes up. False when the channel is over.
static bool carry_up(Ssh *ssh, Channel *channel, bool *out_moved)
{
    while (local_read(channel) || channel->up_len) {
        ssize_t len = 0;
        if (channel->up_len) {
            REPEATED(ssh, len, libssh2_channel_write(channel->channel, channel->up + channel->up_at, channel->up_len));
            if (len < 0)
                return len == LIBSSH2_ERROR_EAGAIN;
            channel->up_at += (size_t)len;
            channel->up_len -= (size_t)len;
            *out_moved = true;
        }
    }
    if (channel->is_local_ended && !channel->is_end_sent) {
        int code = 0;
        REPEATED(ssh, code, libssh2_channel_send_eof(channel->channel));
        channel->is_end_sent = code != LIBSSH2_ERROR_EAGAIN;
    }
    return true;
}

// What the host gives goes down. False when the channel is over.
static bool carry_down(Ssh *ssh, Channel *channel, bool *out_moved)
{
    for (;;) {
        while (channel->down_len) {
            ssize_t sent = send(channel->fd, channel->down + channel->down_at, channel->down_len, MSG_NOSIGNAL);
            if (sent < 0)
                return errno == EAGAIN || errno == EINTR;
            channel->down_at += (size_t)sent;
            channel->down_len -= (size_t)sent;
            *out_moved = true;
        }
        ssize_t len = 0;
        REPEATED(ssh, len, libssh2_channel_read(channel->channel, channel->down, sizeof(channel->down)));
        if (len <= 0)
            return len == LIBSSH2_ERROR_EAGAIN || (len == 0 && !libssh2_channel_eof(channel->channel));
        channel->down_at = 0;
        channel->down_len = (size_t)len;
    }
}

// One pass over all channels, which are opened one at a time: libssh2 remembers one opening. False when the connection
// is lost.
static bool channels_pass(Ssh *ssh, bool *out_moved)
{
    bool is_opening = false;
    for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
        Channel *channel = &ssh->channels[i];
        if (is_free(channel) || (!channel->channel && is_opening))
            continue;
        if (!channel->channel && !channel_open(ssh, channel))
            return false;
        is_opening = is_opening || (channel->fd >= 0 && !channel->channel);
        if (channel->channel &&
            (channel->fd < 0 || !carry_up(ssh, channel, out_moved) || !carry_down(ssh, channel, out_moved)))
            channel_end(ssh, channel);
    }
    return true;
}

// Any call to libssh2 may take in what is another channel's than its own: bytes, room to send, the answer to an opening
// or to a closing. So there is a pass more after each that received or moved something.
static bool channels_go_on(Ssh *ssh)
{
    bool has_moved = true;
    while (has_moved || ssh->connection.has_received) {
        has_moved = ssh->connection.has_received = false;
        if (!channels_pass(ssh, &has_moved))
            return false;
    }
    return true;
}

// libssh2's way to read from the socket: the bytes, or -errno.
static LIBSSH2_RECV_FUNC(receive)
{
    Connection *connection = *abstract;
    ssize_t len = recv(socket, buffer, length, flags);
    if (len > 0) {
        connection->has_received = true;
        connection->heard_ms = clock_ms();
    }
    return len < 0 ? -errno : len;
}

static void connection_prepare(Connection *connection)
{
    libssh2_session_set_blocking(connection->session, 0);
    libssh2_keepalive_config(connection->session, 1, KEEPALIVE_LEAST_S);
    connection->heard_ms = clock_ms();
    *libssh2_session_abstract(connection->session) = connection;
    (void)libssh2_session_callback_set(connection->session, LIBSSH2_CALLBACK_RECV, (void *)receive);
}

// A new connection to the host, for somebody who came after the old one was lost.
static bool connection_again(Ssh *ssh)
{
    Error failure = {0};
    if (connection_open(&ssh->server, &ssh->connection, &failure)) {
        connection_prepare(&ssh->connection);
        failure_set(ssh, &failure);
        return true;
    }
    failure_set(ssh, &failure);
    return false;
}

static void visitors_take(Ssh *ssh)
{
    for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
        Channel *channel = &ssh->channels[i];
        if (!is_free(channel))
            continue;
        int fd = private_socket_accept(ssh->listener);
        if (fd < 0)
            return;
        *channel = (Channel){.fd = fd};
        if (!ssh->connection.session && !connection_again(ssh))
            fd_close(&channel->fd);
    }
}

enum { POLL_WAKE, POLL_LISTENER, POLL_HOST, POLL_CHANNELS, POLL_COUNT = POLL_CHANNELS + SSH_CHANNELS_MAX };

static void polls_fill(const Ssh *ssh, struct pollfd polls[POLL_COUNT])
{
    bool has_room = false;
    for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
        const Channel *channel = &ssh->channels[i];
        bool can_take = channel->up_len == 0 && !channel->is_local_ended;
        polls[POLL_CHANNELS + i] =
            (struct pollfd){.fd = channel->channel ? channel->fd : -1,
                            .events = (short)((can_take ? POLLIN : 0) | (channel->down_len ? POLLOUT : 0))};
        has_room = has_room || is_free(channel);
    }
    polls[POLL_WAKE] = (struct pollfd){.fd = ssh->wake, .events = POLLIN};
    polls[POLL_LISTENER] = (struct pollfd){.fd = has_room ? ssh->listener : -1, .events = POLLIN};
    polls[POLL_HOST] = (struct pollfd){.fd = ssh->connection.fd, .events = POLLIN};
}

static void connection_lost(Ssh *ssh)
{
    Error failure = {0};
    bool has_waiting = false;
    error_from_ssh(&failure, &ssh->connection, &ssh->server, "the connection was lost");
    failure_set(ssh, &failure);
    connection_lose(ssh, false);
    for (size_t i = 0; i < SSH_CHANNELS_MAX; i++)
        has_waiting = has_waiting || ssh->channels[i].fd >= 0;
    if (has_waiting && !connection_again(ssh))
        connection_lose(ssh, true);
}

// Who has closed both directions hears nothing any more.
static void visitors_gone(Ssh *ssh, const struct pollfd polls[POLL_COUNT])
{
    for (size_t i = 0; i < SSH_CHANNELS_MAX; i++)
        if (polls[POLL_CHANNELS + i].fd >= 0 && (polls[POLL_CHANNELS + i].revents & (POLLHUP | POLLERR)) &&
            !(polls[POLL_CHANNELS + i].revents & POLLIN))
            channel_end(ssh, &ssh->channels[i]);
}

static int64_t keepalive_ms(const Ssh *ssh)
{
    return ssh->server.keepalive_ms ? ssh->server.keepalive_ms : KEEPALIVE_MS;
}

// A firewall on the way may have forgotten the connection and tell nobody.
static void keepalive(Ssh *ssh)
{
    int seconds = 0, code = 0;
    if (!ssh->connection.session)
        return;
    REPEATED(ssh, code, libssh2_keepalive_send(ssh->connection.session, &seconds));
    int64_t asked_ms = MAX(keepalive_ms(ssh), KEEPALIVE_LEAST_S * INT64_C(1000));
    bool is_silent = clock_ms() - ssh->connection.heard_ms > KEEPALIVES_LOST * asked_ms;
    if ((code != 0 && code != LIBSSH2_ERROR_EAGAIN) || is_silent)
        connection_lost(ssh);
}

static void *carry(void *context)
{
    Ssh *ssh = context;
    struct pollfd polls[POLL_COUNT] = {0};
    int64_t next_ms = clock_ms() + keepalive_ms(ssh);
    while (!polls[POLL_WAKE].revents) {
        polls_fill(ssh, polls);
        if (poll(polls, POLL_COUNT, (int)MAX(next_ms - clock_ms(), (int64_t)0)) > 0) {
            if (polls[POLL_LISTENER].revents)
                visitors_take(ssh);
            if (ssh->connection.session)
                visitors_gone(ssh, polls);
            bool is_lost = ssh->connection.session && (polls[POLL_HOST].revents & (POLLERR | POLLHUP));
            while (ssh->connection.session && (is_lost || !channels_go_on(ssh))) {
                connection_lost(ssh);
                is_lost = false;
            }
        }
        if (clock_ms() >= next_ms) {
            keepalive(ssh);
            next_ms = clock_ms() + keepalive_ms(ssh);
        }
    }
    connection_lose(ssh, true);
    return NULL;
}

bool ssh_forward(Ssh *ssh, Str remote_socket, Str *out_path, Error *err)
{
    assert(!ssh->has_thread);
    ssh->remote_socket = str_copy(ssh->arena, remote_socket);
    ssh->channels = arena_array(ssh->arena, SSH_CHANNELS_MAX, Channel);
    if (!arena_ok(ssh->arena, err))
        return false;
    for (size_t i = 0; i < SSH_CHANNELS_MAX; i++)
        ssh->channels[i].fd = -1;
    if (!private_socket_listen(S("engine.sock"), ssh->arena, &ssh->listener, &ssh->path, err))
        return false;
    ssh->wake = eventfd(0, EFD_CLOEXEC);
    connection_prepare(&ssh->connection);
    if (ssh->wake < 0 || pthread_create(&ssh->thread, NULL, carry, ssh) != 0)
        return error_set(err, ERR_NO_MEMORY, "no thread for SSH to %.*s", STR_ARG(ssh->server.name));
    ssh->has_thread = true;
    *out_path = ssh->path;
    return true;
}

void ssh_close(Ssh **ssh)
{
    if (!*ssh)
        return;
    uint64_t one = 1;
    if ((*ssh)->has_thread && write((*ssh)->wake, &one, sizeof(one)) == (ssize_t)sizeof(one))
        (void)pthread_join((*ssh)->thread, NULL);
    connection_close(&(*ssh)->connection);
    private_socket_close(&(*ssh)->listener, (*ssh)->path);
    fd_close(&(*ssh)->wake);
    (void)pthread_mutex_destroy(&(*ssh)->lock);
    Arena *arena = (*ssh)->arena;
    *ssh = NULL;
    arena_close(&arena);
}
