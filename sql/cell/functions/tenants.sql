-- sql/cell/functions/tenants.sql: what operations write into a cell. Each checks the operation's epoch in its own transaction.

create or replace function refuse(p_error text, p_what text, p_why text default '', p_next text default '')
    returns void language plpgsql as $$
begin
    raise exception using errcode = 'SH001', constraint = p_error, message = p_what, detail = p_why, hint = p_next;
end
$$;

-- Whoever takes an operation over raises its fence first: it waits for writes that are under way, later ones are refused.
create or replace function fence_raise(p_operation bigint, p_epoch bigint) returns void
    language plpgsql set search_path from current as $$
begin
    lock table fences in share row exclusive mode;
    insert into fences (operation, epoch) values (p_operation, p_epoch)
    on conflict (operation) do update set epoch = greatest(fences.epoch, excluded.epoch), raised_at = now();
end
$$;

create or replace function epoch_check(p_operation bigint, p_epoch bigint, p_number bigint default null) returns void
    language plpgsql set search_path from current as $$
declare
    v_tenant tenants;
begin
    lock table fences in row exclusive mode;
    if exists (select from fences where operation = p_operation and epoch > p_epoch) then
        perform refuse('busy', format('operation %s is another process''s now', p_operation),
                       'it was resumed, reverted or ended elsewhere', format('see shopctl operation show %s', p_operation));
    end if;
    if p_number is null then
        return;
    end if;
    update tenants set epoch = p_epoch, operation = p_operation where number = p_number and epoch <= p_epoch;
    if not found then
        select * into v_tenant from tenants where number = p_number;
        perform refuse(case when v_tenant.number is null then 'not-found' else 'busy' end,
                       format('the tenant t_%s can''t be written by operation %s', p_number, p_operation),
                       case when v_tenant.number is null then 'its row in the cell is missing'
                            else format('operation %s wrote it since', v_tenant.operation) end);
    end if;
end
$$;

-- Fences are in the way of processes that were overtaken. One that is a day old is in nobody's way: a step of the process before it
-- would have to be under way for that long, while a statement of it ends within an hour and each step begins with a record that
-- the control database refuses; a tenant's own row keeps the epoch of its last write besides. Whoever takes the operation up again
-- raises its fence anew.
create or replace function fences_forget() returns void language sql set search_path from current as $$
    delete from fences where raised_at < now() - interval '1 day'
$$;

-- The tenant that an operation took, or null.
create or replace function tenant_taken(p_operation bigint) returns bigint language sql stable set search_path from current as $$
    select number from tenants where operation = p_operation and state <> 'spare'
$$;

-- Takes a spare of this version; null where there is none.
create or replace function spare_take(p_operation bigint, p_epoch bigint, p_slug text, p_version text) returns bigint
    language plpgsql set search_path from current as $$
declare
    v_number bigint := tenant_taken(p_operation);
begin
    perform epoch_check(p_operation, p_epoch);
    if v_number is not null then
        return v_number;
    end if;
    select number into v_number from tenants
    where state = 'spare' and version = p_version
    order by number limit 1 for update skip locked;
    if found then
        update tenants set state = 'reserved', slug = p_slug, operation = p_operation, epoch = p_epoch, created_at = now()
        where number = v_number;
        execute format('comment on schema t_%s is %L', v_number,
                       format('platform %s, tenant %s, operation %s', (select platform from meta), p_slug, p_operation));
    end if;
    return v_number;
end
$$;

-- [{"code": ..., "price": {"amount": ...}}] as rows of a tenant's shipping_methods.
create or replace function shipping_rows(p_shipping jsonb) returns table (key text, price_minor bigint, "position" integer)
    language sql immutable as $$
    select m ->> 'code', (m #>> '{price,amount}')::bigint, o::integer from jsonb_array_elements(p_shipping) with ordinality s (m, o)
$$;

-- Copies what shopd shows of a shop whose own tables can't be asked. For whoever changes those tables, in the same transaction.
create or replace function tenant_looks_copy(p_number bigint) returns void language plpgsql set search_path from current as $$
begin
    execute format('update tenants t set looks = s.looks from (select jsonb_build_object(''name'', name, ''language'', language, '
                   '''colors'', colors) as looks from t_%1$s.settings) s where t.number = %1$s and t.looks <> s.looks', p_number);
end
$$;

-- What a new shop is called, how it counts, and what it tells its buyers.
create or replace function tenant_settings(p_operation bigint, p_epoch bigint, p_number bigint, p_settings jsonb, p_limits jsonb)
    returns void language plpgsql set search_path from current as $$
declare
    v_language text;
begin
    perform epoch_check(p_operation, p_epoch, p_number);
    execute format('select language from t_%s.settings', p_number) into v_language;
    execute format(
        'update t_%s.settings set name = $1, email = $2, currency = $3, language = $4, country = $5, product_limit = $6, '
        'colors = $7, logo = $8, payment_instructions = $9', p_number)
    using p_settings ->> 'name', p_settings ->> 'email', p_settings ->> 'currency', p_settings ->> 'language',
          p_settings ->> 'country', (p_limits ->> 'products')::bigint, coalesce(p_settings -> 'colors', '{}'),
          p_settings ->> 'logo', p_settings ->> 'payment_instructions';
    perform tenant_looks_copy(p_number);
    execute format('delete from t_%1$s.shipping_methods where key <> all (select key from shipping_rows($1))', p_number)
    using p_settings -> 'shipping';
    execute format('insert into t_%1$s.shipping_methods as m (key, price_minor, position) '
                   'select key, price_minor, position from shipping_rows($1) '
                   'on conflict (key) do update set price_minor = excluded.price_minor, position = excluded.position '
                   'where (m.price_minor, m.position) <> (excluded.price_minor, excluded.position)', p_number)
    using p_settings -> 'shipping';
    perform tenant_pages_forget(p_number);
    if v_language <> p_settings ->> 'language' then
        perform set_config('search_path', format('t_%s, pg_temp', p_number), true);    -- until this function ends
        execute format('select search_rebuild_%s()', p_number);
    end if;
end
$$;

-- Compared by the probe of the step above.
create or replace function tenant_has_settings(p_number bigint, p_settings jsonb, p_limits jsonb) returns boolean
    language plpgsql stable set search_path from current as $$
declare
    v_is boolean;
begin
    execute format('select (name, email, currency, language, country, colors, payment_instructions) = '
                   '($1, $2, $3, $4, $5, $7, $9) and product_limit is not distinct from $6 and logo is not distinct from $8 '
                   'and array(select (key, price_minor, position) from t_%1$s.shipping_methods order by key) = '
                   'array(select (key, price_minor, position) from shipping_rows($10) order by key) '
                   'from t_%1$s.settings', p_number)
    into v_is
    using p_settings ->> 'name', p_settings ->> 'email', p_settings ->> 'currency', p_settings ->> 'language',
          p_settings ->> 'country', (p_limits ->> 'products')::bigint, coalesce(p_settings -> 'colors', '{}'),
          p_settings ->> 'logo', p_settings ->> 'payment_instructions', p_settings -> 'shipping';
    return v_is;
end
$$;

create or replace function tenant_hosts(p_number bigint) returns text[] language sql stable set search_path from current as $$
    select array(select host from domains where tenant = p_number order by host)
$$;

-- Pages that are kept are to be made again.
create or replace function tenant_pages_forget(p_number bigint) returns void language plpgsql set search_path from current as $$
begin
    execute format('update t_%s.catalog_versions set version = version + 1', p_number);
    perform pg_notify('cell_catalog', p_number::text);
end
$$;

-- Hosts and limits: from now on shopd knows the tenant. Pages name the shop's address.
create or replace function tenant_register(p_operation bigint, p_epoch bigint, p_number bigint, p_hosts text[], p_limits jsonb)
    returns void language plpgsql set search_path from current as $$
declare
    v_had text[] := tenant_hosts(p_number);
begin
    perform epoch_check(p_operation, p_epoch, p_number);
    delete from domains where tenant = p_number and host <> all (p_hosts);
    insert into domains (host, tenant) select distinct h, p_number from unnest(p_hosts) h on conflict do nothing;
    if exists (select from domains where host = any (p_hosts) and tenant <> p_number) then
        perform refuse('exists', format('the host ''%s'' belongs to another tenant of the cell',
                                        (select host from domains where host = any (p_hosts) and tenant <> p_number limit 1)));
    end if;
    update tenants set limits = p_limits where number = p_number;
    if v_had <> tenant_hosts(p_number) then
        perform tenant_pages_forget(p_number);
    end if;
end
$$;

create or replace function tenant_is_registered(p_number bigint, p_hosts text[], p_limits jsonb) returns boolean
    language sql stable set search_path from current as $$
    select exists (select from tenants where number = p_number and limits = p_limits)
       and tenant_hosts(p_number) =
           array(select distinct h from unnest(p_hosts) h order by h)
$$;

create or replace function tenant_unregister(p_operation bigint, p_epoch bigint, p_number bigint) returns void
    language plpgsql set search_path from current as $$
begin
    perform epoch_check(p_operation, p_epoch, p_number);
    delete from domains where tenant = p_number;
end
$$;

create or replace function tenant_state_set(p_operation bigint, p_epoch bigint, p_number bigint, p_state text) returns void
    language plpgsql set search_path from current as $$
begin
    perform epoch_check(p_operation, p_epoch, p_number);
    update tenants set state = p_state where number = p_number and state <> p_state;
end
$$;

create or replace function tenant_state(p_number bigint) returns text language sql stable set search_path from current as $$
    select state from tenants where number = p_number
$$;

create or replace function spare_count(p_version text) returns bigint language sql stable set search_path from current as $$
    select count(*) from tenants where state = 'spare' and version = p_version
$$;

-- Tells shopd which tenant to read again.
create or replace function tenant_announce() returns trigger language plpgsql set search_path from current as $$
begin
    if tg_op = 'UPDATE' and (new.state, new.slug, new.limits, new.looks)
                            is not distinct from (old.state, old.slug, old.limits, old.looks) then
        return null;
    end if;
    perform pg_notify('cell_tenants', coalesce(new.number, old.number)::text);
    return null;
end
$$;

create or replace function domain_announce() returns trigger language plpgsql set search_path from current as $$
begin
    perform pg_notify('cell_tenants', coalesce(new.tenant, old.tenant)::text);
    return null;
end
$$;

create or replace trigger tenants_update after update on tenants
    for each row when (old.state <> 'spare' or new.state <> 'spare') execute function tenant_announce();
create or replace trigger tenants_insert after insert on tenants
    for each row when (new.state <> 'spare') execute function tenant_announce();
create or replace trigger tenants_delete after delete on tenants
    for each row when (old.state <> 'spare') execute function tenant_announce();
create or replace trigger domains_change after insert or update or delete on domains
    for each row execute function domain_announce();
