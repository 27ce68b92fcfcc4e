-- sql/control/002_access.sql: a cell's login can connect to its own database alone: not to this one either. Every role can by default.

do $$
begin
    execute format('revoke all on database %I from public', current_database());
end
$$;
