-- sql/control/functions/cells.sql: the platform's cells.

create or replace function cell_add(p_name text, p_dsn text, p_url text, p_capacity integer, p_spares integer)
    returns cells language sql set search_path from current as $$
    insert into cells (name, dsn, url, capacity, spares)
    values (p_name, p_dsn, coalesce(p_url, ''), coalesce(p_capacity, 1000), coalesce(p_spares, 4))
    on conflict (name) do update
    set url = coalesce(p_url, cells.url), capacity = coalesce(p_capacity, cells.capacity),
        spares = coalesce(p_spares, cells.spares)
    returning cells
$$;

create or replace function cell_opened(p_name text, p_version text) returns void language sql set search_path from current as $$
    update cells set state = 'open', version = p_version where name = p_name;
    select pg_notify('control_cells', p_name);
$$;

-- Nothing stays of a cell that couldn't be opened.
create or replace function cell_forget(p_name text) returns void language sql set search_path from current as $$
    delete from cells where name = p_name and state = 'opening' and placed = 0
$$;

-- What opening a cell, or changing one, would change in its record: [{"key", "from", "to"}]. It is done and taken back, so it is
-- refused as that is.
create or replace function cell_changes(p_name text, p_dsn text, p_url text, p_capacity integer, p_spares integer, p_version text)
    returns json language plpgsql set search_path from current as $$
declare
    v_before jsonb;
    v_after jsonb;
begin
    select to_jsonb(c) into v_before from cells c where c.name = p_name;
    begin
        perform cell_add(p_name, p_dsn, p_url, p_capacity, p_spares);
        perform cell_opened(p_name, p_version);
        select to_jsonb(c) into v_after from cells c where c.name = p_name;
        raise sqlstate 'SH002';
    exception when sqlstate 'SH002' then null;
    end;
    return (
        select coalesce(json_agg(json_build_object('key', k.key, 'from', nullif(v_before -> k.key, '""'),
                                                   'to', nullif(v_after -> k.key, '""')) order by k.position), '[]')
        from unnest('{state, dsn, url, capacity, spares, version}'::text[]) with ordinality k (key, position)
        where coalesce(v_before ->> k.key, '') <> coalesce(v_after ->> k.key, ''));
end
$$;

create or replace function cell_list(p_name text) returns setof json language sql stable set search_path from current as $$
    select json_build_object('name', c.name, 'dsn', c.dsn, 'url', nullif(c.url, ''), 'state', c.state, 'tenants', c.placed,
                             'capacity', c.capacity, 'spares', c.spares, 'version', c.version, 'host', c.host,
                             'created_at', rfc3339(c.created_at))
    from cells c
    where p_name is null or c.name = p_name
    order by c.created_at, c.name
$$;
