"""Notices and messages in a terminal: what people read, and what never reaches the terminal."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcibot.chat.console_render import (
    bar,
    cells,
    clean,
    coloured,
    colours_wanted,
    headline,
    notice_rows,
    render,
    wrap,
)
from kcibot.chat.conversation import Conversation
from kcibot.chat.room import CHANNEL, Room, RoomKind
from kcibot.chat.transcript import transcript
from kcibot.core.notice import Button, Field, Level, Notice, Progress

CARD = Notice(
    title="Release 2020.47 · running",
    lines=("✓ Plan", "✓ Tags created · 7 repositories · 3 min", "▶ Drain · 3 builds left · 12 min", "· Push core"),
    progress=Progress(2, 4, "steps"),
    brief="Release 2020.47 running: Drain (3 builds left)",
)

PROMPT = Notice(
    title="Release 2020.47: “Go” asks for approval",
    level=Level.PROMPT,
    fields=(Field("Digest", "a1b2c3"), Field("May approve", "manager-1 and manager-2")),
    lines=("kernelci-core: main 1f2e3d4c5b6a -> 6a5b4c3d2e1f, a fast-forward of 14 commits by 5 people",),
    buttons=(Button("Approve", "!approve a1b2c3"), Button("Reject", "!reject a1b2c3")),
    mentions=("manager-1", "manager-2"),
)


def test_a_card_is_a_title_its_steps_and_a_bar() -> None:
    assert render(CARD, 80) == [
        "Release 2020.47 · running",
        "  ✓ Plan",
        "  ✓ Tags created · 7 repositories · 3 min",
        "  ▶ Drain · 3 builds left · 12 min",
        "  · Push core",
        "  [##########..........] 2/4 steps",
    ]


def test_a_prompt_shows_its_digest_what_it_is_about_and_how_to_answer() -> None:
    assert render(PROMPT, 60) == [
        "? Release 2020.47: “Go” asks for approval",
        "  Digest:      a1b2c3",
        "  May approve: manager-1 and manager-2",
        "  kernelci-core: main 1f2e3d4c5b6a -> 6a5b4c3d2e1f, a",
        "    fast-forward of 14 commits by 5 people",
        "  [Approve: !approve a1b2c3]  [Reject: !reject a1b2c3]",
        "  @manager-1 @manager-2",
    ]


def test_buttons_that_do_not_fit_side_by_side_go_below_each_other() -> None:
    assert render(PROMPT, 40)[-3:] == [
        "  [Approve: !approve a1b2c3]",
        "  [Reject: !reject a1b2c3]",
        "  @manager-1 @manager-2",
    ]


def test_a_short_reply_is_one_line_behind_its_lead() -> None:
    assert render(Notice("pong"), 80, lead="[7] kcibot: ") == ["[7] kcibot: pong"]


@pytest.mark.parametrize(
    ("level", "first"),
    [
        (Level.INFO, "Drained"),
        (Level.SUCCESS, "✓ Drained"),
        (Level.PROMPT, "? Drained"),
        (Level.WARNING, "! Drained"),
        (Level.ALERT, "!! Drained"),
        (Level.ERROR, "✗ Drained"),
    ],
)
def test_the_level_is_a_mark_before_the_title(level: Level, first: str) -> None:
    assert render(Notice("Drained", level), 80) == [first]


def test_a_field_that_is_too_long_continues_below_its_value() -> None:
    assert render(Notice("t", fields=(Field("Command", "ansible-playbook -i hosts -l api site.yml"),)), 32) == [
        "t",
        "  Command: ansible-playbook -i",
        "           hosts -l api site.yml",
    ]


def test_the_columns_of_ready_made_rows_are_kept() -> None:
    assert render(Notice("t", lines=("name      state", "  backend   done")), 40) == [
        "t",
        "  name      state",
        "    backend   done",
    ]


def test_a_word_that_is_longer_than_the_width_is_not_broken() -> None:
    assert wrap("see https://kernelci.org/a/very/long/address now", 20, rest="  ") == [
        "see",
        "  https://kernelci.org/a/very/long/address",
        "  now",
    ]


def test_the_lines_of_a_text_stay_lines() -> None:
    assert wrap("one\ntwo\r\nthree", 40, "> ", "  ") == ["> one", "  two", "  three"]


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (Progress(0, 200, "kernels"), "[....................] 0/200 kernels"),
        (Progress(120, 200, "kernels"), "[############........] 120/200 kernels"),
        (Progress(199, 200, "kernels"), "[###################.] 199/200 kernels"),
        (Progress(200, 200), "[####################] 200/200"),
        (Progress(7, 5, "jobs"), "[####################] 7/5 jobs"),
        (Progress(7, 0, "jobs"), "7 jobs"),
    ],
)
def test_a_bar_is_full_only_when_all_is_done(progress: Progress, shown: str) -> None:
    assert bar(progress) == shown


def test_control_characters_never_reach_the_terminal() -> None:
    evil = "\x1b[2J\x07\x9b31m\x00 \u202egnp.exe\ud800"
    notice = Notice(evil, lines=(evil,), fields=(Field(evil, evil),), buttons=(Button(evil, evil),), mentions=(evil,))
    text = "".join(render(replace(notice, progress=Progress(1, 2, evil)), 80, lead=clean(evil)))
    assert "[2J" in text
    assert all(char.isprintable() for char in text)


@given(st.text(), st.integers(min_value=20, max_value=120))
def test_whatever_is_said_is_printable_and_fits_unless_a_word_does_not(text: str, width: int) -> None:
    for row in wrap(text, width, "[1] operator: ", "     "):
        assert row.isprintable()
        assert cells(row) <= width or len(row.removeprefix("[1] operator: ").split()) == 1


def test_wide_characters_take_two_cells_and_combining_ones_none() -> None:
    assert [cells(text) for text in ("abc", "日本", "e\u0301", "✓")] == [3, 4, 1, 1]


def test_the_headline_is_the_brief_or_the_title() -> None:
    assert headline(CARD) == "Release 2020.47 running: Drain (3 builds left)"
    assert headline(Notice("pong")) == "pong"


def test_colours_are_apart_from_the_text_and_end_where_they_began() -> None:
    rows = notice_rows(PROMPT, 60)
    assert [row.text for row in rows] == render(PROMPT, 60)
    assert coloured(rows[0]) == f"\x1b[1;36m{rows[0].text}\x1b[0m"


class _Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "wanted"),
    [
        (_Tty(), {"TERM": "xterm"}, True),
        (_Tty(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (_Tty(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_whose_owner_wants_them(
    stream: io.StringIO, environ: dict[str, str], wanted: bool
) -> None:
    assert colours_wanted(stream, environ) is wanted


# ---- conversation and transcript -------------------------------------------------------------------------------


def _room(folder: Path, hour: int = 14) -> Room:
    times = iter(datetime(2020, 11, 23, hour, minute, 5, tzinfo=UTC) for minute in range(60))
    return Room(folder, lambda: next(times))


def test_a_conversation_has_the_newest_text_and_the_reactions_that_stand(tmp_path: Path) -> None:
    room, conversation = _room(tmp_path), Conversation()
    room.append(RoomKind.POST, CHANNEL, "kcibot", notice=PROMPT, key="gate")
    room.react("manager-1", 1, "+1")
    room.react("manager-2", 1, "+1")
    room.unreact("manager-2", 1, "+1")
    room.append(RoomKind.EDIT, CHANNEL, "kcibot", target=1, notice=Notice("approved"))
    room.react("manager-1", 99, "+1")
    for event in room.read():
        conversation.apply(event)
    (message,) = conversation.newest(20)
    assert [row.text for row in message.rows(80)] == ["[1] kcibot: approved", "     (+1 manager-1)"]


def test_a_transcript_tells_in_order_who_said_what_and_what_changed(tmp_path: Path) -> None:
    room = _room(tmp_path)
    room.say("operator", "!release prepare")
    room.append(RoomKind.POST, CHANNEL, "kcibot", notice=CARD, key="card")
    room.append(RoomKind.POST, CHANNEL, "kcibot", notice=PROMPT, key="gate")
    room.react("manager-1", 3, "+1")
    room.append(RoomKind.EDIT, CHANNEL, "kcibot", target=2, notice=CARD)
    moved = replace(CARD, lines=(*CARD.lines[:2], "✓ Drain · 14 min", CARD.lines[3]), progress=Progress(3, 4, "steps"))
    room.append(RoomKind.EDIT, CHANNEL, "kcibot", target=2, notice=moved)
    room.append(RoomKind.EDIT, CHANNEL, "kcibot", target=2, notice=replace(moved, lines=moved.lines[1:]))
    room.say("operator", "elsewhere", channel="other")
    room.unreact("manager-1", 3, "+1")
    assert transcript(room).splitlines() == [
        "-- Mon 23 Nov 2020 (UTC) --",
        "14:00:05 [1] operator: !release prepare",
        "14:01:05 [2] kcibot: Release 2020.47 · running",
        "              ✓ Plan",
        "              ✓ Tags created · 7 repositories · 3 min",
        "              ▶ Drain · 3 builds left · 12 min",
        "              · Push core",
        "              [##########..........] 2/4 steps",
        "14:02:05 [3] kcibot: ? Release 2020.47: “Go” asks for approval",
        "              Digest:      a1b2c3",
        "              May approve: manager-1 and manager-2",
        "              kernelci-core: main 1f2e3d4c5b6a -> 6a5b4c3d2e1f, a fast-forward of 14 commits by 5 people",
        "              [Approve: !approve a1b2c3]  [Reject: !reject a1b2c3]",
        "              @manager-1 @manager-2",
        "14:03:05 manager-1 reacts +1 to [3]",
        "14:05:05 [2] ~   ✓ Drain · 14 min",
        "14:06:05 [2] ~ gone: ✓ Plan",
        "14:08:05 manager-1 takes +1 back from [3]",
    ]


def test_a_transcript_can_begin_later_and_names_each_new_day(tmp_path: Path) -> None:
    times = iter([datetime(2020, 11, 23, 14, tzinfo=UTC), datetime(2020, 11, 24, 9, tzinfo=UTC)] * 2)
    room = Room(tmp_path, lambda: next(times))
    room.say("operator", "one")
    room.say("operator", "two")
    assert transcript(room).count("-- ") == 2
    assert transcript(room, after=1) == "-- Tue 24 Nov 2020 (UTC) --\n09:00:00 [2] operator: two\n"
