# shellcheck shell=sh disable=SC2154
# Shops with something to sell, and carts to order, for the figures that need many shops.

# shops_open COUNT: shops in $work/shops as NUMBER SLUG; each sells a thing.
shops_open() {
    tenants_ensure "$1"
    $psql "$dsn" -F ' ' -c "select number, slug from cell.tenants where slug like 'bench-%' order by number limit $1" >"$work/shops"
    say "something to sell in $1 shops"
    while read -r number _; do
        echo "with p as (insert into t_$number.products (handle, title, description, vendor, tags)
                         values ('thing', 'Thing', repeat('<p>What a thing is made of.</p>', 20), 'Maker', '{a,b}')
                         on conflict do nothing returning id),
            v as (insert into t_$number.variants (product_id, price_minor, option_values, sku)
                  select id, 1900, '{Default Title}', 'THING' from p returning id),
            m as (insert into t_$number.stock_movements (variant_id, quantity, reason)
                  select id, 1000000000, 'import' from v),
            o as (insert into t_$number.options (product_id, position, name) select id, 1, 'Title' from p),
            s as (insert into t_$number.stock (variant_id, quantity) select id, 1000000000 from v)
            update t_$number.catalog_versions set version = version + 1 where exists (select from p);"
    done <"$work/shops" | $psql "$dsn" -f - >/dev/null
}
# shopper ADDRESS: the p99 of 200 pages a second of $work/shopper, over $duration seconds.
duration=$((seconds * 3))
shopper() {
    taskset -c 1 "$load" -r 200 -c 8 -s "$duration" "$1" "$work/shopper" >"$work/answer"
    awk '{ print $5 }' "$work/answer"
}
# carts_make SHOPS EACH RUN: EACH carts with a line in the first SHOPS shops; a cart's token follows from RUN and its number.
carts_make() {
    head -n "$1" "$work/shops" | while read -r number _; do
        echo "with c as (insert into t_$number.carts (token) select 'a-cart-of-the-bench-$3-' || i
                         from generate_series(1, $2) i returning id)
            insert into t_$number.cart_lines (cart_id, variant_id, quantity)
            select c.id, v.id, 1 from c cross join (select id from t_$number.variants order by id limit 1) v;"
    done | $psql "$dsn" -f - >/dev/null
}
# orders_file SHOPS EACH RUN: the requests that order these carts, rotating over the shops.
orders_file() {
    head -n "$1" "$work/shops" | awk -v each="$2" -v run="$3" '
        { slug[NR] = $2 }
        END { for (i = 1; i <= each; i++) for (s = 1; s <= NR; s++)
            printf "POST\t%s.localhost\t/api/v1/store/carts/a-cart-of-the-bench-%s-%d/checkout\tkey-%s-%d\t" \
                   "{\"email\":\"ann@buyer.example\",\"shipping_method\":\"standard\",\"payment_method\":\"bank_transfer\"," \
                   "\"shipping_address\":{\"name\":\"Ann Buyer\",\"line1\":\"Main Street 1\",\"city\":\"Boston\"," \
                   "\"postal_code\":\"02101\",\"country\":\"US\"}}\n", slug[s], run, i, run, i }' >"$work/orders"
}
# orders_script SHOPS: what shopd sends for an order, the same statements with the same bounds in one pipeline, rotating over the
# first SHOPS shops. A function's name can't hold a variable, so there is a branch for each shop, in groups so that few are tried.
orders_script() {
    cat >"$work/order" <<'END'
select set_config('search_path', 't_NUMBER, pg_temp', true), set_config('statement_timeout', '5000', true), set_config('lock_timeout', '2500', true);
select order_place_NUMBER('a-cart-of-the-bench-' || :run || '-' || :cart, 'key-' || :run || '-' || :cart, '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', 'ann@buyer.example', '{"name": "Ann Buyer", "line1": "Main Street 1", "line2": "", "city": "Boston", "region": "", "postal_code": "02101", "country": "US"}', 'standard', 'bank_transfer');
END
    head -n "$1" "$work/shops" | awk '
        BEGIN {
            while ((getline line < ARGV[2]) > 0) order = order line "\n"
            ARGV[2] = ""
            print "\\set n :n + 1\n\\set at (:n - 1) * :clients + :client_id\n\\set cart :at / :shops + 1"
            print "\\set shop :at % :shops\n\\set group :shop / 32\n\\startpipeline"
        }
        {
            shop = NR - 1
            if (shop % 32 == 0) print (shop ? "\\endif\n\\elif" : "\\if") " :group = " shop / 32
            print (shop % 32 ? "\\elif" : "\\if") " :shop = " shop
            text = order
            gsub("NUMBER", $1, text)
            printf "%s", text
        }
        END { print "\\endif\n\\endif\n\\endpipeline" }' - "$work/order" >"$work/orders.pgbench"
}
# pgbench_rate TRANSACTIONS SKIPPED ARGUMENT...: transactions a second over 8 connections, the first ones not counted.
pgbench_rate() {
    count=$1 skipped=$2
    shift 2
    rm -f "$work"/log.*
    pgbench "$dsn user=cell_main_shopd" -n -M extended -c 8 -j 1 -t $((count / 8)) -l --log-prefix="$work/log" "$@" \
        >"$work/pgbench" 2>&1 || fail "pgbench: $(grep -m 1 ERROR "$work/pgbench" || tail -n 3 "$work/pgbench")"
    sort -n -k 5,5 -k 6,6 "$work"/log.* |
        awk -v skipped="$skipped" '{ at = $5 + $6 / 1e6 } NR == skipped { from = at }
            END { printf "%.1f\n", (NR - skipped) / (at - from) }' >"$work/rate"
}
