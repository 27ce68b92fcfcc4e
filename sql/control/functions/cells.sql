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

create or replace function cell_list(p_name text) returns setof json language sql stable set search_path from current as $$
    select json_build_object('name', c.name, 'dsn', c.dsn, 'url', nullif(c.url, ''), 'state', c.state, 'tenants', c.placed,
                             'capacity', c.capacity, 'spares', c.spares, 'version', c.version,
                             'created_at', rfc3339(c.created_at))
    from cells c
    where p_name is null or c.name = p_name
    order by c.created_at, c.name
$$;
