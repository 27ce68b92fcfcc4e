// tests/test_html.c: what a sanitised text keeps, what it loses, and that it stays as it is when done again.
#include "base/html.h"
#include "tests/support/more_check.h"

enum { BUDGET = 64 * MIB };

typedef struct Case {
    Str html;
    const char *clean;
} Case;

#define REL " rel=\"nofollow noopener\""

static const Case CASES[] = {
    {S(""), ""},
    {S("plain & simple"), "plain &amp; simple"},
    {S(" <p>Hello <b>you</b></p>\n"), "<p>Hello <b>you</b></p>"},
    {S("<P CLASS=x style='color:red' onclick=\"evil()\">Hi</P>"), "<p>Hi</p>"},
    {S("<h1>Big</h1><h2>b</h2><h6>s</h6>"), "<h2>Big</h2><h2>b</h2><h6>s</h6>"},
    {S("a<script>alert(1)</script>b"), "ab"},
    {S("a<SCRIPT src=x>'</b>'</scripty></script >b"), "ab"},
    {S("a<script>alert(1)"), "a"},
    {S("a<style>b{}</style>c<iframe src=x>d</iframe>e"), "ace"},
    {S("a<svg><svg/><g onload=x>t</g><svg>u</svg></svg>b"), "ab"},
    {S("<form><input value=x>keep<textarea><b></textarea></form>"), "keep"},
    {S("<font color=red>x</font><section>y</section>"), "xy"},
    {S("a<!-- <b> -- > c -->d<!-->e<!x>f<?php g ?>h</ >i"), "adefhi"},
    {S("1 < 2 > 0 <3 << <"), "1 &lt; 2 &gt; 0 &lt;3 &lt;&lt; &lt;"},
    {S("a<b"), "a"},
    {S("a<b title=\">\">x"), "a<b>x</b>"},
    {S("<b/onclick=x>y</b>"), "<b>y</b>"},
    {S("<b><i>x</b>y</i>z"), "<b><i>x</i></b>yz"},
    {S("</p></div>x</b>"), "x"},
    {S("<p>a<p>b"), "<p>a</p><p>b</p>"},
    {S("<p>a<ul><li>b<li>c</ul>d"), "<p>a</p><ul><li>b</li><li>c</li></ul>d"},
    {S("<ul><li>a<ul><li>b</ul><li>c</ul>"), "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"},
    {S("<li>alone</li>"), "alone"},
    {S("<h2>a<h3>b"), "<h2>a</h2><h3>b</h3>"},
    {S("a<br>b<br/>c<hr>d</br>"), "a<br>b<br>c<hr>d"},
    {S("<table><tr><td colspan=2 rowspan='x'>a<td>b<tr><th>c</table>d"),
     "<table><tr><td colspan=\"2\">a</td><td>b</td></tr><tr><th>c</th></tr></table>d"},
    {S("<table><thead><tr><th>a<tbody><tr><td>b<table><tr><td>c</table>d</table>"),
     "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>b<table><tr><td>c</td></tr></table>d</td></tr></tbody>"
     "</table>"},
    {S("<table><td>a</table><tr>b<td>c"), "<table>a</table>bc"},
    {S("<table><tr><td>a</p></b></table>"), "<table><tr><td>a</td></tr></table>"},
    {S("<a href=\"https://a.example/?a=1&b=2\" target=_blank>x</a>"),
     "<a href=\"https://a.example/?a=1&amp;b=2\"" REL ">x</a>"},
    {S("<a href='/pages/about'>x</a><a href=about#a:b>y</a>"),
     "<a href=\"/pages/about\"" REL ">x</a><a href=\"about#a:b\"" REL ">y</a>"},
    {S("<a href=mailto:a@b.example>x</a>"), "<a href=\"mailto:a@b.example\"" REL ">x</a>"},
    {S("<a href=javascript:alert(1)>x</a>"), "x"},
    {S("<a href=\" JaVa\nScript:alert(1)\">x</a>"), "x"},
    {S("<a href=\"java&#115;cript&#x3a;alert(1)\">x</a>"), "x"},
    {S("<a href=\"javascript&colon;alert(1)\">x</a>"), "x"},
    {S("<a href=\"&#1;javascript:alert(1)\">x</a>"), "x"},
    {S("<a href='data:text/html,x'>x</a><a href=vbscript:x>y</a><a>z</a>"), "xyz"},
    {S("<a href='x\"onclick=evil'>y</a>"), "<a href=\"x&quot;onclick=evil\"" REL ">y</a>"},
    {S("<a href=1>a<a href=2>b"), "<a href=\"1\"" REL ">a</a><a href=\"2\"" REL ">b</a>"},
    {S("<img src=/media/a.png alt='a \"b\" <c>' width=10 height=1e9 onerror=x>"),
     "<img src=\"/media/a.png\" alt=\"a &quot;b&quot; &lt;c&gt;\" width=\"10\">"},
    {S("<img src=data:image/svg+xml,x><img src=mailto:x><img alt=y>"), ""},
    {S("<img src=//cdn.example/a.png src=javascript:x>"), "<img src=\"//cdn.example/a.png\" alt=\"\">"},
    {S("caf&eacute; &euro;5 &#233; &#xE9; &#146; &amp;lt; &zwj; &bogus &#0; &;"),
     "caf\u00E9 \u20AC5 \u00E9 \u00E9 \u2019 &amp;lt; &zwj; &amp;bogus \uFFFD &amp;;"},
    {S("&lt;script&gt;alert(1)&lt;/script&gt;"), "&lt;script&gt;alert(1)&lt;/script&gt;"},
    {S("a\x01"
       "b\x7F"
       "c\td"),
     "abc\td"},
    {S("<pre><code>x = 1\n  y</code></pre>"), "<pre><code>x = 1\n  y</code></pre>"},
    {S("<b>open <i>all"), "<b>open <i>all</i></b>"},
};

TEST(what_is_allowed_stays_and_comes_out_the_same_again)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Html clean = {0}, again = {0};
    ck_assert_ok(html_sanitise(CASES[_i].html, arena, &clean, &err), &err);
    ck_assert_str(clean.text, str_of(CASES[_i].clean));
    ck_assert_ok(html_sanitise(clean.text, arena, &again, &err), &err);
    ck_assert_str(again.text, clean.text);
}

static const Case TEXTS[] = {
    {S("<p>Hello,\n  <b>yo</b>u</p><p>there</p>"), "Hello, you there"},
    {S("a<br>b<script>c</script> &amp; &lt;d&gt;&nbsp;&nbsp;e "), "a b & <d> e"},
    {S("<ul><li>one<li>two</ul>"), "one two"},
    {S("  <p> </p>  "), ""},
};

TEST(a_reader_sees_one_line_of_text)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Str text = {0};
    ck_assert_ok(html_text(TEXTS[_i].html, arena, &text, &err), &err);
    ck_assert_str(text, str_of(TEXTS[_i].clean));
}

static const Str BOMBS[] = {S("<div>"), S("<b><a href=x>"), S("<table><tr><td>"), S("<ul><li>"), S("<!--"), S("<svg>"),
                            S("&#"),    S("<a href='"),     S("</p><script>")};

TEST(a_hostile_text_is_read_in_linear_time_to_a_bounded_depth)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    StrBuf bomb = {.arena = arena};
    while (bomb.len + BOMBS[_i].len <= HTML_MAX)
        strbuf_add(&bomb, BOMBS[_i]);
    Error err = {0};
    Html clean = {0};
    ck_assert_ok(html_sanitise(strbuf_str(&bomb), arena, &clean, &err), &err);
    int depth = 0, deepest = 0;
    for (size_t i = 0; i + 1 < clean.text.len; i++)
        if (clean.text.data[i] == '<') {
            depth += clean.text.data[i + 1] == '/' ? -1 : 1;
            deepest = MAX(deepest, depth);
        }
    ck_assert_int_eq(depth, 0);
    ck_assert_int_le(deepest, HTML_DEPTH_MAX);
}

TEST(too_much_and_broken_text_are_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(BUDGET);
    Error err = {0};
    Html clean = {0};
    ck_assert(!html_sanitise((Str){arena_bytes(arena, HTML_MAX + 1), HTML_MAX + 1}, arena, &clean, &err));
    ck_assert_int_eq(err.code, ERR_TOO_LARGE);
    error_clear(&err);
    ck_assert(!html_sanitise(S("a\xFF"), arena, &clean, &err));
    ck_assert_says(&err, ERR_MALFORMED, "isn't UTF-8");
}

static bool small_text(Arena *arena, Error *err)
{
    Html clean = {0};
    if (!html_sanitise(S("<p>a<a href='/x'>b</a><img src=y>"), arena, &clean, err))
        return false;
    ck_assert_str(clean.text, S("<p>a<a href=\"/x\"" REL ">b</a><img src=\"y\" alt=\"\"></p>"));
    return true;
}

TEST(a_text_is_whole_or_memory_ran_out)
{
    check_every_budget(small_text);
}

SUITE(html, EACH(what_is_allowed_stays_and_comes_out_the_same_again, CASES),
      EACH(a_reader_sees_one_line_of_text, TEXTS),
      EACH(a_hostile_text_is_read_in_linear_time_to_a_bounded_depth, BOMBS), ONCE(too_much_and_broken_text_are_refused),
      ONCE(a_text_is_whole_or_memory_ran_out))
