-- sql/tenant/functions/export.sql: the catalogue as the lines of a product file, for provisioner/product_export.c. Line k of a
-- product has its k-th variant and its k-th image.
create or replace function :export_list() returns table (
    handle text, line bigint, title text, description text, vendor text, product_type text, tags text, is_published boolean,
    seo_title text, seo_description text, attributes text, category_handles text[], category_titles text[], option_names text[],
    variant_id bigint, option_values text[], sku text, barcode text, price_minor bigint, compare_at_price_minor bigint,
    weight_grams bigint, requires_shipping boolean, is_taxable boolean, quantity bigint, is_tracked boolean,
    is_backorder boolean, variant_image text, variant_attributes text, image_src text, image_position integer,
    image_alt text)
    language plpgsql stable as $$
#variable_conflict use_column
begin
    return query
    with v as (
        select v.*, k.quantity, k.is_tracked, k.is_backorder,
               row_number() over (partition by v.product_id order by v.position, v.id) line
        from variants v join stock k on k.variant_id = v.id),
    i as (
        select i.*, row_number() over (partition by i.product_id order by i.position, i.id) line from images i),
    l as (
        select coalesce(v.product_id, i.product_id) product_id, coalesce(v.line, i.line) line, v.id variant_id, v.option_values,
               v.sku, v.barcode, v.price_minor, v.compare_at_price_minor, v.weight_grams, v.requires_shipping, v.is_taxable,
               v.quantity, v.is_tracked, v.is_backorder, v.image_src variant_image, v.attributes::text variant_attributes,
               i.src image_src, i.position image_position, i.alt image_alt
        from v full join i on i.product_id = v.product_id and i.line = v.line)
    select p.handle, coalesce(l.line, 1), p.title, p.description, p.vendor, p.product_type, array_to_string(p.tags, ', '), p.is_published,
           p.seo_title, p.seo_description, p.attributes::text,
           array(select c.handle from product_categories pc join categories c on c.id = pc.category_id
                 where pc.product_id = p.id order by c.position, c.id),
           array(select c.title from product_categories pc join categories c on c.id = pc.category_id
                 where pc.product_id = p.id order by c.position, c.id),
           array(select o.name from options o where o.product_id = p.id order by o.position),
           l.variant_id, l.option_values, l.sku, l.barcode, l.price_minor, l.compare_at_price_minor, l.weight_grams,
           l.requires_shipping, l.is_taxable, l.quantity, l.is_tracked, l.is_backorder, l.variant_image,
           l.variant_attributes, l.image_src, l.image_position, l.image_alt
    from products p left join l on l.product_id = p.id
    order by p.position, p.id, l.line;
end
$$;

-- The same with arrays as JSON, in pieces of any size, as of one moment: fetch from this cursor.
create or replace function :export_open() returns text language plpgsql as $$
declare
    v_lines cursor for
        select e.*, to_json(e.category_handles) handles_json, to_json(e.category_titles) titles_json,
               to_json(e.option_names) names_json, to_json(e.option_values) values_json
        from :export_list() e;
begin
    v_lines := 'export_lines';
    open v_lines;
    return (select currency from settings);
end
$$;
