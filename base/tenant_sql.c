// base/tenant_sql.c: how one tenant's functions are called in SQL.
#include "base/tenant_sql.h"

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

// The name at the start of `text` when a '(' follows it, else empty.
static Str called_name(Str text)
{
    size_t len = 0;
    while (len < text.len && is_letter(text.data[len]))
        len++;
    return str_slice(text, 0, len < text.len && text.data[len] == '(' ? len : 0);
}

void tenant_sql_add(StrBuf *out, Str sql, Str suffix)
{
    while (sql.len > 0) {
        size_t at = str_find_char(sql, ':');
        strbuf_add(out, str_slice(sql, 0, at));
        sql = str_skip(sql, at);
        if (sql.len == 0)
            return;
        bool is_cast = sql.len > 1 && sql.data[1] == ':';
        Str name = called_name(str_skip(sql, 1));
        if (name.len > 0) {
            strbuf_add(out, name);
            strbuf_add(out, suffix);
        } else {
            strbuf_add(out, is_cast ? S("::") : S(":"));
        }
        sql = str_skip(sql, name.len + (is_cast ? 2U : 1U));
    }
}

Str tenant_suffix(int64_t number, char text[TENANT_SUFFIX])
{
    int length = snprintf(text, TENANT_SUFFIX, "_%lld", (long long)number);
    return (Str){text, (size_t)length};
}
