# shellcheck shell=sh disable=SC2034,SC2154
# What the scripts of peers share: the catalogue, what is asked of shopd, and the order of the measurements. A peer's script has the
# functions peer_prepare, peer_import N, peer_serve and peer_statements, and writes $work/theirs-{product-read,list,search,variants}.
# Servers run on core 0, one process each; PostgreSQL, which both sides share, and the client run on core 1.

# peers_open NAME PEER: a platform, with PostgreSQL on core 1 until the end.
peers_open() {
    bench_open "$1"
    peer=$2 products=${PRODUCTS:-1000}
    [ "$products" -ge 50 ] || fail "PRODUCTS has to be 50 or more: a search has 24 results"
    ours_at=$((port + 1)) theirs_at=$((port + 2)) databases=
    trap 'peers_close; bench_close' EXIT
    postgres_on 1
    controller_pause
    sh "$root/bench/products.sh" "$products" | awk -v products="$products" -v scarce="$pairs" -v materials=$((products / 25)) '
        NF && NR > 1 {
            i = int(NR / 2)
            sub(/is made of/, sprintf("is made of material%02d", i % materials))
            if (i > products - scarce) sub(/shopify,1000/, "shopify,10")
        }
        { print }' >"$work/products.csv"
    requests
}
peers_close() {
    for child in $children; do child_stop "$child"; done
    for database in $databases; do $psql "$dsn" -c "drop database if exists $database with (force)" || true; done
    postgres_on 0,1
    controller_go_on
}
postgres_on() { for pid in $postmaster $(pgrep -P "$postmaster"); do taskset -cp "$1" "$pid" >/dev/null 2>&1 || true; done; }
database() { # database NAME [TEMPLATE]: a new one for the peer, dropped at the end
    $psql "$dsn" -c "create database $1 ${2:+template $2}"
    databases="$databases $1"
}
# terms: a search a product: the name of a material, which 25 products have, with one or two other words in some order.
terms() {
    awk -v products="$products" -v materials=$((products / 25)) 'BEGIN {
        split("product made uses cleans sentence", word, " ")
        for (i = 0; i < products; i++) {
            first = word[int(i / materials) % 5 + 1]; second = word[int(i / materials / 5) % 5 + 1]
            printf "%s%s material%02d\n", first, first == second ? "" : " " second, i % materials
        }
    }'
}
# requests: a product, a page of a list and a term, $products of each, in files; the peer makes its own of the same numbers.
requests() {
    seq "$products" | awk -v products="$products" '{ print $1 * 7919 % products + 1 }' >"$work/numbers"
    seq "$products" | awk -v pages=$((products / 24)) '{ print ($1 - 1) % pages + 1 }' >"$work/pages"
    terms >"$work/terms"
}
shop() { # shop SLUG: a new one without limits
    "$shopctl" tenant create "$1" --plan standard --email owner@bench.example -q >/dev/null
    "$shopctl" tenant set "$1" --limit products=0 -q >/dev/null
    "$shopctl" tenant set "$1" --limit requests_per_second=0 -q >/dev/null
    slug=$1
}
shop_requests() {
    awk -v slug="$slug" -v to="$work/ours" '
        function ask(file, path) { printf "GET\t%s.localhost\t/api/v1/store/products%s\n", slug, path >(to "-" file) }
        FILENAME ~ /numbers$/ { ask("product-read", "/product-" $1) }
        FILENAME ~ /pages$/ { ask("list", "?per_page=24&page=" $1) }
        FILENAME ~ /terms$/ { gsub(/ /, "+"); ask("search", "?per_page=24&q=" $0) }' "$work/numbers" "$work/pages" "$work/terms"
    schema=$($psql "$dsn" -c "select 't_' || number from cell.tenants where slug = '$slug'")
    $psql "$dsn" -F ' ' -c "select sku, id from $schema.variants" | variants ours
}
# variants SIDE: of lines "SKU ID" the ids to order, and those of which there are ten, to files.
variants() {
    awk -v first_scarce=$((products - pairs + 1)) -v to="$work/$1" '{
        split($1, part, "-")
        if (part[3] == "S") print $2 >(to (part[2] < first_scarce ? "-variants" : "-scarce"))
    }'
}
# keep FIGURE OURS THEIRS: a pair, until `results`.
keep() {
    say "$1: ours $2, theirs $3"
    echo "$2 $3" >>"$work/pairs-$1"
}
results() { # results FIGURE UNIT [less]
    mv "$work/pairs-$1" "$work/pairs"
    result "$name-$1" "$2" "$peer" "${3:-}"
}
client() { taskset -c 1 node "$root/bench/peers/client.mjs" "$@"; }
imports() {
    for i in $(seq "$pairs"); do
        shop "peer-$$-$i"
        timed taskset -c 0 "$shopctl" product import "$slug" "$work/products.csv" -q >/dev/null
        ours=$took
        peer_import "$i" >"$work/took"
        keep import "$ours" "$(cat "$work/took")"
    done
}
# check SIDE PORT: asks the first 100 requests once; leaves the mean bytes of a right answer.
check() {
    for figure in product-read list search; do
        least=24
        [ "$figure" = product-read ] && least=1
        head -n 100 "$work/$1-$figure" >"$work/checked"
        client check "$2" "$work/checked" "$least" >"$work/$1-$figure-bytes" || fail "$1: wrong answers to $figure"
        say "$1: $figure: 100 requests answered rightly, $(cat "$work/$1-$figure-bytes") bytes in the mean"
    done
}
# rate SIDE FIGURE PORT: answers a second over 16 connections; they must be as long as the right ones.
rate() {
    taskset -c 1 "$load" -c 16 -s "$seconds" "127.0.0.1:$3" "$work/$1-$2" >"$work/answer"
    read -r answers wall _ p50 p99 bytes wrong <"$work/answer"
    say "$1: $2: $answers answers in $wall s, p50 $p50 us, p99 $p99 us"
    [ "$wrong" -eq 0 ] || fail "$1: $wrong wrong answers to $2"
    [ $((bytes / answers)) -ge $(($(cat "$work/$1-$2-bytes") * 8 / 10)) ] ||
        fail "$1: answers to $2 have $((bytes / answers)) bytes, not $(cat "$work/$1-$2-bytes")"
    rate=$(echo "$answers $wall" | awk '{ printf "%.2f", $1 / $2 }')
}
# orders SIDE KIND PORT HOST COUNTER...: orders a second of 8 buyers in $rate, and calls of the database for each in $calls.
orders() {
    side=$1 kind=$2 at=$3 host=$4
    shift 4
    before=$("$@")
    client orders "$kind" "$at" "$host" 8 $((seconds * 4)) 0 "$work/$side-variants" >"$work/answer"
    read -r accepted refused _ wall all <"$work/answer"
    [ "$refused" -eq 0 ] || fail "$side: $refused orders were refused"
    calls=$(echo "$before $("$@") $all" | awk '{ printf "%.1f", ($2 - $1) / $3 }')
    rate=$(echo "$accepted $wall" | awk '{ printf "%.2f", $1 / $2 }')
    say "$side: $accepted orders in $wall s, $calls calls of the database for each"
}
# stock SIDE KIND PORT HOST PAIR: 50 buyers at once of something of which there are ten; $accepted of them have an order then.
stock() {
    sed -n "$5p" "$work/$1-scarce" >"$work/scarce"
    client orders "$2" "$3" "$4" 50 0 50 "$work/scarce" >"$work/answer"
    read -r accepted refused failed _ <"$work/answer"
    say "$1: of 50 orders on a stock of 10 $accepted accepted, $refused refused, $failed failed"
}
rss() { awk '$1 == "VmRSS:" { printf "%.1f\n", $2 / 1024 }' "/proc/$1/status"; }

# peers_run: all figures, the two sides in turn.
peers_run() {
    peer_prepare
    imports
    shop_requests
    peer_serve
    theirs_pid=$started
    shopd_start 0 "$ours_at" --threads 1
    ours_pid=$started
    check ours "$ours_at"
    check theirs "$theirs_at"
    for i in $(seq "$pairs"); do
        for figure in product-read list search; do
            rate ours "$figure" "$ours_at" && ours=$rate
            rate theirs "$figure" "$theirs_at" && keep "$figure" "$ours" "$rate"
        done
        orders ours shopd "$ours_at" "$slug.localhost" metric "$ours_at" shopd_queries_total
        ours=$rate ours_calls=$calls
        orders theirs "$peer" "$theirs_at" localhost peer_statements
        keep order "$ours" "$rate"
        keep order-calls "$ours_calls" "$calls"
        stock ours shopd "$ours_at" "$slug.localhost" "$i"
        [ "$accepted" -eq 10 ] || fail "shopd took $accepted orders on a stock of 10"
        stock theirs "$peer" "$theirs_at" localhost "$i"
        keep stock 10 "$accepted"
        keep memory "$(rss "$ours_pid")" "$(rss "$theirs_pid")"
    done
    results product-read requests/s
    results list requests/s
    results search requests/s
    results order orders/s
    results order-calls calls less
    results stock orders less
    results memory MiB less
    results import s less
}
