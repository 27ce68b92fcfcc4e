-- sql/control/functions/resize.sql: shops of their own that get another size than their plan's, or had one before.

-- The plan with what the shop bought in place of what it says.
create or replace function plan_sized(p_document jsonb, p_resources jsonb) returns jsonb language sql immutable as $$
    select case when p_resources is null then p_document
                else jsonb_set(p_document, '{resources}', jsonb_build_object(
                    'postgres', jsonb_build_object('cpu', p_resources #> '{postgres,millicpu}',
                                                   'memory', p_resources #> '{postgres,memory_bytes}',
                                                   'disk', p_resources #> '{postgres,disk_bytes}'),
                    'shopd', jsonb_build_object('cpu', p_resources #> '{shopd,millicpu}',
                                                'memory', p_resources #> '{shopd,memory_bytes}'))) end
$$;

-- Of each amount the larger one.
create or replace function resources_larger(p_one jsonb, p_other jsonb) returns jsonb language sql immutable as $$
    select jsonb_object_agg(program.key, (
        select jsonb_object_agg(kind.key, greatest(kind.value::bigint, (p_other -> program.key ->> kind.key)::bigint))
        from jsonb_each_text(program.value) kind))
    from jsonb_each(p_one) program
$$;

-- What both programs get together, shared out between them as the plan shares out its own.
create or replace function resources_share(p_plan jsonb, p_now jsonb, p_kind text, p_total bigint, p_unit bigint) returns jsonb
    language sql immutable set search_path from current as $$
    select case when p_total is null then p_now
                else jsonb_set(jsonb_set(p_now, array['postgres', p_kind], to_jsonb(x.postgres)),
                               array['shopd', p_kind], to_jsonb(p_total - x.postgres)) end
    from (select (round(p_total::numeric * (p_plan #>> array['postgres', p_kind])::bigint
                        / cell_takes(p_plan, p_kind) / p_unit) * p_unit)::bigint as postgres) x
$$;

-- p_wish: {"millicpu", "memory_bytes", "disk_bytes"} of both programs together, or {"is_plan": true}.
create or replace function resources_wished(p_plan jsonb, p_now jsonb, p_wish jsonb) returns jsonb
    language sql immutable set search_path from current as $$
    select case when (p_wish ->> 'is_plan')::boolean then p_plan
                when p_wish ? 'disk_bytes' then jsonb_set(x.shared, '{postgres,disk_bytes}', p_wish -> 'disk_bytes')
                else x.shared end
    from (select resources_share(p_plan,
                                 resources_share(p_plan, p_now, 'millicpu', (p_wish ->> 'millicpu')::bigint, 1),
                                 'memory_bytes', (p_wish ->> 'memory_bytes')::bigint, 1048576) as shared) x
$$;

-- What an operation that gives the shop this size is told: what it has, what it will have, and the larger of both.
create or replace function tenant_resize_input(p_slug text, p_wish jsonb) returns json
    language sql stable set search_path from current as $$
    select json_build_object('before', c.resources, 'after', w.after, 'larger', resources_larger(c.resources, w.after),
                             'is_changed', c.resources <> w.after)
    from tenant_of(p_slug) t
    join plans p on p.name = t.plan and p.version = t.plan_version
    join cells c on c.name = t.cell
    cross join lateral (select resources_wished(cell_resources(p.document), c.resources, p_wish) as after) w
$$;

-- Refuses where the cell's host lacks what the cell would take beyond what it takes.
create or replace function cell_room_check(p_cell text, p_resources jsonb) returns void
    language plpgsql stable set search_path from current as $$
declare
    v_cell cells;
    v_free record;
    v_more jsonb;
    v_lacks text;
begin
    select * into v_cell from cells where name = p_cell;
    select jsonb_object_agg(kind, cell_takes(p_resources, kind) - cell_takes(v_cell.resources, kind)) into v_more
    from unnest('{millicpu,memory_bytes,disk_bytes}'::text[]) kind
    where cell_takes(p_resources, kind) > cell_takes(v_cell.resources, kind);
    if v_more is null then
        return;
    end if;
    select f.host, 0::bigint as cells, false as has_exclusive, f.millicpu, f.memory_bytes, f.disk_bytes into v_free
    from hosts_free() f where (f.host).name = v_cell.host;
    v_lacks := host_lacks(v_free, v_more || '{"is_exclusive": false}');
    if v_lacks is not null then
        perform refuse('wrong-state',
                       format('the host ''%s'' has no room for %s more', v_cell.host,
                              concat_ws(', ', (v_more ->> 'millicpu') || 'm CPU',
                                        bytes_text((v_more ->> 'memory_bytes')::numeric) || ' of memory',
                                        bytes_text((v_more ->> 'disk_bytes')::numeric) || ' of disk')),
                       format('%s: %s', v_cell.host, v_lacks), 'see shopctl host list, and ask for less', 'host');
    end if;
end
$$;

-- What the cell takes of its host from now on. What it had before is taken back without asking.
create or replace function cell_resize(p_operation bigint, p_epoch bigint, p_cell text, p_resources jsonb, p_is_back boolean)
    returns void language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    lock table hosts in share row exclusive mode;    -- as cell_dedicate
    if not p_is_back then
        perform cell_room_check(p_cell, p_resources);
    end if;
    update cells set resources = p_resources where name = p_cell and resources <> p_resources;
end
$$;

create or replace function tenant_is_resized(p_cell text, p_resources jsonb) returns boolean
    language sql stable set search_path from current as $$
    select exists (
        select from cells c join tenants t on t.cell = c.name join plans p on p.name = t.plan and p.version = t.plan_version
        where c.name = p_cell and c.resources = p_resources
          and t.resources is not distinct from nullif(p_resources, cell_resources(p.document)))
$$;

-- The new size is the shop's: of its cell, and of any cell that it gets later.
create or replace function tenant_resized(p_operation bigint, p_epoch bigint, p_cell text, p_resources jsonb) returns void
    language plpgsql set search_path from current as $$
begin
    perform cell_resize(p_operation, p_epoch, p_cell, p_resources, true);
    update tenants t set resources = nullif(p_resources, cell_resources(p.document)), updated_at = now()
    from plans p
    where t.cell = p_cell and p.name = t.plan and p.version = t.plan_version;
end
$$;
