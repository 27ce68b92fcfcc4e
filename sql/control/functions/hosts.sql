-- sql/control/functions/hosts.sql: the platform's hosts, what of each is given away, and which one a new cell gets.

-- What a cell takes of its host, of one kind.
create or replace function cell_takes(p_resources jsonb, p_kind text) returns bigint language sql immutable as $$
    select coalesce((p_resources #>> array['postgres', p_kind])::bigint, 0)
           + coalesce((p_resources #>> array['shopd', p_kind])::bigint, 0)
$$;

-- The tenant that lives in a cell of its own, and the disk that it may take there, {"slug", "disk_bytes"}; null: a shared one.
create or replace function cell_disk(p_cell text) returns jsonb language sql stable set search_path from current as $$
    select jsonb_build_object('slug', t.slug, 'disk_bytes', nullif(cell_takes(c.resources, 'disk_bytes'), 0))
    from cells c join tenants t on t.cell = c.name
    where c.name = p_cell and c.host is not null
    limit 1
$$;

-- What is free on each host. A disk that isn't known is null.
create or replace function hosts_free()
    returns table (host hosts, cells bigint, has_exclusive boolean, millicpu bigint, memory_bytes bigint, disk_bytes bigint)
    language sql stable set search_path from current as $$
    select h, count(c.name), coalesce(bool_or(c.is_exclusive), false),
           h.millicpu - coalesce(sum(cell_takes(c.resources, 'millicpu')), 0)::bigint,
           h.memory_bytes - coalesce(sum(cell_takes(c.resources, 'memory_bytes')), 0)::bigint,
           h.disk_bytes - coalesce(sum(cell_takes(c.resources, 'disk_bytes')), 0)::bigint
    from hosts h left join cells c on c.host = h.name
    group by h.name
$$;

create or replace function host_list(p_name text) returns setof json language sql stable set search_path from current as $$
    select json_build_object(
        'name', (f.host).name, 'url', (f.host).url, 'address', (f.host).address, 'state', (f.host).state, 'engine', (f.host).engine,
        'api_version', (f.host).api_version, 'cpu', trim_scale((f.host).millicpu / 1000.0), 'memory_bytes', (f.host).memory_bytes,
        'disk_bytes', (f.host).disk_bytes,
        'free', json_build_object('cpu', trim_scale(f.millicpu / 1000.0), 'memory_bytes', f.memory_bytes,
                                  'disk_bytes', f.disk_bytes),
        'tenants', (select count(*) from cells c join tenants t on t.cell = c.name where c.host = (f.host).name),
        'labels', (f.host).labels, 'tls_directory', nullif((f.host).tls_directory, ''),
        'heard_at', rfc3339((f.host).heard_at), 'created_at', rfc3339((f.host).created_at))
    from hosts_free() f
    where p_name is null or (f.host).name = p_name
    order by (f.host).created_at, (f.host).name
$$;

create or replace function host_get(p_name text) returns hosts language plpgsql stable set search_path from current as $$
declare
    v_host hosts;
begin
    select * into v_host from hosts where name = p_name;
    if not found then
        perform refuse('not-found', format('there is no host ''%s''', p_name), '', 'see shopctl host list', 'host');
    end if;
    return v_host;
end
$$;

-- Refuses a second name for an engine, whose capacity would be given away twice.
create or replace function host_check_new(p_name text, p_url text, p_engine_id text) returns void
    language plpgsql stable set search_path from current as $$
declare
    v_other text;
begin
    if exists (select from hosts where name = p_name and url <> p_url) then
        perform refuse('exists', format('there is a host ''%s'' already', p_name),
                       format('its URL is %s', (select url from hosts where name = p_name)),
                       format('choose another name, or remove it first: shopctl host remove %s', p_name), 'name');
    end if;
    select name into v_other from hosts
    where name <> p_name and (url = p_url or (engine_id = p_engine_id and engine_id <> '')) limit 1;
    if found then
        perform refuse('exists', format('this engine is the host ''%s'' already', v_other),
                       case when exists (select from hosts where name = v_other and url = p_url) then format('its URL is %s', p_url)
                            else format('it has the same id %s', p_engine_id) end,
                       format('use that one, or remove it first: shopctl host remove %s', v_other), 'url');
    end if;
end
$$;

-- A new host, or one that is there with what is given changed; null leaves what it has.
create or replace function host_add(p_name text, p_url text, p_facts jsonb, p_given jsonb) returns void
    language plpgsql set search_path from current as $$
begin
    perform host_check_new(p_name, p_url, p_facts ->> 'engine_id');
    if (p_given ->> 'is_address_given')::boolean and
       exists (select from hosts h join cells c on c.host = h.name where h.name = p_name and h.address <> p_given ->> 'address') then
        perform refuse('wrong-state', format('the host ''%s'' can''t get another address', p_name),
                       'shops on it are reached at the one it has',
                       format('move them off first: shopctl host drain %s', p_name), 'address');
    end if;
    insert into hosts (name, url, address, tls_directory, engine, engine_id, api_version, millicpu, memory_bytes, disk_bytes, labels)
    values (p_name, p_url, p_given ->> 'address', coalesce(p_given ->> 'tls_directory', ''), p_facts ->> 'engine',
            p_facts ->> 'engine_id', p_facts ->> 'api_version',
            coalesce((p_given ->> 'millicpu')::bigint, (p_facts ->> 'millicpu')::bigint),
            coalesce((p_given ->> 'memory_bytes')::bigint, (p_facts ->> 'memory_bytes')::bigint),
            coalesce((p_given ->> 'disk_bytes')::bigint, (p_facts ->> 'disk_bytes')::bigint),
            coalesce(p_given -> 'labels', '{}'))
    on conflict (name) do update
    set address = case when (p_given ->> 'is_address_given')::boolean then excluded.address else hosts.address end,
        tls_directory = coalesce(p_given ->> 'tls_directory', hosts.tls_directory),
        engine = excluded.engine, engine_id = excluded.engine_id, api_version = excluded.api_version,
        millicpu = coalesce((p_given ->> 'millicpu')::bigint, hosts.millicpu),
        memory_bytes = coalesce((p_given ->> 'memory_bytes')::bigint, hosts.memory_bytes),
        disk_bytes = coalesce((p_given ->> 'disk_bytes')::bigint, hosts.disk_bytes),
        labels = coalesce(p_given -> 'labels', hosts.labels), heard_at = now();
end
$$;

-- What adding it would change: done and taken back, so that it is refused as that is.
create or replace function host_changes(p_name text, p_url text, p_facts jsonb, p_given jsonb) returns json
    language plpgsql set search_path from current as $$
declare
    v_before json;
    v_after json;
begin
    select h into v_before from host_list(p_name) h;
    begin
        perform host_add(p_name, p_url, p_facts, p_given);
        select h into v_after from host_list(p_name) h;
        raise sqlstate 'SH002';
    exception when sqlstate 'SH002' then null;
    end;
    return (
        select coalesce(json_agg(json_build_object('key', k.key, 'from', v_before -> k.key, 'to', v_after -> k.key)
                                 order by k.position), '[]')
        from unnest('{url,address,state,engine,api_version,cpu,memory_bytes,disk_bytes,labels,tls_directory}'::text[])
             with ordinality k (key, position)
        where (v_before ->> k.key) is distinct from (v_after ->> k.key));
end
$$;

-- The engine answered.
create or replace function host_heard(p_name text, p_engine text, p_engine_id text, p_api_version text) returns void
    language sql set search_path from current as $$
    update hosts
    set engine = p_engine, engine_id = p_engine_id, api_version = p_api_version, heard_at = now(),
        state = case when is_draining then 'draining' else 'ready' end
    where name = p_name
$$;

-- It didn't: after p_quiet_ms of silence it is gone, until it answers again. A partitioned host isn't a dead one: what runs there
-- may go on, and is started nowhere else. True when it is gone from now on.
create or replace function host_silent(p_name text, p_quiet_ms bigint) returns boolean
    language sql set search_path from current as $$
    with gone as (
        update hosts set state = 'gone'
        where name = p_name and state <> 'gone' and heard_at < now() - p_quiet_ms * interval '1 millisecond'
        returning name)
    select exists (select from gone)
$$;

create or replace function host_answered(p_name text) returns void language sql set search_path from current as $$
    update hosts set heard_at = now(), state = case when is_draining then 'draining' else 'ready' end where name = p_name
$$;

create or replace function host_state_set(p_name text, p_state text) returns void language plpgsql set search_path from current as $$
begin
    perform host_get(p_name);
    update hosts set state = p_state, is_draining = p_state = 'draining' where name = p_name;
end
$$;

create or replace function host_check_removable(p_name text) returns void language plpgsql stable set search_path from current as $$
declare
    v_living text;
    v_kept text;
    v_cells text;
    v_why text;
    v_next text;
begin
    perform host_get(p_name);
    select string_agg(slug, ', ') filter (where lives_there), string_agg(slug, ', ') filter (where not lives_there)
    into v_living, v_kept from host_tenants(p_name);
    select string_agg(name, ', ' order by name) into v_cells from cells where host = p_name;
    if v_living is not null then
        v_why := 'shops live on it: ' || v_living;
        v_next := 'move them off: shopctl host drain ' || p_name;
    elsif v_kept is not null then
        v_why := 'moves that aren''t ended keep places on it: ' || v_kept;
        v_next := 'end them: shopctl tenant move SLUG --finalize';
    elsif v_cells is not null then
        v_why := 'operations that aren''t ended keep cells on it: ' || v_cells;
        v_next := 'end them: shopctl operation list';
    end if;
    if v_why is not null then
        perform refuse('wrong-state', format('the host ''%s'' can''t be removed', p_name), v_why, v_next, 'host');
    end if;
end
$$;

-- The shops of a host, those that live there and those that moved away and whose old place is kept there.
drop function if exists host_tenants(text);    -- made by programs of before 2026-12-01
create or replace function host_tenants(p_name text) returns table (slug text, lives_there boolean, has_place_kept boolean)
    language sql stable set search_path from current as $$
    select h.slug, bool_or(not h.is_kept), bool_or(h.is_kept)
    from (
        select t.slug, false is_kept from tenants t join cells c on c.name = t.cell where c.host = p_name
        union all
        select t.slug, true from moves m join tenants t on t.id = m.tenant_id join cells c on c.name = m.source_cell
        where c.host = p_name and m.is_switched) h
    group by 1
    order by 1
$$;

create or replace function host_remove(p_name text) returns void language plpgsql set search_path from current as $$
begin
    perform host_check_removable(p_name);
    delete from hosts where name = p_name;
end
$$;

-- An amount as people write it: "1.5GiB", "200m".
create or replace function bytes_text(p_bytes numeric) returns text language sql immutable as $$
    select case when p_bytes >= 1073741824 then trim_scale(round(p_bytes / 1073741824, 1)) || 'GiB'
                else trim_scale(round(p_bytes / 1048576, 1)) || 'MiB' end
$$;

-- What a host lacks for a cell that wants so much; null: nothing.
create or replace function host_lacks(p_free record, p_wish jsonb) returns text language plpgsql immutable set search_path from current as $$
declare
    v_lacks text[] := '{}';
    v_host hosts := p_free.host;
    v_millicpu bigint := (p_wish ->> 'millicpu')::bigint - p_free.millicpu;
    v_memory_bytes bigint := (p_wish ->> 'memory_bytes')::bigint - p_free.memory_bytes;
    v_disk_bytes bigint := (p_wish ->> 'disk_bytes')::bigint - p_free.disk_bytes;
begin
    if p_wish ->> 'other_than' = v_host.name then
        v_lacks := v_lacks || 'is where it lives'::text;
    end if;
    if v_host.state <> 'ready' then
        v_lacks := v_lacks || format('is %s', v_host.state);
    end if;
    if not v_host.labels @> coalesce(p_wish -> 'labels', '{}') then
        v_lacks := v_lacks || 'other labels'::text;
    end if;
    if p_free.has_exclusive then
        v_lacks := v_lacks || 'is another shop''s alone'::text;
    elsif (p_wish ->> 'is_exclusive')::boolean and p_free.cells > 0 then
        v_lacks := v_lacks || 'has other shops'::text;
    end if;
    if v_millicpu > 0 then
        v_lacks := v_lacks || format('CPU %sm short', v_millicpu);
    end if;
    if v_memory_bytes > 0 then
        v_lacks := v_lacks || format('memory %s short', bytes_text(v_memory_bytes));
    end if;
    if v_disk_bytes > 0 then
        v_lacks := v_lacks || format('disk %s short', bytes_text(v_disk_bytes));
    end if;
    return nullif(array_to_string(v_lacks, ', '), '');
end
$$;

-- The host that is asked for, or the one with the most memory free among those that have room. p_wish: {"host", "labels",
-- "millicpu", "memory_bytes", "disk_bytes", "is_exclusive", "other_than"}.
create or replace function host_choose(p_wish jsonb) returns text language plpgsql stable set search_path from current as $$
declare
    v_free record;
    v_lacks text;
    v_lines text[] := '{}';
    v_rest integer := 0;
begin
    if p_wish ->> 'host' is not null then
        perform host_get(p_wish ->> 'host');
    end if;
    for v_free in
        select * from hosts_free() f
        where p_wish ->> 'host' is null or (f.host).name = p_wish ->> 'host'
        order by f.memory_bytes desc, (f.host).name
    loop
        v_lacks := host_lacks(v_free, p_wish);
        if v_lacks is null then
            return (v_free.host).name;
        elsif length(array_to_string(v_lines, '; ')) < 220 then
            v_lines := v_lines || format('%s: %s', (v_free.host).name, v_lacks);
        else
            v_rest := v_rest + 1;
        end if;
    end loop;
    perform refuse('wrong-state',
                   format('no host has room for %sm CPU, %s of memory and %s of disk%s', p_wish ->> 'millicpu',
                          bytes_text((p_wish ->> 'memory_bytes')::numeric), bytes_text((p_wish ->> 'disk_bytes')::numeric),
                          case when (p_wish ->> 'is_exclusive')::boolean then ' for itself alone' else '' end),
                   case when v_lines = '{}' then 'there is no host'
                        else array_to_string(v_lines, '; ') || case when v_rest > 0 then format('; and %s more', v_rest) else '' end
                   end,
                   'see shopctl host list, or add one: shopctl host add NAME URL', 'host');
end
$$;

-- What a plan wants of a host, with what an operator asked for beside it.
create or replace function plan_wish(p_document jsonb, p_input jsonb) returns jsonb language sql immutable set search_path from current as $$
    select jsonb_build_object(
        'host', p_input -> 'host', 'labels', coalesce(p_input -> 'labels', '{}'),
        'millicpu', cell_takes(p_document -> 'resources', 'cpu'),
        'memory_bytes', cell_takes(p_document -> 'resources', 'memory'),
        'disk_bytes', cell_takes(p_document -> 'resources', 'disk'),
        'is_exclusive', p_document ->> 'tier' = 'server' or coalesce((p_document ->> 'exclusive')::boolean, false))
$$;

create or replace function plan_is_shared(p_document jsonb) returns boolean language sql immutable as $$
    select p_document ->> 'tier' = 'shared'
$$;

-- Refuses where a tenant of this plan would find no place.
create or replace function place_check(p_document jsonb, p_input jsonb) returns void
    language plpgsql stable set search_path from current as $$
declare
    v_key text;
begin
    if plan_is_shared(p_document) then
        select key into v_key from jsonb_each_text(p_input) where key in ('host', 'labels') and value <> '{}' order by key limit 1;
        if found then
            perform refuse('invalid', case v_key when 'host' then 'a host is refused' else 'labels of a host are refused' end,
                           format('the plan ''%s'' shares a cell with others', p_document ->> 'name'),
                           format('leave --%s out, or choose a plan of the tier container or server', v_key), v_key);
        end if;
        perform cell_choose(p_input ->> 'cell');
    else
        if p_input ->> 'cell' is not null then
            perform refuse('invalid', 'a cell is refused',
                           format('the plan ''%s'' has a cell of its own for each shop', p_document ->> 'name'),
                           'leave --cell out, or name a host by --host', 'cell');
        end if;
        perform host_choose(plan_wish(p_document, p_input));
    end if;
end
$$;

-- The private network that a cell has by its port; two ports of one place are for one cell, whose shopd moves from one to the
-- other and back (see upgrade.sql).
create or replace function port_place(p_port integer) returns integer language sql immutable as $$
    select (p_port - 20000) % 4096
$$;

-- One whose place is free as well, where there is one.
create or replace function cell_port_free(p_host text, p_from integer) returns integer
    language sql stable set search_path from current as $$
    select n from generate_series(p_from, 29999) n
    where not exists (select from cells where host = p_host and n in (port, port_next))
    order by exists (select from cells where host = p_host and port_place(n) in (port_place(port), port_place(port_next))), n
    limit 1
$$;

create or replace function cell_url(p_address text, p_port integer) returns text language sql immutable as $$
    select format(case when strpos(p_address, ':') > 0 then 'http://[%s]:%s' else 'http://%s:%s' end, p_address, p_port)
$$;

create or replace function cell_resources(p_document jsonb) returns jsonb language sql immutable as $$
    select jsonb_build_object(
        'postgres', jsonb_build_object('millicpu', p_document #> '{resources,postgres,cpu}',
                                       'memory_bytes', p_document #> '{resources,postgres,memory}',
                                       'disk_bytes', p_document #> '{resources,postgres,disk}'),
        'shopd', jsonb_build_object('millicpu', p_document #> '{resources,shopd,cpu}',
                                    'memory_bytes', p_document #> '{resources,shopd,memory}'))
$$;

-- A cell for one tenant alone, on the host with room for it; named after the operation, so that it is found again.
drop function if exists cell_dedicate(bigint, jsonb, jsonb);
create or replace function cell_dedicate(p_operation bigint, p_wish jsonb, p_resources jsonb) returns text
    language plpgsql set search_path from current as $$
declare
    v_name text := 'd' || p_operation;
    v_host hosts;
    v_port integer;
begin
    lock table hosts in share row exclusive mode;    -- of two at once the second one sees what the first one took
    v_host := host_get(host_choose(p_wish));
    v_port := cell_port_free(v_host.name, 20000);
    insert into cells (name, dsn, url, capacity, spares, placed, host, port, resources, is_exclusive)
    values (v_name, 'dbname=cell user=shop_owner', cell_url(v_host.address, v_port), 1, 0, 1, v_host.name, v_port,
            p_resources, (p_wish ->> 'is_exclusive')::boolean);
    return v_name;
end
$$;

-- The host's port was another program's: the cell gets the next one.
create or replace function cell_port_next(p_operation bigint, p_epoch bigint, p_name text) returns integer
    language plpgsql set search_path from current as $$
declare
    v_cell cells;
    v_port integer;
begin
    perform lease_check(p_operation, p_epoch);
    lock table hosts in share row exclusive mode;
    select * into v_cell from cells where name = p_name;
    v_port := cell_port_free(v_cell.host, v_cell.port + 1);
    update cells set port = v_port, url = cell_url((host_get(v_cell.host)).address, v_port) where name = p_name;
    return v_port;
end
$$;

-- Everything that the steps of a cell of its own need to know of it.
create or replace function cell_dedicated(p_name text) returns json language sql stable set search_path from current as $$
    select json_build_object('platform', p.name, 'cell', c.name, 'host', c.host, 'address', h.address, 'port', c.port,
                             'port_next', c.port_next, 'state', c.state, 'url', c.url, 'resources', c.resources,
                             'tenant', coalesce((select t.slug from tenants t where t.cell = c.name),
                                                (select t.slug from moves m join tenants t on t.id = m.tenant_id
                                                 where c.name in (m.source_cell, m.target_cell) limit 1)))
    from platforms p, cells c join hosts h on h.name = c.host
    where c.name = p_name
$$;
