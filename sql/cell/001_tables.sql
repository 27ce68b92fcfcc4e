-- sql/cell/001_tables.sql: what a cell knows by itself, so that its shops sell without the control database. Runs as cell_owner with
-- search_path = cell; the words that begin with a colon are put in by the migration engine.

-- One row.
create table meta (
    id smallint primary key default 1 check (id = 1),
    name text not null,
    platform text not null,
    shopd_role name not null,
    session_key text not null    -- 32 hexadecimal digits: signs cookies and forms of this cell's shops
        default substr(encode(sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')), 'hex'), 1, 32)
);

create table tenants (
    number bigint primary key,
    slug text unique,    -- null for spares
    state text not null check (state in ('spare', 'reserved', 'active', 'suspended', 'archived')),
    operation bigint unique,    -- that took it, while it lasts
    epoch bigint not null default 0,    -- of the last write; a lower one is refused
    limits jsonb not null default '{}',
    version text not null,    -- of its schema: spares of another version aren't taken
    created_at timestamptz not null default now(),
    constraint tenant_slug check ((state = 'spare') = (slug is null))
);
create index tenants_spare on tenants (number) where state = 'spare';

create table domains (
    host text primary key check (host = lower(host) and host <> ''),
    tenant bigint not null references tenants on delete cascade
);
create index domains_tenant on domains (tenant);

-- Operations that were taken over: writes of the process that had them before are refused.
create table fences (
    operation bigint primary key,
    epoch bigint not null,
    raised_at timestamptz not null default now()
);

-- A tenant that has work to do rings. It can ring for itself only: it may not name the tenant.
create table bell (
    id bigint generated always as identity primary key,
    tenant name not null default current_user check (tenant ~ '^t_[0-9]+$'),
    due_at timestamptz not null default now()
);
create index bell_due on bell (due_at);
create index bell_tenant on bell (tenant);

-- The shops' languages, without accents: "camion" finds "camión".
create text search configuration cell.spanish (copy = pg_catalog.spanish);
alter text search configuration cell.spanish
    alter mapping for hword, hword_part, word with unaccent, spanish_stem;
create text search configuration cell.english (copy = pg_catalog.english);
alter text search configuration cell.english
    alter mapping for hword, hword_part, word with unaccent, english_stem;

grant usage on schema cell to public;
grant insert (due_at) on bell to public;
