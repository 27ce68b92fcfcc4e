-- sql/cell/functions/moves.sql: how a tenant leaves a cell, and how it comes into one.

-- Every change of a tenant's rows that doesn't come from shopd begins with it: refused while it moves, and waited for by its move.
create or replace function tenant_write(p_number bigint) returns void language plpgsql set search_path from current as $$
begin
    perform from tenants where number = p_number for key share;    -- which gate_close waits for, and no other operation
    if exists (select from gates where tenant = p_number) or exists (select from tenants where number = p_number and state = 'moved') then
        perform refuse('busy', format('the tenant t_%s is moving to another cell', p_number), 'nothing is written here any more',
                       'try again in a moment');
    end if;
    if exists (select from full_disks where tenant = p_number) then
        perform refuse('plan-limit', format('nothing is written in the tenant t_%s', p_number), 'it has used the disk of its plan',
                       'give it more (shopctl tenant resize --disk), or another plan');
    end if;
end
$$;

-- What the tenant's role may do with its tables but read them: [{"table", "privilege"}].
create or replace function rights_to_write(p_number bigint) returns jsonb language sql stable set search_path from current as $$
    select coalesce(jsonb_agg(jsonb_build_object('table', c.relname, 'privilege', a.privilege_type)
                              order by c.relname, a.privilege_type), '[]')
    from pg_class c, aclexplode(c.relacl) a
    where c.relnamespace = ('t_' || p_number)::regnamespace and c.relkind = 'r' and a.grantee = ('t_' || p_number)::regrole
      and a.privilege_type <> 'SELECT'
$$;

-- Takes these rights, or gives them back: "revoke" with "from", "grant" with "to".
drop function if exists gate_turn(bigint, text, text);
create or replace function rights_turn(p_number bigint, p_privileges jsonb, p_verb text, p_word text) returns void
    language plpgsql set search_path from current as $$
declare
    v_schema text := 't_' || p_number;
    v_right record;
begin
    for v_right in select x.* from jsonb_to_recordset(p_privileges) x ("table" text, privilege text) loop
        execute format('%s %s on %I.%I %s %I', p_verb, v_right.privilege, v_schema, v_right.table, p_word, v_schema);
    end loop;
end
$$;

-- Takes the right to write from the tenant's role; false where it has been taken before, null where somebody holds it open: see
-- tenant_write. Statements that are under way aren't waited for: see gate_writers.
create or replace function gate_close(p_operation bigint, p_epoch bigint, p_number bigint) returns boolean
    language plpgsql set search_path from current as $$
declare
    v_privileges jsonb;
begin
    perform epoch_check(p_operation, p_epoch, p_number);
    perform from tenants where number = p_number for update skip locked;
    if not found then
        return null;
    end if;
    if exists (select from gates where tenant = p_number) then
        return false;
    end if;
    insert into gates (tenant, privileges) values (p_number, rights_to_write(p_number)) returning privileges into v_privileges;
    perform rights_turn(p_number, v_privileges, 'revoke', 'from');
    return true;
end
$$;

create or replace function gate_open(p_operation bigint, p_epoch bigint, p_number bigint) returns void
    language plpgsql set search_path from current as $$
begin
    perform epoch_check(p_operation, p_epoch, p_number);
    perform rights_turn(p_number, (select privileges from gates where tenant = p_number), 'grant', 'to');
    delete from gates where tenant = p_number;
end
$$;

-- What a person finds a transaction by: its process, or the name that it was prepared by.
create or replace function transaction_name(p_pid integer, p_transaction xid) returns text language sql stable as $$
    select coalesce((select format('process %s (%s)', pid,
                                   concat_ws(', ', usename, datname, extract(epoch from clock_timestamp() - xact_start)::bigint || ' s'))
                     from pg_stat_activity where pid = p_pid),
                    (select format('the prepared transaction ''%s'' (%s)', gid,
                                   concat_ws(', ', owner, database, extract(epoch from clock_timestamp() - prepared)::bigint || ' s'))
                     from pg_prepared_xacts where transaction = p_transaction),
                    'process ' || p_pid, 'a transaction')    -- that has ended meanwhile
$$;

-- The transactions that hold a lock for writing on a table of the tenant's, but for our own; one that is prepared has no process. Asked
-- after the gate was closed: whoever takes such a lock later finds it closed, so that once those named here are gone, nobody writes.
create or replace function gate_writers(p_number bigint) returns text[] language sql set search_path from current as $$
    select coalesce(array_agg(distinct l.virtualtransaction), '{}')
    from pg_locks l join pg_class c on c.oid = l.relation
    where l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database())
      and c.relnamespace = ('t_' || p_number)::regnamespace and l.pid is distinct from pg_backend_pid()
      and l.mode in ('RowShareLock', 'RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
$$;

-- Those of them that are still there, by name; null: none.
drop function if exists gate_writers_left(text[]);
create or replace function gate_writers_left(p_writers text[]) returns text language sql set search_path from current as $$
    select string_agg(transaction_name(w.pid, w.transaction), '; ')
    from (select l.pid, (array_agg(l.transactionid) filter (where l.locktype = 'transactionid' and l.granted))[1] as transaction
          from pg_locks l
          where l.virtualtransaction = any (p_writers) and l.pid is distinct from pg_backend_pid()
          group by l.virtualtransaction, l.pid) w
$$;

-- Whom the process that makes a logical slot waits for: the oldest transactions of the cluster that write since before p_since, and the
-- one whose end it waits for now. How old another login's is, only pg_read_all_stats may know.
create or replace function slot_awaits(p_pid integer, p_since xid) returns text language sql stable set search_path from current as $$
    select string_agg(transaction_name(w.pid, w.transaction), '; ' order by w.age desc)
    from (select l.pid, (array_agg(l.transactionid order by age(l.transactionid) desc))[1] as transaction, max(age(l.transactionid)) as age
          from pg_locks l
          where l.locktype = 'transactionid' and l.granted
            and (age(l.transactionid) > age(p_since)
                 or exists (select from pg_locks a where a.pid = p_pid and not a.granted and a.transactionid = l.transactionid))
          group by l.virtualtransaction, l.pid
          order by 3 desc
          limit 3) w
$$;

-- Up to where the tenant's rows are copied; null ends it being a copy.
create or replace function replica_set(p_operation bigint, p_epoch bigint, p_number bigint, p_position pg_lsn, p_is_whole boolean)
    returns void language plpgsql set search_path from current as $$
begin
    perform epoch_check(p_operation, p_epoch, p_number);
    if p_position is null then
        delete from replicas where tenant = p_number;
        return;
    end if;
    insert into replicas as r (tenant, position, is_whole) values (p_number, p_position, p_is_whole)
    on conflict (tenant) do update set position = excluded.position, is_whole = excluded.is_whole;
end
$$;

-- The tenant is served from now on, in the state that its record has: hosts, limits, what shopd shows of it, work that waits.
create or replace function tenant_arrive(p_operation bigint, p_epoch bigint, p_number bigint, p_hosts text[], p_limits jsonb, p_state text)
    returns void language plpgsql set search_path from current as $$
begin
    perform gate_open(p_operation, p_epoch, p_number);
    execute format('update t_%1$s.settings set product_limit = $1 where product_limit is distinct from $1', p_number)
    using (p_limits ->> 'products')::bigint;
    perform tenant_looks_copy(p_number);
    execute format('insert into bell (tenant, due_at) select %L, min(due_at) from t_%s.jobs where set_aside_at is null having count(*) > 0',
                   't_' || p_number, p_number);
    perform tenant_register(p_operation, p_epoch, p_number, p_hosts, p_limits);
    perform tenant_state_set(p_operation, p_epoch, p_number, p_state);
end
$$;

create or replace function tenant_has_arrived(p_number bigint, p_hosts text[], p_limits jsonb, p_state text) returns boolean
    language sql stable set search_path from current as $$
    select tenant_is_registered(p_number, p_hosts, p_limits) and tenant_state(p_number) = p_state
       and not exists (select from gates where tenant = p_number)
$$;

-- Its hosts lead elsewhere; rows, and the closed gate, stay as they are.
create or replace function tenant_leave(p_operation bigint, p_epoch bigint, p_number bigint) returns void
    language plpgsql set search_path from current as $$
begin
    perform tenant_unregister(p_operation, p_epoch, p_number);
    perform tenant_state_set(p_operation, p_epoch, p_number, 'moved');
end
$$;
