import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.core.journal import Remember, Say, Undelivered
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import Button, Field, Level, Notice, Progress
from kcibot.core.redact import Redactor
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import Store, open_store

NOW = datetime(2019, 6, 3, 12, tzinfo=UTC)
PLACE = Place("irc", "#kernelci")


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    store = open_store(path, Redactor(), PydanticCodec())
    yield store
    store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kcibot.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with opened(path) as store:
        yield store


def say(store: Store, key: str, title: str = "", level: Level = Level.INFO, place: Place = PLACE) -> None:
    store.journal.commit([Say(key, place, Notice(title or key, level))])


def due(store: Store, network: str = "irc", limit: int = 20) -> list[str]:
    return [message.notice.title for message in store.outbox.undelivered(network, limit)]


def ref(number: int) -> MessageRef:
    return MessageRef("irc", "#kernelci", f"m-{number}")


def deliver(store: Store, message: Undelivered, number: int) -> None:
    store.outbox.sending(message)
    store.outbox.sent(message, ref(number))


def test_a_notice_is_read_back_with_everything_in_it(store: Store) -> None:
    notice = Notice(
        "Go?", Level.PROMPT, ("a", "b"), (Field("core", "x"),), Progress(1, 3, "jobs"), (Button("Yes", "!approve x"),),
        ("manager-1",), "go?",
    )  # fmt: skip
    store.journal.commit([Say("gate", PLACE, notice, "card")])
    assert store.outbox.undelivered("irc") == (Undelivered(1, 1, "gate", PLACE, notice, "card", None, False),)


def test_urgent_notices_come_first_then_new_ones_as_said_then_edits(store: Store) -> None:
    say(store, "card")
    deliver(store, store.outbox.undelivered("irc")[0], 1)
    say(store, "card", "card, edited")
    say(store, "first")
    say(store, "second")
    say(store, "alert", level=Level.ALERT)
    expected = ["alert", "first", "second", "card, edited"]
    assert due(store) == expected
    store.journal.writer.flush()
    assert due(store) == expected


def test_only_the_newest_text_of_a_message_is_kept(store: Store) -> None:
    for number in range(5):
        say(store, "card", f"step {number}")
    (message,) = store.outbox.undelivered("irc")
    assert (message.notice.title, message.version, message.ref) == ("step 4", 5, None)


def test_saying_the_same_again_is_no_news(store: Store) -> None:
    say(store, "card")
    deliver(store, store.outbox.undelivered("irc")[0], 1)
    say(store, "card")
    assert due(store) == []


def test_a_text_that_changed_while_it_was_posted_becomes_an_edit(store: Store) -> None:
    say(store, "card", "old")
    (message,) = store.outbox.undelivered("irc")
    store.outbox.sending(message)
    say(store, "card", "new")
    store.outbox.sent(message, ref(1))
    for _ in ("not yet written", "written"):
        (edit,) = store.outbox.undelivered("irc")
        assert (edit.notice.title, edit.version, edit.ref, edit.in_flight) == ("new", 2, ref(1), False)
        store.journal.writer.flush()


def test_networks_and_places_have_messages_of_their_own(store: Store) -> None:
    for place in (PLACE, Place("slack", "C1"), Place("slack", "C2")):
        say(store, "card", f"to {place}", place=place)
    assert due(store) == ["to irc:#kernelci"]
    assert due(store, "slack") == ["to slack:C1", "to slack:C2"]


def test_what_was_sent_is_not_given_again_though_it_is_not_yet_written(store: Store) -> None:
    for number in range(30):
        say(store, f"line {number}")
    before = store.journal.writer.transactions
    seen: list[str] = []
    while messages := store.outbox.undelivered("irc", 4):
        for message in messages:
            seen.append(message.key)
            store.outbox.sent(message, ref(len(seen)))
    assert seen == [f"line {number}" for number in range(30)]
    store.journal.writer.flush()
    assert store.journal.writer.transactions - before < 30
    assert due(store) == []


def test_what_was_sent_is_written_soon_though_nothing_else_happens(store: Store) -> None:
    say(store, "card")
    before = store.journal.writer.transactions
    store.outbox.sent(store.outbox.undelivered("irc")[0], ref(1))
    deadline = time.monotonic() + 5
    while store.journal.writer.transactions == before:
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
    assert not store.outbox._delivered


def test_a_reaction_finds_its_message_the_moment_it_was_sent(store: Store) -> None:
    say(store, "run:1:gate:go:1")
    store.outbox.sent(store.outbox.undelivered("irc")[0], ref(1))
    assert store.journal.message_key(ref(1)) == "run:1:gate:go:1"
    assert store.journal.message_key(MessageRef("slack", "#kernelci", "m-1")) is None


def test_only_a_post_that_was_begun_and_not_ended_is_in_flight_after_a_restart(path: Path) -> None:
    with opened(path) as store:
        for key in ("waiting", "begun", "ended"):
            say(store, key)
        _, begun, ended = store.outbox.undelivered("irc")
        store.outbox.sending(begun)
        deliver(store, ended, 1)
    with opened(path) as store:
        found = {message.key: message.in_flight for message in store.outbox.undelivered("irc")}
    assert found == {"waiting": False, "begun": True}


def test_waiting_ends_when_something_is_said_on_that_network(store: Store) -> None:
    assert due(store) == []
    waiting = threading.Thread(target=store.outbox.wait, args=("irc", 30))
    waiting.start()
    say(store, "elsewhere", place=Place("slack", "C1"))
    store.journal.commit([Remember("a", "b", 1)])
    assert waiting.is_alive()
    say(store, "here")
    waiting.join(5)
    assert not waiting.is_alive()


def test_what_was_said_between_the_look_and_the_wait_is_not_missed(store: Store) -> None:
    assert due(store) == []
    say(store, "here")
    begin = time.monotonic()
    store.outbox.wait("irc", 30)
    assert time.monotonic() - begin < 5


def test_waiting_ends_after_its_time(store: Store) -> None:
    store.outbox.wait("irc", 0.01)
    assert due(store) == []
