"""No thread dies silently: a mistake somewhere costs one try, not the network or the bot's ears."""

import threading
from pathlib import Path

from kcibot.core.journal import Say
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.ports import Listener, Reaction
from kcibot.core.sender import Sender
from kcibot.errors import PermanentError
from tests.fakes.bench import ROOM
from tests.fakes.toys import Target, push, toy_bench


class Clumsy:
    """A chat adapter whose first post stumbles."""

    network = "console"

    def __init__(self, error: Exception) -> None:
        self.posted = threading.Event()
        self.titles: list[str] = []
        self.tries = 0
        self._error = error

    def start(self, listener: Listener) -> None: ...

    def stop(self) -> None: ...

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        self.tries += 1
        if self.tries == 1:
            raise self._error
        self.titles.append(notice.title)
        self.posted.set()
        return MessageRef(place.network, place.channel, key)

    def edit(self, ref: MessageRef, notice: Notice) -> None: ...

    def find(self, place: Place, key: str) -> MessageRef | None:
        return None

    def reactions(self, ref: MessageRef) -> tuple[Reaction, ...] | None:
        return None


def test_a_mistake_of_an_adapter_does_not_silence_its_network(tmp_path: Path) -> None:
    room, adapter = toy_bench(tmp_path, push(Target())), Clumsy(ValueError("nobody thought of this"))
    sender = Sender(room.outbox, adapter)
    sender.start()
    room.journal.commit([Say("hello", ROOM, Notice("hello"))])
    try:
        assert adapter.posted.wait(10.0)
    finally:
        sender.stop(5.0)


def test_a_message_that_is_refused_for_good_does_not_block_those_behind_it(tmp_path: Path) -> None:
    room, adapter = toy_bench(tmp_path, push(Target())), Clumsy(PermanentError("too many blocks"))
    said = [Say(key, ROOM, Notice(key, lines=("all of it",))) for key in ("first", "second")]
    room.journal.commit(said)
    assert Sender(room.outbox, adapter).send_some() == len(said)
    assert adapter.titles == ["first (I could not show the rest here: too many blocks)", "second"]
