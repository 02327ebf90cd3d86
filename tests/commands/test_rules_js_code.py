"""What of a JavaScript file has a meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot_commands.rules.js_code import essence, required, same_code

CODE = "require(['utils/base'], function(b) {\n    'use strict';\n    var x = 'a // b';\n    return x + 1;\n});\n"


@pytest.mark.parametrize(
    "new",
    [
        "/*! Licensed under the GNU LGPL */\n" + CODE,
        CODE.replace("    ", "\t"),
        CODE.replace("\n", "\r\n"),
        CODE.replace("var x", "// a note\n    var /* why */ x"),
        CODE.replace("return x + 1;", "return x+1;  "),
    ],
)
def test_comments_and_blanks_are_no_change(new):
    assert same_code(CODE, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (CODE, CODE.replace("x + 1", "x + 2")),
        (CODE, CODE.replace("'a // b'", "'a // c'")),
        (CODE, CODE.replace("'a // b'", "'a  // b'")),
        (CODE, CODE.replace("return x", "return\nx")),
        (CODE, CODE.replace("return x", "return // x\n x")),
        ("return x", "returnx"),
        ("a + +b", "a ++b"),
        ("x = /[/*]/; y = '*/';", "x = /[/*]/; y = '-/';"),
        ("x = /a b/;", "x = /ab/;"),
        ("var u = 'http://a'; f(1);", "var u = 'http://a'; f(2);"),
        ("x = a / b / c; // d", "x = a / b / e; // d"),
        ("s = `a  b`", "s = `a b`"),
        ("a\n++b", "a++\nb"),
        ("a\n++b", "a ++b"),
        ("a--\nb", "a--b"),
        ("async\nfunction f() {}", "async function f() {}"),
        ("f(1) // one\rg(1)", "f(1) // one\rg(2)"),
    ],
)
def test_everything_else_is_a_change(old, new):
    assert not same_code(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"if (s) /\//.test(s) && f(1);", r"if (s) /\//.test(s) && g(2);"),
        (r"while (s) {} /\//.test(s) && f(1);", r"while (s) {} /\//.test(s) && g(2);"),
        ("if (s) /[/*]/.test(s)\nf(1) /* one */", "if (s) /[/*]/.test(s)\nf(2) /* one */"),
        ("x = (a) / 2; return\nb", "x = (a) / 2; return b"),
        ("x = a.of / 2 // /*\nf(1) /* one */", "x = a.of / 2 // /*\nf(2) /* one */"),
        ("x = `${`http://a`}` + f(1)", "x = `${`http://a`}` + f(2)"),
        ("<!-- /*\nf(1)\n/* one */", "<!-- /*\nf(2)\n/* one */"),
        ("x\n--> 1\nf(y)", "x --> 1\nf(y)"),
    ],
)
def test_what_could_be_a_comment_or_code_is_never_taken_for_the_same(old: str, new: str) -> None:
    assert not same_code(old, new)


def test_a_line_that_cannot_be_read_for_certain_is_the_only_one_that_is_kept_as_it_is() -> None:
    old = "x = (a + b) / 2; // one\n// two\ny = 1;\n"
    assert not same_code(old, old.replace("one", "three"))
    assert same_code(old, old.replace("two", "three").replace("y = 1", "y  =  1"))


@given(st.text())
def test_any_text_has_an_essence(text):
    assert same_code(text, text)
    assert len(essence(text)) <= len(text)


def test_required_modules_are_read_from_require_and_define():
    text = """/* require(['utils/old']) */
        define('named', [
            'utils/html',  // 'utils/no'
            "tables/common"
        ], function() { require(['charts/passpie']); return 'tables/none'; });
    """
    assert required(text) == ("utils/html", "tables/common", "charts/passpie")
