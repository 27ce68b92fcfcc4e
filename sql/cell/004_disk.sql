-- sql/cell/004_disk.sql: tenants that have used the disk of their plan.

-- It is read, nobody writes. What its role may write comes back when its cell's database takes less, or may take more.
create table full_disks (
    tenant bigint primary key references tenants on delete cascade,
    privileges jsonb not null,    -- [{"table", "privilege"}]
    noticed_at timestamptz not null default clock_timestamp()
);
