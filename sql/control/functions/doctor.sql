-- sql/control/functions/doctor.sql: what the record and a cell say differently.

-- The state in its cell that a tenant's status means.
create or replace function state_of_status(p_status text) returns text language sql immutable as $$
    select case p_status when 'provisioning' then 'reserved' else p_status end
$$;

-- p_there: [{"number", "slug", "state"}] of a cell. Tenants with an operation under way are on their way.
create or replace function cell_differences(p_cell text, p_there jsonb) returns table (what text, next text)
    language sql stable set search_path from current as $$
    with there as (
        select * from jsonb_to_recordset(p_there) as x (number bigint, slug text, state text)),
    wanted as (
        select t.number, t.slug, t.status from tenants t
        where t.cell = p_cell and t.status not in ('deleted', 'rejected', 'requested', 'approved')
        union all
        select m.source_number, t.slug, 'moved' from moves m join tenants t on t.id = m.tenant_id
        where m.source_cell = p_cell and m.is_switched),
    busy as (select slug from leases)
    select case when w.slug is null then format('the cell has a tenant %s (''%s'', %s) that the record doesn''t place there', h.number, h.slug, h.state)
                when h.slug is null then format('the tenant ''%s'' (%s) isn''t in its cell', w.slug, w.status)
                when w.slug <> h.slug then format('the tenant %s is ''%s'' in the cell, ''%s'' by the record', w.number, h.slug, w.slug)
                else format('the tenant ''%s'' is %s in the cell, %s by the record', w.slug, h.state, w.status) end,
           case when w.slug is null then 'look into its schema, then remove it'
                when h.slug is null then format('see shopctl operation list, and restore it from a backup: shopctl tenant show %s', w.slug)
                else format('bring it to one state: shopctl tenant suspend or resume %s', w.slug) end
    from wanted w full join there h on h.number = w.number
    where coalesce(w.slug, h.slug) not in (select slug from busy)
      and (w.slug is null or h.slug is null or w.slug <> h.slug or h.state <> state_of_status(w.status))
    order by coalesce(w.slug, h.slug)
$$;
