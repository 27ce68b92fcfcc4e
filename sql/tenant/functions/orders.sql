-- sql/tenant/functions/orders.sql: a cart becomes an order, once.

-- Documents of orders, the newest first, whatever their number by one query. Where to pay is what the shop said when the
-- order was placed; where it said nothing then, what it says now.
create or replace function :orders_json(p_orders orders[]) returns table (document json) language sql stable as $$
    with lines as (
        select l.order_id, json_agg(json_build_object(
                   'id', l.id::text, 'variant_id', l.variant_id::text, 'title', l.title, 'variant_title', l.variant_title,
                   'sku', nullif(l.sku, ''), 'handle', l.handle, 'image', l.image, 'quantity', l.quantity,
                   'price', :money(l.price_minor, o.currency), 'total', :money(l.total_minor, o.currency)) order by l.id) list
        from unnest(p_orders) o join order_lines l on l.order_id = o.id
        group by l.order_id)
    select json_build_object(
        'token', o.token, 'number', o.number, 'status', o.status, 'currency', o.currency, 'email', o.email,
        'lines', l.list,
        'subtotal', :money(o.subtotal_minor, o.currency), 'shipping', :money(o.shipping_minor, o.currency),
        'tax', :money(o.tax_minor, o.currency), 'total', :money(o.total_minor, o.currency),
        'shipping_address', o.shipping_address, 'shipping_method', o.shipping_method,
        'payment_method', o.payment_method,
        'payment_instructions', coalesce(nullif(o.payment_instructions, ''),
                                         case when o.payment_method = 'bank_transfer' and o.status = 'pending' then
                                             nullif(s.payment_instructions, '') end),
        'placed_at', to_char(o.placed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    from unnest(p_orders) o left join lines l on l.order_id = o.id cross join settings s
    order by o.number desc
$$;

create or replace function :order_json(o orders) returns json language plpgsql stable as $$
begin
    return (select d.document from :orders_json(array[o]) d);
end
$$;

-- The answer that this key has already, null where it is new and now ours: another request with it waits until we end. An
-- expired key may be removed between the two statements (see cart_create): then it is new.
create or replace function :idempotency_claim(p_key text, p_hash text) returns json language plpgsql as $$
declare
    v_row idempotency_keys;
begin
    loop
        insert into idempotency_keys (key, request_hash) values (p_key, p_hash) on conflict (key) do nothing;
        if found then
            return null;
        end if;
        select * into v_row from idempotency_keys where key = p_key for update;
        exit when found;
    end loop;
    if v_row.created_at < now() - interval '24 hours' then
        update idempotency_keys set request_hash = p_hash, answer = null, created_at = now() where key = p_key;
        return null;
    end if;
    if v_row.request_hash <> p_hash then
        raise exception using errcode = 'SH001', constraint = 'idempotency-key-reused',
            message = 'the Idempotency-Key belongs to another request',
            detail = 'the same key came before with another cart or body',
            hint = 'send the same request again, or choose a new key', column = 'Idempotency-Key';
    end if;
    return v_row.answer;
end
$$;

-- The token of the order that a cart has become, or null.
create or replace function :cart_order(p_token text) returns text language sql stable security definer as $$
    select o.token from carts c join orders o on o.id = c.order_id where c.token = p_token
$$;

-- Turns a cart into an order. The same key and hash give the same answer for 24 hours. Nothing is sold that isn't there.
create or replace function :order_place(
    p_cart text, p_key text, p_hash text, p_email text, p_address jsonb, p_shipping_method text, p_payment_method text)
    returns json language plpgsql security definer as $$
declare
    v_answer json := :idempotency_claim(p_key, p_hash);
    v_cart carts;
    v_shipping bigint;
    v_order orders;
    v_ran_out boolean;
begin
    if v_answer is not null then
        return v_answer;
    end if;
    select * into v_cart from carts where token = p_cart for update;
    if v_cart.id is null then
        raise exception using errcode = 'SH001', constraint = 'not-found', message = 'the cart isn''t there',
            detail = 'no cart has this id', hint = 'make a new cart', column = 'cart';
    elsif v_cart.order_id is not null then
        raise exception using errcode = 'SH001', constraint = 'wrong-state', message = 'the cart was ordered already',
            detail = 'another request with another Idempotency-Key ordered it', hint = 'make a new cart', column = 'cart';
    end if;
    select price_minor into v_shipping from shipping_methods where key = p_shipping_method;
    if v_shipping is null then
        raise exception using errcode = 'SH001', constraint = 'invalid', message = 'the shipping method isn''t offered',
            detail = format('there is no method ''%s''', p_shipping_method),
            hint = coalesce('use ' || (select string_agg(key, ', ' order by position) from shipping_methods), 'the shop ships nothing'), column = 'shipping_method';
    end if;
    v_ran_out := :stock_take_cart(v_cart.id);

    with customer as (
        insert into customers as c (email, name) values (lower(p_email), coalesce(p_address ->> 'name', ''))
        on conflict (email) do update set name = excluded.name
        returning c.id),
    address as (
        insert into addresses (customer_id, address) select id, p_address from customer on conflict do nothing),
    sum_of_lines as (
        select sum(l.quantity * v.price_minor)::bigint subtotal, bool_and(p.is_published) is_on_sale
        from cart_lines l join variants v on v.id = l.variant_id join products p on p.id = v.product_id
        where l.cart_id = v_cart.id)
    insert into orders (token, cart_id, customer_id, email, language, currency, subtotal_minor, shipping_minor, tax_minor,
                        total_minor, shipping_method, payment_method, payment_instructions, shipping_address)
    select replace(gen_random_uuid()::text, '-', ''), v_cart.id, c.id, p_email, s.language, s.currency, t.subtotal, v_shipping,
           x.tax, t.subtotal + v_shipping + case when s.prices_include_tax then 0 else x.tax end, p_shipping_method,
           p_payment_method, case when p_payment_method = 'bank_transfer' then s.payment_instructions else '' end, p_address
    from settings s
    cross join customer c
    cross join sum_of_lines t
    cross join lateral (select round(case when s.prices_include_tax
        then (t.subtotal + v_shipping)::numeric * s.tax_rate_bp / (10000 + s.tax_rate_bp)
        else (t.subtotal + v_shipping)::numeric * s.tax_rate_bp / 10000 end)::bigint tax) x
    where t.is_on_sale
    returning * into v_order;
    if v_order.id is null and exists (select from cart_lines where cart_id = v_cart.id) then
        perform :out_of_stock(v_cart.id);
    elsif v_order.id is null then
        raise exception using errcode = 'SH001', constraint = 'empty-cart', message = 'the cart is empty',
            detail = 'an order has at least one line', hint = 'add a line first', column = 'lines';
    end if;

    with lines as (
        insert into order_lines (order_id, variant_id, handle, title, variant_title, sku, image, price_minor, quantity, total_minor)
        select v_order.id, v.id, p.handle, p.title, :variant_title(v.option_values), v.sku,
               coalesce(v.image_src, (select i.src from images i where i.product_id = p.id order by i.position, i.id limit 1)),
               v.price_minor, l.quantity, v.price_minor * l.quantity
        from cart_lines l join variants v on v.id = l.variant_id join products p on p.id = v.product_id
        where l.cart_id = v_cart.id
        order by l.id),
    movements as (
        insert into stock_movements (variant_id, quantity, reason, order_id)
        select l.variant_id, -l.quantity, 'sale', v_order.id
        from cart_lines l join stock k on k.variant_id = l.variant_id
        where l.cart_id = v_cart.id and k.is_tracked)
    update carts set order_id = v_order.id, updated_at = now() where id = v_cart.id;

    v_answer := :order_json(v_order);
    update idempotency_keys set answer = v_answer where key = p_key;
    if v_ran_out then
        perform :catalog_changed();
    end if;
    return v_answer;
end
$$;

create or replace function :order_show(p_token text) returns json language plpgsql stable security definer as $$
begin
    return (select :order_json(o) from orders o where o.token = p_token);
end
$$;

-- For the platform's operators, who come as the owner of the tables: the newest first; p_limit 0: all.
create or replace function :order_list(p_limit bigint) returns json language plpgsql stable as $$
begin
    return json_build_object(
        'items', coalesce((select json_agg(d.document)
                           from :orders_json(array(select o from orders o order by o.number desc limit nullif(p_limit, 0))) d), '[]'),
        'total', (select count(*) from orders));
end
$$;

create or replace function :order_find(p_number bigint) returns json language plpgsql stable as $$
begin
    return (select :order_json(o) from orders o where o.number = p_number);
end
$$;
