-- sql/control/005_hosts.sql: machines with a container engine, and the cells that have a PostgreSQL and a shopd of their own there.

create table hosts (
    name text primary key check (name ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
    url text not null unique,
    address text not null,    -- where the gateway reaches what runs there
    tls_directory text not null default '',
    state text not null default 'ready' check (state in ('ready', 'draining', 'gone')),
    engine text not null,         -- "Docker 20.10.24", when it was last asked
    engine_id text not null,      -- tells one engine from another; empty where it has none
    api_version text not null,
    millicpu bigint not null check (millicpu > 0),    -- what may be given away
    memory_bytes bigint not null check (memory_bytes > 0),
    disk_bytes bigint check (disk_bytes > 0),    -- null: unknown, and not counted
    labels jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
    heard_at timestamptz not null default now(),
    created_at timestamptz not null default now()
);
create unique index hosts_engine on hosts (engine_id) where engine_id <> '';

-- A cell of one tenant has a PostgreSQL and a shopd of its own on a host, and takes so much of it. A cell without a host is
-- shared, or an operator's own.
alter table cells
    add column host text references hosts,
    add column port integer check (port between 1 and 65535),    -- of its shopd on the host's address
    add column resources jsonb not null default '{}',    -- {"postgres": {"millicpu", "memory_bytes", "disk_bytes"}, "shopd": {...}}
    add column is_exclusive boolean not null default false,    -- nobody else's cell may be on its host
    add constraint cell_port unique (host, port),
    add constraint cell_dedicated check ((host is null) = (port is null));
