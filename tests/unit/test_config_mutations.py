"""Whatever happens to a good configuration, it loads or its problems are said with their lines: never a trace."""

import copy
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kcibot.config import ConfigProblems, load
from tests.fakes.config_text import config_text
from tests.unit.test_config_values import AnnounceSettings

Path_ = tuple[str | int, ...]
EXTRA = {
    "roles": "\n  lab-admin: [operator]\n",
    "procedures": "\n  release: [plan, create-tags]\n",
    "announce": "\n  window: {length: 2d}\n  limits: {a: [1h]}\n  hours: {days: [Sat]}\n  room: 'console:#a'\n",
}
GOOD: dict[str, Any] = yaml.safe_load(config_text(EXTRA))
SECRET = "hunter2hunter2"
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.sampled_from(
        ["", " ", "!", SECRET, f"https://x:{SECRET}@example.org", f"#{SECRET}", "90m", "é\u2028", "\x85", "~"]
    ),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=5)), max_size=3),
    st.dictionaries(st.one_of(st.text(max_size=5), st.integers(), st.none()), st.text(max_size=5), max_size=3),
)


def paths(value: Any, where: Path_ = ()) -> Iterator[Path_]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*where, key)
        yield from paths(value[key], (*where, key))


ALL = sorted(paths(GOOD), key=str)
CHANGES = st.tuples(st.sampled_from(ALL), st.sampled_from(["drop", "rename", "retype"]), st.text(max_size=8), VALUES)


def mutate(config: Any, where: Path_, how: str, name: str, value: Any) -> None:
    inner = config
    for key in where[:-1]:
        try:
            inner = inner[key]
        except (KeyError, IndexError, TypeError):
            return  # an earlier change took it away
    if not isinstance(inner, dict | list) or (isinstance(inner, list) and where[-1] not in range(len(inner))):
        return
    if how == "drop" and (isinstance(inner, list) or where[-1] in inner):
        del inner[where[-1]]
    elif how == "rename" and isinstance(inner, dict):
        inner[name] = inner.pop(where[-1], value)
    else:
        inner[where[-1]] = value


def outcome(text: str | bytes) -> ConfigProblems | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
        try:
            load(path, {"announce": AnnounceSettings})
        except ConfigProblems as problems:
            return problems
    return None


def check(text: str | bytes) -> None:
    problems = outcome(text)
    if problems is None:
        return
    written = text if isinstance(text, str) else text.decode(errors="replace")
    last = len(re.split("\r\n|\r|\n", written))
    assert problems.lines
    assert all(0 <= problem.line <= last for problem in problems.problems)
    assert list(problems.problems) == sorted(problems.problems, key=lambda problem: problem.line)
    assert SECRET not in str(problems)
    assert all(problem.fix and problem.what for problem in problems.problems)


def test_the_configuration_that_is_changed_here_is_a_good_one() -> None:
    assert outcome(yaml.safe_dump(GOOD)) is None


@pytest.mark.parametrize("where", [path for path in ALL if len(path) <= 3], ids=str)
def test_any_key_of_another_type_is_a_problem_at_most(where: Path_) -> None:
    for value in (None, 5, "", [], {}, [None], {"x": None}):
        changed = copy.deepcopy(GOOD)
        mutate(changed, where, "retype", "", value)
        check(yaml.safe_dump(changed, sort_keys=False))


@settings(max_examples=150, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_any_changes_of_keys_and_values_are_problems_at_most(changes: list[tuple[Path_, str, str, Any]]) -> None:
    changed = copy.deepcopy(GOOD)
    for change in changes:
        mutate(changed, *change)
    check(yaml.safe_dump(changed, sort_keys=False, allow_unicode=True))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 1700),
    st.integers(0, 30),
    st.sampled_from(["", "\n", " ", "\t", ":", "[", "*", "&a", "{", "'", "#", "-"]),
)
def test_any_damage_to_the_text_is_a_problem_at_most(start: int, length: int, new: str) -> None:
    text = config_text(EXTRA)
    check(text[:start] + new + text[start + length :])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_problem_at_most(data: bytes) -> None:
    check(data)
