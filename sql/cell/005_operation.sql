-- sql/cell/005_operation.sql: the tenant that an operation took, without a key of its own.

-- A column of a whole unique index counts as a key: an operation that wrote it waited for whoever holds the row for key share, as an
-- import does from its beginning to its end (tenant_write). Columns of a partial one don't.
alter table tenants drop constraint tenants_operation_key;
create unique index tenants_operation on tenants (operation) where operation is not null;
