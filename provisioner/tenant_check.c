// provisioner/tenant_check.c: what may stand in a tenant's record.
#include "provisioner/tenant_check.h"

#include "base/country.h"
#include "base/currency.h"
#include "provisioner/lifecycle.h"
#include "provisioner/shipping.h"

enum { EMAIL_MAX = 254, NAME_MAX_BYTES = 200, HOST_MAX = 253, LABEL_MAX = 63 };

// One of the field's values, in the singular.
static const char *value_name(const char *field)
{
    return strcmp(field, "colors") == 0 ? "colour" : strcmp(field, "domains") == 0 ? "host" : field;
}

static bool refused(Error *err, const char *field, Str value, const char *why)
{
    error_set(err, ERR_INVALID, "the %s '%.*s' is refused", value_name(field), STR_ARG(value));
    error_where(err, "%s", field);
    return error_why(err, "%s", why);
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool name_check(Str name, Error *err)
{
    if (name.len > NAME_MAX_BYTES)
        return refused(err, "name", str_slice(name, 0, 40), "it has more than 200 bytes");
    if (!str_is_utf8(name))
        return refused(err, "name", S(""), "it isn't UTF-8");
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == 0x7F) {
            refused(err, "name", name, "it has a control character, such as the end of a line");
            return error_next(err, "write it in one line");
        }
    return true;
}

// An empty name is nothing in a new shop, which is called by its slug then; an old one needs one.
static bool name_change_check(Str name, Error *err)
{
    if (!str_is_empty(str_trim(name)))
        return name_check(name, err);
    error_set(err, ERR_INVALID, "a shop's name can't be empty");
    error_where(err, "name");
    return error_next(err, "write what shoppers read");
}

static bool email_check(Str email, Error *err)
{
    size_t at = str_find_char(email, '@');
    Str domain = str_skip(email, at + 1);
    bool is_plain = str_is_utf8(email);
    for (size_t i = 0; i < email.len; i++)
        is_plain = is_plain && (unsigned char)email.data[i] > ' ' && email.data[i] != 0x7F;
    if (is_plain && at > 0 && domain.len > 0 && !str_has_char(domain, '@') && email.len <= EMAIL_MAX)
        return true;
    if (email.len == 0) {
        error_set(err, ERR_INVALID, "the email is missing");
        error_where(err, "email");
    } else {
        refused(err, "email", email, "it isn't an address");
    }
    return error_next(err, "write it as owner@shop.example");
}

static bool language_check(Str language, Error *err)
{
    if (str_eq(language, S("en")) || str_eq(language, S("es")))
        return true;
    refused(err, "language", language, "the storefront doesn't speak it");
    return error_next(err, "use en or es");
}

static bool country_check(Str country, Error *err)
{
    if (is_country(country))
        return true;
    refused(err, "country", country, "it isn't a country of ISO 3166-1");
    return error_next(err, "use a code of two capital letters, such as ES");
}

static bool currency_check(Str currency, Error *err)
{
    if (currency_digits(currency) >= 0)
        return true;
    refused(err, "currency", currency, "it isn't a currency of ISO 4217");
    return error_next(err, "use a code such as EUR");
}

static bool is_label(Str label)
{
    bool is_fit = label.len > 0 && label.len <= LABEL_MAX && label.data[0] != '-' && label.data[label.len - 1] != '-';
    for (size_t i = 0; i < label.len; i++)
        is_fit = is_fit &&
                 ((label.data[i] >= 'a' && label.data[i] <= 'z') || is_digit(label.data[i]) || label.data[i] == '-');
    return is_fit;
}

static bool host_check(Str host, Str base, Error *err)
{
    Str rest = host, label = S("");
    bool is_host = host.len <= HOST_MAX && str_has_char(host, '.');
    while (str_cut(&rest, '.', &label))
        is_host = is_host && is_label(label);
    bool is_address = is_host;    // by its last label
    for (size_t i = 0; i < label.len; i++)
        is_address = is_address && is_digit(label.data[i]);
    if (!is_host || is_address) {
        refused(err, "domains", host,
                is_address ? "it is an address, not a name" : "it isn't a host name in small letters");
        return error_next(err, "write it as shop.example, without scheme and port");
    }
    if (str_has_suffix(host, base) && host.len > base.len && host.data[host.len - base.len - 1] == '.')
        return refused(err, "domains", host, "hosts of the platform's own domain follow from slugs");
    return true;
}

static bool hosts_check(const Str *hosts, size_t count, Str base, Error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!host_check(hosts[i], base, err))
            return false;
        for (size_t before = 0; before < i; before++)
            if (str_eq(hosts[before], hosts[i])) {
                refused(err, "domains", hosts[i], "it is given twice");
                return error_next(err, "give it once");
            }
    }
    return true;
}

static bool is_colour(Str text)
{
    bool is_hex = text.len == 7 && text.data[0] == '#';
    for (size_t i = 1; i < text.len; i++)
        is_hex = is_hex && (is_digit(text.data[i]) || (is_letter(text.data[i]) && (text.data[i] | 0x20) <= 'f'));
    return is_hex;
}

static bool colors_check(const Json *colors, Error *err)
{
    static const Str ROLES[] = {S("primary"), S("on_primary"), S("accent"), S("background"), S("surface"), S("text")};
    for (JsonIter it = json_iter(colors); colors && json_next(&it);) {
        if (!is_colour(json_str(it.value))) {
            refused(err, "colors", json_str(it.value), "it isn't a colour");
            return error_next(err, "write it as #8a3f26");
        }
        bool is_role = false;
        for (size_t i = 0; i < COUNT(ROLES); i++)
            is_role = is_role || str_eq(it.key, ROLES[i]);
        if (!is_role) {
            refused(err, "colors", it.key, "the theme has no such colour");
            return error_next(err, "use primary, on_primary, accent, background, surface or text");
        }
    }
    return true;
}

static bool logo_check(Str logo, Error *err)
{
    if (str_is_empty(logo) || str_has_prefix(logo, S("https://")) || str_has_prefix(logo, S("/media/")))
        return true;
    refused(err, "logo", logo, "it is neither an https:// address nor a path under /media/");
    return error_next(err, "host it where browsers reach it by https");
}

// Lines of text: no control character but the line's end.
static bool instructions_check(Str text, Error *err)
{
    const char *why = NULL;
    if (text.len > TENANT_INSTRUCTIONS_MAX)
        why = "they have more than 2000 bytes";
    else if (!str_is_utf8(text))
        why = "they aren't UTF-8";
    for (size_t i = 0; i < text.len && !why; i++)
        if (((unsigned char)text.data[i] < ' ' && text.data[i] != '\n') || text.data[i] == 0x7F)
            why = "they have a control character";
    if (!why)
        return true;
    error_set(err, ERR_INVALID, "the payment instructions are refused");
    error_where(err, "payment-instructions");
    error_why(err, "%s", why);
    return error_next(err, "write lines of plain text, such as the bank, the IBAN and its owner");
}

// ---- a new tenant ----

TenantSpec tenant_spec_filled(const TenantSpec *spec)
{
    TenantSpec filled = *spec;
    filled.name = spec->name.len ? spec->name : spec->slug;
    filled.currency = spec->currency.len ? spec->currency : S("EUR");
    filled.language = spec->language.len ? spec->language : S("en");
    filled.country = spec->country.len ? spec->country : S("US");
    return filled;
}

typedef bool SpecCheck(const TenantSpec *spec, Str base_domain, Error *err);

#define CHECK_OF(field, call)                                                                                          \
    static bool spec_##field(const TenantSpec *spec, Str base_domain UNUSED, Error *err) { return call; }

CHECK_OF(slug, slug_parse(spec->slug, &(Slug){0}, err) || error_where(err, "slug"))
CHECK_OF(name, name_check(spec->name, err))
CHECK_OF(email, email_check(spec->email, err))
CHECK_OF(currency, currency_check(spec->currency, err))
CHECK_OF(language, language_check(spec->language, err))
CHECK_OF(country, country_check(spec->country, err))
CHECK_OF(logo, logo_check(spec->logo, err))
CHECK_OF(colors, colors_check(spec->colors, err))
CHECK_OF(instructions, instructions_check(spec->payment_instructions, err))
CHECK_OF(domains, hosts_check(spec->domains, spec->domain_count, base_domain, err))

static bool spec_shipping(const TenantSpec *spec, Str base_domain UNUSED, Error *err)
{
    CLEANUP(json_close) Json *methods = NULL;
    return !spec->shipping || currency_digits(spec->currency) < 0 ||
           shipping_read(spec->shipping, spec->currency, &methods, err);
}

static SpecCheck *const SPEC_CHECKS[] = {
    spec_slug, spec_name,   spec_email,        spec_currency, spec_language, spec_country,
    spec_logo, spec_colors, spec_instructions, spec_shipping, spec_domains,
};

bool tenant_spec_check(const TenantSpec *spec, Str base_domain, Error *err)
{
    TenantSpec filled = tenant_spec_filled(spec);
    for (size_t i = 0; i < COUNT(SPEC_CHECKS); i++)
        if (!SPEC_CHECKS[i](&filled, base_domain, err))
            return false;
    return true;
}

void tenant_spec_faults(const TenantSpec *spec, Str base_domain, Faults *faults)
{
    TenantSpec filled = tenant_spec_filled(spec);
    for (size_t i = 0; i < COUNT(SPEC_CHECKS); i++) {
        Error err = {0};
        if (!SPEC_CHECKS[i](&filled, base_domain, &err))
            faults_add_error(faults, &err, 0, 0);
    }
}

// ---- a change ----

bool tenant_change_check(const TenantChange *change, Str base_domain, Error *err)
{
    return (!change->name.data || name_change_check(change->name, err)) &&
           (!change->email.data || email_check(change->email, err)) &&
           (!change->language.data || language_check(change->language, err)) &&
           (!change->country.data || country_check(change->country, err)) &&
           (!change->logo.data || logo_check(change->logo, err)) && colors_check(change->colors, err) &&
           instructions_check(change->payment_instructions, err) &&
           hosts_check(change->domains_added, change->domains_added_count, base_domain, err);
}
