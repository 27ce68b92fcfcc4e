-- sql/control/007_moves.sql: tenants on their way from one cell to another.

-- From the place that is reserved for it until its old one is given up: while is_switched, the tenant lives at the target and can
-- be turned back.
create table moves (
    tenant_id bigint primary key references tenants on delete cascade,
    operation bigint not null,    -- that began it, or turned it back
    source_cell text not null references cells,
    source_number bigint not null,
    source_plan text not null,
    source_plan_version integer not null,
    target_cell text not null references cells,
    target_number bigint,    -- null until its schema there is known
    target_plan text not null,
    target_plan_version integer not null,
    is_switched boolean not null default false,
    is_back boolean not null default false,    -- it returns to where it was
    begun_at timestamptz not null default now(),
    switched_at timestamptz,
    check (source_cell <> target_cell),
    foreign key (source_plan, source_plan_version) references plans (name, version),
    foreign key (target_plan, target_plan_version) references plans (name, version)
);
create index moves_source on moves (source_cell);
create index moves_target on moves (target_cell);
