"""The console adapter keeps the promises of `ChatAdapter`."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kcibot.chat import console
from kcibot.chat.console import ConsoleChat
from kcibot.chat.room import Room, RoomKind
from kcibot.core.message import EventKind, MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.ports import ChatAdapter
from kcibot.errors import NotFound, PermanentError, TransientError
from tests.fakes.inbox import MemoryInbox

PLACE = Place("console", "kernelci")


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[ChatAdapter]:
    adapter = ConsoleChat(tmp_path)
    yield adapter
    adapter.stop()


def test_what_persons_do_is_delivered_and_vouched_for(chat: ChatAdapter, tmp_path: Path) -> None:
    room, inbox = Room(tmp_path), MemoryInbox()
    said = room.say("operator", "!ping")
    chat.start(inbox)
    ref = chat.post(PLACE, Notice("pong"), "k1")
    room.react("manager-1", int(ref.message_id), "+1")
    room.unreact("manager-1", int(ref.message_id), "+1")
    wait_until(lambda: len(inbox.events) == 3)
    message, added, removed = inbox.events
    assert (message.event_id, message.identity, message.nick, message.text) == ("1", "operator", "operator", "!ping")
    assert (message.kind, message.place, message.at, message.target) == (EventKind.MESSAGE, PLACE, said.at, None)
    assert (added.kind, added.identity, added.text, added.target) == (EventKind.REACTION_ADDED, "manager-1", "+1", ref)
    assert (removed.kind, removed.target) == (EventKind.REACTION_REMOVED, ref)


def test_the_bots_own_lines_are_never_delivered(chat: ChatAdapter, tmp_path: Path) -> None:
    room, inbox = Room(tmp_path), MemoryInbox()
    chat.start(inbox)
    ref = chat.post(PLACE, Notice("!release prepare"), "k1")
    chat.edit(ref, Notice("!release abort"))
    room.say("operator", "last")
    wait_until(lambda: bool(inbox.events))
    assert [event.text for event in inbox.events] == ["last"]


def test_after_a_restart_what_was_missed_is_delivered_and_nothing_twice(tmp_path: Path) -> None:
    room, inbox = Room(tmp_path), MemoryInbox()
    for start in range(3):
        room.say("operator", f"while away {start}")
        adapter = ConsoleChat(tmp_path)
        adapter.start(inbox)
        adapter.post(PLACE, Notice("hello"), f"k{start}")
        room.say("operator", f"while there {start}")
        wait_until(lambda count=2 * (start + 1): len(inbox.events) == count)
        adapter.stop()
    assert [event.text for event in inbox.events] == [
        f"{when} {start}" for start in range(3) for when in ("while away", "while there")
    ]


def test_an_adapter_that_was_stopped_delivers_nothing_until_it_is_started_again(
    chat: ChatAdapter, tmp_path: Path
) -> None:
    room, inbox = Room(tmp_path), MemoryInbox()
    chat.start(inbox)
    chat.stop()
    room.say("operator", "later")
    assert inbox.events == []
    chat.start(inbox)
    wait_until(lambda: len(inbox.events) == 1)


def test_an_event_that_could_not_be_stored_is_delivered_again_before_the_next(
    chat: ChatAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "RETRY_SECONDS", 0.01)
    room, inbox = Room(tmp_path), MemoryInbox()
    inbox.fail_next = 2
    for text in ("one", "two", "three"):
        room.say("operator", text)
    chat.start(inbox)
    wait_until(lambda: len(inbox.events) == 3)
    assert inbox.refused == 2
    assert [event.text for event in inbox.events] == ["one", "two", "three"]


def test_a_post_is_found_by_its_key_in_its_own_channel_also_by_another_process(
    chat: ChatAdapter, tmp_path: Path
) -> None:
    assert chat.find(PLACE, "card") is None
    ref = chat.post(PLACE, Notice("the card"), "card")
    assert ref == MessageRef("console", "kernelci", "1")
    assert chat.find(PLACE, "card") == ref
    assert ConsoleChat(tmp_path).find(PLACE, "card") == ref
    assert chat.find(Place("console", "other"), "card") is None
    assert chat.find(PLACE, "another") is None


def test_an_edit_changes_the_message_it_names(chat: ChatAdapter, tmp_path: Path) -> None:
    ref = chat.post(PLACE, Notice("old"), "card")
    chat.edit(ref, Notice("new"))
    edit = Room(tmp_path).read()[-1]
    assert (edit.kind, edit.target, edit.notice) == (RoomKind.EDIT, 1, Notice("new"))


@pytest.mark.parametrize("message_id", ["1", "7", "no number"])
def test_only_the_bots_own_messages_can_be_edited(chat: ChatAdapter, tmp_path: Path, message_id: str) -> None:
    Room(tmp_path).say("operator", "mine")
    with pytest.raises(NotFound):
        chat.edit(MessageRef("console", "kernelci", message_id), Notice("new"))
    assert len(Room(tmp_path).read()) == 1


def test_a_place_of_another_network_is_refused(chat: ChatAdapter) -> None:
    with pytest.raises(PermanentError):
        chat.post(Place("slack", "kernelci"), Notice("x"), "k")


def test_find_never_says_no_for_a_room_it_could_not_see(chat: ChatAdapter, tmp_path: Path) -> None:
    (tmp_path / "room.jsonl").symlink_to("room.jsonl")  # a loop: nobody can open it
    with pytest.raises(TransientError):
        chat.find(PLACE, "card")
    with pytest.raises(TransientError):
        chat.post(PLACE, Notice("x"), "card")
