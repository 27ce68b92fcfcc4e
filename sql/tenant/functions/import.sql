-- sql/tenant/functions/import.sql: a product file from staging into the catalogue, for provisioner/product_import.c, which runs
-- these in one transaction as the owner of the tables. Null in a column of import_lines: the file has no such column.

-- Makes the staging tables; answers the currency that prices are read in.
create or replace function :import_open() returns text language plpgsql as $$
begin
    create temp table import_lines (
        line integer not null,
        handle text not null,
        faults jsonb,                   -- [{"column","value","reason"}]: what makes the line a bad one
        title text,
        description text,
        vendor text,
        product_type text,
        tags text[],
        is_published boolean,
        seo_title text,
        seo_description text,
        attributes jsonb,
        category_handles text[],
        category_titles text[],
        option_names text[] not null,   -- three, empty where there is none
        option_values text[] not null,
        is_variant boolean not null,
        sku text,
        barcode text,
        price_minor bigint,
        compare_at_price_minor bigint,
        weight_grams bigint,
        requires_shipping boolean,
        is_taxable boolean,
        quantity bigint,
        is_tracked boolean,
        is_backorder boolean,
        variant_image text,
        variant_attributes jsonb,
        image_src text,
        image_position integer,
        image_alt text) on commit drop;
    create temp table import_faults (line integer not null, column_name text, value text, reason text) on commit drop;
    create temp table import_named (products bigint, variants bigint, images bigint) on commit drop;
    create temp table import_files (path text primary key, src text, reason text) on commit drop;
    create temp table import_products (
        handle text primary key, line integer, option_names text[], option_count integer, product_id bigint,
        is_new boolean not null default false) on commit drop;
    create temp table import_variants (
        line integer primary key, handle text not null, option_values text[] not null, position bigint not null,
        variant_id bigint) on commit drop;
    create index on import_variants (handle);
    return (select currency from settings);
end
$$;

-- Tables that have just grown are planned for as if they were small, and then joined by loops in loops. Of their columns
-- those by which they are joined are looked at; the others are autovacuum's.
create or replace function :import_analyze() returns void language plpgsql as $$
begin
    if (select count(*) from import_lines) > 1000 then
        analyze products (id, handle), variants (id, product_id), stock (variant_id), options (product_id, position),
                images (product_id), product_categories;
    end if;
end
$$;

-- After the lines were copied in: counts what they name, puts the bad ones aside and lists the image files that lie beside
-- the CSV.
create or replace function :import_begin() returns void language plpgsql as $$
begin
    insert into import_named
    select count(distinct nullif(l.handle, '')), count(*) filter (where '' < any (l.option_values)),
           (select count(*) from (select distinct handle, image_src from import_lines where image_src <> '') i)
    from import_lines l;
    insert into import_faults (line, column_name, value, reason)
    select l.line, f ->> 'column', f ->> 'value', f ->> 'reason'
    from import_lines l cross join lateral jsonb_array_elements(l.faults) f
    where l.faults is not null;
    delete from import_lines where faults is not null;
    create index on import_lines (handle, line);
    create unique index on import_lines (line);
    analyze import_lines (line, handle, image_src);
    insert into import_files (path)
    select substr(image_src, 6) from import_lines where image_src like 'file:%'
    union
    select substr(variant_image, 6) from import_lines where variant_image like 'file:%';
end
$$;

create or replace function :import_file_put(p_path text, p_content_type text, p_extension text, p_content bytea)
    returns void language plpgsql as $$
declare
    v_sha256 text := encode(sha256(p_content), 'hex');
begin
    insert into media (sha256, content_type, content) values (v_sha256, p_content_type, p_content)
    on conflict (sha256) do nothing;
    update import_files set src = '/media/' || v_sha256 || '.' || p_extension where path = p_path;
end
$$;

create or replace function :import_file_refuse(p_path text, p_reason text) returns void language plpgsql as $$
begin
    update import_files set reason = p_reason where path = p_path;
end
$$;

create or replace function :import_src(p_src text) returns text language plpgsql stable as $$
begin
    return case when p_src like 'file:%' then (select src from import_files where path = substr(p_src, 6)) else p_src end;
end
$$;

-- Lists each handle's product and variants anew from the lines that are left.
create or replace function :import_list() returns void language plpgsql as $$
begin
    delete from import_products;
    delete from import_variants;
    insert into import_products (handle, line, option_names, option_count)
    select handle, min(line) filter (where title <> ''),
           array[coalesce((array_agg(option_names[1]) filter (where option_names[1] <> ''))[1], ''),
                 coalesce((array_agg(option_names[2]) filter (where option_names[2] <> ''))[1], ''),
                 coalesce((array_agg(option_names[3]) filter (where option_names[3] <> ''))[1], '')],
           case when bool_or(option_values[3] <> '') then 3
                when bool_or(option_values[2] <> '') then 2
                when bool_or(option_values[1] <> '') then 1
                else 0 end
    from (select handle, line, title, option_names, option_values from import_lines order by handle, line) l    -- sorted once for all
    group by handle;
    update import_products i set product_id = p.id from products p where p.handle = i.handle;
    insert into import_variants (line, handle, option_values, position)
    select l.line, l.handle,
           case when p.option_count = 0 then array['Default Title'] else l.option_values[1:p.option_count] end,
           row_number() over (partition by l.handle order by l.line)
    from import_lines l join import_products p using (handle)
    where l.is_variant;
    update import_variants i
    set variant_id = v.id
    from import_products p join variants v on v.product_id = p.product_id
    where i.handle = p.handle and
          v.option_values in (i.option_values, case when p.option_count = 0 then '{}'::text[] else i.option_values end);
    analyze import_products;
    analyze import_variants;
end
$$;

-- What is wrong with the lines that are left, taken together.
create or replace function :import_find_faults(p_set_stock boolean)
    returns table (line integer, column_name text, value text, reason text) language plpgsql stable as $$
#variable_conflict use_column
begin
    return query
    select l.line, 'Image Src', substr(l.image_src, 6), f.reason
    from import_lines l join import_files f on l.image_src = 'file:' || f.path
    where f.reason is not null
    union all
    select l.line, 'Variant Image', substr(l.variant_image, 6), f.reason
    from import_lines l join import_files f on l.variant_image = 'file:' || f.path
    where f.reason is not null
    union all
    select l.line, s.column_name, s.src, 'this shop has no such file'
    from import_lines l cross join lateral (values ('Image Src', l.image_src), ('Variant Image', l.variant_image)) s (column_name, src)
    where s.src like '/media/%' and
          not exists (select from media m where m.sha256 = substring(s.src from '^/media/([0-9a-f]{64})[.][a-z]+$'))
    union all
    select l.line, 'Title', '', 'no line that can be used gives this product a title'
    from import_lines l join import_products p using (handle)
    where p.line is null
    union all
    select v.line, 'Option' || k || ' Value', '',
           case when p.option_names[k] <> '' then format('this variant has no value for the option ''%s''', p.option_names[k])
                else 'other variants of the product have a value here' end
    from import_variants v join import_products p using (handle) cross join generate_series(1, p.option_count) k
    where v.option_values[k] = ''
    union all
    select d.line, 'Option1 Value', array_to_string(d.option_values, ' / '),
           format('line %s has the same variant of this product', d.first_line)
    from (select v.line, v.option_values, min(v.line) over (partition by v.handle, v.option_values) first_line
          from import_variants v) d
    where d.line > d.first_line and '' <> all (d.option_values)
    union all
    select v.line, 'Variant Price', '', 'a new variant needs a price'
    from import_variants v join import_lines l using (line)
    where v.variant_id is null and l.price_minor is null
    union all
    select l.line, 'Variant Price', '', 'the product has no variant: none of its lines has a price'
    from import_lines l join import_products p using (handle)
    where p.line is not null and not exists (select from import_variants v where v.handle = l.handle) and
          not exists (select from variants v where v.product_id = p.product_id)
    union all
    select s.line, case when s.is_set then 'Variant Inventory Qty' else 'Variant Inventory Policy' end,
           case when s.is_set then s.quantity::text else 'deny' end,
           case when s.is_set then 'a quantity below zero needs the policy ''continue'''
                else format('the stock is %s, which only the policy ''continue'' allows', s.quantity) end
    from (
        select v.line, k.variant_id is null or (p_set_stock and l.quantity is not null) is_set,
               case when k.variant_id is null or p_set_stock then coalesce(l.quantity, k.quantity, 0) else k.quantity end quantity,
               coalesce(l.is_tracked, k.is_tracked, l.quantity is not null) is_tracked,
               coalesce(l.is_backorder, k.is_backorder, false) is_backorder
        from import_variants v join import_lines l using (line) left join stock k on k.variant_id = v.variant_id) s
    where s.quantity < 0 and s.is_tracked and not s.is_backorder;
end
$$;

-- Puts bad lines aside until none is left: a line that goes may take others with it. From here on no other import runs.
create or replace function :import_check(p_set_stock boolean) returns void language plpgsql as $$
declare
    v_found bigint;
begin
    perform 1 from settings where id = 1 for update;
    perform :import_analyze();
    loop
        perform :import_list();
        with found as (
            insert into import_faults (line, column_name, value, reason)
            select f.line, f.column_name, f.value, f.reason from :import_find_faults(p_set_stock) f
            returning line)
        delete from import_lines l using found where l.line = found.line;
        get diagnostics v_found = row_count;
        exit when v_found = 0;
    end loop;
end
$$;

-- What the file names.
create or replace function :import_counts(out products bigint, out variants bigint, out images bigint, out skipped bigint)
    language plpgsql stable as $$
begin
    select n.products, n.variants, n.images, (select count(distinct f.line) from import_faults f)
    into products, variants, images, skipped
    from import_named n;
end
$$;

create or replace function :import_categories() returns bigint language plpgsql as $$
declare
    v_changed bigint;
    v_count bigint;
begin
    insert into categories (handle, title, position)
    select c.handle, c.title, (select coalesce(max(position), 0) from categories) + row_number() over (order by c.line, c.place)
    from (
        select distinct on (u.handle) u.handle, u.title, l.line, u.place
        from import_products p
        join import_lines l on l.line = p.line
        cross join lateral unnest(l.category_handles, l.category_titles) with ordinality u (handle, title, place)
        order by u.handle, l.line, u.place) c
    where not exists (select from categories o where o.handle = c.handle)
    order by c.line, c.place;
    get diagnostics v_changed = row_count;
    delete from product_categories d
    using import_products p join import_lines l on l.line = p.line
    where d.product_id = p.product_id and l.category_handles is not null and
          d.category_id not in (select id from categories where handle = any (l.category_handles));
    get diagnostics v_count = row_count;
    v_changed := v_changed + v_count;
    insert into product_categories (product_id, category_id)
    select p.product_id, c.id
    from import_products p
    join import_lines l on l.line = p.line
    cross join lateral unnest(l.category_handles) u (handle)
    join categories c on c.handle = u.handle
    on conflict do nothing;
    get diagnostics v_count = row_count;
    return v_changed + v_count;
end
$$;

create or replace function :import_put_products() returns bigint language plpgsql as $$
declare
    v_limit bigint := (select product_limit from settings);
    v_added bigint;
    v_total bigint;
    v_changed bigint;
begin
    -- with its words, as product_words would find them, so that each row is written once
    insert into products (handle, title, description, vendor, product_type, tags, is_published, seo_title, seo_description,
                          attributes, search)
    select l.handle, l.title, coalesce(l.description, ''), coalesce(l.vendor, ''), coalesce(l.product_type, ''),
           coalesce(l.tags, '{}'), coalesce(l.is_published, true), coalesce(l.seo_title, ''), coalesce(l.seo_description, ''),
           coalesce(l.attributes, '{}'),
           :product_search(s.language, l.title, coalesce(l.vendor, ''), coalesce(l.product_type, ''), coalesce(l.tags, '{}'),
                          k.skus, coalesce(l.description, ''))
    from import_products p
    join import_lines l on l.line = p.line
    cross join settings s
    left join (
        select v.handle, string_agg(n.sku, ' ' order by v.position) skus
        from import_variants v join import_lines n using (line)
        where n.sku <> ''
        group by v.handle) k on k.handle = p.handle
    where p.product_id is null
    order by l.line;
    get diagnostics v_added = row_count;
    select count(*) into v_total from products;
    if v_added > 0 and v_total > v_limit then
        raise exception using errcode = 'SH001', constraint = 'plan-limit',
            message = 'the file has more products than the plan allows', column = 'Handle',
            detail = format('the shop would have %s products, the limit is %s', v_total, v_limit),
            hint = 'choose a larger plan, or import fewer products';
    end if;
    update import_products i set product_id = p.id, is_new = true from products p where p.handle = i.handle and i.product_id is null;
    update products p
    set (title, description, vendor, product_type, tags, is_published, seo_title, seo_description, attributes, updated_at) =
        (n.title, n.description, n.vendor, n.product_type, n.tags, n.is_published, n.seo_title, n.seo_description,
         n.attributes, now())
    from (
        select i.product_id, l.title, coalesce(l.description, o.description) description, coalesce(l.vendor, o.vendor) vendor,
               coalesce(l.product_type, o.product_type) product_type, coalesce(l.tags, o.tags) tags,
               coalesce(l.is_published, o.is_published) is_published, coalesce(l.seo_title, o.seo_title) seo_title,
               coalesce(l.seo_description, o.seo_description) seo_description,
               coalesce(l.attributes, o.attributes) attributes
        from import_products i join import_lines l on l.line = i.line join products o on o.id = i.product_id
        where not i.is_new) n
    where p.id = n.product_id and
          (p.title, p.description, p.vendor, p.product_type, p.tags, p.is_published, p.seo_title, p.seo_description,
           p.attributes) is distinct from
          (n.title, n.description, n.vendor, n.product_type, n.tags, n.is_published, n.seo_title, n.seo_description,
           n.attributes);
    get diagnostics v_changed = row_count;
    return v_added + v_changed;
end
$$;

-- A product's options are those of the file when it has variants there. Where their names change, variants that the file
-- doesn't have no longer fit, and go.
create or replace function :import_options() returns bigint language plpgsql as $$
declare
    v_changed bigint;
    v_count bigint;
begin
    create temp table import_options on commit drop as
    select p.product_id, k::smallint as position,
           case when p.option_names[k] <> '' and p.option_count > 0 then p.option_names[k]
                when k = 1 then 'Title'
                else 'Option ' || k end as name
    from import_products p cross join generate_series(1, greatest(p.option_count, 1)) k
    where exists (select from import_variants v where v.handle = p.handle);
    analyze import_options;
    delete from variants v
    using (
        select n.product_id
        from (select product_id, array_agg(name order by position) names from import_options group by 1) n
        join (select product_id, array_agg(name order by position) names from options group by 1) o using (product_id)
        where n.names <> o.names) c
    where v.product_id = c.product_id and not exists (select from import_variants i where i.variant_id = v.id);
    get diagnostics v_changed = row_count;
    delete from options o
    using (select product_id, max(position) last from import_options group by 1) n
    where o.product_id = n.product_id and o.position > n.last;
    get diagnostics v_count = row_count;
    v_changed := v_changed + v_count;
    insert into options (product_id, position, name)
    select product_id, position, name from import_options
    on conflict (product_id, position) do update set name = excluded.name where options.name <> excluded.name;
    get diagnostics v_count = row_count;
    drop table import_options;
    return v_changed + v_count;
end
$$;

-- p_has_compare_at, p_has_image: the file has the column, so that an empty cell takes the old value away.
create or replace function :import_put_variants(p_has_compare_at boolean, p_has_image boolean) returns bigint
    language plpgsql as $$
declare
    v_added bigint;
    v_changed bigint;
begin
    insert into variants (product_id, position, option_values, sku, barcode, price_minor, compare_at_price_minor, weight_grams,
                          requires_shipping, is_taxable, image_src, attributes)
    select p.product_id,
           v.position + coalesce(o.last, 0),
           v.option_values, coalesce(l.sku, ''), coalesce(l.barcode, ''), l.price_minor, l.compare_at_price_minor,
           coalesce(l.weight_grams, 0), coalesce(l.requires_shipping, true), coalesce(l.is_taxable, true),
           nullif(:import_src(l.variant_image), ''), coalesce(l.variant_attributes, '{}')
    from import_variants v
    join import_lines l using (line)
    join import_products p on p.handle = v.handle
    left join (select product_id, max(position) last from variants group by product_id) o on o.product_id = p.product_id
    where v.variant_id is null
    order by v.line;
    get diagnostics v_added = row_count;
    if v_added > 0 then
        perform :import_analyze();
    end if;
    with added as materialized (
        select n.id, l.quantity, l.is_tracked, l.is_backorder
        from import_variants v
        join import_lines l using (line)
        join import_products p on p.handle = v.handle
        join variants n on n.product_id = p.product_id and n.option_values = v.option_values
        where v.variant_id is null),
    moved as (
        insert into stock_movements (variant_id, quantity, reason)
        select id, quantity, 'import' from added where quantity <> 0)
    insert into stock (variant_id, quantity, is_tracked, is_backorder)
    select id, coalesce(quantity, 0), coalesce(is_tracked, quantity is not null), coalesce(is_backorder, false)
    from added;
    update variants o
    set (position, option_values, sku, barcode, price_minor, compare_at_price_minor, weight_grams, requires_shipping, is_taxable,
         image_src, attributes) =
        (n.position, n.option_values, n.sku, n.barcode, n.price_minor, n.compare_at_price_minor, n.weight_grams,
         n.requires_shipping, n.is_taxable, n.image_src, n.attributes)
    from (
        select w.id,
               case when f.in_file = c.in_shop then v.position else w.position end as position,
               v.option_values, coalesce(l.sku, w.sku) sku, coalesce(l.barcode, w.barcode) barcode,
               coalesce(l.price_minor, w.price_minor) price_minor,
               case when p_has_compare_at then l.compare_at_price_minor else w.compare_at_price_minor end compare_at_price_minor,
               coalesce(l.weight_grams, w.weight_grams) weight_grams,
               coalesce(l.requires_shipping, w.requires_shipping) requires_shipping,
               coalesce(l.is_taxable, w.is_taxable) is_taxable,
               case when p_has_image then nullif(:import_src(l.variant_image), '') else w.image_src end image_src,
               coalesce(l.variant_attributes, w.attributes) attributes
        from import_variants v
        join import_lines l using (line)
        join import_products p on p.handle = v.handle
        join variants w on w.product_id = p.product_id and (w.id = v.variant_id or
                                                            (v.variant_id is null and w.option_values = v.option_values))
        join (select handle, count(*) in_file from import_variants group by handle) f on f.handle = v.handle
        join (select product_id, count(*) in_shop from variants group by product_id) c on c.product_id = p.product_id
        where not p.is_new) n
    where o.id = n.id and
          (o.position, o.option_values, o.sku, o.barcode, o.price_minor, o.compare_at_price_minor, o.weight_grams,
           o.requires_shipping, o.is_taxable, o.image_src, o.attributes) is distinct from
          (n.position, n.option_values, n.sku, n.barcode, n.price_minor, n.compare_at_price_minor, n.weight_grams,
           n.requires_shipping, n.is_taxable, n.image_src, n.attributes);
    get diagnostics v_changed = row_count;
    return v_added + v_changed;
end
$$;

-- Stock of variants that were there before: how it is kept, and with p_set_stock how much there is.
create or replace function :import_stock(p_set_stock boolean) returns bigint language plpgsql as $$
declare
    v_changed bigint;
begin
    perform 1
    from stock
    where variant_id in (select variant_id from import_variants)
    order by variant_id
    for update;
    insert into stock_movements (variant_id, quantity, reason)
    select v.variant_id, l.quantity - k.quantity, 'import'
    from import_variants v join import_lines l using (line) join stock k on k.variant_id = v.variant_id
    where p_set_stock and l.quantity <> k.quantity;
    update stock k
    set quantity = case when p_set_stock then coalesce(l.quantity, k.quantity) else k.quantity end,
        is_tracked = coalesce(l.is_tracked, k.is_tracked),
        is_backorder = coalesce(l.is_backorder, k.is_backorder)
    from import_variants v join import_lines l using (line)
    where k.variant_id = v.variant_id and
          ((p_set_stock and l.quantity <> k.quantity) or l.is_tracked <> k.is_tracked or l.is_backorder <> k.is_backorder);
    get diagnostics v_changed = row_count;
    return v_changed;
end
$$;

-- The images of a product are those of the file when it has any there.
create or replace function :import_images() returns bigint language plpgsql as $$
declare
    v_changed bigint;
    v_count bigint;
begin
    create temp table import_images on commit drop as
    select product_id, src, coalesce(image_position, place)::integer as position, alt
    from (
        select i.*, row_number() over (partition by product_id order by line) place
        from (
            select distinct on (p.product_id, s.src) p.product_id, s.src, l.image_position, l.image_alt as alt, l.line
            from import_lines l
            join import_products p using (handle)
            cross join lateral :import_src(l.image_src) s (src)
            where l.image_src <> ''
            order by p.product_id, s.src, l.line) i) n;
    analyze import_images;
    delete from images i
    using (select distinct product_id from import_images) p
    where i.product_id = p.product_id and
          not exists (select from import_images n where n.product_id = i.product_id and n.src = i.src);
    get diagnostics v_changed = row_count;
    insert into images (product_id, position, src, alt)
    select product_id, position, src, coalesce(alt, '')
    from import_images
    order by product_id, position
    on conflict (product_id, src) do nothing;
    get diagnostics v_count = row_count;
    v_changed := v_changed + v_count;
    update images i
    set position = n.position, alt = coalesce(n.alt, i.alt)
    from import_images n
    where i.product_id = n.product_id and i.src = n.src and (i.position <> n.position or i.alt <> n.alt);
    get diagnostics v_count = row_count;
    drop table import_images;
    return v_changed + v_count;
end
$$;

-- The words that a product is found by, in the shop's language.
create or replace function :product_words(p products) returns tsvector language sql stable as $$
    select :product_search((select language from settings), p.title, p.vendor, p.product_type, p.tags,
                          (select string_agg(sku, ' ' order by position, id) from variants where product_id = p.id and sku <> ''),
                          p.description)
$$;

create or replace function :import_search() returns void language plpgsql as $$
begin
    update products p
    set search = n.search
    from (select o.id, :product_words(o) search from products o join import_products i on i.product_id = o.id
          where not i.is_new offset 0) n
    where p.id = n.id and p.search <> n.search;    -- offset 0: else it is worked out twice
end
$$;

-- All of them again, when the shop speaks another language.
create or replace function :search_rebuild() returns void language plpgsql as $$
begin
    update products p set search = n.search
    from (select o.id, :product_words(o) search from products o offset 0) n
    where p.id = n.id and p.search <> n.search;
end
$$;

-- Only imports bring files, so each removes those that nothing shows any more: of products, of variants, of orders that were
-- placed, of the shop itself, of descriptions.
create or replace function :import_media() returns void language plpgsql as $$
begin
    delete from media m
    where not exists (
        select from (
            select substr(src, 8, 64) sha256
            from (select src from images union all select image_src from variants union all select image from order_lines
                  union all select logo from settings) s
            where src like '/media/%'
            union all
            select d.found[1]
            from products p cross join lateral regexp_matches(p.description, '/media/([0-9a-f]{64})', 'g') d (found)
            where p.description like '%/media/%') r
        where r.sha256 = m.sha256);
end
$$;

-- Does what the lines say, and tells whether anything changed.
create or replace function :import_apply(p_set_stock boolean, p_has_compare_at boolean, p_has_image boolean) returns boolean
    language plpgsql as $$
declare
    v_changed bigint;
begin
    v_changed := :import_put_products();
    v_changed := v_changed + :import_stock(p_set_stock);
    v_changed := v_changed + :import_options();
    v_changed := v_changed + :import_put_variants(p_has_compare_at, p_has_image);
    v_changed := v_changed + :import_images();
    v_changed := v_changed + :import_categories();
    perform :import_media();
    if v_changed > 0 then
        perform :import_search();
        perform :catalog_changed();
    end if;
    return v_changed > 0;
end
$$;
