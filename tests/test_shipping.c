// tests/test_shipping.c: the ways of shipping that a shop may offer, and that each refusal says why.
#include "provisioner/shipping.h"

#include "tests/support/more_check.h"

static bool read_text(const char *given, const char *currency, Arena *arena, Str *out, Error *err)
{
    CLEANUP(json_close) Json *object = NULL;
    CLEANUP(json_close) Json *list = NULL;
    return json_parse(str_of(given), &object, err) && shipping_read(object, str_of(currency), &list, err) &&
           json_print(list, 0, arena, out, err);
}

TEST(prices_are_exact_and_the_order_stays)
{
    static const char *const READ[][3] = {
        {"{\"standard\": \"4.90\", \"express\": 9.9, \"a-1\": 0}", "EUR",
         "[{\"code\":\"standard\",\"price\":{\"amount\":490,\"currency\":\"EUR\"}},{\"code\":\"express\",\"price\":{"
         "\"amount\":990,\"currency\":\"EUR\"}},{\"code\":\"a-1\",\"price\":{\"amount\":0,\"currency\":\"EUR\"}}]"},
        {"{\"pickup\": \"500\"}", "JPY", "[{\"code\":\"pickup\",\"price\":{\"amount\":500,\"currency\":\"JPY\"}}]"},
        {"{\"pickup\": \"0.125\"}", "KWD", "[{\"code\":\"pickup\",\"price\":{\"amount\":125,\"currency\":\"KWD\"}}]"},
    };
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    for (size_t i = 0; i < COUNT(READ); i++) {
        Error err = {0};
        Str list = S("");
        ck_assert_ok(read_text(READ[i][0], READ[i][1], arena, &list, &err), &err);
        ck_assert_str(list, str_of(READ[i][2]));
    }
}

static const Refused REFUSED[] = {
    {S("{}"), "isn't a mapping"},
    {S("[1]"), "isn't a mapping"},
    {S("{\"Express\": 1}"), "'Express' is refused"},
    {S("{\"\": 1}"), "a-z, 0-9"},
    {S("{\"-a\": 1}"), "a-z, 0-9"},
    {S("{\"a_b\": 1}"), "a-z, 0-9"},
    {S("{\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddX\": 1}"), "a-z, 0-9"},
    {S("{\"standard\": \"4,90\"}"), "the price of shipping by 'standard'"},
    {S("{\"standard\": 4.905}"), "more decimals"},
    {S("{\"standard\": -1}"), "the price of shipping"},
    {S("{\"standard\": true}"), "the price of shipping"},
    {S("{\"standard\": \"\"}"), "it is empty"},
};

TEST(what_is_no_way_of_shipping_is_refused_and_says_why)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    Error err = {0};
    Str list = S("");
    ck_assert(!read_text(REFUSED[_i].text.data, "EUR", arena, &list, &err));
    ck_assert_says(&err, ERR_INVALID, REFUSED[_i].says);
    ck_assert_str(str_of(err.where), S("shipping"));
    ck_assert(err.next[0]);
}

TEST(more_than_twenty_are_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(MIB);
    CLEANUP(json_close) Json *many = json_build("{}");
    CLEANUP(json_close) Json *list = NULL;
    Error err = {0};
    for (int i = 0; i <= SHIPPING_MAX; i++)
        ck_assert(json_put(many, str_format(arena, "way-%d", i).data, json_from_int(i)));
    ck_assert(!shipping_read(many, S("EUR"), &list, &err));
    ck_assert_says(&err, ERR_INVALID, "more than 20");
}

SUITE(shipping, ONCE(prices_are_exact_and_the_order_stays),
      EACH(what_is_no_way_of_shipping_is_refused_and_says_why, REFUSED), ONCE(more_than_twenty_are_refused))
