-- sql/tenant/functions/jobs.sql: what can wait. A job is added in the transaction of what it follows from, and rings the cell's bell.

create or replace function :job_add(p_kind text, p_payload jsonb, p_due_at timestamptz default now()) returns void
    language plpgsql as $$
begin
    insert into jobs (kind, payload, due_at) values (p_kind, p_payload, p_due_at);
    insert into cell.bell (due_at) values (p_due_at);
end
$$;

-- Takes up to p_count due jobs until p_lease has passed: then they are due again, unless job_done or job_retry ended them before.
create or replace function :job_take(p_count integer, p_lease interval) returns setof jobs
    language plpgsql security definer as $$
begin
    return query
    update jobs j
    set due_at = now() + p_lease, attempts = j.attempts + 1
    where j.id in (
        select id from jobs where due_at <= now() and set_aside_at is null
        order by due_at limit p_count for update skip locked)
    returning j.*;
end
$$;

create or replace function :job_done(p_id bigint) returns void language plpgsql security definer as $$
begin
    delete from jobs where id = p_id;
end
$$;

-- Due again after 2^attempts seconds (an hour at most); set aside after p_attempts_max attempts.
create or replace function :job_retry(p_id bigint, p_error text, p_attempts_max integer) returns void
    language plpgsql security definer as $$
begin
    update jobs
    set last_error = left(p_error, 2000),
        due_at = now() + least(interval '1 hour', interval '1 second' * 2 ^ least(attempts, 12)),
        set_aside_at = case when attempts >= p_attempts_max then now() end
    where id = p_id;
end
$$;
