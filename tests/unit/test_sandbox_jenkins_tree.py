"""The selection language of the Jenkins stand-in."""

import pytest

from kcibot.sandbox.jenkins.tree import Bean, ByDepth, Field, TreeError, parse_tree, select


def number(value: int) -> Bean:
    return Bean("Number", (Field("value", lambda: value, 3), Field("square", lambda: value * value)))


NUMBERS = Bean(
    "Numbers",
    (
        Field("name", lambda: "primes"),
        Field("items", lambda: [number(one) for one in (2, 3, 5, 7)]),
        Field("hidden", lambda: 1, -1),
        Field("inner", lambda: number(9), 1, inline=True),
    ),
)


def shown(spec: str) -> object:
    return select(NUMBERS, parse_tree(spec))


def test_only_what_is_named_is_shown_and_unknown_names_are_silently_missing() -> None:
    assert shown("name,nope") == {"_class": "Numbers", "name": "primes"}


def test_a_blank_belongs_to_the_name() -> None:
    assert shown("name, hidden") == {"_class": "Numbers", "name": "primes"}


@pytest.mark.parametrize(
    ("spec", "expected"), [("{0,2}", [2, 3]), ("{2,}", [5, 7]), ("{,1}", [2]), ("{3}", [7]), ("{9,12}", [])]
)
def test_ranges_cut_a_list_end_exclusive(spec: str, expected: list[int]) -> None:
    items = [{"_class": "Number", "value": value} for value in expected]
    assert shown(f"items[value]{spec}") == {"_class": "Numbers", "items": items}


def test_a_star_shows_every_field_but_no_deeper() -> None:
    assert shown("*") == {
        "_class": "Numbers",
        "name": "primes",
        "items": [{"_class": "Number"}] * 4,
        "hidden": 1,
        "inner": {"_class": "Number"},
    }


@pytest.mark.parametrize("spec", ["", "a,", "a,,b", "a[", "a[]", "a]", "a[b]]", "a{x}", "a{-1,}", "a{5,2}", "a{}"])
def test_a_malformed_selection_is_refused(spec: str) -> None:
    with pytest.raises(TreeError):
        parse_tree(spec)


def test_depth_shows_nested_objects_only_as_far_as_their_fields_reach() -> None:
    assert select(NUMBERS, ByDepth(1)) == {
        "_class": "Numbers",
        "name": "primes",
        "items": [{"_class": "Number", "value": value} for value in (2, 3, 5, 7)],
        "inner": {"_class": "Number", "value": 9, "square": 81},
    }
