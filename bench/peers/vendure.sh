#!/bin/sh
# shopd against Vendure (npm): the same 1,000 products and the same PostgreSQL, one process on one core each; peers.sh has the rest.
# shellcheck disable=SC2154
set -eu
. "$(dirname "$0")/../common.sh"
. "$(dirname "$0")/peers.sh"
peers_open peer-vendure vendure
need node nodejs
here=$root/bench/peers/vendure
[ -d "$here/node_modules" ] || (cd "$here" && npm ci --no-audit --no-fund >&2) || fail "npm ci failed in $here"
PGHOST=$(echo "$dsn" | sed 's/.*host=\([^ ]*\).*/\1/') PGUSER=$(echo "$dsn" | sed 's/.*user=\([^ ]*\).*/\1/')
export PGHOST PGUSER NODE_ENV=production VENDURE_DISABLE_TELEMETRY=true
details='id name slug description facetValues{name facet{name}} optionGroups{name options{name}}
    variants{id name sku price priceWithTax currencyCode stockLevel options{name}}'

vendure() { # vendure DATABASE COMMAND [ARGUMENT]
    database=$1
    shift
    PGDATABASE=$database taskset -c 0 node "$here/server.mjs" "$@" 2>>"$work/vendure.log" || fail "vendure: $(tail -n 3 "$work/vendure.log")"
}
# The products as Vendure reads them; facets for what are vendor, type and tags there.
products_csv() {
    echo "name,slug,description,assets,facets,optionGroups,optionValues,sku,price,taxCategory,stockOnHand,trackInventory,variantAssets,variantFacets"
    awk -F '"' '
        NR > 1 && NF > 1 {
            split($1, product, ","); split($3, made, ","); split($4, tag, ", "); split($5, variant, ",")
            tags = "tag:" tag[1] (tag[1] == tag[2] ? "" : "|tag:" tag[2])
            printf "%s,%s,\"%s\",,vendor:%s|type:%s|%s,Size,%s,%s,%s,standard,%s,true,,\n", product[2], product[1], $2, made[2], made[3],
                tags, variant[3], variant[4], variant[5], variant[7]
        }
        NR > 1 && NF == 1 {
            split($0, variant, ",")
            printf ",,,,,,%s,%s,%s,standard,%s,true,,\n", variant[8], variant[9], variant[10], variant[12]
        }' "$work/products.csv"
}
ask() { # ask FIGURE QUERY NAME: lines of values become requests with that variable
    awk -v query="$(echo "$2" | tr -s '\n ' '  ')" -v name="$3" '{
        printf "POST\tlocalhost\t/shop-api\tnone\t{\"query\":\"%s\",\"variables\":{\"%s\":%s}}\n", query, name, $0
    }' >"$work/theirs-$1"
}
peer_prepare() {
    database "vendure_$$"
    vendure "vendure_$$" prepare >&2
    products_csv >"$work/vendure.csv"
    sed 's/.*/"product-&"/' "$work/numbers" | ask product-read "query(\$slug:String!){product(slug:\$slug){$details}}" slug
    awk '{ print ($1 - 1) * 24 }' "$work/pages" |
        ask list "query(\$skip:Int!){products(options:{take:24,skip:\$skip}){totalItems items{$details}}}" skip
    sed 's/.*/"&"/' "$work/terms" | ask search "query(\$term:String!){search(input:{term:\$term,take:24,groupByProduct:true}){totalItems
        items{productId productName slug description currencyCode priceWithTax{...on PriceRange{min max}}}}}" term
}
peer_import() { # peer_import N: the seconds of an import into a new database
    database "vendure_$$_$1" "vendure_$$"
    vendure "vendure_$$_$1" import "$work/vendure.csv"
}
peer_serve() {
    served=vendure_$$_$pairs
    $psql "$dsn dbname=$served" -F ' ' -c "select sku, id from product_variant" | variants theirs
    start env PGDATABASE="$served" taskset -c 0 node "$here/server.mjs" serve "$theirs_at" >"$work/vendure-served.log" 2>&1
    for _ in $(seq 600); do
        curl -sf "http://127.0.0.1:$theirs_at/bench-statements" >/dev/null && return
        sleep 0.2
    done
    fail "Vendure isn't ready: $(tail -n 3 "$work/vendure-served.log")"
}
peer_statements() { curl -sf "http://127.0.0.1:$theirs_at/bench-statements"; }
peers_run
