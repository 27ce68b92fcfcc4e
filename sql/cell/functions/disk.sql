-- sql/cell/functions/disk.sql: the disk that a cell of a tenant's own may take.

-- Takes the right to write from the cell's tenants where its database takes more than p_bytes, and gives it back once it takes a
-- twentieth less; null is no limit. A tenant that moves is left alone. Says what it did: 'full', 'free', or null.
create or replace function disk_watch(p_bytes bigint) returns text language plpgsql set search_path from current as $$
declare
    v_used bigint := pg_database_size(current_database());
    v_number bigint;
    v_full full_disks;
    v_did text;
begin
    for v_number in
        select number from tenants
        where state in ('active', 'suspended', 'archived') and not exists (select from gates g where g.tenant = number)
        for update skip locked
    loop
        select * into v_full from full_disks where tenant = v_number;
        if v_used > p_bytes and v_full.tenant is null then
            insert into full_disks (tenant, privileges) values (v_number, rights_to_write(v_number)) returning * into v_full;
            perform rights_turn(v_number, v_full.privileges, 'revoke', 'from');
            v_did := 'full';
        elsif coalesce(v_used <= p_bytes - p_bytes / 20, true) and v_full.tenant is not null then
            perform rights_turn(v_number, v_full.privileges, 'grant', 'to');
            delete from full_disks where tenant = v_number;
            v_did := 'free';
        end if;
    end loop;
    return v_did;
end
$$;
