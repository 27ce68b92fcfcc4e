// runtime/storefront/countries.c: the countries of ISO 3166-1.
#include "runtime/storefront/countries.h"

const Country COUNTRIES[] = {
#define COUNTRY(code, english, spanish, is_postal_code_optional)                                                       \
    {code, {[LANGUAGE_EN] = (english), [LANGUAGE_ES] = (spanish)}, is_postal_code_optional},
#include "base/country.def"
#undef COUNTRY
    {NULL, {NULL, NULL}, false},
};

enum { COUNTRY_COUNT = COUNT(COUNTRIES) - 1, CODE_WIDTH = sizeof("ES ") - 1 };

// Their codes in the order of their names, by the Unicode Collation Algorithm with the language's own rules: a letter
// with an accent stands beside the one without, and a Spanish ene after en.
static const char *const BY_NAME[LANGUAGE_COUNT] = {
    [LANGUAGE_EN] = "AF AX AL DZ AS AD AO AI AQ AG AR AM AW AU AT AZ BS BH BD BB BY BE BZ BJ BM BT BO BA BW BV BR "
                    "IO VG BN BG BF BI KH CM CA CV BQ KY CF TD CL CN CX CC CO KM CG CD CK CR CI HR CU CW CY CZ DK "
                    "DJ DM DO EC EG SV GQ ER EE SZ ET FK FO FJ FI FR GF PF TF GA GM GE DE GH GI GR GL GD GP GU GT "
                    "GG GN GW GY HT HM HN HK HU IS IN ID IR IQ IE IM IL IT JM JP JE JO KZ KE KI KW KG LA LV LB LS "
                    "LR LY LI LT LU MO MG MW MY MV ML MT MH MQ MR MU YT MX FM MD MC MN ME MS MA MZ MM NA NR NP NL "
                    "NC NZ NI NE NG NU NF KP MK MP NO OM PK PW PS PA PG PY PE PH PN PL PT PR QA RE RO RU RW WS SM "
                    "ST SA SN RS SC SL SG SX SK SI SB SO ZA GS KR SS ES LK BL SH KN LC MF PM VC SD SR SJ SE CH SY "
                    "TW TJ TZ TH TL TG TK TO TT TN TR TM TC TV UM VI UG UA AE GB US UY UZ VU VA VE VN WF EH YE ZM "
                    "ZW",
    [LANGUAGE_ES] = "AF AL DE AD AO AI AQ AG SA DZ AR AM AW AU AT AZ BS BD BB BH BE BZ BJ BM BY BO BA BW BR BN BG "
                    "BF BI BT CV KH CM CA BQ QA TD CZ CL CN CY VA CO KM CG KP KR CR CI HR CU CW DK DM EC EG SV AE "
                    "ER SK SI ES US EE SZ ET PH FI FJ FR GA GM GE GH GI GD GR GL GP GU GT GF GG GN GQ GW GY HT HN "
                    "HU IN ID IQ IR IE BV IM CX NF IS AX KY CC CK FO GS HM FK MP MH UM PN SB TC VG VI IL IT JM JP "
                    "JE JO KZ KE KG KI KW LA LS LV LB LR LY LI LT LU MK MG MY MW MV ML MT MA MQ MU MR YT MX FM MD "
                    "MC MN ME MS MZ MM NA NR NP NI NE NG NU NO NC NZ OM NL PK PW PA PG PY PE PF PL PT PR HK MO GB "
                    "CF CD DO RE RW RO RU EH WS AS BL KN SM MF PM VC SH LC ST SN RS SC SL SG SX SY SO LK ZA SD SS "
                    "SE CH SR SJ TH TW TZ TJ IO TF PS TL TG TK TO TT TN TM TR TV UA UG UY UZ VU VE VN WF YE DJ ZM "
                    "ZW",
};

static int country_compare(const void *code, const void *country)
{
    return memcmp(((const Str *)code)->data, ((const Country *)country)->code, 2);
}

const Country *country_find(Str code)
{
    return code.len == 2 ? bsearch(&code, COUNTRIES, COUNTRY_COUNT, sizeof(Country), country_compare) : NULL;
}

const Country *country_by_name(Language language, size_t i)
{
    return i < COUNTRY_COUNT ? country_find((Str){BY_NAME[language] + i * CODE_WIDTH, 2}) : NULL;
}
