-- sql/control/functions/gateway.sql: what the gateway in front of all cells must know.

-- Every host of every tenant that has a cell, and how many requests of it may come in p_window_s seconds: as many as shopd's bucket
-- lets pass at most, so that the gateway refuses nothing that the plan allows. 0: no limit.
create or replace function gateway_hosts(p_base_domain text, p_window_s bigint)
    returns table (host text, cell text, requests bigint) language sql stable set search_path from current as $$
    select distinct on (h.host collate "C")
           h.host, t.cell,
           case when l.rate > 0 then l.rate * p_window_s + coalesce((l.limits ->> 'requests_burst')::bigint, l.rate) else 0 end
    from tenants t
    join plans p on p.name = t.plan and p.version = t.plan_version
    cross join lateral (select x as limits, (x ->> 'requests_per_second')::bigint as rate
                        from tenant_limits(p.document, t.overrides) x) l
    cross join lateral (select t.slug || '.' || p_base_domain as host, 0 as place
                        union all
                        select d.host, 1 from domains d where d.tenant_id = t.id) h
    where t.cell is not null and t.status not in ('deleted', 'rejected')
    order by h.host collate "C", h.place, t.id
$$;

-- The cells that serve, the oldest first.
create or replace function gateway_cells() returns table (name text, url text) language sql stable set search_path from current as $$
    select c.name, c.url from cells c where c.state = 'open' and c.url <> '' order by c.created_at, c.name
$$;

-- Another text whenever hosts, cells or limits may have changed: every change of a tenant is an operation or a change of its row.
create or replace function gateway_signature() returns text language sql stable set search_path from current as $$
    select concat_ws(' ', (select max(id) from operations),
                     (select max(ended_at) from (select ended_at from operations order by id desc limit 100) newest),
                     (select max(updated_at) from tenants), (select md5(string_agg(name || url, ' ' order by name)) from cells))
$$;

-- The gateway's URL where there is one, else that of the cell; null without a cell.
create or replace function gateway_or(p_cell_url text) returns text language sql stable set search_path from current as $$
    select case when p_cell_url is not null then coalesce((select nullif(p.gateway_url, '') from platforms p), p_cell_url) end
$$;

-- At once, so that every shop keeps its URL: who answers shoppers, and where the cell behind it answers from now on.
create or replace function gateway_set(p_url text, p_cell text, p_cell_url text) returns void language sql set search_path from current as $$
    update platforms set gateway_url = p_url where gateway_url <> p_url;
    update cells set url = p_cell_url where name = p_cell and url <> p_cell_url;
$$;
