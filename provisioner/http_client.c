// provisioner/http_client.c: HTTP by libcurl.
#include "provisioner/http_client.h"

#include <curl/curl.h>
#include <pthread.h>

#include "base/arena.h"

enum { BUDGET = 64 * KIB };

static void global_start(void) { (void)curl_global_init(CURL_GLOBAL_DEFAULT); }

static size_t body_drop(char *bytes, size_t size, size_t count, void *context)
{
    (void)bytes;
    (void)context;
    return size * count;
}

static bool error_from_curl(Error *err, CURLcode code, Str url, const char *detail)
{
    error_set(err, code == CURLE_OUT_OF_MEMORY ? ERR_NO_MEMORY : ERR_UNREACHABLE, "'%.*s' doesn't answer",
              STR_ARG(url));
    return error_why(err, "%s", detail[0] ? detail : curl_easy_strerror(code));
}

bool http_get_status(Str url, Str host, int64_t timeout_ms, int *out_status, Error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, global_start);
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    const char *url_text = str_copy(arena, url).data;
    Str header = str_format(arena, "Host: %.*s", STR_ARG(host));
    if (!arena_ok(arena, err))
        return false;
    char detail[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, header.data);
    long status = 0;
    CURLcode code = curl && headers ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    if (code == CURLE_OK) {
        (void)curl_easy_setopt(curl, CURLOPT_URL, url_text);
        (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_drop);
        (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
        (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
        (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
        (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "shopctl");
        (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        code = curl_easy_perform(curl);
    }
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK)
        return error_from_curl(err, code, url, detail);
    *out_status = (int)status;
    return true;
}
