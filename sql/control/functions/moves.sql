-- sql/control/functions/moves.sql: the record of tenants that go from one cell to another.

create or replace function move_of(p_slug text) returns moves language sql stable set search_path from current as $$
    select m from moves m where m.tenant_id = (tenant_of(p_slug)).id
$$;

-- The plan that it would have at the target: its own, or the one of the input.
create or replace function move_document(p_tenant tenants, p_input jsonb) returns jsonb language sql stable set search_path from current as $$
    select coalesce(p_input #> '{plan,document}',
                    (select document from plans where name = p_tenant.plan and version = p_tenant.plan_version))
$$;

-- What a cell of its own takes: what it has now where the plan stays, on another host then.
create or replace function move_resources(p_tenant tenants, p_input jsonb) returns jsonb language sql stable set search_path from current as $$
    select coalesce((select c.resources from cells c where c.name = p_tenant.cell and c.host is not null and not p_input ? 'plan'),
                    cell_resources(move_document(p_tenant, p_input)))
$$;

create or replace function move_wish(p_tenant tenants, p_input jsonb) returns jsonb language sql stable set search_path from current as $$
    select plan_wish(move_document(p_tenant, p_input), p_input)
           || (select jsonb_build_object('millicpu', cell_takes(r, 'millicpu'), 'memory_bytes', cell_takes(r, 'memory_bytes'),
                                         'disk_bytes', cell_takes(r, 'disk_bytes'))
               from move_resources(p_tenant, p_input) r)
           || case when p_input ? 'plan' or p_input ? 'host' then '{}'::jsonb
                   else jsonb_build_object('other_than', (select host from cells where name = p_tenant.cell)) end
$$;

-- Refuses where a tenant is on its way already.
create or replace function move_check_none(p_slug text) returns void language plpgsql stable set search_path from current as $$
declare
    v_move moves := move_of(p_slug);
begin
    if v_move.tenant_id is not null then
        perform refuse('wrong-state', format('the move of the tenant ''%s'' isn''t finished', p_slug),
                       format('it goes from the cell ''%s'' to ''%s''', v_move.source_cell, v_move.target_cell),
                       case when v_move.is_switched
                            then format('give the old place up (shopctl tenant move %1$s --finalize), or go back to it (--rollback)', p_slug)
                            else format('see shopctl operation show %s', v_move.operation) end);
    end if;
end
$$;

-- Refuses what can't be moved, or has no place to go to: --dry-run asks the same. Gives the target's cell; null: one of its own is made.
drop function if exists move_check(text, jsonb);
create or replace function move_check(p_slug text, p_input jsonb) returns text language plpgsql stable set search_path from current as $$
declare
    v_tenant tenants := tenant_of(p_slug);
begin
    if v_tenant.status not in ('active', 'suspended', 'archived') then
        perform refuse('wrong-state', format('the tenant ''%s'' can''t be moved', p_slug), format('it is %s', v_tenant.status),
                       format('see shopctl tenant show %s', p_slug));
    end if;
    perform move_check_none(p_slug);
    if plan_is_shared(move_document(v_tenant, p_input)) then
        if p_input ? 'host' then
            perform place_check(move_document(v_tenant, p_input), p_input);
        end if;
        return cell_choose(p_input ->> 'cell', v_tenant.cell);
    end if;
    if p_input ? 'cell' then
        perform place_check(move_document(v_tenant, p_input), p_input);
    end if;
    perform host_choose(move_wish(v_tenant, p_input));
    return null;
end
$$;

-- A place at the target.
create or replace function move_reserve(p_operation bigint, p_epoch bigint) returns void language plpgsql set search_path from current as $$
declare
    v_operation operations;
    v_tenant tenants;
    v_document jsonb;
    v_cell text;
begin
    perform lease_check(p_operation, p_epoch);
    if move_is_reserved(p_operation) then
        return;
    end if;
    select * into v_operation from operations where id = p_operation;
    v_tenant := tenant_of(v_operation.slug);
    v_document := move_document(v_tenant, v_operation.input);
    perform move_check(v_operation.slug, v_operation.input);
    v_cell := case when plan_is_shared(v_document) then cell_place(v_operation.input ->> 'cell', v_tenant.cell)
                   else cell_dedicate(p_operation, move_wish(v_tenant, v_operation.input), move_resources(v_tenant, v_operation.input)) end;
    insert into moves (tenant_id, operation, source_cell, source_number, source_plan, source_plan_version, target_cell, target_plan,
                       target_plan_version)
    values (v_tenant.id, p_operation, v_tenant.cell, v_tenant.number, v_tenant.plan, v_tenant.plan_version, v_cell,
            coalesce(v_operation.input #>> '{plan,name}', v_tenant.plan),
            case when v_operation.input ? 'plan' then plan_record(v_operation.input -> 'plan') else v_tenant.plan_version end);
end
$$;

create or replace function move_is_reserved(p_operation bigint) returns boolean language sql stable set search_path from current as $$
    select exists (select from moves where operation = p_operation)
$$;

create or replace function move_unreserve(p_operation bigint, p_epoch bigint) returns void language plpgsql set search_path from current as $$
declare
    v_cell text;
begin
    perform lease_check(p_operation, p_epoch);
    delete from moves where operation = p_operation and not is_switched returning target_cell into v_cell;
    perform cell_unplace(v_cell);
end
$$;

-- From now on the tenant's record is that of the target.
create or replace function move_switch(p_operation bigint, p_epoch bigint, p_number bigint) returns void
    language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    with switched as (
        update moves set is_switched = true, target_number = p_number, switched_at = now()
        where operation = p_operation and not is_switched
        returning *, (source_plan, source_plan_version) = (target_plan, target_plan_version) as is_plan_kept)
    update tenants t
    set cell = s.target_cell, number = p_number, operation = p_operation, updated_at = now(),
        plan = case when s.is_plan_kept then t.plan else s.target_plan end,
        plan_version = case when s.is_plan_kept then t.plan_version else s.target_plan_version end,
        resources = (select nullif(nullif(c.resources, '{}'), cell_resources(p.document))    -- beyond the plan, as it has there
                     from cells c, plans p
                     where c.name = s.target_cell
                       and (p.name, p.version) = (case when s.is_plan_kept then t.plan else s.target_plan end,
                                                  case when s.is_plan_kept then t.plan_version else s.target_plan_version end))
    from switched s
    where t.id = s.tenant_id;
end
$$;

create or replace function move_is_switched(p_operation bigint) returns boolean language sql stable set search_path from current as $$
    select exists (select from moves where operation = p_operation and is_switched)
$$;

-- What was the source is the target, and the other way round: p_operation's from now on, or nobody's (-p_operation).
create or replace function move_exchange(p_tenant bigint, p_operation bigint, p_is_switched boolean) returns void
    language sql set search_path from current as $$
    update moves m
    set operation = p_operation, is_switched = p_is_switched, is_back = not m.is_back,
        source_cell = m.target_cell, source_number = m.target_number, source_plan = m.target_plan, source_plan_version = m.target_plan_version,
        target_cell = m.source_cell, target_number = m.source_number, target_plan = m.source_plan, target_plan_version = m.source_plan_version
    where m.tenant_id = p_tenant
$$;

-- A move that was switched goes the other way now.
create or replace function move_turn(p_operation bigint, p_epoch bigint) returns void language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    perform move_exchange(m.tenant_id, p_operation, false)
    from moves m
    where m.tenant_id = (select (tenant_of(o.slug)).id from operations o where o.id = p_operation)
      and m.operation <> p_operation and m.is_switched;
end
$$;

-- And stays where it is.
create or replace function move_unturn(p_operation bigint, p_epoch bigint) returns void language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    perform move_exchange(m.tenant_id, -p_operation, true) from moves m where m.operation = p_operation and not m.is_switched;
end
$$;

-- The move of a tenant that can be ended or turned back; none is no row.
drop function if exists move_pending(text);
create or replace function move_pending(p_slug text) returns table (is_back boolean, is_dedicated boolean, cell text, old_cell text)
    language plpgsql stable set search_path from current as $$
declare
    v_move moves := move_of(p_slug);
begin
    if v_move.tenant_id is not null and not v_move.is_switched then
        perform refuse('wrong-state', format('the tenant ''%s'' is on its way still', p_slug),
                       format('it goes from the cell ''%s'' to ''%s''', v_move.source_cell, v_move.target_cell),
                       format('finish that first, or take it back: shopctl operation resume|revert %s', abs(v_move.operation)));
    end if;
    return query select v_move.is_back, c.host is not null, v_move.target_cell, v_move.source_cell from cells c where c.name = v_move.source_cell;
end
$$;

-- What an operation moved.
create or replace function move_result(p_operation bigint) returns json language sql stable set search_path from current as $$
    select json_build_object(
        'slug', o.slug, 'operation', o.id, 'plan', t.plan, 'cell', t.cell, 'is_pending', (move_of(o.slug)).tenant_id is not null,
        'rows', coalesce(o.data -> 'rows', '0'), 'bytes', coalesce(o.data -> 'bytes', '0'),
        'checksums_equal', coalesce(o.data -> 'checksums_equal', 'false'), 'write_pause_ms', coalesce(o.data -> 'write_pause_ms', '0'),
        'duration_ms', (extract(epoch from o.ended_at - o.created_at) * 1000)::bigint)
    from operations o, tenant_of(o.slug) t
    where o.id = p_operation
$$;

-- What is said where nothing had to be moved.
create or replace function move_none(p_slug text, p_duration_ms bigint) returns json language sql stable set search_path from current as $$
    select json_build_object('slug', t.slug, 'operation', null, 'plan', t.plan, 'cell', t.cell, 'is_pending', (move_of(p_slug)).tenant_id is not null,
                             'rows', 0, 'bytes', 0, 'checksums_equal', true, 'write_pause_ms', 0, 'duration_ms', p_duration_ms)
    from tenant_of(p_slug) t
$$;

-- The old place is given up.
create or replace function move_end(p_operation bigint, p_epoch bigint) returns void language plpgsql set search_path from current as $$
declare
    v_cell text;
begin
    perform lease_check(p_operation, p_epoch);
    delete from moves m using operations o
    where o.id = p_operation and m.tenant_id = (tenant_of(o.slug)).id and m.is_switched
    returning m.source_cell into v_cell;
    perform cell_unplace(v_cell);
end
$$;

-- What a step knows of its tenant, in one row. An operation works where the tenant lives, or (p_side) at the target of the move that
-- is its own, or at the source of one that was switched; the other end of the move is beside it.
drop function if exists tenant_context(text);
create or replace function tenant_context(p_slug text, p_side text, p_operation bigint)
    returns table (status text, number bigint, cell text, cell_url text, limits jsonb, domains jsonb, settings jsonb, retention_s bigint,
                   other_cell text, other_number bigint)
    language sql stable set search_path from current as $$
    select t.status,
           case p_side when 'target' then m.target_number when 'source' then m.source_number else t.number end,
           c.name, c.url, tenant_limits(p.document, t.overrides), to_jsonb(t.domains),
           jsonb_build_object('name', t.name, 'email', t.email, 'currency', t.currency, 'language', t.language,
                              'country', t.country, 'colors', t.colors, 'logo', t.logo,
                              'payment_instructions', t.payment_instructions, 'shipping', t.shipping),
           coalesce((p.document ->> 'delete_retention')::bigint, 30 * 86400),
           case p_side when 'target' then m.source_cell when 'source' then m.target_cell end,
           case p_side when 'target' then m.source_number when 'source' then m.target_number end
    from tenant_of(p_slug) t
    left join moves m on m.tenant_id = t.id and case p_side when 'target' then m.operation = p_operation else m.is_switched end
    join plans p on (p.name, p.version) = (t.plan, t.plan_version)
    left join cells c on c.name = case p_side when 'target' then m.target_cell when 'source' then m.source_cell else t.cell end
    where t.id is not null
$$;
