-- tests/sql/tenant/999_next.sql: what a later program could have: with it, a dump of this program is one of an older one. A row that
-- is there before gets its value here, a column that must not be null refuses rows that come without it.
create table title_lengths (
    product_id bigint primary key references products on delete cascade,
    length integer not null
);
insert into title_lengths (product_id, length) select id, length(title) from products;
alter table products add column title_initial text;
update products set title_initial = left(title, 1);
alter table products alter column title_initial set not null;
alter table orders rename column shipping_method to delivery_method;
grant select on title_lengths to :tenant_role;
