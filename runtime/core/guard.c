// runtime/core/guard.c: a strict reader of heads and chunks: what it lets through, no parser can read in two ways.
#include "runtime/core/guard.h"

// RFC 9110 section 5.6.2: tchar.
static const bool TOKEN[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static const struct {
    ErrorCode code;
    const char *why;
    const char *next;
} FAULTS[GUARD_COUNT] = {
    [GUARD_FINE] = {ERR_MALFORMED, "", ""},
    [GUARD_BARE_LF] = {ERR_MALFORMED, "a line ends in LF without CR", "end each line with CR LF"},
    [GUARD_BARE_CR] = {ERR_MALFORMED, "there is a CR without LF", "end each line with CR LF"},
    [GUARD_CONTROL] = {ERR_MALFORMED, "there is a control byte", "send text"},
    [GUARD_FOLD] = {ERR_MALFORMED, "a line begins with a blank", "write each header on one line"},
    [GUARD_NAME] = {ERR_MALFORMED, "a header's name is empty or has a byte that names can't have",
                    "use letters, digits and hyphens, with the colon right after them"},
    [GUARD_COLON] = {ERR_MALFORMED, "a header line has no colon", "write 'Name: value'"},
    [GUARD_REQUEST_LINE] = {ERR_MALFORMED, "the request line isn't 'METHOD TARGET HTTP/1.1'", "use one blank between"},
    [GUARD_METHOD] = {ERR_MALFORMED, "the method has a byte that methods can't have", "use letters"},
    [GUARD_TARGET] = {ERR_MALFORMED, "the target has a byte that must be percent-encoded", "encode it"},
    [GUARD_TARGET_LONG] = {ERR_TARGET_TOO_LONG, "the target is over 8 KiB", ""},
    [GUARD_VERSION] = {ERR_HTTP_VERSION, "the version is neither HTTP/1.1 nor HTTP/1.0", ""},
    [GUARD_TOO_LARGE] = {ERR_HEADERS_TOO_LARGE, "request line and headers are over 16 KiB", ""},
    [GUARD_TOO_MANY] = {ERR_HEADERS_TOO_LARGE, "there are more than 128 headers", ""},
    [GUARD_CHUNK_SIZE] = {ERR_MALFORMED, "a chunk's size isn't a hexadecimal number within bounds", ""},
    [GUARD_CHUNK_END] = {ERR_MALFORMED, "a chunk doesn't end in CR LF where its size says", ""},
    [GUARD_TRAILER] = {ERR_MALFORMED, "a trailer says how the message is framed or where it goes",
                       "send it as a header"},
};

bool guard_error(GuardFault fault, unsigned line, Error *err)
{
    error_set(err, FAULTS[fault].code, "the request can't be read");
    if (line)
        error_where(err, "line %u of the head", line);
    error_why(err, "%s", FAULTS[fault].why);
    return error_next(err, "%s", FAULTS[fault].next);
}

bool is_token(Str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!TOKEN[(unsigned char)text.data[i]])
            return false;
    return text.len > 0;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }
static bool is_control(unsigned char c) { return c < 0x20 || c == 0x7F; }

static bool refuse(Guard *guard, GuardFault fault)
{
    guard->fault = fault;
    return false;
}

static GuardFault control_fault(char c) { return c == '\r' ? GUARD_BARE_CR : GUARD_CONTROL; }

// Nonzero when one of 8 bytes is below 0x20 or is 0x7F (a tab counts too: the caller looks again byte by byte).
static uint64_t has_control(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101ULL, high = 0x8080808080808080ULL;
    uint64_t is_7f = word ^ (ones * 0x7F);
    return (((word - ones * 0x20) & ~word) | ((is_7f - ones) & ~is_7f)) & high;
}

size_t find_control(const char *text, size_t at, size_t end)
{
    while (at < end) {
        uint64_t word;
        if (end - at >= sizeof(word)) {
            memcpy(&word, text + at, sizeof(word));
            if (!has_control(word)) {
                at += sizeof(word);
                continue;
            }
        }
        size_t stop = MIN(end, at + sizeof(word));
        for (; at < stop; at++)
            if (is_control((unsigned char)text[at]) && text[at] != '\t')
                return at;
    }
    return end;
}

// RFC 9112 section 3: method SP request-target SP HTTP-version
static bool request_line(Guard *guard, const char *data, size_t start, size_t end)
{
    size_t at = start;
    while (at < end && TOKEN[(unsigned char)data[at]])
        at++;
    size_t method_end = at;
    size_t target = at + 1;
    if (at == end || data[at] != ' ' || at == start) {
        if (at < end && is_control((unsigned char)data[at]))
            return refuse(guard, control_fault(data[at]));
        return refuse(guard, at < end && at > start && data[at] != '\t' ? GUARD_METHOD : GUARD_REQUEST_LINE);
    }
    for (at = target; at < end && data[at] != ' '; at++) {
        unsigned char c = (unsigned char)data[at];
        if (is_control(c))
            return refuse(guard, control_fault(data[at]));
        if (c > 0x7E || c == '#')
            return refuse(guard, GUARD_TARGET);
    }
    if (at == target || at == end)
        return refuse(guard, GUARD_REQUEST_LINE);
    if (at - target > TARGET_MAX)
        return refuse(guard, GUARD_TARGET_LONG);
    Str version = {data + at + 1, end - at - 1};
    if (version.len != 8 || !str_has_prefix(version, S("HTTP/")) || version.data[6] != '.' || version.data[5] < '0' ||
        version.data[5] > '9' || version.data[7] < '0' || version.data[7] > '9') {
        size_t control = find_control(version.data, 0, version.len);
        return refuse(guard, control < version.len ? control_fault(version.data[control]) : GUARD_REQUEST_LINE);
    }
    if (version.data[5] != '1' || version.data[7] > '1')
        return refuse(guard, GUARD_VERSION);
    guard->minor = (uint8_t)(version.data[7] - '0');
    guard->method_len = (uint16_t)(method_end - start);
    guard->target_at = (uint16_t)target;
    guard->target_len = (uint16_t)(at - target);
    guard->has_request_line = true;
    return true;
}

// RFC 9112 section 5: field-name ":" OWS field-value OWS
static bool field_line(Guard *guard, const char *data, size_t start, size_t end, HeaderAt *header)
{
    if (is_blank(data[start]))
        return refuse(guard, GUARD_FOLD);
    size_t at = start;
    while (at < end && TOKEN[(unsigned char)data[at]])
        at++;
    if (at == end)
        return refuse(guard, GUARD_COLON);
    if (data[at] != ':' || at == start)
        return refuse(guard,
                      is_control((unsigned char)data[at]) && data[at] != '\t' ? control_fault(data[at]) : GUARD_NAME);
    size_t value = at + 1;
    size_t control = find_control(data, value, end);
    if (control < end)
        return refuse(guard, control_fault(data[control]));
    size_t value_end = end;
    while (value < value_end && is_blank(data[value]))
        value++;
    while (value_end > value && is_blank(data[value_end - 1]))
        value_end--;
    *header = (HeaderAt){(uint16_t)start, (uint16_t)(at - start), (uint16_t)value, (uint16_t)(value_end - value)};
    return true;
}

static bool head_line(Guard *guard, const char *data, size_t start, size_t end, HeaderAt headers[HEADERS_MAX])
{
    if (start == end) {
        if (guard->has_request_line)
            guard->head_end = (uint32_t)end + 2;
        else if (guard->head_start == 0 && start == 0)
            guard->head_start = 2;
        else
            return refuse(guard, GUARD_REQUEST_LINE);
        return true;
    }
    if (!guard->has_request_line)
        return request_line(guard, data, start, end);
    if (guard->header_count == HEADERS_MAX)
        return refuse(guard, GUARD_TOO_MANY);
    if (!field_line(guard, data, start, end, &headers[guard->header_count]))
        return false;
    guard->header_count++;
    return true;
}

static GuardFault too_large(const Guard *guard)
{
    return guard->has_request_line ? GUARD_TOO_LARGE : GUARD_TARGET_LONG;
}

bool guard_head(Guard *guard, const char *data, size_t len, HeaderAt headers[HEADERS_MAX])
{
    while (!guard->head_end && guard->scanned < len) {
        const char *lf = memchr(data + guard->scanned, '\n', len - guard->scanned);
        if (!lf)
            break;
        size_t at = (size_t)(lf - data);
        if (at >= HEAD_MAX)
            return refuse(guard, too_large(guard));
        if (at == guard->line_start || lf[-1] != '\r')
            return refuse(guard, GUARD_BARE_LF);
        if (!head_line(guard, data, guard->line_start, at - 1, headers))
            return false;
        guard->line++;
        guard->line_start = guard->scanned = (uint32_t)at + 1;
    }
    if (guard->head_end)
        return true;
    guard->scanned = (uint32_t)len;
    return len < HEAD_MAX ? true : refuse(guard, too_large(guard));
}

// ---- chunked bodies ----

enum {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    TRAILER_END_LF,
};
enum { CHUNK_DIGITS_MAX = 15 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static GuardFault chunk_size_byte(ChunkGuard *guard, char c)
{
    int digit = hex_digit(c);
    if (digit >= 0 && guard->digits < CHUNK_DIGITS_MAX) {
        guard->left = guard->left * 16 + (unsigned)digit;
        guard->digits++;
        return GUARD_FINE;
    }
    if (digit >= 0 || guard->digits == 0)
        return GUARD_CHUNK_SIZE;
    if (c == ';')
        guard->state = CHUNK_EXTENSION;
    else if (c == '\r')
        guard->state = CHUNK_SIZE_LF;
    else
        return c == '\n' ? GUARD_BARE_LF : GUARD_CHUNK_SIZE;
    return GUARD_FINE;
}

// Within an extension or a trailer's value: text up to CR.
static GuardFault text_byte(ChunkGuard *guard, char c, uint8_t after_cr)
{
    if (c == '\r')
        guard->state = after_cr;
    else if (c == '\n')
        return GUARD_BARE_LF;
    else if (is_control((unsigned char)c) && c != '\t')
        return GUARD_CONTROL;
    return GUARD_FINE;
}

static GuardFault lf_byte(ChunkGuard *guard, char c, uint8_t after)
{
    guard->state = after;
    return c == '\n' ? GUARD_FINE : GUARD_BARE_CR;
}

// Whether the trailer's name, which has ended, is one of those that only a head may have.
static bool is_of_head(const ChunkGuard *guard)
{
    static const Str NAMES[] = {S("Content-Length"), S("Transfer-Encoding"), S("Host")};
    for (size_t i = 0; i < COUNT(NAMES); i++)
        if (str_eq_nocase((Str){guard->name, guard->name_len}, NAMES[i]))
            return true;
    return false;
}

static GuardFault trailer_byte(ChunkGuard *guard, char c)
{
    bool is_first = guard->state == TRAILER_START;
    if (is_first)
        guard->name_len = 0;
    if (is_first && c == '\r') {
        guard->state = TRAILER_END_LF;
    } else if (TOKEN[(unsigned char)c]) {
        guard->state = TRAILER_NAME;
        if (guard->name_len < TRAILER_NAME_MAX)
            guard->name[guard->name_len++] = c;
    } else if (c == ':' && !is_first) {
        guard->state = TRAILER_VALUE;
        if (is_of_head(guard))
            return GUARD_TRAILER;
    } else {
        return is_first && is_blank(c) ? GUARD_FOLD : c == '\n' ? GUARD_BARE_LF : GUARD_NAME;
    }
    return GUARD_FINE;
}

static GuardFault chunk_byte(ChunkGuard *guard, char c)
{
    if (guard->state >= TRAILER_START && ++guard->trailer_bytes > HEAD_MAX)
        return GUARD_TOO_LARGE;
    switch (guard->state) {
    case CHUNK_SIZE: return chunk_size_byte(guard, c);
    case CHUNK_EXTENSION: return text_byte(guard, c, CHUNK_SIZE_LF);
    case CHUNK_SIZE_LF: return lf_byte(guard, c, guard->left ? CHUNK_DATA : TRAILER_START);
    case CHUNK_DATA_CR: guard->state = CHUNK_DATA_LF; return c == '\r' ? GUARD_FINE : GUARD_CHUNK_END;
    case CHUNK_DATA_LF:
        guard->digits = 0;
        guard->state = CHUNK_SIZE;
        return c == '\n' ? GUARD_FINE : GUARD_CHUNK_END;
    case TRAILER_START:
    case TRAILER_NAME: return trailer_byte(guard, c);
    case TRAILER_VALUE: return text_byte(guard, c, TRAILER_LF);
    case TRAILER_LF: return lf_byte(guard, c, TRAILER_START);
    default: guard->is_complete = c == '\n'; return c == '\n' ? GUARD_FINE : GUARD_BARE_CR;
    }
}

bool guard_chunks(ChunkGuard *guard, Str bytes, size_t *used)
{
    size_t at = 0;
    while (at < bytes.len && !guard->is_complete) {
        if (guard->state == CHUNK_DATA) {
            size_t step = MIN(guard->left, bytes.len - at);
            at += step;
            guard->left -= step;
            if (guard->left == 0)
                guard->state = CHUNK_DATA_CR;
            continue;
        }
        guard->fault = chunk_byte(guard, bytes.data[at++]);
        if (guard->fault != GUARD_FINE)
            return false;
    }
    *used = at;
    return true;
}
