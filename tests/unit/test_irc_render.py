"""Notices on IRC: short, the essence first, and nothing in them that is more than text."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kcibot.chat.irc.lines import BOLD
from kcibot.chat.irc.render import IrcText, lines
from kcibot.core.notice import Button, Field, Level, Notice, Progress
from tests.fakes.any_notices import NOTICES, TEXTS
from tests.fakes.real_notices import ALL, FACTS
from tests.fakes.snapshots import on_irc

ABOUT = 400


def shown(notice: Notice, longest: int = 8) -> IrcText:
    return lines(notice, on_irc, longest)


def words(*some: str) -> str:
    """Without what only arranges it."""
    return " ".join("".join(char if char.isalnum() else " " for char in " ".join(some)).split())


def letters(*some: str) -> str:
    """As lines are cut between letters, too, where there is no blank."""
    return words(*some).replace(" ", "")


# ---- short -------------------------------------------------------------------------------------------------------


def test_a_card_of_38_steps_is_one_line_that_never_takes_the_place_of_what_more_shows() -> None:
    text = shown(ALL["card"])
    assert len(text.lines) == 1
    assert text.lines[0].endswith(" · 10/38 steps")
    assert text.rest == ()


def test_a_short_answer_is_the_answer() -> None:
    assert shown(Notice("pong")) == IrcText(("pong",))


def test_one_line_of_explanation_goes_behind_the_title() -> None:
    assert shown(Notice("Saved", lines=("as 12",))).lines == (f"{BOLD}Saved{BOLD} · as 12",)


def test_what_has_a_brief_is_that_and_how_much_more_there_is() -> None:
    text = shown(ALL["plan"])
    assert text.lines == (f"{ALL['plan'].brief} (… 3 more lines: !more)",)
    assert len(text.rest) == 3


def test_fields_stand_side_by_side_while_they_fit() -> None:
    fields = tuple(Field(f"name {n}", "v" * 100) for n in range(6))
    rows = shown(Notice("Title", fields=fields)).lines[1:]
    assert [row.count("name") for row in rows] == [3, 3]


def test_progress_is_a_count() -> None:
    told = shown(Notice("Builds", progress=Progress(50, 200, "kernels"))).lines
    assert told == (f"{BOLD}Builds{BOLD} · 50/200 kernels",)


def test_what_is_indented_stands_behind_what_it_belongs_to() -> None:
    told = shown(Notice("T", lines=("core:", "  a", "    b", "backend", "  c", "  d", "last"))).lines
    assert told[1:] == ("core: a; b", "backend: c; d", "last")


def test_lines_that_are_indented_alike_stay_lines() -> None:
    assert len(shown(Notice("T", lines=("  1 a", "  2 b", " 10 c"))).lines) == 4


@pytest.mark.parametrize("longest", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("name", sorted(ALL))
def test_no_notice_takes_more_lines_than_it_may(name: str, longest: int) -> None:
    text = shown(ALL[name], longest)
    assert 1 <= len(text.lines) <= longest
    assert all(len(line.encode()) <= ABOUT for line in (*text.lines, *text.rest))


@pytest.mark.parametrize("longest", [1, 2, 3, 8])
def test_what_is_left_is_counted_and_nothing_is_lost(longest: int) -> None:
    text = shown(ALL["log"], longest)
    assert f"… {len(text.rest)} more lines: !more" in text.lines[-1]
    assert words(*ALL["log"].lines) in words(*text.lines[1:-1], *text.rest)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=30).map(tuple), st.sampled_from(Level), st.integers(2, 9))
def test_no_word_of_a_notice_is_lost(told: tuple[str, ...], level: Level, longest: int) -> None:
    text = shown(Notice("Title", level, told), longest)
    said_now = text.lines[:-1] if text.rest else text.lines
    assert letters(*told) in letters(*said_now, *text.rest)


# ---- what asks ---------------------------------------------------------------------------------------------------


def test_a_prompt_ends_with_whom_it_asks_how_to_answer_and_what_is_left() -> None:
    text = shown(ALL["prompt"])
    code = ALL["prompt"].fields[0].value
    answer = f"m1, m2: !approve {code} or !reject {code} REASON (… {len(text.rest)} more lines: !more)"
    assert text.lines[-1] == answer
    assert text.lines[0] == f"{BOLD}? {ALL['prompt'].title}{BOLD}"
    assert text.lines[1].startswith(f"Digest: {code} · May approve: manager-1 and manager-2")


@pytest.mark.parametrize("longest", [1, 2, 5, 8, 40])
def test_of_what_is_approved_nothing_is_lost(longest: int) -> None:
    text = shown(ALL["prompt"], longest)
    assert words(*FACTS) in words(*(text.lines[1:-1]), *text.rest)


def test_in_a_room_of_one_line_a_prompt_still_says_how_to_answer() -> None:
    (line,) = shown(ALL["prompt"], 1).lines
    assert f"!approve {ALL['prompt'].fields[0].value}" in line


def test_more_people_than_fit_never_push_the_commands_out_of_the_last_line() -> None:
    many = tuple(f"manager-with-a-name-{n}" for n in range(80))
    notice = Notice("Go", Level.PROMPT, ("a",), buttons=ALL["prompt"].buttons, mentions=many)
    last = lines(notice, str, 8).lines[-1]
    assert all(button.command in last for button in notice.buttons)
    assert len(last.encode()) <= ABOUT


def test_a_prompt_that_was_answered_is_one_line() -> None:
    (line,) = shown(ALL["prompt-answered"]).lines
    assert "rejected" in line


def test_the_essence_of_an_open_prompt_is_said_without_asking_twice() -> None:
    told = shown(Notice("“Go” asks for approval (manager-1 approves): !approve 0c007d", Level.PROMPT)).lines
    assert told == (f"{BOLD}? “Go” asks for approval (manager-1 approves): !approve 0c007d{BOLD}",)


def test_whom_the_network_does_not_know_is_not_called() -> None:
    """Their id may be somebody else's nick."""
    notice = Notice("Look", Level.ALERT, mentions=("stranger", "operator", "operator"))
    assert shown(notice).lines == (f"op: {BOLD}(!!) Look{BOLD}",)


def test_a_button_is_a_command_to_type_that_was_not_said_yet() -> None:
    told = shown(ALL["alert-with-buttons"]).lines
    assert sum("!monitor pause" in line for line in told) == 1
    assert told[-1] == "End the pause: !monitor resume"


def test_a_longer_command_does_not_stand_for_a_shorter_one() -> None:
    notice = Notice("!jobs apply-all?", buttons=(Button("Apply", "!jobs apply"),))
    assert shown(notice).lines[-1].endswith("Apply: !jobs apply")


# ---- only text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "notice",
    [
        Notice("!release abort"),
        Notice("!release abort", Level.WARNING),
        Notice("Look", Level.ALERT, ("!release abort", "!stop")),
        Notice("Help", fields=(Field("!approve", "approve"), Field("b", "c" * 400))),
        Notice("A title", brief="!stop", milestone="x"),
    ],
)
def test_no_line_can_be_taken_for_a_command_by_another_bot(notice: Notice) -> None:
    assert not any(line.replace(BOLD, "").startswith("!") for line in shown(notice).lines)


def test_colours_bold_and_line_ends_of_others_are_not_ours() -> None:
    text = shown(ALL["hostile"])
    assert text.lines[0].count(BOLD) == 2
    assert text.lines[0].strip(BOLD).isprintable()
    assert all(line.isprintable() for line in text.lines[1:])


@settings(max_examples=60, deadline=None)
@given(NOTICES, st.integers(1, 12))
@example(Notice("", Level.PROMPT, buttons=(Button("", "x" * 3000),)), 8)
def test_whatever_a_notice_holds_it_is_few_harmless_lines(notice: Notice, longest: int) -> None:
    text = shown(notice, longest)
    assert 1 <= len(text.lines) <= longest
    for line in (*text.lines, *text.rest):
        assert line.replace(BOLD, "").isprintable()
        assert line.replace(BOLD, "").strip()
        assert not line.lstrip(BOLD).startswith("!")
        line.encode()
    assert all(len(line.encode()) <= ABOUT for line in text.rest)
    assert sum(line.count(BOLD) for line in text.lines) in {0, 2}
    assert not any(BOLD in line for line in text.rest)
