-- sql/control/004_former_cell.sql: where a deleted tenant lived, so that a restoration brings it back to its address.

alter table tenants add column former_cell text;    -- not a reference: it may be gone by then
