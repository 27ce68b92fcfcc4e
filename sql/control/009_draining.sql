-- sql/control/009_draining.sql: a host that is emptied stays so while it can't be reached, and when it comes back.

alter table hosts add column is_draining boolean not null default false;
update hosts set is_draining = state = 'draining';
