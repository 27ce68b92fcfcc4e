// base/log.h: what a daemon says: one JSON object per line on standard error.
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR } LogLevel;

void log_level_set(LogLevel level);    // lines below it are dropped; LOG_INFO at the start
bool log_is_on(LogLevel level);

// One line: {"time","level","event",...}; `fields` is the inside of a JSON object made by log_field_*, or empty.
void log_line(LogLevel level, const char *event, Str fields);
void log_error(const char *event, const Error *err);    // with code, what, where, why, next, causes

// `"key":"value",` with the value escaped, for `fields` above; broken UTF-8 becomes U+FFFD.
void log_field_str(StrBuf *buf, const char *key, Str value);
void log_field_int(StrBuf *buf, const char *key, int64_t value);
