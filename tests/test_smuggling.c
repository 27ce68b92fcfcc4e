// tests/test_smuggling.c: requests that two servers could read in two ways: whole, behind another one, split anywhere.
#include <stdatomic.h>
#include <time.h>

#include "base/file.h"
#include "runtime/core/connection.h"
#include "tests/support/core_server.h"
#include "tests/support/more_check.h"
#include "tests/support/raw_client.h"

enum { SPLITS_MAX = 512, SPLIT_PAUSE_NS = 3000000 };
#define BUDGET (64 * (size_t)MIB)

// ---- the server ----

static atomic_int echoed, smuggled;

static bool echo_post(Request *r, Error *err UNUSED)
{
    atomic_fetch_add(&echoed, 1);
    return respond(r, 200, S("text/plain"), r->body);
}

static bool good_get(Request *r, Error *err UNUSED)
{
    atomic_fetch_add(&echoed, 1);
    return respond(r, 200, S("text/plain"), r->host);
}

static bool smuggled_get(Request *r, Error *err UNUSED)
{
    atomic_fetch_add(&smuggled, 1);
    return respond(r, 200, S("text/plain"), S("smuggled"));
}

static const Route ROWS[] = {
    {.method = METHOD_POST, .pattern = "/echo", .module = "core", .handler = echo_post, .body = BODY_FORM},
    {.method = METHOD_GET, .pattern = "/good", .module = "core", .handler = good_get},
    {.method = METHOD_GET, .pattern = "/smuggled", .module = "core", .handler = smuggled_get},
};
static const RouteSet SETS[] = {{ROWS, COUNT(ROWS)}};

static Server *server_start(void)
{
    Settings settings = shopd_settings_default();
    settings.listen = S("127.0.0.1:0");
    settings.threads = 1;
    return core_server_open(&settings, NULL, SETS);
}

// ---- the requests ----

// What comes of a request that is followed by one for /smuggled.
typedef enum Fate {
    REFUSED,    // the connection ends; the handler doesn't run
    ENDS,       // it is answered, and the connection ends with it
    GOES_ON,    // it is answered, and the next request is the one behind it
} Fate;

typedef struct Attack {
    Str request;
    int status;
    Fate fate;
} Attack;

#define FOLLOWER "GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define FIRST "GET /good HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
#define GOOD "GET /good HTTP/1.1\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define END "0\r\n\r\n"

static const Attack ATTACKS[] = {
    // Content-Length and Transfer-Encoding together: CL.TE, TE.CL
    {S(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" END), 400, REFUSED},
    {S(POST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\na=one"), 400, REFUSED},
    {S(POST "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\na=one"), 400, REFUSED},
    {S(POST "Content-Length: 5\r\nTransfer-Encoding:\r\n\r\na=one"), 400, REFUSED},
    // Transfer-Encoding in disguise: TE.TE
    {S(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked, chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked, identity\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: identity, chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: gzip, chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked,\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: ,chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: xchunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunkedx\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked;q=1\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: \"chunked\"\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: 'chunked'\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked\0\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: \0chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: \x0b"
            "chunked\r\n\r\n" END),
     400, REFUSED},
    {S(POST "Transfer-Encoding: \x0c"
            "chunked\r\n\r\n" END),
     400, REFUSED},
    {S(POST "Transfer-Encoding: \x7f"
            "chunked\r\n\r\n" END),
     400, REFUSED},
    {S(POST "Transfer-Encoding: \xc2\xa0"
            "chunked\r\n\r\n" END),
     400, REFUSED},
    {S(POST "Transfer-Encoding: \xef\xbb\xbf"
            "chunked\r\n\r\n" END),
     400, REFUSED},
    {S(POST "Transfer-Encoding: chun\xc5\xa3"
            "ed\r\n\r\n" END),
     400, REFUSED},
    {S(POST "Transfer-Encoding: \xe2\x84\xaa"
            "chunked\r\n\r\n" END),
     400, REFUSED},
    {S(POST "Transfer-Encoding : chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding\t: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding\x0b: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding\xa0: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding\0: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding\r\n: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST " Transfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "\tTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "\0Transfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "(Transfer-Encoding): chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding:\r\n chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding:\r\n\tchunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding:\n chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chunked\r\r\n\r\n" END), 400, REFUSED},
    {S(POST "Transfer-Encoding: chun\rked\r\n\r\n" END), 400, REFUSED},
    {S(POST "X: y\nTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "X: y\rTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "X:\rTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S(POST "X: y\r\n\rTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S("POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    {S("POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" END), 400, REFUSED},
    // ... and as RFC 9110 allows it, but for tabs, which llhttp takes for a part of the value
    {S(POST "Transfer-Encoding:chunked\r\n\r\n3\r\na=b\r\n" END), 200, GOES_ON},
    {S(POST "Transfer-Encoding:\t chunked \t\r\n\r\n3\r\na=b\r\n" END), 400, REFUSED},
    {S(POST "tRANSFER-eNCODING: cHUNKED\r\n\r\n3\r\na=b\r\n" END), 200, GOES_ON},
    {S(POST "Content-Length: 3\r\nTransfer_Encoding: chunked\r\n\r\na=b"), 200, GOES_ON},
    {S(POST "Content-Length: 3\r\nX-Transfer-Encoding: chunked\r\n\r\na=b"), 200, GOES_ON},
    {S(POST "Content-Length: 3\r\nX: Transfer-Encoding: chunked\r\n\r\na=b"), 200, GOES_ON},
    {S(POST "Content-Length: 3\r\nConnection: Content-Length, Transfer-Encoding\r\n\r\na=b"), 200, GOES_ON},
    // Content-Length
    {S(POST "Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 0\r\nContent-Length: 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3, 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3,0\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: ,3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: +3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: -3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: -0\r\n\r\n"), 400, REFUSED},
    {S(POST "Content-Length: 0x3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3h\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3.0\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3e0\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 1_0\r\n\r\nabcdefghij"), 400, REFUSED},
    {S(POST "Content-Length: 3 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3;x\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: \"3\"\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: \xef\xbc\x93\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: \xd9\xa3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3\x0b\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3\0\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length:\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length:\r\n 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 3\r\n 0\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length : 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length\t: 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST " Content-Length: 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "X: y\r\n Content-Length: 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "X:\rContent-Length: 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "X: y\nContent-Length: 3\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 9223372036854775808\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 18446744073709551619\r\n\r\nabc"), 400, REFUSED},
    {S(POST "Content-Length: 4294967299\r\n\r\nabc"), 413, REFUSED},
    {S(POST "Content-Length: 999999999999999999\r\n\r\nabc"), 413, REFUSED},
    {S(POST "Content-Length: 3\r\n\r\na=b"), 200, GOES_ON},
    {S(POST "Content-Length: 0003\r\n\r\na=b"), 200, GOES_ON},
    {S(POST "Content-Length:3\t \r\n\r\na=b"), 400, REFUSED},
    {S(POST "Content-Length:3  \r\n\r\na=b"), 200, GOES_ON},
    {S(POST "Content-Length: 3\r\nContent_Length: 0\r\n\r\na=b"), 200, GOES_ON},
    {S(POST "Content-Length: 0\r\n\r\n"), 200, GOES_ON},
    {S(POST "\r\n"), 200, GOES_ON},
    {S(GOOD "Host: a\r\nContent-Length: 3\r\n\r\nabc"), 200, GOES_ON},
    {S(GOOD "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" END), 200, GOES_ON},
    {S(GOOD "Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"), 400, REFUSED},
    // a chunk's size
    {S(CHUNKED "0x3\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "x3\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "+3\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "-3\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "-1\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "1_0\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3h\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3.0\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED " 3\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3 \r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\t\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3 ;x\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "\"3\"\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\0\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "\xef\xbc\x93\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED ";x\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "\r\n3\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "g\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "fffffffffffffffff\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "10000000000000003\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "8000000000000003\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "0000000000000003\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n00\r\n\r\n"), 200, GOES_ON},
    {S(CHUNKED "003\r\na=b\r\n000\r\n\r\n"), 200, GOES_ON},
    {S(CHUNKED "1\r\na\r\n2\r\n=b\r\n" END), 200, GOES_ON},
    {S(CHUNKED "A\r\na=bcdefghi\r\na\r\nbcdefghijk\r\n" END), 200, GOES_ON},
    {S(CHUNKED END), 200, GOES_ON},
    // a chunk's end, and that of its size
    {S(CHUNKED "3\r\na=bX\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\r\na=bXX" END), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\n" END), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r" END), 400, REFUSED},
    {S(CHUNKED "3\r\na=b" END), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\n\n" END), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\r\na=\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\ra=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\r\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\n\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\n\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nX"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\n\rX"), 400, REFUSED},
    // extensions
    {S(CHUNKED "3;x\r\na=b\r\n0;y=\"z\"\r\n\r\n"), 200, GOES_ON},
    {S(CHUNKED "3;x=\"0\";Content-Length: 9\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3;\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3;x\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3;\n0\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3;x\r0\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3;x\0\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3;x\x0b\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3;x=\"\r\n\"\r\na=b\r\n" END), 400, REFUSED},
    {S(CHUNKED "3;x=\"\n\"\r\na=b\r\n" END), 400, REFUSED},
    // trailers: what is fine as text is dropped; what frames or routes is refused
    {S(CHUNKED "3\r\na=b\r\n0\r\nX: y\r\nZ:\r\n\r\n"), 200, GOES_ON},
    {S(CHUNKED "3\r\na=b\r\n0\r\nX: y\r\n z\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nX : y\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nX: y\nZ: y\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nX: y\rZ: y\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nX: \0\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nX\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\n: y\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\n X: y\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nContent-Length: 100\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\ncontent-length: 0\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nX: y\r\ntransfer-encoding: x\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nHost: evil\r\n\r\n"), 400, REFUSED},
    {S(CHUNKED "3\r\na=b\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    // targets
    {S("GET http://a/good HTTP/1.1\r\nHost: a\r\n\r\n"), 200, GOES_ON},
    {S("GET https://a:443/good HTTP/1.1\r\nHost: A\r\n\r\n"), 200, GOES_ON},
    {S("GET http://b/good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET http://a@b/good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET http://a%2f@b/good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET http:///good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET http:/good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET http://a\\good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET ftp://a/good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET file:///good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET a/good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET ?x HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("POST * HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 204, GOES_ON},
    {S("OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET //a/good HTTP/1.1\r\nHost: a\r\n\r\n"), 404, GOES_ON},
    {S("GET /./good HTTP/1.1\r\nHost: a\r\n\r\n"), 404, GOES_ON},
    {S("GET /good#x HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /go\xc3\xb6"
       "d HTTP/1.1\r\nHost: a\r\n\r\n"),
     400, REFUSED},
    {S("GET /good%zz HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good\0 HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 501, REFUSED},
    {S("CONNECT /good HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), 501, REFUSED},
    {S("CONNECT http://a/good HTTP/1.1\r\nHost: a\r\n\r\n"), 501, REFUSED},
    {S("TRACE /good HTTP/1.1\r\nHost: a\r\n\r\n"), 405, GOES_ON},
    {S("get /good HTTP/1.1\r\nHost: a\r\n\r\n"), 501, REFUSED},
    {S("GETGET /good HTTP/1.1\r\nHost: a\r\n\r\n"), 501, REFUSED},
    // the request line and versions
    {S("GET  /good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET\t/good\tHTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good\x0bHTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good HTTP/1.1 \r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S(" GET /good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("\r\nGET /good HTTP/1.1\r\nHost: a\r\n\r\n"), 200, GOES_ON},
    {S("\r\n\r\nGET /good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("\nGET /good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("\rGET /good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("\0GET /good HTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good HTTP/1.1\nHost: a\n\n"), 400, REFUSED},
    {S("GET /good HTTP/1.1\r\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good\r\n"), 400, REFUSED},
    {S("GET /good\r\n\r\n"), 400, REFUSED},
    {S("GET /good HTTP/0.9\r\n\r\n"), 505, REFUSED},
    {S("GET /good HTTP/1.2\r\nHost: a\r\n\r\n"), 505, REFUSED},
    {S("GET /good HTTP/2.0\r\nHost: a\r\n\r\n"), 505, REFUSED},
    {S("GET /good HTTP/1.10\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good HTTP/01.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good HTTP/+1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good http/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good HTTP 1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("GET /good XTTP/1.1\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, REFUSED},
    {S("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n"), 400, REFUSED},
    {S("GET /good HTTP/1.0\r\n\r\n"), 200, ENDS},
    {S("GET /good HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 200, GOES_ON},
    {S("GET /good HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n"), 200, ENDS},
    {S("GET /good HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
       "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"),
     200, GOES_ON},
    {S("GET /good HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
     200, GOES_ON},
    {S(POST "Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\na=b"), 200, GOES_ON},
    // header lines
    {S(GOOD " Host: a\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\n b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\n\t\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\n: x\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\nX\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\nX;Y: z\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\nX\xc3\xa4: z\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\nX: \x1b[2J\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\n\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\n\rX\r\n\r\n"), 400, REFUSED},
    // Host
    {S(GOOD "\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\nHost: a\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\r\nhost: b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a, b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host:\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: .\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: :80\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a@b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a/b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a\\b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a?b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a#b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a%00b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a%2eb\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: <a>\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: \xef\xbd\x81\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a:b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a:80:80\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a:-1\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a:99999\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a:123456\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: [::1\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: ::1\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: [::1]x\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: [g::1]\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: []\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host : a\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: A.Example:8080\r\n\r\n"), 200, GOES_ON},
    {S(GOOD "Host: a.example.\r\n\r\n"), 200, GOES_ON},
    {S(GOOD "Host: a:\r\n\r\n"), 200, GOES_ON},
    {S(GOOD "Host: [::1]:8080\r\n\r\n"), 200, GOES_ON},
    {S(GOOD "Host: a..b\r\n\r\n"), 400, REFUSED},
    {S(GOOD "Host: a..\r\n\r\n"), 400, REFUSED},
    // Expect
    {S(POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\na=b"), 200, GOES_ON},
    {S(POST "Content-Length: 3\r\nExpect: 100-Continue\r\nExpect: 100-continue\r\n\r\na=b"), 200, GOES_ON},
    {S(POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n" END), 200, GOES_ON},
    {S(POST "Expect: 100-continue\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\na=b"), 400, REFUSED},
    {S(GOOD "Host: a\r\nExpect: 100-continue\r\n\r\n"), 200, GOES_ON},
    {S(GOOD "Host: a\r\nExpect: y 100-continue\r\n\r\n"), 200, GOES_ON},
    {S(POST "Expect: 200-ok\r\nContent-Length: 3\r\n\r\na=b"), 200, GOES_ON},
};

// ---- asking ----

typedef struct Siege {
    const Server *server;
    Arena *arena;        // of one attack
    StrBuf *breaches;    // what went wrong, a line each: the whole table is tried
} Siege;

static void counters_reset(void)
{
    atomic_store(&echoed, 0);
    atomic_store(&smuggled, 0);
}

static void breach(const Siege *siege, const Attack *attack, const char *moment, size_t at, Str answers)
{
    Str request = str_visible(siege->arena, attack->request);
    Str first = str_slice(answers, 0, str_find_char(answers, '\r'));
    strbuf_format(siege->breaches, "%s at %zu: '%.*s' (echoed %d, smuggled %d): %zu bytes: %.*s\n", moment, at,
                  STR_ARG(request), atomic_load(&echoed), atomic_load(&smuggled), answers.len, STR_ARG(first));
}

// Whether the answers are the right ones, one to each request, and the connection ended after them.
static bool are_right(const Attack *attack, Str answers, bool is_closed, bool has_first)
{
    int statuses[RAW_ANSWERS_MAX] = {0};
    size_t count = 0, own = has_first ? 1 : 0;
    size_t wanted = own + (attack->fate == GOES_ON ? 2 : 1);
    return raw_statuses(answers, statuses, &count) && is_closed && count == wanted && statuses[own] == attack->status &&
           (!has_first || statuses[0] == 200) && (attack->fate != GOES_ON || statuses[own + 1] == 200);
}

static void attack_whole(const Siege *siege, const Attack *attack, Str before, const char *moment)
{
    counters_reset();
    int fd = raw_open(server_port(siege->server)), firsts = before.len > 0 ? 1 : 0;
    bool is_closed;
    StrBuf bytes = {.arena = siege->arena};
    strbuf_add(&bytes, before);
    strbuf_add(&bytes, attack->request);
    strbuf_add(&bytes, S(FOLLOWER));
    (void)raw_send(fd, strbuf_str(&bytes));
    Str answers = raw_read(fd, siege->arena, RAW_WAIT_MS, &is_closed);
    fd_close(&fd);
    if (!are_right(attack, answers, is_closed, firsts > 0) || atomic_load(&smuggled) != (attack->fate == GOES_ON) ||
        atomic_load(&echoed) != firsts + (attack->status == 200))
        breach(siege, attack, moment, 0, answers);
}

// A connection for each place where the bytes can be split: the first parts on all, and after a moment the others.
static void attack_split(const Siege *siege, const Attack *attack)
{
    int fds[SPLITS_MAX];
    StrBuf all = {.arena = siege->arena};
    strbuf_add(&all, attack->request);
    strbuf_add(&all, S(FOLLOWER));
    Str bytes = strbuf_str(&all);
    size_t splits = attack->request.len + 1;
    ck_assert_uint_le(splits, SPLITS_MAX);
    counters_reset();
    for (size_t at = 1; at <= splits; at++) {
        fds[at - 1] = raw_open(server_port(siege->server));
        (void)raw_send(fds[at - 1], str_slice(bytes, 0, at));
    }
    (void)nanosleep(&(struct timespec){.tv_nsec = SPLIT_PAUSE_NS}, NULL);
    for (size_t at = 1; at <= splits; at++)
        (void)raw_send(fds[at - 1], str_skip(bytes, at));
    for (size_t at = 1; at <= splits; at++) {
        bool is_closed;
        Str answers = raw_read(fds[at - 1], siege->arena, RAW_WAIT_MS, &is_closed);
        fd_close(&fds[at - 1]);
        if (!are_right(attack, answers, is_closed, false))
            breach(siege, attack, "split", at, answers);
    }
    if (atomic_load(&smuggled) != (attack->fate == GOES_ON ? (int)splits : 0))
        breach(siege, attack, "split anywhere", 0, S(""));
}

static void siege_lay(void (*attack_in_turn)(const Siege *siege, const Attack *attack))
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    CLEANUP(arena_close) Arena *report = arena_open(BUDGET);
    StrBuf breaches = {.arena = report};
    Server *server = server_start();
    for (size_t i = 0; i < COUNT(ATTACKS); i++) {
        arena_reset(arena);
        attack_in_turn(&(Siege){.server = server, .arena = arena, .breaches = &breaches}, &ATTACKS[i]);
    }
    core_server_close(&server);
    (void)fprintf(stderr, "%.*s", STR_ARG(strbuf_str(&breaches)));
    ck_assert_msg(breaches.len == 0, "the rows above");
}

static void whole_and_behind_another(const Siege *siege, const Attack *attack)
{
    attack_whole(siege, attack, S(""), "whole");
    attack_whole(siege, attack, S(FIRST), "behind another");
}

TEST(each_form_of_smuggling_gets_one_answer_and_what_follows_is_not_served)
{
    siege_lay(whole_and_behind_another);
}

TEST(each_form_of_smuggling_split_at_any_byte_gets_the_same_answer)
{
    siege_lay(attack_split);
}

static void at_an_unknown_address(const Siege *siege, const Attack *attack)
{
    Attack there = *attack;
    if (attack->fate != REFUSED || attack->status == 413 || !str_has_prefix(attack->request, S("POST /echo")))
        return;
    StrBuf request = {.arena = siege->arena};
    strbuf_add(&request, S("POST /none"));
    strbuf_add(&request, str_skip(attack->request, strlen("POST /none")));
    there.request = strbuf_str(&request);
    attack_whole(siege, &there, S(FIRST), "unknown address");
}

TEST(a_wrong_frame_is_refused_before_an_unknown_address)
{
    siege_lay(at_an_unknown_address);
}

SUITE(smuggling, ONCE(each_form_of_smuggling_gets_one_answer_and_what_follows_is_not_served),
      ONCE(each_form_of_smuggling_split_at_any_byte_gets_the_same_answer),
      ONCE(a_wrong_frame_is_refused_before_an_unknown_address))
