-- sql/tenant/functions/cart.sql: what a shopper is about to buy. The token is the cart's id outside.

-- How many of it can be had; null: as many as are wanted. What isn't on sale any more can't be had.
create or replace function :left_over(p_stock stock, p_is_on_sale boolean) returns bigint language sql immutable as $$
    select case when not p_is_on_sale then 0
                when p_stock.is_tracked and not p_stock.is_backorder then greatest(p_stock.quantity, 0) end
$$;

create or replace function :cart_json(p_cart bigint) returns json language plpgsql stable as $$
begin
    return (
        select json_build_object(
            'id', c.token, 'lines', coalesce(l.lines, '[]'), 'count', coalesce(l.quantity, 0), 'currency', s.currency,
            'subtotal', :money(coalesce(l.total_minor, 0), s.currency), 'total', :money(coalesce(l.total_minor, 0), s.currency))
        from carts c
        cross join settings s
        cross join lateral (
            select sum(l.quantity)::bigint quantity, sum(l.quantity * v.price_minor)::bigint total_minor,
                   json_agg(json_build_object(
                       'id', l.id::text, 'variant_id', v.id::text, 'handle', p.handle, 'title', p.title,
                       'variant_title', :variant_title(v.option_values), 'url', '/products/' || p.handle,
                       'sku', nullif(v.sku, ''),
                       'image', coalesce(v.image_src, (
                           select i.src from images i where i.product_id = p.id order by i.position, i.id limit 1)),
                       'quantity', l.quantity, 'price', :money(v.price_minor, s.currency),
                       'total', :money(v.price_minor * l.quantity, s.currency),
                       'available', coalesce(:left_over(k, p.is_published) >= l.quantity, true),
                       'available_quantity', :left_over(k, p.is_published))
                       order by l.id) lines
            from cart_lines l
            join variants v on v.id = l.variant_id
            join products p on p.id = v.product_id
            join stock k on k.variant_id = v.id
            where l.cart_id = c.id) l
        where c.id = p_cart);
end
$$;

-- The open cart with this token, locked; raises not-found.
create or replace function :cart_open(p_token text) returns bigint language plpgsql as $$
declare
    v_id bigint;
begin
    select id into v_id from carts where token = p_token and order_id is null for update;
    if v_id is null then
        raise exception using errcode = 'SH001', constraint = 'not-found', message = 'the cart isn''t there',
            detail = 'it was never made, or it was ordered', hint = 'make a new cart', column = 'cart';
    end if;
    return v_id;
end
$$;

-- What nobody comes back to goes with every tenth new cart; null: none is new.
drop function if exists :carts_forget();    -- made by programs of before 2026-12-01
create or replace function :carts_forget(p_cart bigint) returns void language plpgsql as $$
begin
    if coalesce(p_cart % 10, 1) <> 0 then
        return;
    end if;
    delete from carts where id in (
        select id from carts where updated_at < now() - interval '90 days' and order_id is null
        order by updated_at limit 50 for update skip locked);
    delete from idempotency_keys where key in (
        select key from idempotency_keys where created_at < now() - interval '24 hours'
        order by created_at limit 50 for update skip locked);
end
$$;

create or replace function :variant_missing(p_variant bigint) returns void language plpgsql as $$
begin
    raise exception using errcode = 'SH001', constraint = 'invalid', message = 'the variant isn''t there',
        detail = 'no product on sale has a variant ' || p_variant, hint = 'take an id from the product''s variants',
        column = 'variant_id';
end
$$;

create or replace function :quantity_refused(p_variant bigint) returns void language plpgsql as $$
begin
    raise exception using errcode = 'SH001', constraint = 'invalid', message = 'the quantity is too large',
        detail = format('of the variant %s there would be more than 999 in the cart', p_variant),
        hint = 'order more than 999 in two orders', column = 'quantity';
end
$$;

-- A new cart with a line for each of these variants; of one that comes twice the quantities add up.
create or replace function :cart_create_filled(p_variants bigint[], p_quantities integer[])
    returns json language plpgsql security definer as $$
declare
    v_id bigint;
    v_refused record;
begin
    insert into carts (token) values (replace(gen_random_uuid()::text, '-', '')) returning id into v_id;
    perform :carts_forget(v_id);
    with wanted as (
        select variant_id, sum(quantity) quantity, min(place) place
        from unnest(p_variants, p_quantities) with ordinality w (variant_id, quantity, place) group by variant_id),
    lines as (
        insert into cart_lines (cart_id, variant_id, quantity)
        select v_id, w.variant_id, w.quantity
        from wanted w join variants v on v.id = w.variant_id join products p on p.id = v.product_id
        where p.is_published and w.quantity <= 999
        order by w.place
        returning variant_id)
    select w.variant_id, w.quantity > 999 is_too_much into v_refused from wanted w
    where w.variant_id not in (select variant_id from lines) order by w.place limit 1;
    if v_refused.is_too_much then
        perform :quantity_refused(v_refused.variant_id);
    elsif v_refused.variant_id is not null then
        perform :variant_missing(v_refused.variant_id);
    end if;
    return :cart_json(v_id);
end
$$;

create or replace function :cart_create() returns json language sql security definer as $$
    select :cart_create_filled('{}', '{}')
$$;

create or replace function :cart_show(p_token text) returns json language plpgsql stable security definer as $$
begin
    return (select :cart_json(id) from carts where token = p_token and order_id is null);
end
$$;

-- Adds to the line of this variant, or makes one. With p_may_create a cart that isn't there is made with the token.
create or replace function :cart_line_add(p_token text, p_variant bigint, p_quantity integer, p_may_create boolean)
    returns json language plpgsql security definer as $$
declare
    v_cart bigint;
    v_is_new boolean;
begin
    if p_may_create then
        insert into carts (token) values (p_token) on conflict (token) do nothing returning id into v_cart;
        perform :carts_forget(v_cart);
    end if;
    v_cart := :cart_open(p_token);
    if not exists (select 1 from variants v join products p on p.id = v.product_id where v.id = p_variant and p.is_published) then
        perform :variant_missing(p_variant);
    end if;
    if (select count(*) from cart_lines where cart_id = v_cart and variant_id <> p_variant) >= 100 then
        raise exception using errcode = 'SH001', constraint = 'invalid', message = 'the cart is full',
            detail = 'it has 100 lines', hint = 'order these first', column = 'lines';
    end if;
    insert into cart_lines as l (cart_id, variant_id, quantity) values (v_cart, p_variant, p_quantity)
    on conflict (cart_id, variant_id) do update set quantity = l.quantity + excluded.quantity
    where l.quantity + excluded.quantity <= 999
    returning xmax = 0 into v_is_new;
    if v_is_new is null then
        perform :quantity_refused(p_variant);
    end if;
    update carts set updated_at = now() where id = v_cart;
    return json_build_object('is_new', v_is_new, 'cart', :cart_json(v_cart));
end
$$;

create or replace function :cart_line_missing(p_line bigint) returns void language plpgsql as $$
begin
    raise exception using errcode = 'SH001', constraint = 'not-found', message = 'the line isn''t in the cart',
        detail = 'the cart has no line ' || p_line, hint = 'take an id from the cart''s lines', column = 'line';
end
$$;

create or replace function :cart_line_set(p_token text, p_line bigint, p_quantity integer)
    returns json language plpgsql security definer as $$
declare
    v_cart bigint := :cart_open(p_token);
begin
    update cart_lines set quantity = p_quantity where cart_id = v_cart and id = p_line;
    if not found then
        perform :cart_line_missing(p_line);
    end if;
    update carts set updated_at = now() where id = v_cart;
    return :cart_json(v_cart);
end
$$;

create or replace function :cart_line_remove(p_token text, p_line bigint) returns json language plpgsql security definer as $$
declare
    v_cart bigint := :cart_open(p_token);
begin
    delete from cart_lines where cart_id = v_cart and id = p_line;
    if not found then
        perform :cart_line_missing(p_line);
    end if;
    update carts set updated_at = now() where id = v_cart;
    return :cart_json(v_cart);
end
$$;

-- The shop's ways of shipping: the same for every cart.
create or replace function :shipping_list(p_token text) returns json language plpgsql stable security definer as $$
begin
    return (
        select json_build_object('items', coalesce(json_agg(json_build_object(
                   'code', m.key, 'price', :money(m.price_minor, s.currency)) order by m.position, m.key), '[]'))
        from shipping_methods m cross join settings s);
end
$$;
