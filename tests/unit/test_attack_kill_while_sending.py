"""A bot that is killed while it speaks where nothing can be looked up: at most one message is repeated."""

import subprocess
import sys
from pathlib import Path

import pytest

from kcibot.core.journal import Say
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.redact import Redactor
from kcibot.core.sender import Sender
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import open_store
from tests.fakes.second_network import IRC, OtherNetwork

SPEAKER = """
import os, signal, sys, threading
from pathlib import Path
from kcibot.core.message import MessageRef
from kcibot.core.redact import Redactor
from kcibot.core.sender import Sender
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import open_store

said, last = os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY | os.O_APPEND), int(sys.argv[3])

class Network:
    network, count = "irc", 0
    def say(self, text):
        os.write(said, f"{text}\\n".encode())
        self.count += 1
        if self.count == last:
            os.kill(os.getpid(), signal.SIGKILL)
    def post(self, place, notice, key, thread=None):
        self.say(notice.title)
        return MessageRef("irc", place.channel, key)
    def edit(self, ref, notice):
        self.say(notice.title)
    def find(self, place, key):
        return None

store = open_store(Path(sys.argv[1]), Redactor(), PydanticCodec())
sender = Sender(store.outbox, Network())
sender.start()
threading.Event().wait(30)
"""


class Forgetful(OtherNetwork):
    """Keeps nothing, as IRC; `said_again` are the titles in the order in which they were said."""

    def __init__(self) -> None:
        super().__init__()
        self.said_again: list[str] = []

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        self.said_again.append(notice.title)
        return MessageRef("irc", place.channel, key)

    def edit(self, ref: MessageRef, notice: Notice) -> None:
        self.said_again.append(notice.title)

    def find(self, place: Place, key: str) -> MessageRef | None:
        return None


def said_twice(folder: Path, dies_at: int, *rounds: list[Say]) -> tuple[list[str], list[str]]:
    """What was said in the life that was killed, of the last round, and in the next life."""
    path, heard = folder / "kcibot.db", folder / "said"
    for number, says in enumerate(rounds, 1):
        store = open_store(path, Redactor(), PydanticCodec())
        store.journal.commit(says)
        if number < len(rounds):
            Sender(store.outbox, Forgetful()).send_some()
        store.close()
    subprocess.run([sys.executable, "-c", SPEAKER, str(path), str(heard), str(dies_at)], check=False, timeout=30)
    store = open_store(path, Redactor(), PydanticCodec())
    network = Forgetful()
    sender = Sender(store.outbox, network)
    while sender.send_some():
        store.journal.writer.flush()
    store.close()
    return heard.read_text().splitlines(), network.said_again


def notes(count: int, text: str = "note") -> list[Say]:
    return [Say(f"note {n}", IRC, Notice(f"{text} {n}")) for n in range(count)]


@pytest.mark.parametrize("dies_at", [1, 5, 10])
def test_of_new_messages_at_most_the_one_in_flight_is_repeated_and_none_is_lost(tmp_path: Path, dies_at: int) -> None:
    before, after = said_twice(tmp_path, dies_at, notes(10))
    assert len(set(before) & set(after)) <= 1
    assert {*before, *after} == {f"note {n}" for n in range(10)}


@pytest.mark.parametrize("dies_at", [1, 5, 10])
def test_of_changes_at_most_the_one_in_flight_is_repeated_and_none_is_lost(tmp_path: Path, dies_at: int) -> None:
    before, after = said_twice(tmp_path, dies_at, notes(10), notes(10, "changed"))
    assert {*before, *after} == {f"changed {n}" for n in range(10)}
    assert len(set(before) & set(after)) <= 1
