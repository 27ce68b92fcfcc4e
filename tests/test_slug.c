// tests/test_slug.c: what a slug and a host name may be, and that each refusal says why.
#include "provisioner/slug.h"
#include "tests/support/more_check.h"

#define TEN "abcdefghij"

static const Refused REFUSED[] = {
    {S(""), "has 0 characters"},
    {S("ab"), "has 2 characters"},
    {S(TEN TEN TEN TEN "a"), "has 41 characters"},
    {S("Acme"), "character 1 is 'A'"},
    {S("acme_shop"), "character 5 is '_'"},
    {S("-acme"), "character 1 is '-'"},
    {S("acme-"), "character 5 is '-'"},
    {S("acme.shop"), "character 5 is '.'"},
    {S("acme shop"), "byte 5 is 0x20"},
    {S("ac\0me"), "byte 3 is 0x00"},
    {S("caf\xc3\xa9"), "byte 4 is 0xc3"},
    {S("a'; drop table"), "character 2 is '''"},
};

TEST(a_wrong_slug_is_refused_and_says_why)
{
    Error err = {0};
    Slug slug = {0};
    ck_assert(!slug_parse(REFUSED[_i].text, &slug, &err));
    ck_assert_says(&err, ERR_INVALID, REFUSED[_i].says);
    ck_assert_says(&err, ERR_INVALID, "a-z, 0-9 and hyphens");
    ck_assert_ptr_null(slug.text.data);    // *out is untouched
}

static const Str TAKEN[] = {S("abc"), S("a-b"), S("a--b"), S("007"), S("acme-shop-2"), S(TEN TEN TEN TEN)};

TEST(a_right_slug_is_taken_as_it_is)
{
    Error err = {0};
    Slug slug = {0};
    ck_assert_ok(slug_parse(TAKEN[_i], &slug, &err), &err);
    ck_assert_str(slug.text, TAKEN[_i]);
}

static const Refused HOSTS_REFUSED[] = {
    {S(""), "it is empty"},
    {S("shop.example."), "ends in a dot"},
    {S("shop..example"), "its part ''"},
    {S(".example"), "its part ''"},
    {S("-shop.example"), "its part '-shop'"},
    {S("shop-.example"), "its part 'shop-'"},
    {S("shop_1.example"), "its part 'shop_1'"},
    {S("shop.example:8080"), "its part 'example:8080'"},
    {S("https://shop.example"), "its part 'https://shop'"},
    {S("caf\xc3\xa9.example"), "xn--"},
    {S(TEN TEN TEN TEN TEN TEN "abcd.example"), "isn't 1 to 63"},
    {S(TEN TEN "." TEN TEN "." TEN TEN "." TEN TEN "." TEN TEN "." TEN TEN "." TEN TEN "." TEN TEN "." TEN TEN
               "." TEN TEN "." TEN TEN "." TEN TEN ".ab"),
     "longer than 253"},
};

TEST(a_wrong_host_is_refused_and_says_why)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str host = {0};
    ck_assert(!host_parse(HOSTS_REFUSED[_i].text, arena, &host, &err));
    ck_assert_says(&err, ERR_INVALID, HOSTS_REFUSED[_i].says);
    ck_assert_ptr_null(host.data);
}

static const Str HOSTS_TAKEN[][2] = {
    {S("shop.example"), S("shop.example")},
    {S("WWW.Shop.Example"), S("www.shop.example")},
    {S("localhost"), S("localhost")},
    {S("xn--caf-dma.example"), S("xn--caf-dma.example")},
    {S("a.b-c.9.example"), S("a.b-c.9.example")},
    {S(TEN TEN TEN TEN TEN TEN "abc.example"), S(TEN TEN TEN TEN TEN TEN "abc.example")},
};

TEST(a_right_host_is_taken_in_small_letters)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str host = {0};
    ck_assert_ok(host_parse(HOSTS_TAKEN[_i][0], arena, &host, &err), &err);
    ck_assert_str(host, HOSTS_TAKEN[_i][1]);
}

static bool host_of_acme(Arena *arena, Error *err)
{
    Str host = {0};
    if (!host_parse(S("Acme.Example"), arena, &host, err))
        return false;
    ck_assert_str(host, S("acme.example"));
    return true;
}

TEST(the_host_is_right_or_memory_ran_out)
{
    check_every_budget(host_of_acme);
}

TEST(the_schema_follows_from_the_number)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    ck_assert_str(tenant_schema(1017, arena), S("t_1017"));
    ck_assert_str(tenant_schema(INT64_MAX, arena), S("t_9223372036854775807"));
}

SUITE(slug, EACH(a_wrong_slug_is_refused_and_says_why, REFUSED), EACH(a_right_slug_is_taken_as_it_is, TAKEN),
      EACH(a_wrong_host_is_refused_and_says_why, HOSTS_REFUSED),
      EACH(a_right_host_is_taken_in_small_letters, HOSTS_TAKEN), ONCE(the_host_is_right_or_memory_ran_out),
      ONCE(the_schema_follows_from_the_number))
