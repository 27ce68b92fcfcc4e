-- sql/tenant/functions/catalog.sql: what a shopper reads of a shop's catalogue.
-- Rules for all files here: one source for all tenants; no schema name but cell's in a body and no SET clause, so that plans are
-- kept (docs/architecture.md); owned by the tenant's role; EXECUTE is the owner's and cell_owner's, and shopd's for those that
-- are SECURITY DEFINER. PL/pgSQL where shopd calls, since it keeps plans; plain SQL for helpers, since it is inlined.

-- {"amount": minor units, "currency": ISO 4217}; null for no amount. Stable, as json_build_object is: PostgreSQL puts no immutable
-- function in the place of its call whose body isn't immutable, too.
create or replace function :money(p_amount bigint, p_currency text) returns json language sql stable as $$
    select case when p_amount is not null then json_build_object('amount', p_amount, 'currency', p_currency) end
$$;

create or replace function :catalog_bump() returns bigint language sql as $$
    update catalog_versions set version = version + 1 where id = 1 returning version
$$;

-- The number in the schema's name, as the cell's channels carry it.
create or replace function :tenant_number() returns text language sql stable as $$
    select substr(current_schema(), 3)
$$;

-- What a change that shoppers can see ends with: pages of before are dropped.
create or replace function :catalog_changed() returns void language plpgsql as $$
begin
    perform :catalog_bump();
    perform pg_notify('cell_catalog', :tenant_number());
end
$$;

create or replace function :text_config(p_language text) returns regconfig language sql immutable as $$
    select case p_language when 'es' then 'cell.spanish'::regconfig else 'cell.english'::regconfig end
$$;

-- A product as the search finds it: the title weighs most, then vendor, type and tags, then the description's text. Stable,
-- as concat_ws is: PostgreSQL then puts the expression in the place of the call, which costs more than half as much.
create or replace function :product_search(
    p_language text, p_title text, p_vendor text, p_type text, p_tags text[], p_skus text, p_description text)
    returns tsvector language sql stable as $$
    select setweight(to_tsvector(:text_config(p_language), p_title), 'A') ||
           setweight(to_tsvector(:text_config(p_language),
                                 concat_ws(' ', p_vendor, p_type, array_to_string(p_tags, ' '), p_skus)), 'B') ||
           setweight(to_tsvector(:text_config(p_language), left(p_description, 100000)), 'D')    -- its parser passes tags over
$$;

drop function if exists :search_query(text, text);    -- made by programs of before 2026-12-01

-- What a shopper typed, as queries: what is found has all words, the last one also as a beginning; ranked by the second one,
-- where it has the word as a whole too. Null where no word is left.
create or replace function :search_words(p_language text, p_text text, out matched tsquery, out ranked tsquery)
    language plpgsql stable as $$
declare
    v_config regconfig := :text_config(p_language);
    v_words tsquery := nullif(websearch_to_tsquery(v_config, p_text)::text, '')::tsquery;
    v_last text := (regexp_match(p_text, '([[:alnum:]]{2,})\s*$'))[1];
    v_begin tsquery;
begin
    if v_last is not null and p_text !~ '["-]' then
        v_begin := websearch_to_tsquery(v_config, left(p_text, length(p_text) - length(substring(p_text from '[[:alnum:]]+\s*$')))) &&
                   to_tsquery(v_config, v_last || ':*');
        v_begin := nullif(v_begin::text, '')::tsquery;
    end if;
    ranked := coalesce(v_words || v_begin, v_words, v_begin);
    -- plain words as a whole are words that begin so: looked up once, which is a third less
    matched := case when v_begin is not null and p_text ~ '^[[:alnum:][:space:]]+$' and p_text !~* '\mor\M' then v_begin else ranked end;
end
$$;

create or replace function :store_version() returns bigint language plpgsql stable security definer as $$
begin
    return (select version from catalog_versions where id = 1);
end
$$;

create or replace function :shop_show() returns json language plpgsql stable security definer as $$
begin
    return (
        select json_build_object('name', name, 'email', email, 'language', language, 'country', country,
                                 'currency', currency, 'logo', logo, 'colors', colors,
                                 'prices_include_tax', prices_include_tax)
        from settings);
end
$$;

create or replace function :navigation_list() returns json language plpgsql stable security definer as $$
begin
    return (
        select json_build_object('items', coalesce(json_agg(json_build_object(
                   'handle', handle, 'title', title, 'url', '/collections/' || handle) order by position, id), '[]'))
        from categories c
        where (    -- not "exists", which is worked out for all products at once
            select true from product_categories pc join products p on p.id = pc.product_id
            where pc.category_id = c.id and p.is_published limit 1));
end
$$;

create or replace function :category_list() returns json language plpgsql stable security definer as $$
begin
    return (
        select json_build_object('items', coalesce(json_agg(json_build_object(
                   'handle', c.handle, 'title', c.title, 'url', '/collections/' || c.handle,
                   'product_count', n.product_count, 'image', i.src) order by c.position, c.id), '[]'))
        from categories c
        cross join lateral (
            select count(*) product_count, min(p.position) first_position
            from product_categories pc join products p on p.id = pc.product_id
            where pc.category_id = c.id and p.is_published) n
        left join products f on f.position = n.first_position and f.is_published
        left join lateral (select src from images where product_id = f.id order by position, id limit 1) i on true
        where n.product_count > 0);
end
$$;

create or replace function :category_show(p_handle text) returns json language plpgsql stable security definer as $$
begin
    return (
        select json_build_object('handle', handle, 'title', title, 'description', nullif(description, ''),
                                 'url', '/collections/' || handle)
        from categories where handle = p_handle);
end
$$;

-- Can one more be sold of this row of stock?
create or replace function :is_available(p_stock stock) returns boolean language sql immutable as $$
    select not p_stock.is_tracked or p_stock.is_backorder or p_stock.quantity > 0
$$;

-- A variant's name: its option values, null where the product has no choice.
create or replace function :variant_title(p_values text[]) returns text language sql stable as $$
    select nullif(nullif(array_to_string(p_values, ' / '), ''), 'Default Title')
$$;

drop function if exists :product_json(products, text);    -- made by programs of before 2026-12-01
drop function if exists :summary_json(products, text);

-- A product as the API shows it. A table function, since that becomes a part of the statement that calls it for each of its
-- rows: half the cost of a function that is called for each.
create or replace function :product_whole(p products, p_currency text) returns table (document json) language sql stable as $$
    select json_build_object(
        'handle', p.handle, 'title', p.title, 'url', '/products/' || p.handle, 'description', p.description,
        'vendor', p.vendor, 'type', p.product_type, 'tags', to_json(p.tags),
        'price', :money(v.price_minor, p_currency),
        'compare_at_price', :money(v.compare_at_price_minor, p_currency),
        'available', coalesce(v.available, false),
        'options', coalesce((
            select json_agg(json_build_object('name', o.name, 'values', (
                       select json_agg(value order by first_position) from (
                           select w.option_values[o.position] as value, min(w.position) as first_position
                           from variants w
                           where w.product_id = p.id and w.option_values[o.position] is not null group by 1) x))
                   order by o.position)
            from options o
            where o.product_id = p.id and not (o.name = 'Title' and v.variant_count = 1)), '[]'),
        'variants', coalesce(v.variants, '[]'),
        'images', coalesce((
            select json_agg(json_build_object('src', i.src, 'alt', i.alt, 'position', i.position)
                            order by i.position, i.id)
            from images i where i.product_id = p.id), '[]'),
        'categories', coalesce((
            select json_agg(json_build_object('handle', c.handle, 'title', c.title, 'url', '/collections/' || c.handle)
                            order by c.position, c.id)
            from product_categories pc join categories c on c.id = pc.category_id where pc.product_id = p.id), '[]'),
        'seo', json_build_object('title', nullif(p.seo_title, ''), 'description', nullif(p.seo_description, '')))
    from (
        select count(*) variant_count,
               bool_or(:is_available(s)) available,
               (array_agg(v.price_minor order by v.price_minor, v.position))[1] price_minor,
               (array_agg(v.compare_at_price_minor order by v.price_minor, v.position))[1] compare_at_price_minor,
               json_agg(json_build_object(
                   'id', v.id::text, 'sku', nullif(v.sku, ''), 'barcode', nullif(v.barcode, ''),
                   'title', coalesce(:variant_title(v.option_values), p.title), 'options', to_json(v.option_values),
                   'price', :money(v.price_minor, p_currency),
                   'compare_at_price', :money(v.compare_at_price_minor, p_currency),
                   'available', :is_available(s), 'image', v.image_src, 'weight_grams', v.weight_grams)
                   order by v.position, v.id) variants
        from variants v join stock s on s.variant_id = v.id where v.product_id = p.id) v
$$;

create or replace function :product_summary(p products, p_currency text) returns table (document json) language sql stable as $$
    select json_build_object(
        'handle', p.handle, 'title', p.title, 'url', '/products/' || p.handle, 'vendor', p.vendor,
        'price', :money(v.price_minor, p_currency),
        'compare_at_price', :money(v.compare_at_price_minor, p_currency),
        'price_varies', coalesce(v.price_varies, false), 'available', coalesce(v.available, false),
        'image', (select json_build_object('src', i.src, 'alt', i.alt)
                  from images i where i.product_id = p.id order by i.position, i.id limit 1))
    from (
        select bool_or(:is_available(s)) available, max(v.price_minor) > min(v.price_minor) price_varies,
               (array_agg(v.price_minor order by v.price_minor, v.position))[1] price_minor,
               (array_agg(v.compare_at_price_minor order by v.price_minor, v.position))[1] compare_at_price_minor
        from variants v join stock s on s.variant_id = v.id where v.product_id = p.id) v
$$;

create or replace function :product_show(p_handle text) returns json language plpgsql stable security definer as $$
begin
    return (
        select j.document from products p cross join settings s cross join lateral :product_whole(p, s.currency) j
        where p.handle = p_handle and p.is_published);
end
$$;

-- The page's product ids in order, and how many there are in all.
create or replace function :product_page(
    p_page integer, p_per_page integer, p_sort text, p_q text, p_category text, out ids bigint[], out total bigint)
    language plpgsql stable as $$
declare
    v_matched tsquery;
    v_ranked tsquery;
    v_category bigint;
    v_offset bigint := (p_page - 1)::bigint * p_per_page;
begin
    if p_category is not null then
        select id into v_category from categories where handle = p_category;
        if v_category is null then
            total := null;
            return;
        end if;
    end if;
    if p_q is not null then
        select w.matched, w.ranked into v_matched, v_ranked from settings s cross join lateral :search_words(s.language, p_q) w;
        if v_matched is null then
            total := 0;
            ids := '{}';
            return;
        elsif v_category is null and p_sort = 'relevance' then
            select coalesce(array_agg(f.id order by f.place) filter (where f.place > v_offset and f.place <= v_offset + p_per_page), '{}'),
                   count(*)
            into ids, total
            from (
                select id, row_number() over (order by -ts_rank(search, v_ranked), position) place
                from products where is_published and search @@ v_matched) f;
            return;
        end if;
    elsif v_category is null and p_sort = 'default' then
        -- the common list, straight from its index
        total := (select count(*) from products where is_published);
        ids := array(select id from products where is_published order by position limit p_per_page offset v_offset);
        return;
    end if;
    -- planned anew for what is asked: a plan for any sort, words and category has to read everything
    execute $query$
        select coalesce(array_agg(f.id order by f.place) filter (where f.place > $4 and f.place <= $4 + $5), '{}'), count(*)
        from (
            select p.id, row_number() over (order by
                       case when $1 = 'relevance' and $2 is not null then -ts_rank(p.search, $6) end,
                       case when $1 = 'price' then v.price_minor end,
                       case when $1 = '-price' then -v.price_minor end,
                       case when $1 = 'title' then p.title end collate "und-x-icu",
                       case when $1 = '-title' then p.title end collate "und-x-icu" desc,
                       case when $1 = 'newest' then -p.position end,
                       p.position) place
            from products p
            left join lateral (
                select min(price_minor) price_minor from variants
                where product_id = p.id and $1 in ('price', '-price')) v on true
            where p.is_published and ($2 is null or p.search @@ $2) and
                  ($3 is null or exists (
                      select 1 from product_categories pc where pc.category_id = $3 and pc.product_id = p.id))) f
        $query$
    into ids, total
    using p_sort, v_matched, v_category, v_offset, p_per_page, v_ranked;
end
$$;

-- A page of products, whole or as summaries; null where there is no such category.
create or replace function :listing_json(
    p_page integer, p_per_page integer, p_sort text, p_q text, p_category text, p_is_summary boolean)
    returns json language plpgsql stable as $$
declare
    v record;
    v_items json;
begin
    v := :product_page(p_page, p_per_page, p_sort, p_q, p_category);
    if v.total is null then
        return null;
    end if;
    if p_is_summary then
        select json_agg(j.document order by o.place) into v_items
        from unnest(v.ids) with ordinality o (id, place) join products p on p.id = o.id cross join settings s
        cross join lateral :product_summary(p, s.currency) j;
    else
        select json_agg(j.document order by o.place) into v_items
        from unnest(v.ids) with ordinality o (id, place) join products p on p.id = o.id cross join settings s
        cross join lateral :product_whole(p, s.currency) j;
    end if;
    return json_build_object('items', coalesce(v_items, '[]'), 'page', p_page, 'per_page', p_per_page, 'total', v.total);
end
$$;

create or replace function :product_list(p_page integer, p_per_page integer, p_sort text, p_q text, p_category text)
    returns json language plpgsql stable security definer as $$
begin
    return :listing_json(p_page, p_per_page, p_sort, p_q, p_category, false);
end
$$;

create or replace function :summary_list(p_page integer, p_per_page integer, p_sort text, p_q text, p_category text)
    returns json language plpgsql stable security definer as $$
begin
    return :listing_json(p_page, p_per_page, p_sort, p_q, p_category, true);
end
$$;

-- Up to four others: of the same categories first, the nearest in the catalogue's order first.
create or replace function :related_list(p_handle text) returns json language plpgsql stable security definer as $$
begin
    return (
        select json_build_object('items', coalesce(json_agg(j.document order by r.place), '[]'))
        from settings s
        cross join lateral (
            select o.id, row_number() over (order by abs(o.id - t.id), o.id) place
            from products t
            cross join lateral (
                select n.id from product_categories tc
                cross join lateral (
                    (select a.id from product_categories ac join products a on a.id = ac.product_id
                     where ac.category_id = tc.category_id and ac.product_id > t.id and a.is_published
                     order by ac.product_id limit 4)
                    union all
                    (select b.id from product_categories bc join products b on b.id = bc.product_id
                     where bc.category_id = tc.category_id and bc.product_id < t.id and b.is_published
                     order by bc.product_id desc limit 4)) n
                where tc.product_id = t.id
                group by n.id) o
            where t.handle = p_handle
            order by place limit 4) r
        join products p on p.id = r.id
        cross join lateral :product_summary(p, s.currency) j);
end
$$;

create or replace function :media_show(p_sha256 text) returns table (content_type text, content bytea)
    language plpgsql stable security definer as $$
begin
    return query select m.content_type, m.content from media m where m.sha256 = p_sha256;
end
$$;
