// runtime/storefront/buyer.c: the fields of a checkout.
#include "runtime/storefront/buyer.h"

#include "base/arena.h"
#include "runtime/storefront/countries.h"

typedef const char *FieldCheck(const Buyer *buyer, Str text);    // the word for what is wrong, or NULL

typedef struct FieldRow {
    const char *name;
    size_t characters_max;
    bool is_required;
    bool is_in_address;
    FieldCheck *check;
} FieldRow;

// What the words say in English, for the API.
static const struct {
    const char *word, *why, *next;
} PROBLEMS[] = {
    {"problem_required", "it is missing or empty", "give it a value"},
    {"problem_too_long", "it is too long", "shorten it"},
    {"problem_text", "it has a control character", "write it in one line of text"},
    {"problem_email", "it isn't an email address", "write it as in 'name@example.com'"},
    {"problem_country", "it isn't a country's code of ISO 3166-1", "write two capital letters, as in 'ES'"},
    {"problem_choice", "it isn't one of the choices", "use 'bank_transfer' or 'cash_on_delivery'"},
    {"problem_type", "it isn't a text", "write it as a JSON string"},
};

static bool is_domain(Str domain)
{
    Str label, rest = domain;
    size_t labels = 0;
    while (str_cut(&rest, '.', &label)) {
        labels++;
        if (label.len == 0 || label.len > 63 || label.data[0] == '-' || label.data[label.len - 1] == '-')
            return false;
        for (size_t i = 0; i < label.len; i++) {
            char c = label.data[i];
            bool ok =
                (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c & 0x80;
            if (!ok)
                return false;
        }
    }
    return labels > 1;
}

// The dot-atom form of RFC 5321, also with letters beyond ASCII (RFC 6531); no quoted names, no addresses in brackets.
static const char *check_email(const Buyer *buyer, Str text)
{
    (void)buyer;
    size_t at = str_find_char(text, '@');
    Str local = str_slice(text, 0, at);
    bool ok = at < text.len && local.len > 0 && local.len <= 64 && local.data[0] != '.' &&
              local.data[local.len - 1] != '.' && str_find(local, S("..")) == local.len;
    for (size_t i = 0; ok && i < local.len; i++)
        ok = (unsigned char)local.data[i] > ' ' && !strchr("()<>[]:;,\\\"", local.data[i]);
    return ok && is_domain(str_skip(text, at + 1)) ? NULL : "problem_email";
}

static const char *check_country(const Buyer *buyer, Str text)
{
    (void)buyer;
    return country_find(text) ? NULL : "problem_country";
}

static const char *check_payment(const Buyer *buyer, Str text)
{
    (void)buyer;
    return str_eq(text, S("bank_transfer")) || str_eq(text, S("cash_on_delivery")) ? NULL : "problem_choice";
}

static const FieldRow FIELDS[BUYER_FIELD_COUNT] = {
    [BUYER_EMAIL] = {"email", 254, true, false, check_email},
    [BUYER_NAME] = {"name", 100, true, true, NULL},
    [BUYER_LINE1] = {"line1", 200, true, true, NULL},
    [BUYER_LINE2] = {"line2", 200, false, true, NULL},
    [BUYER_POSTAL_CODE] = {"postal_code", 20, true, true, NULL},
    [BUYER_CITY] = {"city", 100, true, true, NULL},
    [BUYER_REGION] = {"region", 100, false, true, NULL},
    [BUYER_COUNTRY] = {"country", 2, true, true, check_country},
    [BUYER_SHIPPING_METHOD] = {"shipping_method", 50, true, false, NULL},
    [BUYER_PAYMENT_METHOD] = {"payment_method", 50, true, false, check_payment},
};

const char *buyer_field_name(BuyerField field) { return FIELDS[field].name; }

static bool has_control(Str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F)
            return true;
    return false;
}

static bool is_required(const Buyer *buyer, BuyerField field)
{
    const Country *country = country_find(buyer->fields[BUYER_COUNTRY]);
    return FIELDS[field].is_required && !(field == BUYER_POSTAL_CODE && country && country->is_postal_code_optional);
}

static const char *problem_of(const Buyer *buyer, BuyerField field)
{
    Str text = buyer->fields[field];
    if (text.len == 0)
        return is_required(buyer, field) ? "problem_required" : NULL;
    if (has_control(text))
        return "problem_text";
    if (field != BUYER_COUNTRY && str_characters(text) > FIELDS[field].characters_max)
        return "problem_too_long";
    return FIELDS[field].check ? FIELDS[field].check(buyer, text) : NULL;
}

bool buyer_from_form(Request *r, const Form *form, Buyer *out, Faults *faults, Error *err)
{
    for (BuyerField field = 0; field < BUYER_FIELD_COUNT; field++) {
        Str text = form_value(form, str_of(FIELDS[field].name));
        out->fields[field] = text.data ? str_trim(text) : S("");
    }
    for (BuyerField field = 0; field < BUYER_FIELD_COUNT; field++) {
        const char *problem = problem_of(out, field);
        if (problem)
            faults_add(
                faults,
                &(Fault){.where = str_of(FIELDS[field].name), .what = out->fields[field], .why = str_of(problem)});
    }
    return arena_ok(r->arena, err);
}

// ---- JSON ----

static void fault_add(Request *r, Faults *faults, BuyerField field, const char *word)
{
    for (size_t i = 0; i < COUNT(PROBLEMS); i++)
        if (strcmp(PROBLEMS[i].word, word) == 0)
            faults_add(faults, &(Fault){.where = str_format(r->arena, "%s%s",
                                                            FIELDS[field].is_in_address ? "shipping_address." : "",
                                                            FIELDS[field].name),
                                        .what = str_of(FIELDS[field].name),
                                        .why = str_of(PROBLEMS[i].why),
                                        .next = str_of(PROBLEMS[i].next)});
}

bool buyer_from_json(Request *r, const Json *body, Buyer *out, Faults *faults, Error *err)
{
    bool is_text[BUYER_FIELD_COUNT];
    const Json *address = json_get(body, "shipping_address");
    if (address && json_kind(address) != JSON_KIND_OBJECT)
        faults_add(faults, &(Fault){.where = S("shipping_address"),
                                    .what = S("shipping_address"),
                                    .why = S("it isn't an object"),
                                    .next = S("write name, line1, city, postal_code and country into an object")});
    for (BuyerField field = 0; field < BUYER_FIELD_COUNT; field++) {
        const Json *value = json_get(FIELDS[field].is_in_address ? address : body, FIELDS[field].name);
        JsonKind kind = json_kind(value);
        is_text[field] = kind == JSON_KIND_STRING || kind == JSON_KIND_NULL;
        out->fields[field] = str_trim(json_str(value));
    }
    for (BuyerField field = 0; field < BUYER_FIELD_COUNT; field++) {
        const char *problem = is_text[field] ? problem_of(out, field) : "problem_type";
        if (problem)
            fault_add(r, faults, field, problem);
    }
    return arena_ok(r->arena, err);
}

// ---- what the database knows ----

bool is_shipping_offered(const Json *list, Str code)
{
    const Json *items = json_get(list, "items");
    for (size_t i = 0; i < json_count(items); i++)
        if (str_eq(json_str(json_get(json_element(items, i), "code")), code))
            return true;
    return false;
}

// As order_place refuses it.
void buyer_shipping_check(Request *r, const Json *list, const Buyer *buyer, Faults *faults)
{
    Str field = str_of(FIELDS[BUYER_SHIPPING_METHOD].name), code = buyer->fields[BUYER_SHIPPING_METHOD];
    const Json *items = json_get(list, "items");
    StrBuf next = {.arena = r->arena};
    for (const Fault *fault = faults->first; fault; fault = fault->next_fault)
        if (str_eq(fault->where, field))
            return;
    if (is_shipping_offered(list, code))
        return;
    for (size_t i = 0; i < json_count(items); i++)
        strbuf_format(&next, "%s%.*s", i ? ", " : "use ", STR_ARG(json_str(json_get(json_element(items, i), "code"))));
    faults_add(faults, &(Fault){.where = field,
                                .what = field,
                                .why = str_format(r->arena, "there is no method '%.*s'", STR_ARG(code)),
                                .next = json_count(items) ? strbuf_str(&next) : S("the shop ships nothing")});
}

// ---- the order ----

bool buyer_address(Request *r, const Buyer *buyer, Str *out, Error *err)
{
    CLEANUP(json_close) Json *address = json_build("{}");
    for (BuyerField field = 0; field < BUYER_FIELD_COUNT; field++)
        if (FIELDS[field].is_in_address &&
            !json_set(address, FIELDS[field].name, json_from_str(buyer->fields[field]), err))
            return false;
    return json_print(address, 0, r->arena, out, err);
}

bool buyer_hash(Request *r, const Buyer *buyer, Str cart, Str *out, Error *err)
{
    CLEANUP(json_close) Json *all = json_build("[]");
    bool ok = json_append(all, json_from_str(cart));
    for (BuyerField field = 0; ok && field < BUYER_FIELD_COUNT; field++)
        ok = json_append(all, json_from_str(buyer->fields[field]));
    Str text;
    char *hash = arena_bytes(r->arena, SHA256_HEX);
    if (!ok || !hash)
        return json_ok(NULL, err);
    if (!json_print(all, 0, r->arena, &text, err))
        return false;
    sha256_hex(text, hash);
    *out = (Str){hash, SHA256_HEX};
    return true;
}

bool buyer_order(Request *r, const Buyer *buyer, Str cart, Str key, QueryDone *done, Error *err)
{
    Str address, hash;
    return buyer_address(r, buyer, &address, err) && buyer_hash(r, buyer, cart, &hash, err) &&
           request_write(r, S("select :order_place($1, $2, $3, $4, $5, $6, $7)"),
                         PARAMS(cart, key, hash, buyer->fields[BUYER_EMAIL], address,
                                buyer->fields[BUYER_SHIPPING_METHOD], buyer->fields[BUYER_PAYMENT_METHOD]),
                         done, err);
}
