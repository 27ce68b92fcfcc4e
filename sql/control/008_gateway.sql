-- sql/control/008_gateway.sql: the address that shoppers know.

-- Scheme, host and port of the gateway, as http://127.0.0.1:8080, where `shopctl up` runs one; empty: each cell's shopd is reached
-- at its own.
alter table platforms add column gateway_url text not null default '';
