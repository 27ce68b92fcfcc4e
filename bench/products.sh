#!/bin/sh
# Prints a product CSV of COUNT products, two variants each, with picture, tags and a description of some 600 bytes.
set -eu
awk -v count="$1" 'BEGIN {
    print "Handle,Title,Body (HTML),Vendor,Type,Tags,Option1 Name,Option1 Value,Variant SKU,Variant Price," \
          "Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Image Src"
    for (i = 1; i <= count; i++) {
        body = ""
        for (j = 1; j <= 6; j++)
            body = body "<p>Sentence " i * 7 + j " about what product " i " is made of, and how one uses and cleans it.</p>"
        printf "product-%d,Product %d,\"%s\",Vendor %d,Type %d,\"tag-%d, tag-%d\",Size,S,SKU-%d-S,%d.90,shopify,1000,deny," \
               "https://images.example/%d.jpg\n", i, i, body, i % 50, i % 20, i % 30, i % 31, i, i % 90 + 9, i
        printf "product-%d,,,,,,,M,SKU-%d-M,%d.90,shopify,1000,deny,\n", i, i, i % 90 + 10
    }
}'
