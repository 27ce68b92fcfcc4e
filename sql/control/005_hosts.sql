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

-- What a cell takes of its host. A cell without one is shared, or an operator's own.
alter table cells
    add column host text references hosts,
    add column millicpu bigint not null default 0,
    add column memory_bytes bigint not null default 0,
    add column disk_bytes bigint not null default 0,
    add column is_exclusive boolean not null default false;    -- nobody else's cell may be on its host
create index cells_host on cells (host);
