"""The room's file: consecutive numbers whoever writes, mended after a kill, and read without gaps."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kcibot.chat import room as room_module
from kcibot.chat.room import Event, Room, RoomKind
from kcibot.core.notice import Button, Field, Level, Notice, Progress
from kcibot.errors import PermanentError, TransientError

APPENDER = """
import sys
from pathlib import Path
from kcibot.chat.room import Room
room = Room(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    room.say(sys.argv[2], f"line {number}")
"""

NOTICE = Notice(
    title="Ünïcode title",
    level=Level.PROMPT,
    lines=("one", "two"),
    fields=(Field("Digest", "a1b2c3"),),
    progress=Progress(3, 7, "steps"),
    buttons=(Button("Approve", "!approve a1b2c3"),),
    mentions=("manager-1",),
    brief="in short",
)


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def start_appender(folder: Path, person: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", APPENDER, str(folder), person, str(count)])


def test_processes_that_append_at_once_get_consecutive_numbers_and_lose_nothing(tmp_path: Path) -> None:
    persons = ["operator", "manager-1", "manager-2", "observer"]
    processes = [start_appender(tmp_path, person, 40) for person in persons]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    events = Room(tmp_path).read()
    assert [event.number for event in events] == list(range(1, 161))
    for person in persons:
        assert [event.text for event in events if event.speaker == person] == [f"line {n}" for n in range(40)]


def test_threads_of_one_process_get_consecutive_numbers(tmp_path: Path) -> None:
    room = Room(tmp_path)
    threads = [threading.Thread(target=lambda: [room.say("operator", "x") for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [event.number for event in room.read()] == list(range(1, 81))


def test_every_kind_of_event_is_read_as_it_was_appended(tmp_path: Path) -> None:
    room = Room(tmp_path)
    appended = [
        room.say("operator", "!release prepare"),
        room.append(RoomKind.POST, "other", "kcibot", notice=NOTICE, key="card"),
        room.react("manager-1", 2, "+1"),
        room.unreact("manager-1", 2, "+1"),
        room.append(RoomKind.EDIT, "other", "kcibot", target=2, notice=Notice("plain")),
        room.say("operator", ""),
    ]
    assert room.read() == appended
    assert room.read(after=4) == appended[4:]


def test_a_text_that_cannot_be_encoded_is_kept_as_far_as_it_can(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "a\ud800b\nc")
    assert room.read()[0].text == "a?b\nc"


def test_nobody_spoke_yet_is_an_empty_room(tmp_path: Path) -> None:
    assert Room(tmp_path / "missing").read() == []


def test_only_the_owner_can_read_and_write_the_room(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "hello")
    assert stat.S_IMODE(room.path.stat().st_mode) == 0o600


def test_a_torn_last_line_is_not_read_and_the_next_writer_cuts_it_off(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "first")
    reader = room.reader()
    with room.path.open("ab") as file:
        file.write(b'{"number": 2, "at": "2020-')
    assert [event.text for event in reader.take()] == ["first"]
    assert reader.take() == []
    assert room.say("operator", "second").number == 2
    assert [event.text for event in reader.take()] == ["second"]
    assert [event.text for event in room.read()] == ["first", "second"]


def test_a_torn_line_of_the_very_length_of_the_next_one_is_not_overlooked(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "first")
    size = room.path.stat().st_size
    reader = room.reader()
    reader.take()
    with room.path.open("ab") as file:
        file.write(b"x" * size)
    assert reader.take() == []
    room.say("operator", "next!")
    assert room.path.stat().st_size == 2 * size
    assert [event.text for event in reader.take()] == ["next!"]


def test_a_file_that_holds_only_a_torn_line_starts_at_one(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.path.write_bytes(b'{"number": 1')
    assert room.say("operator", "hello").number == 1
    assert len(room.read()) == 1


def test_lines_longer_than_one_look_at_the_tail_are_numbered_rightly(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "x" * 300_000)
    assert room.say("operator", "y" * 300_000).number == 2
    assert room.say("operator", "z").number == 3


def test_a_damaged_line_is_said_and_what_is_before_it_is_read(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "first")
    with room.path.open("ab") as file:
        file.write(b"not json\n")
    reader = room.reader()
    assert [event.text for event in reader.take()] == ["first"]
    with pytest.raises(PermanentError, match="Line 2"):
        reader.take()
    with pytest.raises(PermanentError, match="damaged"):
        room.say("operator", "second")


def test_a_file_that_lost_lines_is_said(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "first")
    reader = room.reader()
    reader.take()
    os.truncate(room.path, 0)
    with pytest.raises(PermanentError, match="lost lines"):
        reader.take()


def test_a_room_that_cannot_be_written_says_so_and_had_no_effect(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TransientError, match="cannot be opened"):
        Room(tmp_path / "file").say("operator", "hello")


def test_a_lock_that_is_held_for_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(tmp_path)
    room.say("operator", "first")
    monkeypatch.setattr(room_module, "LOCK_SECONDS", 0.05)
    with room_module._locked(room.path, room_module.fcntl.LOCK_EX), pytest.raises(TransientError, match="held by"):
        room.say("operator", "second")
    assert room.say("operator", "third").number == 2


def test_a_killed_appender_leaves_a_room_that_others_go_on_with(tmp_path: Path) -> None:
    room = Room(tmp_path)
    for kill in range(3):
        appender = start_appender(tmp_path, f"manager-{kill}", 1_000_000)
        wait_until(lambda person=f"manager-{kill}": any(event.speaker == person for event in room.read()))
        os.kill(appender.pid, signal.SIGKILL)
        appender.wait(10)
        room.say("operator", f"after kill {kill}")
    events = room.read()
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [event.text for event in events if event.speaker == "operator"] == [f"after kill {n}" for n in range(3)]


def test_follow_sees_everything_once_while_others_write(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "before")
    seen: list[Event] = []
    cancelled = threading.Event()
    follower = threading.Thread(target=lambda: seen.extend(room.follow(0, cancelled)))
    follower.start()
    processes = [start_appender(tmp_path, person, 30) for person in ("manager-1", "manager-2")]
    assert [process.wait(60) for process in processes] == [0, 0]
    wait_until(lambda: len(seen) >= 61)
    cancelled.set()
    follower.join(5)
    assert not follower.is_alive()
    assert [event.number for event in seen] == list(range(1, 62))


def test_follow_begins_after_a_number_and_waits_for_a_room_to_come(tmp_path: Path) -> None:
    room = Room(tmp_path / "later")
    cancelled = threading.Event()
    followed = room.follow(2, cancelled)
    threading.Timer(0.05, lambda: [room.say("operator", str(n)) for n in range(1, 5)]).start()
    assert [next(followed).text for _ in range(2)] == ["3", "4"]
    cancelled.set()
    assert list(followed) == []


def test_following_a_quiet_room_costs_next_to_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.say("operator", "hello")
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    before = time.thread_time()
    list(room.follow(1, cancelled))
    assert time.thread_time() - before < 0.05
