-- sql/control/006_resize.sql: what shops bought beyond their plans, and the port to which a shopd is on its way.

alter table tenants add column resources jsonb;    -- as cells.resources; null: the plan's
alter table cells
    add column port_next integer check (port_next between 1 and 65535),    -- of a second shopd, while one takes over from the other
    add constraint cell_port_next unique (host, port_next);
