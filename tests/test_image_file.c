// tests/test_image_file.c: which files are images, and which of them may act and are refused.
#include "provisioner/image_file.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "tests/support/more_check.h"

typedef struct Image {
    Str content;
    const char *answer;    // the extension with its point, or a part of the reason
} Image;

static const Image IMAGES[] = {
    {S("\x89PNG\r\n\x1A\nx"), ".png"},
    {S("\xFF\xD8\xFFx"), ".jpg"},
    {S("GIF87ax"), ".gif"},
    {S("GIF89ax"), ".gif"},
    {S("RIFFxxxxWEBPx"), ".webp"},
    {S("RIFFxxxxWAVEx"), "it is no svg"},
    {S("RIFF"), "it is no svg"},
    {S("\xEF\xBB\xBF<svg/>"), ".svg"},
    {S("<?xml version='1.0'?><!-- <b> --><svg a:b='c' _d-1.2=\"e\">text</svg>"), ".svg"},
    {S("<svg><![CDATA[ <script> ]]></svg>"), ".svg"},
    {S("<svg\n>\n</svg\t>"), ".svg"},
    {S("<svg><g style='fill:url(&quot;#a&quot;)'/></svg>"), ".svg"},
    {S("<svg><g style='fill:url(\"data:image/webp;base64,AA\")'/></svg>"), ".svg"},
    {S("<svg><image href=' data:image/gif;base64,AA'/><image src='data:image/jpeg;base64,AA'/></svg>"), ".svg"},
    {S("<svg><animate attributeName='fill' to='red'/></svg>"), ".svg"},
    {S("<svg><text>caf&#233;</text></svg>"), ".svg"},
    {S("<svg><style>a{fill:red}</style></svg>"), ".svg"},
    {S("<svg><!-- open"), ".svg"},
    {S("<svg>1 <"), ".svg"},
    {S(""), "it is no svg"},
    {S("text <svg/>"), "it is no svg"},
    {S("<svg"), "it is no svg"},
    {S("<svgs/>"), "it is no svg"},
    {S("<html>"), "it is no svg"},
    {S("<!ELEMENT a>"), "it is no svg"},
    {S("<!ELEMENT a><svg/>"), "a declaration or an instruction"},
    {S("<?php x?><svg/>"), "a declaration or an instruction"},
    {S("<svg><?x y?></svg>"), "a declaration or an instruction"},
    {S("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>"), "declares something"},
    {S("<svg>\xFF</svg>"), "it isn't UTF-8"},
    {S("<svg a='b'"), "a tag isn't closed"},
    {S("<svg /"), "it isn't well-formed"},
    {S("<svg a>"), "it isn't well-formed"},
    {S("<svg a"), "it isn't well-formed"},
    {S("<svg a="), "it isn't well-formed"},
    {S("<svg a=b>"), "it isn't well-formed"},
    {S("<svg a='b>"), "it isn't well-formed"},
    {S("<svg a=\"b'>"), "it isn't well-formed"},
    {S("<svg ='b'>"), "it isn't well-formed"},
    {S("<svg><IFRAME/></svg>"), "isn't a drawing"},
    {S("<svg></x:script></svg>"), "isn't a drawing"},
    {S("<svg ev:onload='x'/>"), "event attribute"},
    {S("<svg><use href='a.svg#b'/></svg>"), "outside of the file"},
    {S("<svg><use src=''/></svg>"), "outside of the file"},
    {S("<svg><g style='fill:url(#a) url(b)'/></svg>"), "outside of the file"},
    {S("<svg><g style='fill:url('"), "outside of the file"},
    {S("<svg><set attributeName='xlink:HREF'/></svg>"), "changes a reference"},
    {S("<svg a='&#1;'/>"), "numeric character reference"},
    {S("<svg><style>&#64;import x</style></svg>"), "styles and numeric character references"},
    {S("<svg><style>@IMPORT 'x'</style></svg>"), "its styles load something"},
    {S("<svg><style>\\75rl(x)</style></svg>"), "an escape in them"},
};

static bool image_of(Str content, Arena *arena, ImageFile *out, Error *err)
{
    char path[] = "/tmp/shop-image.XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, content.data, content.len), (ssize_t)content.len);
    fd_close(&file);
    bool ok = image_file_read(str_of(path), arena, out, err);
    (void)unlink(path);
    return ok;
}

TEST(an_image_is_known_by_its_bytes_and_one_that_may_act_is_refused)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    Error err = {0};
    ImageFile file = {0};
    bool ok = image_of(IMAGES[_i].content, arena, &file, &err);
    if (IMAGES[_i].answer[0] == '.') {
        ck_assert_ok(ok, &err);
        ck_assert_str(str_of(file.extension), str_of(IMAGES[_i].answer + 1));
        ck_assert_str(file.content, IMAGES[_i].content);
    } else {
        ck_assert_msg(!ok, "it is taken for %s", file.extension);
        ck_assert_says(&err, ERR_INVALID, IMAGES[_i].answer);
    }
}

TEST(a_file_that_is_too_large_or_is_not_there_is_no_image)
{
    CLEANUP(arena_close) Arena *arena = arena_open(8 * MIB);
    Error err = {0};
    ImageFile file = {0};
    char *much = arena_bytes(arena, IMAGE_FILE_MAX + 1);
    ck_assert(!image_of((Str){much, IMAGE_FILE_MAX + 1}, arena, &file, &err));
    ck_assert_int_eq(err.code, ERR_TOO_LARGE);
    error_clear(&err);
    ck_assert(!image_file_read(S("/nowhere.png"), arena, &file, &err));
    ck_assert_int_eq(err.code, ERR_NOT_FOUND);
}

SUITE(image_file, EACH(an_image_is_known_by_its_bytes_and_one_that_may_act_is_refused, IMAGES),
      ONCE(a_file_that_is_too_large_or_is_not_there_is_no_image))
