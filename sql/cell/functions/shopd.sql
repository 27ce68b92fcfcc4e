-- sql/cell/functions/shopd.sql: all that shopd may ask of a cell; it reads no table.

-- The tenants that are served, or one of them: no row where it isn't served (any more). Made anew, since columns can't be replaced.
drop function if exists directory(bigint);
create function directory(p_number bigint default null)
    returns table (number bigint, slug text, schema text, state text, hosts text[], limits jsonb, looks jsonb)
    language sql stable security definer set search_path from current as $$
    select t.number, t.slug, 't_' || t.number, t.state, coalesce(d.hosts, '{}'), t.limits, t.looks
    from tenants t
    left join (select tenant, array_agg(host order by host) as hosts from domains
               where p_number is null or tenant = p_number group by tenant) d on d.tenant = t.number
    where (p_number is null or t.number = p_number)
      and t.state not in ('spare', 'moved') and (t.state <> 'reserved' or d.hosts is not null)
$$;

create or replace function session_key() returns text language sql stable security definer set search_path from current as $$
    select session_key from meta
$$;

grant execute on function directory(bigint), session_key() to :shopd_role;

-- One that runs asks again, by what is new here.
select pg_notify('cell_tenants', number::text) from tenants where state <> 'spare';
