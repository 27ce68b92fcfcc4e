// cli/host.c: `shopctl host`: machines with a container engine.
#include "provisioner/host.h"
#include "provisioner/host_drain.h"

#include "base/arena.h"
#include "base/file.h"
#include "cli/amount.h"
#include "cli/answer.h"
#include "cli/prompt.h"

static const OutputKey KEYS[] = {
    {.key = "name", .type = "text", .help = "Its name.", .heading = "NAME", .is_name = true},
    {.key = "url", .type = "text", .help = "How its engine is reached.", .heading = "URL"},
    {.key = "address", .type = "text", .help = "Where the gateway reaches what runs there."},
    {.key = "state",
     .type = "text",
     .help = "ready; draining: it gets no more shops; gone: it doesn't answer. Of check: answers or unreachable.",
     .heading = "STATE"},
    {.key = "engine", .type = "text", .help = "Its container engine.", .heading = "ENGINE"},
    {.key = "api_version", .type = "text", .help = "Version of the engine's API that is used."},
    {.key = "cpu", .type = "number", .help = "CPU cores that may be given away.", .heading = "CPU", .is_right = true},
    {.key = "memory_bytes",
     .type = "integer",
     .unit = UNIT_BYTES,
     .help = "Memory that may be given away.",
     .heading = "MEMORY",
     .is_right = true},
    {.key = "disk_bytes",
     .type = "integer",
     .unit = UNIT_BYTES,
     .help = "Disk that may be given away; null: it isn't counted."},
    {.key = "free", .type = "object", .help = "What of that is left."},
    {.key = "free.cpu", .type = "number", .help = "CPU cores.", .heading = "FREE CPU", .is_right = true},
    {.key = "free.memory_bytes",
     .type = "integer",
     .unit = UNIT_BYTES,
     .help = "Memory.",
     .heading = "FREE MEMORY",
     .is_right = true},
    {.key = "free.disk_bytes", .type = "integer", .unit = UNIT_BYTES, .help = "Disk, or null."},
    {.key = "tenants", .type = "integer", .help = "Shops on it.", .heading = "SHOPS", .is_right = true},
    {.key = "moved",
     .type = "list",
     .help = "Of drain: the shops that moved off, as `tenant move` shows them; with --dry-run those that would."},
    {.key = "moved[].slug", .type = "text", .help = "The shop."},
    {.key = "moved[].cell", .type = "text", .help = "The cell that it lives in now."},
    {.key = "moved[].write_pause_ms", .type = "integer", .help = "How long nothing could be written in it."},
    {.key = "labels", .type = "object", .help = "What placement may ask for."},
    {.key = "tls_directory", .type = "text", .help = "Of tcp://: where its certificates are, or null."},
    {.key = "heard_at", .type = "time", .help = "When it answered last."},
    {.key = "created_at", .type = "time", .help = "When it was added."},
    {.key = "system", .type = "text", .help = "Of check: its operating system."},
    {.key = "architecture", .type = "text", .help = "Of check: its processor's kind."},
    {.key = "storage_driver", .type = "text", .help = "Of check: how the engine keeps layers."},
    {.key = "disk_free_bytes",
     .type = "integer",
     .unit = UNIT_BYTES,
     .help = "Of check: disk that is free where the engine keeps images and volumes, or null where nobody can say."},
    {.key = "clock_ahead_ms", .type = "integer", .help = "Of check: how far its clock is ahead of ours."},
    {.key = "round_trip_us", .type = "integer", .help = "Of check: the fastest of five calls of the engine."},
    {.key = "problems", .type = "list", .help = "Of check: what is missing; of drain: the shops that stay."},
    {.key = "problems[].slug", .type = "text", .help = "Of drain: the shop."},
    {.key = "problems[].what", .type = "text", .help = "What it is."},
    {.key = "problems[].why", .type = "text", .help = "Of drain: why it is so."},
    {.key = "problems[].next", .type = "text", .help = "What to do about it."},
    {.key = "type", .type = "text", .help = "Of trust: the kind of its key."},
    {.key = "fingerprint", .type = "text", .help = "Of trust: the fingerprint of its key."},
    {.key = "before", .type = "text", .help = "Of trust: that of the key that was known, or null."},
    {.key = "file", .type = "text", .help = "Of trust: where the key is kept."},
    {.key = "changes", .type = "list", .help = "With --dry-run: what would change."},
    {0},
};

static const Argument NAME[] = {{.name = "NAME", .is_required = true, .names = "host list", .help = "The host's name."},
                                {0}};

static bool passphrase_ask(void *context, const char *key_file, char *out, size_t size, Error *err)
{
    const CommandCall *call = context;
    return prompt_secret(str_format(call->arena, "passphrase of %s", key_file).data, out, size, err);
}

static bool open_platform(CommandCall *call, Platform **out, Error *err)
{
    if (!platform_open(call->settings, out, err))
        return false;
    platform_ask(*out, passphrase_ask, call);
    platform_warned(*out, answer_warned, call);
    return true;
}

static bool labels_read(const CommandCall *call, Json **out, Error *err)
{
    *out = NULL;
    if (!command_has(call, "label"))
        return true;
    *out = json_build("{}");
    for (size_t i = 0; i < command_count(call, "label"); i++) {
        Str key, value;
        command_pair_at(call, "label", i, &key, &value);
        if (!json_set(*out, str_copy(call->arena, key).data, json_from_str(value), err))
            return false;
    }
    return json_ok(*out, err);
}

static bool add_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    CLEANUP(json_close) Json *labels = NULL;
    HostSpec spec = {
        .name = command_argument(call, 0),
        .url = command_argument(call, 1),
        .address = command_text(call, "address"),
    };
    if (!path_absolute(command_text(call, "tls-dir"), call->arena, &spec.tls_directory, err) ||
        !command_amount(call, "cpu", UNIT_MILLICPU, &spec.millicpu, err) ||
        !command_amount(call, "memory", UNIT_BYTES, &spec.memory_bytes, err) ||
        !command_amount(call, "disk", UNIT_BYTES, &spec.disk_bytes, err) || !labels_read(call, &labels, err) ||
        !open_platform(call, &platform, err))
        return false;
    spec.labels = labels;
    if (call->is_dry_run)
        return host_preview(platform, &spec, &answer, err) && answer_changes(call, answer, err);
    return host_add(platform, &spec, err) && host_show(platform, spec.name, &answer, err) &&
           command_answer(call, answer, err);
}

static bool list_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return open_platform(call, &platform, err) && host_list(platform, &answer, err) &&
           command_answer(call, answer, err);
}

static bool show_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    return open_platform(call, &platform, err) && host_show(platform, command_argument(call, 0), &answer, err) &&
           command_answer(call, answer, err);
}

static bool check_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    if (!open_platform(call, &platform, err) || !host_check(platform, command_argument(call, 0), &answer, err))
        return false;
    if (json_count(json_get(answer, "problems")) > 0)
        call->exit_code = COMMAND_DIFFERS;
    return command_answer(call, answer, err);
}

static Json *key_json(Str name, const HostKey *key)
{
    Json *json =
        json_build("{s:s%, s:s%, s:s%, s:s%}", "name", name.data, name.len, "type", key->type.data, key->type.len,
                   "fingerprint", key->fingerprint.data, key->fingerprint.len, "file", key->file.data, key->file.len);
    (void)json_put(json, "before", key->before.len ? json_from_str(key->before) : json_build("n"));
    return json;
}

// A person compares the fingerprint and types "yes"; a script names it.
static bool trust_confirm(const CommandCall *call, Str name, const HostKey *key, Error *err)
{
    Str given = command_text(call, "fingerprint");
    if (given.len && !str_eq(given, key->fingerprint)) {
        error_set(err, ERR_FORBIDDEN, "the key of '%.*s' isn't trusted", STR_ARG(name));
        return error_why(err, "it shows %.*s, not %.*s", STR_ARG(key->fingerprint), STR_ARG(given));
    }
    if (given.len || key->is_known)
        return true;
    Str before = key->before.len ? str_format(call->arena, ", not %.*s as before", STR_ARG(key->before)) : S("");
    return prompt_word(call,
                       str_format(call->arena, "'%.*s' shows the key %.*s %.*s%.*s", STR_ARG(name), STR_ARG(key->type),
                                  STR_ARG(key->fingerprint), STR_ARG(before)),
                       S("yes"), err);
}

static bool trust_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    Str name = command_argument(call, 0);
    HostKey key;
    if (!open_platform(call, &platform, err) || !host_key(platform, name, call->arena, &key, err) ||
        !trust_confirm(call, name, &key, err))
        return false;
    if (!key.is_known && !call->is_dry_run && !host_trust(platform, name, key.fingerprint, err))
        return false;
    answer = key_json(name, &key);
    return json_ok(answer, err) && command_answer(call, answer, err);
}

// {"moved", "problems"} beside what is shown of the host.
static bool empty(const CommandCall *call, Platform *platform, Str name, Json **out, Error *err)
{
    if (command_flag(call, "undo") || command_flag(call, "keep"))
        return true;
    return (call->is_dry_run ? host_empty_preview : host_empty)(platform, name, out, err);
}

static bool drain_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    CLEANUP(json_close) Json *moves = NULL;
    Str name = command_argument(call, 0);
    if (!open_platform(call, &platform, err) ||
        (!call->is_dry_run && !host_drain(platform, name, command_flag(call, "undo"), err)) ||
        !empty(call, platform, name, &moves, err) || !host_show(platform, name, &answer, err))
        return false;
    for (JsonIter it = json_iter(moves); moves && json_next(&it);)
        if (!json_set(answer, str_copy(call->arena, it.key).data, json_hold(it.value), err))
            return false;
    if (json_count(json_get(moves, "problems")))
        call->exit_code = COMMAND_DIFFERS;
    return command_answer(call, answer, err);
}

static bool remove_run(CommandCall *call, Error *err)
{
    CLEANUP(platform_close) Platform *platform = NULL;
    CLEANUP(json_close) Json *answer = NULL;
    Str name = command_argument(call, 0);
    if (!open_platform(call, &platform, err) || !host_show(platform, name, &answer, err) ||
        !(call->is_dry_run ? host_remove_check(platform, name, err) : host_remove(platform, name, err)))
        return false;
    command_note(call, call->is_dry_run ? "the host '%.*s' would be removed" : "the host '%.*s' is removed",
                 STR_ARG(name));
    return command_answer(call, answer, err);
}

const Command HOST_COMMANDS[] = {
    {.verb = "add",
     .summary = "adds a machine with a container engine",
     .description =
         "Asks the engine what there is and records the host. Of a host that "
         "is recorded it changes what is given.\n\n"
         "unix:///PATH is an engine of this machine. tcp://HOST:2376 goes by mutual TLS, with ca.pem, cert.pem and "
         "key.pem in the directory that --tls-dir names. ssh://USER@HOST[:PORT][/PATH] goes by SSH to the engine's "
         "socket there, /var/run/docker.sock unless it is named; no docker command is needed on either side. The "
         "host's key has to be known (see shopctl host trust); our key is that of the setting ssh_key, of ssh-agent, "
         "or ~/.ssh/id_ed25519.",
     .arguments =
         (const Argument[]){{.name = "NAME", .is_required = true, .help = "Its name: a-z, 0-9 and inner hyphens."},
                            {.name = "URL", .is_required = true, .help = "How its engine is reached."},
                            {0}},
     .options =
         (const Option[]){
             {.name = "address",
              .type = OPTION_TEXT,
              .value = "IP",
              .help = "Where the gateway reaches what runs there; else the URL's host, of unix:// 127.0.0.1."},
             {.name = "cpu",
              .type = OPTION_TEXT,
              .value = "CPU",
              .help = "Cores that may be given away, as 1.5 or 500m; else all that there are."},
             {.name = "memory",
              .type = OPTION_TEXT,
              .value = "BYTES",
              .help = "Memory that may be given away, as 12GiB; else all that there is."},
             {.name = "disk",
              .type = OPTION_TEXT,
              .value = "BYTES",
              .help = "Disk that may be given away, as 400GiB; else it isn't counted."},
             {.name = "label",
              .type = OPTION_PAIR,
              .is_repeated = true,
              .value = "KEY=VALUE",
              .help = "What placement may ask for, as region=eu."},
             {.name = "tls-dir",
              .type = OPTION_TEXT,
              .value = "DIR",
              .help = "Of tcp://: the directory of ca.pem, cert.pem and key.pem."},
             {0}},
     .examples = (const Example[]){{"shopctl host add here unix:///run/docker.sock", "Adds this machine's engine."},
                                   {"shopctl host add eu1 ssh://shop@eu1.example --label region=eu",
                                    "Adds an engine that is reached by SSH."},
                                   {0}},
     .keys = KEYS,
     .changes = true,
     .run = add_run},
    {.verb = "list",
     .summary = "lists the hosts",
     .examples = (const Example[]){{"shopctl host list", "Shows what is free on each host."}, {0}},
     .keys = KEYS,
     .is_list = true,
     .run = list_run},
    {.verb = "show",
     .summary = "shows one host",
     .arguments = NAME,
     .examples = (const Example[]){{"shopctl host show eu1", "Shows everything about the host 'eu1'."}, {0}},
     .keys = KEYS,
     .run = show_run},
    {.verb = "check",
     .summary = "measures a host and says what is missing",
     .description = "Asks the engine for its version, CPU, memory, disk and clock, and for how long a call takes. Ends "
                    "with 2 where something is missing, or where the host doesn't answer.",
     .arguments = NAME,
     .examples = (const Example[]){{"shopctl host check eu1", "Measures the host 'eu1'."}, {0}},
     .keys = KEYS,
     .run = check_run},
    {.verb = "trust",
     .summary = "takes the SSH key that a host shows for its own",
     .description =
         "Shows the fingerprint of the key that the host shows now; compare it with what ssh-keygen -l -f "
         "/etc/ssh/ssh_host_ed25519_key.pub says there. Once it is trusted it is kept in the file of the setting "
         "ssh_known_hosts, in place of the one before. A script names the fingerprint that it expects.",
     .arguments =
         (const Argument[]){
             {.name = "HOST", .is_required = true, .names = "host list", .help = "A host's name, or an ssh:// URL."},
             {0}},
     .options = (const Option[]){{.name = "fingerprint",
                                  .type = OPTION_TEXT,
                                  .value = "SHA256:...",
                                  .help = "The one that it must be; then nobody is asked."},
                                 {0}},
     .examples =
         (const Example[]){{"shopctl host trust ssh://shop@eu1.example", "Shows its key and asks whether it is right."},
                           {0}},
     .keys = KEYS,
     .changes = true,
     .run = trust_run},
    {.verb = "drain",
     .summary = "takes all shops off a host, and gives it no more",
     .description =
         "Each shop moves to the host with the most room, as `tenant move` does it, and its old place is given up. One "
         "that finds no place stays and is named among the problems; then the command ends with 2, and goes on when it "
         "is run again.",
     .arguments = NAME,
     .options = (const Option[]){{.name = "keep", .type = OPTION_FLAG, .help = "Lets the shops that are on it stay."},
                                 {.name = "undo", .type = OPTION_FLAG, .help = "Gives it shops again."},
                                 {0}},
     .examples = (const Example[]){{"shopctl host drain eu1", "Moves all shops off 'eu1'."}, {0}},
     .keys = KEYS,
     .changes = true,
     .run = drain_run},
    {.verb = "remove",
     .summary = "forgets a host on which no shop lives",
     .arguments = NAME,
     .examples = (const Example[]){{"shopctl host remove eu1", "Forgets the host 'eu1'."}, {0}},
     .keys = KEYS,
     .changes = true,
     .run = remove_run},
    {0},
};
