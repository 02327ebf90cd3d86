"""The YAML reader: what YAML does silently is refused or undone, and nothing kills the process."""

import pytest

from kcibot.config.loader import MAX_BYTES, Document, Mark, parse


def said(document: Document) -> list[tuple[int, str]]:
    return [(problem.line, problem.what) for problem in document.problems]


def test_every_value_knows_its_line_and_column() -> None:
    document = parse(b"people:\n  operator:\n    roles: [a,\n      b]\n")
    where = ("people", "operator", "roles")
    assert document.marks[where] == Mark(3, 5)
    assert document.marks[(*where, 0)] == Mark(3, 13)
    assert document.marks[(*where, 1)] == Mark(4, 7)
    assert document.line((*where, 7, "absent")) == 3


def test_only_plain_numbers_and_words_are_converted() -> None:
    text = "a: 1\nb: -2\nc: 1.5\nd: yes\ne: off\nf: ~\ng: 010\nh: 12:30\ni: 1_000\nj: 2019-05-06\nk: .inf\nl: 1e3"
    assert parse(text.encode()).value == {
        "a": 1, "b": -2, "c": 1.5, "d": True, "e": False,
        "g": "010", "h": "12:30", "i": "1_000", "j": "2019-05-06", "k": ".inf", "l": "1e3",
    }  # fmt: skip


def test_keys_are_the_text_that_is_written() -> None:
    assert parse(b"on: 1\n2019: 2\n1.10: 3\n").value == {"on": 1, "2019": 2, "1.10": 3}


def test_a_key_given_twice_is_said_and_the_first_one_counts() -> None:
    document = parse(b"a: {x: 1,\n  x: 2}\n")
    assert document.value == {"a": {"x": 1}}
    assert said(document) == [(2, "is given twice, first on line 1")]


def test_merged_keys_yield_to_written_ones_and_to_earlier_merges() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n"
    document = parse(text.encode())
    assert document.value["c"] == {"x": 3, "y": 1, "z": 2}
    assert document.marks["c", "y"].line == 1


def test_an_empty_block_at_the_top_is_left_out_and_an_empty_key_below_is_said() -> None:
    document = parse(b"bot:\nchat: # all of it below\n  rooms: # one\n  name:\n")
    assert "bot" not in document.value
    assert said(document) == [(3, "is empty: what follows an unquoted # is a comment"), (4, "is empty")]


def test_windows_lines_and_a_byte_order_mark_change_nothing() -> None:
    document = parse(b"\xef\xbb\xbfbot:\r\n  name: x\r\n")
    assert document.value == {"bot": {"name": "x"}}
    assert document.marks["bot", "name"].line == 2


BOMBS = {
    "brackets": "a: " + "[" * 200_000,
    "braces": "a: " + "{a: " * 100_000,
    "dashes": "- " * 200_000,
    "an alias of itself": "a: &a [*a]",
    "a merge of itself": "a: &a {<<: *a}",
    "aliases of aliases": "a0: &a0 [x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
    "more aliases than anybody writes": "a: &a x\nb: [" + "*a, " * 200 + "]",
    "a deep chain of aliases": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [[[[*a{n - 1}]]]]\n" for n in range(1, 90)),
    "merges of merges": "a0: &a0 {x: 1}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 11)),
    "a huge file": "# " + "x" * MAX_BYTES,
    "a huge number": "a: {b: " + "9" * 10_000 + "}",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_what_would_exhaust_the_process_is_refused(text: str) -> None:
    document = parse(text.encode())
    assert document.problems or document.value == {"a": {"b": "9" * 10_000}}


BROKEN = [
    "token: *hunter2",
    "token: @hunter2",
    "token: %hunter2",
    "token: hunter2: x",
    "token: 'hunter2",
    "token: !hunter2 x",
    "token: !!hunter2 x",
    "token: {hunter2",
    "token: &hunter2 a\nb: &hunter2 c",
    "%hunter2",
    "- hunter2\ntoken: x",
    "token: |hunter2",
    'token: "\\hunter2"',
    "token: x\n---\nhunter2: y",
    "hunter2",
    "token:\thunter2:\n\tx",
    "token: 'x' hunter2",
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_syntax_error_does_not_repeat_the_file(text: str) -> None:
    problems = parse(text.encode()).problems
    assert problems
    assert all("hunter2" not in problem.render("config.yaml") for problem in problems)
    assert all(1 <= problem.line <= text.count("\n") + 1 for problem in problems)
