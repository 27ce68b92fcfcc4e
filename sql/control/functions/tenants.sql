-- sql/control/functions/tenants.sql: the record of tenants: what is wanted. What is served stands in their cells.

-- The version under which this content of a plan is kept: the file's own, or the next one where that was used for another
-- content, so that a tenant keeps what it bought.
create or replace function plan_version(p_plan jsonb) returns integer language sql stable set search_path from current as $$
    select coalesce((select max(version) from plans where name = p_plan ->> 'name' and checksum = p_plan ->> 'checksum'),
                    greatest((select max(version) + 1 from plans where name = p_plan ->> 'name'),
                             (p_plan #>> '{document,version}')::integer))
$$;

-- The same, and it is kept from now on.
create or replace function plan_record(p_plan jsonb) returns integer language plpgsql set search_path from current as $$
declare
    v_version integer;
begin
    select max(version) into v_version from plans where name = p_plan ->> 'name' and checksum = p_plan ->> 'checksum';
    if v_version is not null then
        return v_version;
    end if;
    lock table plans in share row exclusive mode;
    v_version := plan_version(p_plan);
    insert into plans (name, version, checksum, document)
    values (p_plan ->> 'name', v_version, p_plan ->> 'checksum', p_plan -> 'document')
    on conflict (name, version) do nothing;
    return v_version;
end
$$;

-- What a cell must know of a plan and of a tenant's own limits.
create or replace function tenant_limits(p_document jsonb, p_overrides jsonb) returns jsonb language sql immutable as $$
    select jsonb_build_object(
        'products', nullif(coalesce((p_overrides ->> 'products')::bigint, (p_document #>> '{limits,products}')::bigint, 0), 0),
        'requests_per_second', l.rate,
        'requests_burst', coalesce((p_overrides ->> 'requests_burst')::bigint,
                                   case when p_overrides ? 'requests_per_second' then null
                                        else nullif((p_document #>> '{limits,requests_burst}')::bigint, 0) end,
                                   l.rate))
    from (select coalesce((p_overrides ->> 'requests_per_second')::bigint,
                          (p_document #>> '{limits,requests_per_second}')::bigint, 0) as rate) l
$$;

-- The tenant that has this slug: the living one, else the newest.
create or replace function tenant_of(p_slug text) returns tenants language sql stable set search_path from current as $$
    select t from tenants t
    where t.slug = p_slug
    order by t.status in ('deleted', 'rejected'), t.id desc
    limit 1
$$;

-- Refuses what can't be created: --dry-run asks the same.
create or replace function tenant_check_new(p_input jsonb) returns void language plpgsql stable set search_path from current as $$
declare
    v_tenant tenants;
    v_host text;
    v_slug text := p_input ->> 'slug';
begin
    select * into v_tenant from tenants t where t.slug = v_slug and t.status not in ('deleted', 'rejected');
    if found then
        perform refuse('exists', format('there is a tenant ''%s'' already', v_slug), format('it is %s', v_tenant.status),
                       case v_tenant.status
                           when 'requested' then format('approve it: shopctl tenant approve %s', v_slug)
                           else format('choose another slug, or see shopctl tenant show %s', v_slug) end, 'slug');
    end if;
    select d.host into v_host from domains d
    where d.host in (select jsonb_array_elements_text(p_input -> 'domains')) limit 1;
    if found then
        perform refuse('exists', format('the host ''%s'' belongs to another tenant', v_host), '', 'remove it there first', 'domain');
    end if;
    if p_input ? 'plan' then
        perform place_check(p_input #> '{plan,document}', p_input);
    else
        perform cell_choose(p_input ->> 'cell');
    end if;
end
$$;

-- The cell that is asked for, or the one that is least full other than p_except; refused when it has no room, or no address:
-- nobody would reach a shop there.
drop function if exists cell_choose(text);
create or replace function cell_choose(p_name text, p_except text default null) returns text language plpgsql stable set search_path from current as $$
declare
    v_cell cells;
begin
    if p_name is not null then
        select * into v_cell from cells where name = p_name;
        if not found then
            perform refuse('not-found', format('there is no cell ''%s''', p_name), '', 'see shopctl cell list', 'cell');
        elsif p_name = p_except then
            perform refuse('wrong-state', format('it lives in the cell ''%s'' already', p_name), '', 'see shopctl cell list', 'cell');
        elsif v_cell.host is not null then
            perform refuse('wrong-state', format('the cell ''%s'' is one tenant''s alone', p_name), '', 'see shopctl cell list', 'cell');
        elsif v_cell.state <> 'open' then
            perform refuse('wrong-state', format('the cell ''%s'' is %s', p_name, v_cell.state), '',
                           format('finish it: shopctl cell add %s', p_name), 'cell');
        elsif v_cell.url = '' then
            perform refuse('wrong-state', format('the cell ''%s'' has no address', p_name), 'nobody could reach a shop in it',
                           format('say where its shopd answers: shopctl cell add %s --url http://HOST:PORT', p_name), 'cell');
        elsif v_cell.placed >= v_cell.capacity then
            perform refuse('wrong-state', format('the cell ''%s'' is full', p_name),
                           format('it holds %s tenants of %s', v_cell.placed, v_cell.capacity),
                           'open another one: shopctl cell add NAME --url http://HOST:PORT', 'cell');
        end if;
        return p_name;
    end if;
    select * into v_cell from cells where state = 'open' and url <> '' and placed < capacity and host is null
      and name is distinct from p_except
    order by placed::numeric / capacity, name limit 1;
    if not found then
        perform refuse('wrong-state',
                       case when p_except is null then 'no cell has room for another tenant' else 'no other cell has room for it' end,
                       coalesce((select 'room is in cells without an address: ' || string_agg(name, ', ' order by name)
                                 from cells where state = 'open' and url = '' and placed < capacity and host is null), ''),
                       'open one: shopctl cell add NAME --url http://HOST:PORT', 'cell');
    end if;
    return v_cell.name;
end
$$;

-- A place in a cell, counted on the cell's row, so that two at once can't pass its capacity together.
drop function if exists cell_place(text);
create or replace function cell_place(p_name text, p_except text default null) returns text language plpgsql set search_path from current as $$
declare
    v_name text;
begin
    loop
        v_name := cell_choose(p_name, p_except);
        update cells set placed = placed + 1 where name = v_name and placed < capacity;
        if found then
            return v_name;
        end if;
    end loop;
end
$$;

-- Of a cell that was one tenant's alone nothing stays.
create or replace function cell_unplace(p_name text) returns void language sql set search_path from current as $$
    delete from cells where name = p_name and host is not null;
    update cells set placed = placed - 1 where name = p_name
$$;

-- The ways of shipping of a shop that named none: [{"code": ..., "price": {"amount": minor units, "currency": ...}}].
create or replace function shipping_default(p_currency text) returns jsonb language sql immutable as $$
    select jsonb_build_array(jsonb_build_object(
        'code', 'standard', 'price', jsonb_build_object('amount', 0, 'currency', p_currency)))
$$;

create or replace function tenant_insert(p_input jsonb, p_status text, p_operation bigint) returns bigint
    language plpgsql set search_path from current as $$
declare
    v_id bigint;
begin
    perform tenant_check_new(p_input);
    insert into tenants (slug, name, email, status, plan, plan_version, currency, language, country, colors, logo,
                         payment_instructions, shipping, domains, operation)
    values (p_input ->> 'slug', p_input ->> 'name', p_input ->> 'email', p_status, p_input #>> '{plan,name}',
            plan_record(p_input -> 'plan'), p_input ->> 'currency', p_input ->> 'language', p_input ->> 'country',
            coalesce(p_input -> 'colors', '{}'), p_input ->> 'logo', coalesce(p_input ->> 'payment_instructions', ''),
            coalesce(p_input -> 'shipping', shipping_default(p_input ->> 'currency')),
            array(select jsonb_array_elements_text(p_input -> 'domains')), p_operation)
    returning id into v_id;
    insert into domains (host, tenant_id) select jsonb_array_elements_text(p_input -> 'domains'), v_id;
    return v_id;
end
$$;

-- The tier of a tenant's plan; null where there is none.
create or replace function tenant_tier(p_slug text) returns text language sql stable set search_path from current as $$
    select p.document ->> 'tier' from tenant_of(p_slug) t join plans p on p.name = t.plan and p.version = t.plan_version
$$;

-- Refuses where a tenant that is recorded would find no place.
create or replace function tenant_place_check(p_slug text) returns void language plpgsql stable set search_path from current as $$
begin
    perform place_check(plan_sized(p.document, t.resources), '{}')
    from tenant_of(p_slug) t join plans p on p.name = t.plan and p.version = t.plan_version;
end
$$;

-- The wish for a shop, refused also while an operation makes one of that slug.
create or replace function tenant_request(p_input jsonb) returns void language plpgsql set search_path from current as $$
declare
    v_slug text := p_input ->> 'slug';
begin
    perform slug_lock(v_slug);
    perform lease_check_free(v_slug, true);
    perform tenant_insert(p_input, 'requested', null);
end
$$;

-- ---- steps of a creation and of a restoration

-- Gives the tenant's record a place in a cell. A new tenant's record is made by it (is_new in the input).
create or replace function tenant_reserve(p_operation bigint, p_epoch bigint) returns text
    language plpgsql set search_path from current as $$
declare
    v_operation operations;
    v_tenant tenants;
    v_cell text;
    v_document jsonb;
begin
    perform lease_check(p_operation, p_epoch);
    select * into v_operation from operations where id = p_operation;
    select * into v_tenant from tenants where slug = v_operation.slug and operation = p_operation and status = 'provisioning';
    if found then
        return v_tenant.cell;
    end if;
    if (v_operation.input ->> 'is_new')::boolean then
        perform tenant_insert(v_operation.input, 'approved', p_operation);
    end if;
    select plan_sized(p.document, t.resources) into v_document
    from tenant_of(v_operation.slug) t join plans p on p.name = t.plan and p.version = t.plan_version;
    if not plan_is_shared(v_document) then
        v_cell := cell_dedicate(p_operation, plan_wish(v_document, v_operation.input), cell_resources(v_document));
    end if;
    -- A restored one goes back to where it was, so that its address stays.
    if v_cell is null and v_operation.input ->> 'from' = 'deleted' then
        update cells set placed = placed + 1
        where name = (tenant_of(v_operation.slug)).former_cell and state = 'open' and url <> '' and placed < capacity
        returning name into v_cell;
    end if;
    v_cell := coalesce(v_cell, cell_place(v_operation.input ->> 'cell'));
    update tenants set status = 'provisioning', operation = p_operation, cell = v_cell, number = null, updated_at = now()
    where id = (select (tenant_of(v_operation.slug)).id) and status = coalesce(v_operation.input ->> 'from', 'approved');
    if not found then
        perform refuse('wrong-state', format('the tenant ''%s'' isn''t %s any more', v_operation.slug,
                                             coalesce(v_operation.input ->> 'from', 'approved')));
    end if;
    return v_cell;
end
$$;

create or replace function tenant_is_reserved(p_operation bigint) returns boolean language sql stable set search_path from current as $$
    select exists (select from tenants t join operations o on o.slug = t.slug
                   where o.id = p_operation and t.operation = p_operation and t.status in ('provisioning', 'active'))
$$;

create or replace function tenant_unreserve(p_operation bigint, p_epoch bigint) returns void
    language plpgsql set search_path from current as $$
declare
    v_operation operations;
    v_tenant tenants;
begin
    perform lease_check(p_operation, p_epoch);
    select * into v_operation from operations where id = p_operation;
    select * into v_tenant from tenants where slug = v_operation.slug and operation = p_operation
        and status in ('provisioning', 'active') for update;
    if not found then
        return;
    end if;
    if (v_operation.input ->> 'is_new')::boolean then
        delete from tenants where id = v_tenant.id;
    else
        update tenants set status = coalesce(v_operation.input ->> 'from', 'approved'), cell = null, number = null, operation = null,
                           updated_at = now()
        where id = v_tenant.id;
    end if;
    perform cell_unplace(v_tenant.cell);
end
$$;

-- The record follows the cell: the tenant is active there.
create or replace function tenant_activate(p_operation bigint, p_epoch bigint, p_number bigint) returns void
    language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    update tenants set status = 'active', number = p_number, updated_at = now()
    where operation = p_operation and status in ('provisioning', 'active');
end
$$;

create or replace function tenant_deactivate(p_operation bigint, p_epoch bigint) returns void
    language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    update tenants set status = 'provisioning', number = null, updated_at = now()
    where operation = p_operation and status = 'active';
end
$$;

-- ---- transitions of a tenant that has its schema

drop function if exists tenant_move(bigint, bigint, text, text);
create or replace function tenant_transition(p_operation bigint, p_epoch bigint, p_from text, p_to text) returns void
    language plpgsql set search_path from current as $$
declare
    v_tenant tenants;
begin
    perform lease_check(p_operation, p_epoch);
    select t.* into v_tenant from operations o, tenant_of(o.slug) t where o.id = p_operation;
    if v_tenant.status = p_to then
        return;
    elsif v_tenant.status is distinct from p_from then
        perform refuse('wrong-state', format('the tenant ''%s'' is %s, not %s', v_tenant.slug, v_tenant.status, p_from));
    end if;
    update tenants set status = p_to, operation = p_operation, updated_at = now() where id = v_tenant.id;
end
$$;

-- What is left of a deleted tenant: its record, without place, schema and hosts.
create or replace function tenant_forget(p_operation bigint, p_epoch bigint) returns void
    language plpgsql set search_path from current as $$
declare
    v_tenant tenants;
begin
    perform lease_check(p_operation, p_epoch);
    select t.* into v_tenant from operations o, tenant_of(o.slug) t where o.id = p_operation;
    if v_tenant.status = 'deleted' then
        return;
    end if;
    delete from domains where tenant_id = v_tenant.id;
    update tenants set status = 'deleted', number = null, former_cell = cell, cell = null, operation = p_operation, updated_at = now()
    where id = v_tenant.id;
    perform cell_unplace(v_tenant.cell);
end
$$;

-- A request is decided, without an operation.
create or replace function tenant_decide(p_slug text, p_from text, p_to text) returns void
    language plpgsql set search_path from current as $$
begin
    update tenants set status = p_to, updated_at = now()
    where slug = p_slug and status = p_from;
    if not found then
        perform refuse('wrong-state', format('the tenant ''%s'' isn''t %s any more', p_slug, p_from));
    end if;
    delete from domains d using tenants t where p_to = 'rejected' and t.id = d.tenant_id and t.slug = p_slug and t.status = p_to;
end
$$;

-- Hosts that a restored tenant gets back: those that nobody else has by now.
drop function if exists tenant_domains_restore(bigint, bigint);    -- made by programs of before 2026-12-02
create or replace function tenant_domains_restore(p_operation bigint, p_epoch bigint) returns text
    language plpgsql set search_path from current as $$
declare
    v_lost text;
begin
    perform lease_check(p_operation, p_epoch);
    insert into domains (host, tenant_id)
    select unnest(t.domains), t.id from operations o, tenant_of(o.slug) t where o.id = p_operation
    on conflict (host) do nothing;
    select string_agg(d.host, ', ' order by d.host) into v_lost
    from operations o, tenant_of(o.slug) t, domains d
    where o.id = p_operation and d.host = any(t.domains) and d.tenant_id <> t.id;
    update tenants t set domains = array(select d.host from domains d where d.tenant_id = t.id order by d.host)
    from operations o where o.id = p_operation and t.id = (tenant_of(o.slug)).id;
    return v_lost;
end
$$;

-- ---- set

-- Refuses hosts that belong to another tenant than this one.
create or replace function domains_check(p_tenant bigint, p_hosts jsonb) returns void
    language plpgsql stable set search_path from current as $$
declare
    v_host text;
begin
    select d.host into v_host from domains d
    where d.host in (select jsonb_array_elements_text(p_hosts)) and d.tenant_id <> p_tenant limit 1;
    if found then
        perform refuse('exists', format('the host ''%s'' belongs to another tenant', v_host), '', 'remove it there first', 'domain');
    end if;
end
$$;

-- What of a tenant can be set, flat: {"name": ..., "colors.primary": ..., "limits.products": ...}.
create or replace function tenant_settable(p_record jsonb, p_document jsonb) returns jsonb
    language sql stable set search_path from current as $$
    select (select jsonb_object_agg(key, p_record -> key)
            from unnest('{name, email, language, country, logo, payment_instructions, shipping, plan, plan_version, domains}'::text[]) key)
        || coalesce((select jsonb_object_agg('colors.' || key, value) from jsonb_each(p_record -> 'colors')), '{}')
        || (select jsonb_object_agg('limits.' || key, value) from jsonb_each(tenant_limits(p_document, p_record -> 'overrides')))
$$;

-- What the "set" of an operation's input would change: [{"key", "from", "to"}]. Refuses what the operation would refuse.
create or replace function tenant_changes(p_slug text, p_set jsonb) returns json language plpgsql stable set search_path from current as $$
declare
    v_tenant tenants := tenant_of(p_slug);
    v_record jsonb := to_jsonb(v_tenant);
    v_document jsonb;
    v_from jsonb;
    v_to jsonb;
begin
    perform domains_check(v_tenant.id, p_set -> 'domains');
    select document into v_document from plans where name = v_tenant.plan and version = v_tenant.plan_version;
    v_from := tenant_settable(v_record, v_document);
    v_record := v_record || (p_set - 'plan');
    if p_set ? 'plan' then
        v_record := v_record || jsonb_build_object('plan', p_set #> '{plan,name}', 'plan_version', plan_version(p_set -> 'plan'));
        v_document := p_set #> '{plan,document}';
    end if;
    v_to := tenant_settable(v_record, v_document);
    return (
        select coalesce(json_agg(json_build_object('key', key, 'from', v_from -> key, 'to', v_to -> key) order by key), '[]')
        from (select jsonb_object_keys(v_from || v_to) key) k
        where v_from -> key is distinct from v_to -> key);
end
$$;

-- Changes a tenant's record by the operation's input: {"set": {...}, "before": {...}} of name, email, language, country, colors,
-- logo, payment_instructions, shipping, plan, overrides, domains; p_which says which of the two.
create or replace function tenant_change(p_operation bigint, p_epoch bigint, p_which text) returns void
    language plpgsql set search_path from current as $$
declare
    v_tenant tenants;
    v_set jsonb;
    v_version integer;
begin
    perform lease_check(p_operation, p_epoch);
    select t.* into v_tenant from operations o, tenant_of(o.slug) t where o.id = p_operation;
    select input -> p_which into v_set from operations where id = p_operation;
    v_version := case when v_set #>> '{plan,version}' is not null then (v_set #>> '{plan,version}')::integer
                      when v_set ? 'plan' then plan_record(v_set -> 'plan') else v_tenant.plan_version end;
    if v_set ? 'domains' then
        perform domains_check(v_tenant.id, v_set -> 'domains');
        delete from domains where tenant_id = v_tenant.id;
        insert into domains (host, tenant_id) select jsonb_array_elements_text(v_set -> 'domains'), v_tenant.id;
    end if;
    update tenants
    set name = coalesce(v_set ->> 'name', name), email = coalesce(v_set ->> 'email', email),
        language = coalesce(v_set ->> 'language', language), country = coalesce(v_set ->> 'country', country),
        plan = coalesce(v_set #>> '{plan,name}', plan), plan_version = v_version,
        overrides = coalesce(v_set -> 'overrides', overrides), colors = coalesce(v_set -> 'colors', colors),
        logo = case when v_set ? 'logo' then v_set ->> 'logo' else logo end,
        payment_instructions = coalesce(v_set ->> 'payment_instructions', payment_instructions),
        shipping = coalesce(v_set -> 'shipping', shipping),
        domains = case when v_set ? 'domains' then array(select jsonb_array_elements_text(v_set -> 'domains')) else domains end,
        updated_at = now()
    where id = v_tenant.id;
end
$$;

-- ---- what is shown

create or replace function tenant_document(p_tenant tenants, p_base_domain text) returns json
    language sql stable set search_path from current as $$
    select json_build_object(
        'slug', p_tenant.slug,
        'name', p_tenant.name,
        'status', p_tenant.status,
        'plan', p_tenant.plan,
        'plan_version', p_tenant.plan_version,
        'tier', p.document ->> 'tier',
        'cell', p_tenant.cell,
        'kept_cell', (select m.source_cell from moves m where m.tenant_id = p_tenant.id and m.is_switched),
        'schema', 't_' || p_tenant.number,
        'number', p_tenant.number,
        'url', tenant_url(p_tenant.slug, gateway_or(c.url), p_base_domain),
        'domains', to_json(p_tenant.domains),
        'email', p_tenant.email,
        'currency', p_tenant.currency,
        'language', p_tenant.language,
        'country', p_tenant.country,
        'colors', p_tenant.colors,
        'logo', p_tenant.logo,
        'payment_instructions', p_tenant.payment_instructions,
        'shipping', p_tenant.shipping,
        'limits', tenant_limits(p.document, p_tenant.overrides),
        'overrides', p_tenant.overrides,
        'resources', nullif(c.resources, '{}'),
        'operation', p_tenant.operation,
        'created_at', rfc3339(p_tenant.created_at),
        'updated_at', rfc3339(p_tenant.updated_at))
    from plans p left join cells c on c.name = p_tenant.cell
    where p.name = p_tenant.plan and p.version = p_tenant.plan_version
$$;

-- Where shoppers find it: the slug under the base domain, scheme and port as the gateway or the cell's shopd has them.
create or replace function tenant_url(p_slug text, p_cell_url text, p_base_domain text) returns text language sql immutable as $$
    select case when p_cell_url is not null then
        coalesce(substring(p_cell_url from '^[a-z]+://'), 'http://') || p_slug || '.' || p_base_domain ||
        coalesce(substring(p_cell_url from '(:[0-9]+)/?$'), '') || '/' end
$$;

create or replace function tenant_show(p_slug text, p_base_domain text) returns setof json
    language sql stable set search_path from current as $$
    select tenant_document(t, p_base_domain) from tenant_of(p_slug) t where t.id is not null
$$;

create or replace function tenant_list(p_status text, p_cell text, p_limit bigint, p_base_domain text) returns setof json
    language sql stable set search_path from current as $$
    select tenant_document(t, p_base_domain)
    from tenants t
    where case when p_status is null then t.status not in ('deleted', 'rejected') else t.status = p_status end
      and (p_cell is null or t.cell = p_cell)
    order by t.slug, t.id
    limit p_limit
$$;

-- As many as tenant_list has without a limit.
create or replace function tenant_count(p_status text, p_cell text) returns bigint
    language sql stable set search_path from current as $$
    select count(*)
    from tenants t
    where case when p_status is null then t.status not in ('deleted', 'rejected') else t.status = p_status end
      and (p_cell is null or t.cell = p_cell)
$$;

-- The slugs that are nearest to a mistyped one are looked for among those that begin alike.
create or replace function tenant_slugs_like(p_slug text) returns setof text language sql stable set search_path from current as $$
    select slug from tenants where status not in ('deleted', 'rejected') and left(slug, 1) = left(p_slug, 1) order by slug limit 500
$$;

-- ---- dumps

create or replace function dump_record(p_operation bigint, p_epoch bigint, p_path text, p_size_bytes bigint, p_retention_s bigint)
    returns void language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    insert into dumps (tenant_id, slug, path, size_bytes, operation, expires_at)
    select t.id, t.slug, p_path, p_size_bytes, p_operation, now() + p_retention_s * interval '1 second'
    from operations o, tenant_of(o.slug) t
    where o.id = p_operation
    on conflict (path) do update set size_bytes = excluded.size_bytes;
end
$$;

create or replace function dump_newest(p_slug text) returns table (path text, expires_at text)
    language sql stable set search_path from current as $$
    select d.path, rfc3339(d.expires_at)
    from tenant_of(p_slug) t join dumps d on d.tenant_id = t.id
    order by d.id desc
    limit 1
$$;

create or replace function dumps_expired() returns table (id bigint, path text, slug text)
    language sql stable set search_path from current as $$
    select d.id, d.path, d.slug from dumps d where d.expires_at <= now()
    and not exists (select from leases l where l.slug = d.slug)
    order by d.expires_at limit 100
$$;

-- A restoration that is taken back gives up the hosts, but remembers them.
create or replace function tenant_domains_release(p_operation bigint, p_epoch bigint) returns void
    language plpgsql set search_path from current as $$
begin
    perform lease_check(p_operation, p_epoch);
    delete from domains d using operations o where o.id = p_operation and d.tenant_id = (tenant_of(o.slug)).id;
end
$$;
