"""A visit to the room: plain through pipes, interactive through a pseudo terminal."""

import contextlib
import io
import os
import pty
import re
import select
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fcntl import ioctl
from pathlib import Path

import pytest

from kcibot.chat.console import ConsoleChat
from kcibot.chat.line_editor import Key, LineEditor
from kcibot.chat.room import Room
from kcibot.chat.terminal import SlashCommand, Terminal
from kcibot.core.message import Place
from kcibot.core.notice import Button, Level, Notice
from kcibot.errors import UserError

PERSONS = ("operator", "manager-1", "manager-2", "observer")
PLACE = Place("console", "kernelci")
CARD = Notice("Release 2020.47 · running", lines=("▶ Plan", "· Tags", "· Drain"), brief="Release 2020.47: Plan")
GATE = Notice("Go?", Level.PROMPT, buttons=(Button("Approve", "!approve a1b2c3"),), mentions=("manager-1",))


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


# ---- plain -----------------------------------------------------------------------------------------------------


def visit(room: Room, typed: str, **more: object) -> list[str]:
    """Everything typed at once, and what was shown until the visit ended."""
    read, write = os.pipe()
    os.write(write, typed.encode())
    os.close(write)
    stdout = io.StringIO()
    with os.fdopen(read) as stdin:
        Terminal(room, PERSONS, stdin=stdin, stdout=stdout, linger=0.1, **more).run()  # type: ignore[arg-type]
    return stdout.getvalue().splitlines()


def test_what_is_piped_in_is_said_and_what_is_said_is_printed(tmp_path: Path) -> None:
    room = Room(tmp_path)
    shown = visit(room, "!ping\n/as manager-1\n/react 1 :+1:\nthe last line has no end")
    assert shown == [
        "You speak as operator. Type /help for this room, !help for the bot.",
        "[1] operator: !ping",
        "You speak as manager-1 now.",
        "manager-1 reacts +1 to [1]",
        "[3] manager-1: the last line has no end",
        "You have left the room.",
    ]
    assert [(event.speaker, event.text, event.target) for event in room.read()] == [
        ("operator", "!ping", 0),
        ("manager-1", "+1", 1),
        ("manager-1", "the last line has no end", 0),
    ]


def test_an_answer_that_comes_after_the_end_of_the_input_is_still_seen(tmp_path: Path) -> None:
    room, chat = Room(tmp_path), ConsoleChat(tmp_path)

    def answer() -> None:
        wait_until(lambda: bool(room.read()))
        chat.post(PLACE, Notice("pong"), "k")

    bot = threading.Thread(target=answer)
    bot.start()
    assert "[2] kcibot: pong" in visit(room, "!ping\n")
    bot.join(5)


def test_whoever_comes_back_sees_the_last_twenty_messages_with_their_newest_text(tmp_path: Path) -> None:
    room, chat = Room(tmp_path), ConsoleChat(tmp_path)
    ref = chat.post(PLACE, CARD, "card")
    for number in range(2, 21):
        room.say("operator", f"line {number}")
    chat.edit(ref, Notice("Release 2020.47 · succeeded", Level.SUCCESS))
    room.react("manager-1", 1, "+1")
    shown = visit(room, "")
    assert shown[:3] == ["[1] kcibot: ✓ Release 2020.47 · succeeded", "     (+1 manager-1)", "[2] operator: line 2"]
    assert len([line for line in shown if line.startswith("[")]) == 20
    room.say("operator", "one more")
    assert visit(room, "")[0] == "[2] operator: line 2"


def test_a_card_out_of_sight_is_told_of_once_per_change_of_its_essence(tmp_path: Path) -> None:
    room, chat = Room(tmp_path), ConsoleChat(tmp_path)
    ref = chat.post(PLACE, Notice("before the visit"), "card")
    chat.edit(ref, CARD)
    edits = [
        replace(CARD, lines=("✓ Plan",)),
        replace(CARD, brief="Release 2020.47: Tags"),
        replace(CARD, brief="Release 2020.47: Tags", lines=()),
        replace(CARD, brief="Release 2020.47: Drain"),
    ]

    def edit() -> list[str]:
        for notice in edits:
            chat.edit(ref, notice)
        return []

    shown = visit(room, "/edit\n", extra={"edit": SlashCommand("", "edit the card", lambda _rest: edit())})
    assert [line for line in shown if "edited" in line] == [
        "[1] edited: Release 2020.47: Tags",
        "[1] edited: Release 2020.47: Drain",
    ]


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("/raect 1 +1", "There is no /raect here. Did you mean /react? /help lists what there is."),
        ("/xyzzy", "There is no /xyzzy here. /help lists what there is."),
        ("/as manager", "Nobody here is called 'manager'. Did you mean manager-1?"),
        ("/react 1", "Which message, and which reaction? /react 12 +1"),
        ("/react 9 +1", "There is no message '9' here. Give the number that stands before it: [12]."),
        ("/react 1 eyes", "operator has reacted eyes to [1] already."),
        ("/unreact 1 +1", "operator has not reacted +1 to [1]."),
        ("/show one", "There is no message 'one' here. Give the number that stands before it: [12]."),
        ("/history all", "How many messages? /history 20"),
        ("/fail", "The bot is not running."),
    ],
)
def test_what_cannot_be_done_is_said_and_not_guessed(tmp_path: Path, typed: str, answer: str) -> None:
    def fail(_rest: str) -> list[str]:
        raise UserError("The bot is not running.")

    room = Room(tmp_path)
    room.say("operator", "hello")
    room.react("operator", 1, "eyes")
    shown = visit(room, typed + "\n", extra={"fail": SlashCommand("", "fail", fail)})
    assert any(line.startswith(answer) for line in shown), shown
    assert len(room.read()) == 2


def test_extra_commands_get_what_follows_their_name_and_stand_in_the_help(tmp_path: Path) -> None:
    got: list[str] = []

    def put_forward(rest: str) -> list[str]:
        got.append(rest)
        return ["It is tomorrow."]

    extra = {"time": SlashCommand("+SPAN", "put the clock forward", put_forward)}
    shown = visit(Room(tmp_path), "/time  +1d \n/help\n", extra=extra)
    assert got == ["+1d"]
    assert "It is tomorrow." in shown
    assert "/time +SPAN       put the clock forward" in shown
    assert "/react N EMOJI    react to message [N], for instance /react 12 +1" in shown


def test_show_who_unreact_history_and_quit(tmp_path: Path) -> None:
    room, chat = Room(tmp_path), ConsoleChat(tmp_path)
    ref = chat.post(PLACE, CARD, "card")
    chat.edit(ref, GATE)
    room.say("operator", "hello")
    typed = "/react #1 👍\n/show [1]\n/unreact 1 +1\n/who\n/history 1\n/quit\nnever said\n"
    shown = visit(room, typed)
    end = shown[shown.index("operator reacts +1 to [1]") :]
    assert end[1:5] == ["[1] kcibot: ? Go?", "     [Approve: !approve a1b2c3]", "     @manager-1", "     (+1 operator)"]
    assert re.fullmatch(r"said .* UTC, edited once", end[5])
    assert end[6:] == [
        "operator takes +1 back from [1]",
        "operator (you)",
        "manager-1",
        "manager-2",
        "observer",
        "[3] operator: hello",
        "You have left the room.",
    ]


def test_another_channel_of_the_room_is_not_heard(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "elsewhere", channel="other")
    assert not any("elsewhere" in line for line in visit(room, ""))


def test_a_room_that_cannot_be_written_costs_the_line_and_not_the_visit(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shown = visit(Room(tmp_path / "file" / "deep"), "hello\n/who\n")
    assert len([line for line in shown if line.startswith("The chat room's file cannot be read")]) == 1
    assert len([line for line in shown if line.startswith("The chat room's file cannot be opened")]) == 1
    assert "operator (you)" in shown


# ---- on a screen -----------------------------------------------------------------------------------------------


class Emulator:
    """As much of a terminal as the room uses: what can be read on its screen."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.screen = [""] * lines
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        for code, letter, char in re.findall(r"\x1b\[([0-9;?]*)([A-Za-z])|([^\x1b])", text):
            if letter:
                self._escape(code, letter)
            elif char == "\r":
                self.column = 0
            elif char == "\n":
                self._line_feed()
            else:
                self._put(char)

    def text(self) -> list[str]:
        return [line.rstrip() for line in self.screen if line.strip()]

    def _escape(self, code: str, letter: str) -> None:
        count = int(code or 1) if code.isdecimal() or not code else 1
        match letter:
            case "A":
                self.row = max(0, self.row - count)
            case "C":
                self.column += count
            case "H":
                self.row = self.column = 0
            case "J":
                first = 0 if code == "2" else self.row + 1
                if code != "2":
                    self.screen[self.row] = self.screen[self.row][: self.column]
                for row in range(first, self.lines):
                    self.screen[row] = ""
            case "K":
                self.screen[self.row] = self.screen[self.row][: self.column]

    def _put(self, char: str) -> None:
        if self.column >= self.columns:
            self.column = 0
            self._line_feed()
        line = self.screen[self.row].ljust(self.column)
        self.screen[self.row] = line[: self.column] + char + line[self.column + 1 :]
        self.column += 1

    def _line_feed(self) -> None:
        self.row += 1
        if self.row == self.lines:
            self.screen = [*self.screen[1:], ""]
            self.row -= 1


class Visitor:
    """Somebody at a pseudo terminal, with a visit going on in a thread."""

    def __init__(self, room: Room, columns: int = 80, lines: int = 16, **more: object) -> None:
        self.master, slave = pty.openpty()
        self.resize(columns, lines)
        self._slave = slave
        self.before = termios.tcgetattr(slave)
        self._stdin = os.fdopen(os.dup(slave), "r")
        self._stdout = os.fdopen(os.dup(slave), "w", encoding="utf-8")
        terminal = Terminal(
            room,
            PERSONS,
            stdin=self._stdin,
            stdout=self._stdout,
            environ={"TERM": "xterm"},
            **more,  # type: ignore[arg-type]
        )
        self.thread = threading.Thread(target=terminal.run)
        self.thread.start()

    def resize(self, columns: int, lines: int) -> None:
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.emulator = Emulator(columns, lines)

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def sees(self, condition: Callable[[list[str]], bool]) -> list[str]:
        """What is on the screen once the condition holds."""
        deadline = time.monotonic() + 10
        while not condition(self.emulator.text()):
            assert time.monotonic() < deadline, "\n".join(self.emulator.text())
            if select.select([self.master], [], [], 0.02)[0]:
                self.emulator.feed(os.read(self.master, 65536).decode())
        return self.emulator.text()

    def leaves(self) -> None:
        self.sees(lambda screen: any("You have left" in line for line in screen))
        self.thread.join(5)
        assert not self.thread.is_alive()

    def mode(self) -> list[object]:
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        os.close(self.master)
        self.thread.join(5)
        for end in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):  # what was still to be written has nowhere to go
                end.close()
        os.close(self._slave)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


@pytest.fixture
def visitor(room: Room) -> Iterator[Visitor]:
    visitor = Visitor(room)
    yield visitor
    visitor.close()


def test_a_visit_type_see_speak_as_another_react_and_quit(room: Room, visitor: Visitor, tmp_path: Path) -> None:
    visitor.sees(lambda screen: screen[-1:] == ["operator>"])
    visitor.type("!release prepare")
    visitor.sees(lambda screen: screen[-1] == "operator> !release prepare")
    assert room.read() == []
    visitor.type("\r")
    visitor.sees(lambda screen: screen[-2:] == ["[1] operator: !release prepare", "operator>"])
    ConsoleChat(tmp_path).post(PLACE, GATE, "gate")
    visitor.sees(lambda screen: "[2] kcibot: ? Go?" in screen)
    visitor.type("/as manager-1\r")
    visitor.sees(lambda screen: screen[-1] == "manager-1>")
    visitor.type("/react 2 +1\r")
    visitor.sees(lambda screen: screen[-2:] == ["manager-1 reacts +1 to [2]", "manager-1>"])
    visitor.type("/quit\r")
    visitor.leaves()
    assert [(event.speaker, event.text) for event in room.read()] == [
        ("operator", "!release prepare"),
        ("kcibot", ""),
        ("manager-1", "+1"),
    ]
    assert visitor.mode() == visitor.before


def test_a_message_that_comes_while_somebody_types_appears_above_the_line(room: Room, visitor: Visitor) -> None:
    visitor.type("half a li")
    visitor.sees(lambda screen: screen[-1:] == ["operator> half a li"])
    room.say("observer", "excuse me")
    screen = visitor.sees(lambda screen: "[1] observer: excuse me" in screen)
    visitor.sees(lambda screen: screen[-2:] == ["[1] observer: excuse me", "operator> half a li"])
    assert screen.count("operator> half a li") == 1


def test_a_card_in_sight_is_redrawn_where_it_stands(room: Room, visitor: Visitor, tmp_path: Path) -> None:
    chat = ConsoleChat(tmp_path)
    ref = chat.post(PLACE, CARD, "card")
    room.say("operator", "a line below")
    visitor.sees(lambda screen: "[2] operator: a line below" in screen)
    chat.edit(ref, replace(CARD, lines=("✓ Plan", "▶ Tags · 3 of 7", "with one row more", "· Drain")))
    expected = [
        "[1] kcibot: Release 2020.47 · running",
        "     ✓ Plan",
        "     ▶ Tags · 3 of 7",
        "     with one row more",
        "     · Drain",
        "[2] operator: a line below",
        "operator>",
    ]
    visitor.sees(lambda screen: screen[-7:] == expected)
    chat.edit(ref, Notice("Release 2020.47 · succeeded"))
    visitor.sees(
        lambda screen: screen[-3:] == ["[1] kcibot: Release 2020.47 · succeeded", *expected[-2:]] and len(screen) == 4
    )


def test_a_card_that_scrolled_out_of_sight_is_told_of_in_a_line(room: Room, visitor: Visitor, tmp_path: Path) -> None:
    chat = ConsoleChat(tmp_path)
    ref = chat.post(PLACE, CARD, "card")
    for number in range(12):
        room.say("operator", f"line {number}")
    visitor.sees(lambda screen: "[13] operator: line 11" in screen)
    chat.edit(ref, replace(CARD, lines=("✓ Plan",)))
    chat.edit(ref, replace(CARD, brief="Release 2020.47: Tags"))
    screen = visitor.sees(lambda screen: "[1] edited: Release 2020.47: Tags" in screen)
    assert screen[-3:-1] == ["[13] operator: line 11", "[1] edited: Release 2020.47: Tags"]


def test_after_a_card_shrank_what_scrolled_away_above_it_is_not_taken_to_be_in_sight(
    room: Room, visitor: Visitor, tmp_path: Path
) -> None:
    chat = ConsoleChat(tmp_path)
    above = chat.post(PLACE, Notice("Above", lines=tuple(f"above {n}" for n in range(5))), "above")
    below = chat.post(PLACE, Notice("Below", lines=tuple(f"below {n}" for n in range(12))), "below")
    visitor.sees(lambda screen: "     below 11" in screen)
    chat.edit(below, Notice("Below"))
    visitor.sees(lambda screen: "     below 11" not in screen)
    chat.edit(above, Notice("Above, new"))
    visitor.sees(lambda screen: screen[-3:] == ["[2] kcibot: Below", "[1] edited: Above, new", "operator>"])


def test_after_a_resize_the_newest_messages_are_drawn_anew(room: Room, visitor: Visitor, tmp_path: Path) -> None:
    chat = ConsoleChat(tmp_path)
    room.say("operator", "one two three four five six seven")
    ref = chat.post(PLACE, CARD, "card")
    visitor.sees(lambda screen: "     · Drain" in screen)
    visitor.type("typed")
    visitor.sees(lambda screen: screen[-1] == "operator> typed")
    visitor.resize(30, 9)
    expected = [
        "[1] operator: one two three",
        "     four five six seven",
        "[2] kcibot: Release 2020.47 ·",
        "     running",
        "     ▶ Plan",
        "     · Tags",
        "     · Drain",
        "operator> typed",
    ]
    visitor.sees(lambda screen: screen == expected)
    chat.edit(ref, replace(CARD, title="Release"))
    visitor.sees(lambda screen: screen[2:] == ["[2] kcibot: Release", *expected[4:]])


def test_a_line_longer_than_the_screen_is_seen_around_the_cursor(room: Room, visitor: Visitor) -> None:
    visitor.resize(24, 10)
    text = "a line that is much longer than this screen"
    visitor.type(text)
    visitor.sees(
        lambda screen: screen[-1:] and screen[-1].startswith("operator> ") and screen[-1].endswith("this screen")
    )
    visitor.type("\x01")
    visitor.sees(lambda screen: screen[-1] == f"operator> {text[:13]}".rstrip())
    visitor.type("\r")
    wait_until(lambda: [event.text for event in room.read()] == [text])


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_ctrl_d_leave_and_put_the_terminal_back(visitor: Visitor, key: str) -> None:
    visitor.sees(lambda screen: screen[-1:] == ["operator>"])
    assert visitor.mode() != visitor.before
    visitor.type(key)
    visitor.leaves()
    assert visitor.mode() == visitor.before


def test_a_terminal_that_goes_away_ends_the_visit(room: Room) -> None:
    visitor = Visitor(room)
    visitor.sees(lambda screen: screen[-1:] == ["operator>"])
    visitor.close()
    assert not visitor.thread.is_alive()


def test_ctrl_c_does_not_reach_other_processes_of_the_terminal(tmp_path: Path) -> None:
    script = """
import subprocess, sys
from pathlib import Path
from kcibot.chat.room import Room
from kcibot.chat.terminal import Terminal
bot = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
Terminal(Room(Path(sys.argv[1])), ["operator"]).run()
try:
    bot.wait(0.2)
except subprocess.TimeoutExpired:
    print("the bot lives")
bot.kill()
"""
    pid, master = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", script, str(tmp_path)], {**os.environ, "TERM": "xterm"})  # noqa: S606
    output = b""
    while b"operator> " not in output:
        output += os.read(master, 65536)
    os.write(master, b"\x03")
    while b"the bot lives" not in output:
        assert select.select([master], [], [], 10)[0], output
        output += os.read(master, 65536)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(master)


# ---- the line being typed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("hello\r", "hello"),
        ("helo\x1b[Dl\r", "hello"),
        ("ello\x01h\x05!\r", "hello!"),
        ("ello\x1b[Hh\x1b[F!\r", "hello!"),
        ("hexllo\x1b[D\x1b[D\x1b[D\x7f\r", "hello"),
        ("\x1b[3~hello\x1b[1~\x1b[3~H\r", "Hello"),
        ("one two three\x17\x17four\r", "one four"),
        ("gone\x15kept\r", "kept"),
        ("kept gone\x1b[D\x1b[D\x1b[D\x1b[D\x0b\r", "kept "),
        ("thrown away\x03kept\r", "kept"),
        ("ünï日本\r", "ünï日本"),
        ("a\x1bxb\x1b[99~c\x00d\r", "abcd"),
        ("ab\x02\x04\r", "a"),
    ],
)
def test_the_keys_of_the_line(keys: str, line: str) -> None:
    assert LineEditor().feed(keys) == [line]


def test_a_key_may_come_in_pieces() -> None:
    editor = LineEditor()
    assert [editor.feed(part) for part in ("ab", "\x1b", "[", "Dx", "\r")] == [[], [], [], [], ["axb"]]


def test_earlier_lines_come_back() -> None:
    editor = LineEditor()
    editor.feed("one\rtwo\rtwo\r")
    assert editor.feed("\x1b[A\r") == ["two"]
    assert editor.feed("\x1b[A\x1b[A\r") == ["one"]
    assert editor.feed("\x1b[A\x1b[A\x1b[Bx\x1b[B\r") == [""]


def test_leaving_needs_an_empty_line() -> None:
    editor = LineEditor()
    assert editor.feed("x\x03\x04") == [Key.LEAVE]
    assert editor.feed("\x03") == [Key.LEAVE]
    assert editor.feed("\x0c") == [Key.REPAINT]


def test_tab_types_on_as_far_as_there_is_one_way() -> None:
    lines = ("/as ", "/as manager-1", "/as manager-2", "/react ")
    editor = LineEditor(lambda line: [whole for whole in lines if whole.startswith(line)])
    assert editor.feed("/r\t12\r") == ["/react 12"]
    assert editor.feed("/as m\t2\r") == ["/as manager-2"]
    assert editor.feed("/x\t\r") == ["/x"]
