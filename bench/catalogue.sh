#!/bin/sh
# Prints a product CSV for bench/run.sh: `large`, whose page has about 24 KiB, and `small`, whose JSON has about 600 bytes.
set -eu
echo 'Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant Price,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy'
printf 'large,Large,"'
for paragraph in $(seq 1 188); do
    printf '<p>Paragraph %s of a long description, as shops write them: what it is made of, how it is used.</p>' "$paragraph"
done
printf '",Title,Default Title,19.00,shopify,100000,deny\n'
echo 'small,Small,,Title,Default Title,9.00,shopify,100000,deny'
