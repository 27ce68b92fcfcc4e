-- sql/tenant/functions/stock.sql: the balance of each variant, and the ledger that it is the sum of.

-- Takes the quantities of a cart out of stock, or raises out-of-stock for the first line that can't be had (cart_shortages
-- tells of all). Rows are locked in the order of variants, as everywhere. Answers whether something ran out, which shoppers must see.
create or replace function :stock_take_cart(p_cart bigint) returns boolean language plpgsql as $$
declare
    v_ran_out boolean;
    v_taken bigint;
    v_lines bigint;
begin
    perform 1
    from stock
    where variant_id in (select variant_id from cart_lines where cart_id = p_cart)
    order by variant_id
    for update;
    with taken as (
        update stock k
        set quantity = k.quantity - l.quantity
        from cart_lines l
        where l.cart_id = p_cart and k.variant_id = l.variant_id and k.is_tracked and
              (k.is_backorder or k.quantity >= l.quantity)
        returning k.quantity, k.is_backorder)
    select count(*), coalesce(bool_or(quantity = 0 and not is_backorder), false),
           (select count(*) from cart_lines l join stock k on k.variant_id = l.variant_id where l.cart_id = p_cart and k.is_tracked)
    into v_taken, v_ran_out, v_lines
    from taken;
    if v_taken = v_lines then
        return v_ran_out;
    end if;
    perform :out_of_stock(p_cart);
    return null;
end
$$;

-- Raises out-of-stock for the first line of the cart that can't be had; there is one.
create or replace function :out_of_stock(p_cart bigint) returns void language plpgsql as $$
declare
    v_line record;
begin
    select l.id, l.quantity, :left_over(k, p.is_published) left_over, p.title, :variant_title(v.option_values) variant
    into v_line
    from cart_lines l
    join stock k on k.variant_id = l.variant_id
    join variants v on v.id = l.variant_id
    join products p on p.id = v.product_id
    where l.cart_id = p_cart and :left_over(k, p.is_published) < l.quantity
    order by l.variant_id limit 1;
    raise exception using errcode = 'SH001', constraint = 'out-of-stock',
        message = format('''%s'' isn''t there in this quantity', concat_ws(', ', v_line.title, v_line.variant)),
        detail = format('%s wanted, %s left', v_line.quantity, v_line.left_over),
        hint = case when v_line.left_over > 0 then format('lower the quantity to %s', v_line.left_over) else 'remove the line' end,
        column = 'lines.' || v_line.id;
end
$$;

-- The lines of a cart that can't be had in their quantity: [{"id", "title", "variant_title", "wanted", "left"}].
create or replace function :cart_shortages(p_token text) returns json language plpgsql stable security definer as $$
begin
    return (
        select coalesce(json_agg(json_build_object(
                   'id', l.id::text, 'title', p.title, 'variant_title', :variant_title(v.option_values),
                   'wanted', l.quantity, 'left', :left_over(k, p.is_published)) order by l.id), '[]')
        from carts c
        join cart_lines l on l.cart_id = c.id
        join stock k on k.variant_id = l.variant_id
        join variants v on v.id = l.variant_id
        join products p on p.id = v.product_id
        where c.token = p_token and :left_over(k, p.is_published) < l.quantity);
end
$$;

-- Sets a balance by a movement of the difference; p_reason as in stock_movements. True when it changed.
create or replace function :stock_set(p_variant bigint, p_quantity bigint, p_reason text) returns boolean language plpgsql as $$
declare
    v_before bigint;
begin
    select quantity into v_before from stock where variant_id = p_variant for update;
    if v_before is null or v_before = p_quantity then
        return false;
    end if;
    update stock set quantity = p_quantity where variant_id = p_variant;
    insert into stock_movements (variant_id, quantity, reason) values (p_variant, p_quantity - v_before, p_reason);
    return true;
end
$$;
