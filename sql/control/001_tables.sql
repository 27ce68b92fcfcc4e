-- sql/control/001_tables.sql: what a platform consists of. Runs with search_path = control.

-- One row: the platform's own name, which everything that it makes elsewhere carries.
create table platforms (
    id smallint primary key default 1 check (id = 1),
    name text not null default substr(replace(gen_random_uuid()::text, '-', ''), 1, 12),
    created_at timestamptz not null default now()
);
insert into platforms default values;

create sequence tenant_numbers start with 1001;
create sequence epochs;

-- Every plan that was ever bought, as it was then.
create table plans (
    name text not null,
    version integer not null,
    checksum text not null,
    document jsonb not null,
    created_at timestamptz not null default now(),
    primary key (name, version)
);

create table cells (
    name text primary key check (name ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
    dsn text not null,
    url text not null default '',    -- of its shopd; empty: none yet
    state text not null default 'opening' check (state in ('opening', 'open')),
    capacity integer not null check (capacity > 0),
    spares integer not null check (spares >= 0),    -- how many are kept
    placed integer not null default 0 check (placed >= 0),    -- tenants that have a place in it
    version text not null default '',
    created_at timestamptz not null default now(),
    constraint cell_capacity check (placed <= capacity)
);

create table tenants (
    id bigint generated always as identity primary key,
    slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$'),
    number bigint unique,    -- of its schema and role; null until it has them
    name text not null,
    email text not null,
    status text not null check (status in ('requested', 'rejected', 'approved', 'provisioning', 'active', 'suspended', 'archived',
                                           'deleted')),
    plan text not null,
    plan_version integer not null,
    cell text references cells,
    currency text not null,
    language text not null,
    country text not null,
    colors jsonb not null default '{}',
    logo text,
    domains text[] not null default '{}',
    overrides jsonb not null default '{}',    -- limits of its own: {"requests_per_second": 5}
    operation bigint,    -- the last one that changed it
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (plan, plan_version) references plans (name, version)
);
create unique index tenants_slug on tenants (slug) where status not in ('deleted', 'rejected');
create index tenants_slug_any on tenants (slug, id);
create index tenants_cell on tenants (cell);

-- A host belongs to one tenant of the platform.
create table domains (
    host text primary key,
    tenant_id bigint not null references tenants on delete cascade
);
create index domains_tenant on domains (tenant_id);

create table operations (
    id bigint generated always as identity primary key,
    kind text not null,
    slug text not null,
    state text not null default 'running' check (state in ('pending', 'running', 'failed', 'done', 'reverted')),
    is_revert boolean not null default false,    -- it is being taken back
    input jsonb not null default '{}',
    data jsonb not null default '{}',    -- what steps hand on
    attempts integer not null default 1,
    error jsonb,
    operator text not null default '',
    created_at timestamptz not null default now(),
    ended_at timestamptz
);
create index operations_slug on operations (slug, id);
create index operations_unfinished on operations (id) where state in ('pending', 'running', 'failed');

create table operation_steps (
    operation bigint not null references operations on delete cascade,
    position integer not null,
    name text not null,
    state text not null default 'pending' check (state in ('pending', 'running', 'done', 'failed', 'reverting', 'reverted')),
    begun_at timestamptz,
    ended_at timestamptz,
    primary key (operation, position)
);

-- Whoever works on a tenant. One operation at a time: a lease lives until its operation is done or reverted.
create table leases (
    slug text primary key,
    operation bigint not null unique references operations on delete cascade,
    epoch bigint not null,
    holder text not null,    -- HOST PID START; empty: nobody at the moment
    heard_at timestamptz not null default clock_timestamp()
);

create table dumps (
    id bigint generated always as identity primary key,
    tenant_id bigint not null,
    slug text not null,
    path text not null unique,
    size_bytes bigint not null default 0,
    operation bigint not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index dumps_tenant on dumps (tenant_id, id);
create index dumps_expires on dumps (expires_at);
