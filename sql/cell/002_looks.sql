-- sql/cell/002_looks.sql: what shopd shows of a shop whose own tables can't be asked: {"name", "language", "colors"}.

alter table tenants add column looks jsonb not null default '{}';

do $$
declare
    v_number bigint;
begin
    for v_number in select number from tenants where state <> 'spare' loop
        execute format('update tenants set looks = (select jsonb_build_object(''name'', name, ''language'', language, '
                       '''colors'', colors) from t_%1$s.settings) where number = %1$s', v_number);
    end loop;
end
$$;
