-- sql/cell/003_moves.sql: tenants that come from another cell, or go to one.

-- A closed gate: the tenant is read, nobody writes. What its role may write comes back when it is opened.
create table gates (
    tenant bigint primary key references tenants on delete cascade,
    privileges jsonb not null,    -- [{"table", "privilege"}]
    closed_at timestamptz not null default clock_timestamp()
);

-- A tenant whose rows are copied from elsewhere: up to where in the other cluster's log.
create table replicas (
    tenant bigint primary key references tenants on delete cascade,
    position pg_lsn not null,
    is_whole boolean not null default false    -- nothing more will come: compared, and the gate there is closed
);

-- What has moved away stays for a while, and isn't served.
alter table tenants drop constraint tenants_state_check;
alter table tenants add constraint tenants_state_check
    check (state in ('spare', 'reserved', 'active', 'suspended', 'archived', 'moved'));
