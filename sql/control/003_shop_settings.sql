-- sql/control/003_shop_settings.sql: what a shop tells its buyers: how to pay by bank transfer, and what each way of shipping costs.

alter table tenants
    add column payment_instructions text not null default '',
    add column shipping jsonb not null default '[]' check (jsonb_typeof(shipping) = 'array');    -- in the order of the checkout

-- Every shop that is there has the one way that its schema began with.
update tenants
set shipping = jsonb_build_array(jsonb_build_object(
    'code', 'standard', 'price', jsonb_build_object('amount', 0, 'currency', currency)));
