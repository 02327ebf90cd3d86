"""How lines become calls: words, options, reasons, and what is said when they do not fit."""

from datetime import timedelta
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot.core.command import Command, MissingReason, Outcome, Reason, UsageError, Words, command, read_span


class Part(StrEnum):
    BACKEND = "backend"
    FRONTEND = "frontend"


@command("deploy", role="operator")
def deploy(_call: object, part: Part, revision: str = "") -> Outcome:
    """Deploy a part."""
    return Outcome()


@command("wait", role="operator")
def wait(_call: object, *, timeout: timedelta = timedelta(hours=3), ignore: Words = (), quiet: bool = False) -> Outcome:
    """Wait."""
    return Outcome()


@command("skip", role="operator")
def skip(_call: object, step: str, reason: Reason) -> Outcome:
    """Skip a step."""
    return Outcome()


@command("run", role="operator")
def run(_call: object, configs: Words) -> Outcome:
    """Run configs."""
    return Outcome()


@pytest.mark.parametrize(
    ("spec", "line", "bound"),
    [
        (deploy, "backend", {"part": Part.BACKEND}),
        (deploy, "frontend 2021.5", {"part": Part.FRONTEND, "revision": "2021.5"}),
        (wait, "--timeout 90m", {"timeout": timedelta(minutes=90)}),
        (wait, "--timeout=1d12h --quiet", {"timeout": timedelta(hours=36), "quiet": True}),
        (wait, "--ignore a --ignore b", {"ignore": ("a", "b")}),
        (skip, "push done by hand --honestly", {"step": "push", "reason": "done by hand --honestly"}),
        (run, "kernelci mainline", {"configs": ("kernelci", "mainline")}),
    ],
)
def test_words_become_typed_arguments(spec: Command, line: str, bound: dict[str, object]) -> None:
    assert spec.bind(tuple(line.split())) == bound


@pytest.mark.parametrize(
    ("spec", "line", "says"),
    [
        (deploy, "", "backend|frontend is missing. Usage: !deploy backend|frontend [REVISION]"),
        (deploy, "database", "“database” is none of backend, frontend"),
        (deploy, "backend 1 2", "I do not understand “2” there"),
        (wait, "--timeout soon", "no length of time such as 90m"),
        (wait, "--timeot 3h", "--timeot is no option here. Usage: !wait [--timeout TIMEOUT]"),
        (wait, "--timeout", "--timeout wants TIMEOUT"),
        (run, "", "CONFIGS... is missing"),
    ],
)
def test_what_does_not_fit_is_answered_with_the_usage(spec: Command, line: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        spec.bind(tuple(line.split()))
    assert says in str(refused.value)


def test_a_missing_reason_is_told_apart_from_a_missing_argument() -> None:
    with pytest.raises(MissingReason):
        skip.bind(("push",))
    with pytest.raises(UsageError):
        skip.bind(())


def test_a_parameter_that_chat_cannot_fill_is_refused_at_import() -> None:
    def handler(_call: object, when: object) -> Outcome:
        return Outcome()

    with pytest.raises(TypeError, match="chat cannot fill"):
        command("bad", role="operator")(handler)


@given(st.text(max_size=20))
def test_any_text_is_a_span_or_refused(text: str) -> None:
    try:
        assert read_span(text) >= timedelta()
    except ValueError as error:
        assert "length of time" in str(error)


@given(st.lists(st.text(min_size=1, max_size=8), max_size=6))
def test_no_line_ever_breaks_the_parser(words: list[str]) -> None:
    for spec in (deploy, wait, skip, run):
        try:
            spec.bind(tuple(words))
        except (UsageError, MissingReason):
            continue
