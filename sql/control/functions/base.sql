-- sql/control/functions/base.sql: what the other functions stand on.

-- A time as the API writes it.
create or replace function rfc3339(p_time timestamptz) returns text language sql immutable as $$
    select to_char(p_time at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
