// provisioner/ssh.h: SSH to a host: its key checked strictly, and its engine's socket brought here.
// Source: RFC 4253, RFC 4254; direct-streamlocal@openssh.com of OpenSSH's PROTOCOL, section 2.4.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef struct Ssh Ssh;

// Asks a person for the passphrase of a key and writes it, with a NUL, to `out`; fails where nobody is there.
typedef bool SshAsk(void *context, const char *key_file, char *out, size_t size, Error *err);

typedef struct SshServer {
    Str name;    // what errors call it: "the host 'eu1'"
    Str host;
    int64_t port;
    Str user;               // empty: that of this process
    Str known_hosts;        // the file that ssh_trust writes; ~/.ssh/known_hosts is read beside it:
                            // no patterns and no authorities of it
    Str key_file;           // empty: the agent's keys, then ~/.ssh/id_ed25519 and ~/.ssh/id_ecdsa
    Str passphrase_file;    // of the key; empty: `ask`
    SshAsk *ask;            // NULL: nobody can be asked
    void *ask_context;
    Str trust_command;       // what error_next names where the host's key isn't known
    int64_t timeout_ms;      // to connect, and for each answer; 0: 10,000
    int64_t keepalive_ms;    // between two questions whether it is still there; 0: 15,000
} SshServer;

// Connects, checks the host's key and says who we are. Fails with ERR_UNREACHABLE, or ERR_FORBIDDEN: the key of the
// host is unknown, revoked, or another one than before (why has both fingerprints), or it takes none of our keys.
MUST_CHECK bool ssh_open(const SshServer *server, Ssh **out, Error *err);
// Ends the connection, and the thread that ssh_forward started.
void ssh_close(Ssh **ssh);

// Runs a command on the host and gives its output in `arena`. Not after ssh_forward. Fails with ERR_FAILED, with the
// last line that it said as why, unless it exits with 0.
MUST_CHECK bool ssh_run(Ssh *ssh, const char *command, Arena *arena, Str *out, Error *err);

// Brings a Unix socket of the host here: what connects to *out_path (which lives as long as `ssh`) talks to it, up to
// SSH_CHANNELS_MAX at once, the rest waits. A thread does it; it connects again when the connection was lost and
// somebody comes. Once for each Ssh.
enum { SSH_CHANNELS_MAX = 32 };    // a connection to a database takes two; MaxSessions of sshd doesn't count them
MUST_CHECK bool ssh_forward(Ssh *ssh, Str remote_socket, Str *out_path, Error *err);
// After a call through the socket has failed: makes the error say what SSH knows of it, when it knows something.
// Returns false.
bool ssh_explain(Ssh *ssh, Error *err);

// The key that a host shows, without saying who we are. Texts in `arena`. Fails as ssh_open, with ERR_FORBIDDEN where
// the key is revoked.
typedef struct SshHostKey {
    Str type;           // "ssh-ed25519"
    Str fingerprint;    // "SHA256:..." as ssh-keygen -l prints it
    Str key;            // in base64
    bool is_known;      // it is in a file of known hosts already
    Str before;         // the fingerprint of the key that is known for the host instead; empty: none is
} SshHostKey;
MUST_CHECK bool ssh_host_key(const SshServer *server, Arena *arena, SshHostKey *out, Error *err);
// Writes the key to `known_hosts`, in place of those that were known there for the host.
MUST_CHECK bool ssh_trust(const SshServer *server, const SshHostKey *key, Error *err);
