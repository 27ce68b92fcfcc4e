-- sql/control/functions/operations.sql: the record of operations: begun, step by step, taken over, ended.

create or replace function refuse(p_error text, p_what text, p_why text default '', p_next text default '', p_field text default '')
    returns void language plpgsql as $$
begin
    raise exception using errcode = 'SH001', constraint = p_error, message = p_what, detail = p_why, hint = p_next,
                          column = p_field;
end
$$;

-- Whoever has no longer the lease may write nothing.
create or replace function lease_check(p_operation bigint, p_epoch bigint) returns void
    language plpgsql set search_path from current as $$
begin
    perform from leases where operation = p_operation and epoch = p_epoch for update;
    if not found then
        perform refuse('busy', format('operation %s is another process''s now', p_operation),
                       'it was resumed, reverted or ended elsewhere', format('see shopctl operation show %s', p_operation));
    end if;
end
$$;

-- Says which operation has the slug, to one who wants to change the tenant, or to make a new one.
create or replace function lease_refuse(p_slug text, p_is_new boolean) returns void
    language plpgsql set search_path from current as $$
declare
    v_other operations;
begin
    select o.* into v_other from operations o join leases l on l.operation = o.id where l.slug = p_slug;
    perform refuse(case when p_is_new then 'exists' else 'busy' end,
                   case when p_is_new then format('there is a tenant ''%s'' already', p_slug)
                        else format('the tenant ''%s'' is being changed by operation %s (%s)', p_slug, v_other.id,
                                    v_other.kind) end,
                   format('operation %s (%s) is %s since %s', v_other.id, v_other.kind, v_other.state,
                          to_char(v_other.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
                   case when p_is_new then 'choose another slug, or wait for it'
                        else format('wait for it, or: shopctl operation resume %s', v_other.id) end);
end
$$;

-- Refuses where another operation has the slug: --dry-run asks what beginning one would meet.
create or replace function lease_check_free(p_slug text, p_is_new boolean) returns void
    language plpgsql stable set search_path from current as $$
begin
    if exists (select from leases where slug = p_slug) then
        perform lease_refuse(p_slug, p_is_new);
    end if;
end
$$;

-- Until the end of the transaction: of a creation and a request that want the same new slug at once, one sees the other's lease
-- or record.
create or replace function slug_lock(p_slug text) returns void language sql as $$
    select pg_advisory_xact_lock(hashtextextended('slug ' || p_slug, 0))
$$;

-- Whoever mends a tenant's containers has it until mend_end, where no operation has the tenant. An operation begins when nobody
-- has it: it finds containers as they stay, and the mender finds its lease.
create or replace function mend_key(p_slug text) returns bigint language sql immutable as $$
    select hashtextextended('mend ' || p_slug, 0)
$$;

create or replace function mend_begin(p_slug text) returns boolean language plpgsql set search_path from current as $$
begin
    if not pg_try_advisory_lock(mend_key(p_slug)) then
        return false;
    end if;
    if exists (select from leases where slug = p_slug) then
        perform pg_advisory_unlock(mend_key(p_slug));
        return false;
    end if;
    return true;
end
$$;

create or replace function mend_end(p_slug text) returns void language sql set search_path from current as $$
    select pg_advisory_unlock(mend_key(p_slug))
$$;

create or replace function mend_wait(p_slug text) returns void language plpgsql set search_path from current as $$
begin
    perform set_config('lock_timeout', '20s', true);
    perform pg_advisory_xact_lock(mend_key(p_slug));
    perform set_config('lock_timeout', '0', true);
exception when lock_not_available then
    perform refuse('busy', format('the containers of ''%s'' are being mended', p_slug), 'the controller has been at it for 20 s',
                   'try again, and see the controller''s log');
end
$$;

-- A new tenant is refused here, before anything is written that would stay: the lease is the slug's, so that of two that ask for
-- it at once one finds the other.
create or replace function operation_begin(p_kind text, p_slug text, p_input jsonb, p_steps text[], p_holder text,
                                           p_operator text)
    returns table (id bigint, epoch bigint) language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
    v_is_new boolean := p_kind in ('create', 'create-dedicated') and (p_input ->> 'is_new')::boolean;
begin
    if v_is_new then
        perform slug_lock(p_slug);
    end if;
    perform mend_wait(p_slug);
    insert into operations (kind, slug, input, operator) values (p_kind, p_slug, p_input, p_operator)
    returning operations.id into id;
    epoch := nextval('epochs');
    insert into leases (slug, operation, epoch, holder) values (p_slug, id, epoch, p_holder) on conflict (slug) do nothing;
    if not found then
        perform lease_refuse(p_slug, v_is_new);
    elsif v_is_new then
        perform tenant_check_new(p_input);
    end if;
    insert into operation_steps (operation, position, name, state, begun_at)
    select operation_begin.id, s.position - 1, s.name, case when s.position = 1 then 'running' else 'pending' end,
           case when s.position = 1 then clock_timestamp() end
    from unnest(p_steps) with ordinality as s (name, position);
    return next;
end
$$;

-- The unfinished operation of a tenant, if any.
create or replace function operation_of(p_slug text)
    returns table (id bigint, kind text, state text, holder text, quiet_ms bigint)
    language sql stable set search_path from current as $$
    select o.id, o.kind, o.state, l.holder,
           (extract(epoch from clock_timestamp() - l.heard_at) * 1000)::bigint
    from leases l join operations o on o.id = l.operation
    where l.slug = p_slug
$$;

-- Refuses one that isn't there or has ended.
create or replace function operation_unfinished(p_id bigint) returns operations
    language plpgsql stable set search_path from current as $$
declare
    v_operation operations;
begin
    select * into v_operation from operations o where o.id = p_id;
    if not found then
        perform refuse('not-found', format('there is no operation %s', p_id), '', 'see shopctl operation list');
    elsif v_operation.state in ('done', 'reverted') then
        perform refuse('wrong-state', format('operation %s is %s', p_id, v_operation.state), 'it has ended');
    end if;
    return v_operation;
end
$$;

-- What whoever took it over would get, without taking it, and the steps that were begun, the last one first.
create or replace function operation_peek(p_id bigint)
    returns table (kind text, slug text, is_revert boolean, input jsonb, data jsonb, begun jsonb)
    language sql stable set search_path from current as $$
    select o.kind, o.slug, o.is_revert, o.input, o.data,
           (select coalesce(jsonb_agg(s.name order by s.position desc), '[]')
            from operation_steps s where s.operation = p_id and s.state not in ('pending', 'reverted'))
    from operation_unfinished(p_id) o
$$;

-- Takes an unfinished operation over: from now on its epoch is ours. p_quiet_ms: refused unless it said nothing for so long
-- (0: in any case). p_revert: null keeps the direction.
create or replace function operation_take(p_id bigint, p_holder text, p_quiet_ms bigint, p_revert boolean)
    returns table (epoch bigint, kind text, slug text, is_revert boolean, input jsonb, data jsonb, attempts integer)
    language plpgsql set search_path from current as $$
#variable_conflict use_column
declare
    v_lease leases;
begin
    perform from operations o where o.id = p_id for update;
    perform operation_unfinished(p_id);
    select * into v_lease from leases l where l.operation = p_id for update;
    if v_lease.heard_at > clock_timestamp() - p_quiet_ms * interval '1 millisecond' then
        perform refuse('busy', format('operation %s is under way', p_id), format('it is done by %s', v_lease.holder),
                       format('wait for it, or: shopctl operation resume %s', p_id));
    end if;
    epoch := nextval('epochs');
    update leases l set epoch = operation_take.epoch, holder = p_holder, heard_at = clock_timestamp() where l.operation = p_id;
    update operations o set state = 'running', is_revert = coalesce(p_revert, o.is_revert), attempts = o.attempts + 1, error = null
    where o.id = p_id
    returning o.kind, o.slug, o.is_revert, o.input, o.data, o.attempts
    into kind, slug, is_revert, input, data, attempts;
    return next;
end
$$;

-- Records that a step ended, and that the next one begins. Either position may be null. Losing the newest of these records in
-- a crash loses nothing, since whoever resumes asks the world: so none waits for the disk.
create or replace function operation_step(p_id bigint, p_epoch bigint, p_ended integer, p_ended_state text, p_next integer,
                                          p_next_state text, p_data jsonb)
    returns void language plpgsql set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update leases set heard_at = clock_timestamp() where operation = p_id and epoch = p_epoch;
    if not found then
        perform lease_check(p_id, p_epoch);
    end if;
    update operation_steps
    set state = case position when p_ended then p_ended_state else p_next_state end,
        begun_at = case position when p_ended then begun_at else clock_timestamp() end,
        ended_at = case position when p_ended then clock_timestamp() else ended_at end
    where operation = p_id and position in (p_ended, p_next);
    if p_data is not null then
        update operations set data = p_data where id = p_id and data <> p_data;
    end if;
end
$$;

create or replace function operation_beat(p_id bigint, p_epoch bigint) returns void
    language plpgsql set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update leases set heard_at = clock_timestamp() where operation = p_id and epoch = p_epoch;
    if not found then
        perform lease_check(p_id, p_epoch);
    end if;
end
$$;

-- Ends it: 'done' and 'reverted' give the lease back; 'failed' keeps the tenant locked for whoever goes on.
create or replace function operation_end(p_id bigint, p_epoch bigint, p_position integer, p_step_state text, p_state text,
                                         p_revert boolean, p_error jsonb, p_data jsonb)
    returns void language plpgsql set search_path from current as $$
begin
    perform lease_check(p_id, p_epoch);
    update operation_steps set state = p_step_state, ended_at = clock_timestamp() where operation = p_id and position = p_position;
    update operations
    set state = p_state, is_revert = p_revert, error = coalesce(p_error, error), data = coalesce(p_data, data),
        ended_at = case when p_state <> 'failed' then clock_timestamp() end
    where id = p_id;
    if p_state = 'failed' then
        update leases set holder = '', heard_at = clock_timestamp() where operation = p_id;
    else
        delete from leases where operation = p_id;
        update tenants set operation = p_id
        where p_state = 'done' and slug = (select slug from operations where id = p_id)
          and status not in ('deleted', 'rejected') and operation is distinct from p_id;
    end if;
    perform pg_notify('control_operations', p_id::text);
end
$$;

-- One that said nothing for so long that its process must be gone.
create or replace function operation_abandoned(p_quiet_ms bigint) returns table (id bigint, is_revert boolean, attempts integer)
    language sql set search_path from current as $$
    select o.id, o.is_revert, o.attempts
    from operations o join leases l on l.operation = o.id
    where o.state in ('pending', 'running', 'failed')
      and l.heard_at <= clock_timestamp() - p_quiet_ms * interval '1 millisecond'
    order by l.heard_at
    limit 1
$$;

create or replace function operation_document(p_operation operations) returns json
    language sql stable set search_path from current as $$
    select json_build_object(
        'id', p_operation.id,
        'kind', p_operation.kind,
        'tenant', p_operation.slug,
        'state', p_operation.state,
        'is_revert', p_operation.is_revert,
        'attempts', p_operation.attempts,
        'operator', p_operation.operator,
        'created_at', rfc3339(p_operation.created_at),
        'ended_at', rfc3339(p_operation.ended_at),
        'error', p_operation.error,
        'steps', (select coalesce(json_agg(json_build_object('name', s.name, 'state', s.state, 'begun_at', rfc3339(s.begun_at),
                                                             'ended_at', rfc3339(s.ended_at)) order by s.position), '[]')
                  from operation_steps s
                  where s.operation = p_operation.id))
$$;

create or replace function operation_list(p_slug text, p_state text, p_limit bigint) returns setof json
    language sql stable set search_path from current as $$
    select operation_document(o)
    from operations o
    where (p_slug is null or o.slug = p_slug) and (p_state is null or o.state = p_state)
    order by o.id desc
    limit p_limit
$$;

-- As many as operation_list has without a limit.
create or replace function operation_count(p_slug text, p_state text) returns bigint
    language sql stable set search_path from current as $$
    select count(*) from operations o where (p_slug is null or o.slug = p_slug) and (p_state is null or o.state = p_state)
$$;

create or replace function operation_show(p_id bigint) returns setof json
    language sql stable set search_path from current as $$
    select operation_document(o) from operations o where o.id = p_id
$$;
