-- sql/control/functions/upgrade.sql: a cell whose second shopd takes over from its first one, at another port.

-- A port for the second one: the cell's other one of the same place, or, where a program has that, the next that is free from
-- p_from on.
create or replace function cell_port_reserve(p_operation bigint, p_epoch bigint, p_name text, p_from integer) returns integer
    language plpgsql set search_path from current as $$
declare
    v_cell cells;
    v_port integer;
begin
    perform lease_check(p_operation, p_epoch);
    lock table hosts in share row exclusive mode;    -- as cell_dedicate
    select * into v_cell from cells where name = p_name;
    v_port := v_cell.port + case when v_cell.port < 24096 then 4096 else -4096 end;
    if p_from > 0 or exists (select from cells where host = v_cell.host and v_port in (port, port_next) and name <> p_name) then
        v_port := cell_port_free(v_cell.host, greatest(p_from, 20000));
    end if;
    update cells set port_next = v_port where name = p_name;
    return v_port;
end
$$;

create or replace function cell_port_release(p_operation bigint, p_epoch bigint, p_name text) returns void
    language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    update cells set port_next = null where name = p_name;
end
$$;

-- The cell's address has this port from now on, which was reserved for it; the other one stays reserved.
create or replace function cell_port_switch(p_operation bigint, p_epoch bigint, p_name text, p_port integer) returns void
    language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    update cells c set port = c.port_next, port_next = c.port, url = cell_url(h.address, c.port_next)
    from hosts h
    where c.name = p_name and h.name = c.host and c.port_next = p_port;
end
$$;
