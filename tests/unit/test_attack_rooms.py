"""A room that takes nothing must not keep the others waiting, and nobody is told what was not for them."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kcibot.core import sender as sending
from kcibot.core.journal import Say
from kcibot.core.message import MessageRef, Place
from kcibot.core.notice import Level, Notice
from kcibot.core.sender import MOST, Sender
from kcibot.errors import KcibotError, NotFound, OutcomeUnknown, PermanentError, TransientError
from tests.fakes.bench import Bench
from tests.fakes.irc_server import until
from tests.fakes.second_network import IRC, OtherNetwork, two_networks

SHUT = Place("irc", "#shut")
Refuse = Callable[[Place, Notice, MessageRef | None], KcibotError | None]


def never(_place: Place, _notice: Notice, _thread: MessageRef | None) -> None:
    """Takes everything."""


@dataclass
class Fussy(OtherNetwork):
    """A network that refuses what the test says."""

    refuse: Refuse = never
    tries: list[str] = field(default_factory=list)

    def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
        self.tries.append(f"{place.channel} {key}")
        error = self.refuse(place, notice, thread)
        if error:
            raise error
        return super().post(place, notice, f"{place.channel} {key}", thread)


def bench(folder: Path, *said: Say) -> Bench:
    room, _ = two_networks(folder)
    room.journal.commit(said)
    return room


def send_all(sender: Sender, room: Bench, passes: int = 5) -> None:
    """As the sender's thread does, a few times; what was refused is tried again by it."""
    for _ in range(passes):
        with suppress(KcibotError):
            sender.send_some()
        room.journal.writer.flush()


@pytest.mark.parametrize(
    "error",
    [TransientError("banned"), PermanentError("archived"), OutcomeUnknown("lost")],
)
def test_a_room_that_takes_nothing_does_not_keep_the_others_waiting(tmp_path: Path, error: KcibotError) -> None:
    said = [Say(f"note {n}", place, Notice(f"note {n}")) for n in range(3) for place in (SHUT, IRC)]
    room = bench(tmp_path, *said, Say("alarm", IRC, Notice("alarm", Level.ALERT)))
    network = Fussy(refuse=lambda place, *_: error if place == SHUT else None)
    sender = Sender(room.outbox, network)
    send_all(sender, room)
    assert network.titles() == ["alarm", "note 0", "note 1", "note 2"]


def test_not_even_if_very_much_waits_for_it(tmp_path: Path) -> None:
    said = [Say(f"note {n}", SHUT, Notice(f"note {n}", Level.ALERT)) for n in range(120)]
    room = bench(tmp_path, *said, Say("news", IRC, Notice("news")))
    network = Fussy(refuse=lambda place, *_: TransientError("banned") if place == SHUT else None)
    sender = Sender(room.outbox, network)
    sender.start()
    try:
        until(lambda: network.titles() == ["news"], lambda: f"only {network.tries}")
    finally:
        sender.stop(5.0)


def test_a_room_that_is_open_again_gets_what_was_said_in_order_and_once(tmp_path: Path) -> None:
    room = bench(tmp_path, *(Say(f"note {n}", place, Notice(f"note {n}")) for n in range(3) for place in (SHUT, IRC)))
    network = Fussy(refuse=lambda place, *_: TransientError("banned") if place == SHUT else None)
    sender = Sender(room.outbox, network)
    send_all(sender, room)
    network.refuse = never
    send_all(sender, room, passes=500)
    assert sorted(network.keys) == sorted(f"{place.channel} note {n}" for n in range(3) for place in (SHUT, IRC))
    shut = [key for key in network.keys if key.startswith(SHUT.channel)]
    assert shut == [f"#shut note {n}" for n in range(3)]


def test_a_network_that_is_away_as_a_whole_is_noticed(tmp_path: Path) -> None:
    room = bench(tmp_path, Say("a", SHUT, Notice("a")), Say("b", IRC, Notice("b")))
    with pytest.raises(TransientError):
        Sender(room.outbox, Fussy(away=True)).send_some()


def test_what_belongs_below_a_message_that_was_deleted_is_said_in_the_room(tmp_path: Path) -> None:
    room = bench(tmp_path, Say("card", IRC, Notice("card")))
    network = Fussy(refuse=lambda _place, _notice, thread: NotFound("there is no such thread") if thread else None)
    sender = Sender(room.outbox, network)
    send_all(sender, room)
    room.journal.commit([Say("below", IRC, Notice("below", lines=("all of it",)), "card")])
    room.journal.commit([Say("next", IRC, Notice("next"))])
    send_all(sender, room)
    assert network.titles() == ["card", "below", "next"]
    assert network.said["2"].lines == ("all of it",)


# ---- what is told after an absence -------------------------------------------------------------------------------


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [1000.0]
    monkeypatch.setattr(sending.time, "monotonic", lambda: at[0])
    return at


def after_a_day(room: Bench, network: OtherNetwork, now: list[float]) -> Sender:
    """The sender on a network that was away for a day and is back."""
    sender = Sender(room.outbox, network)
    network.away = True
    with pytest.raises(TransientError):
        sender.send_some()
    now[0] += 86_400
    network.away = False
    return sender


def test_what_was_whispered_to_one_is_not_told_to_all_afterwards(tmp_path: Path, now: list[float]) -> None:
    whisper = Say("no", IRC, Notice("You may not", whisper="stranger"))
    room = bench(tmp_path, whisper, *(Say(f"note {n}", IRC, Notice(f"note {n}")) for n in range(5)))
    network = OtherNetwork()
    send_all(after_a_day(room, network, now), room)
    assert not any("You may not" in line for notice in network.said.values() for line in notice.lines)


def test_however_much_was_missed_it_is_not_told_line_by_line(tmp_path: Path, now: list[float]) -> None:
    room = bench(tmp_path, *(Say(f"note {n}", IRC, Notice(f"note {n}")) for n in range(MOST + 200)))
    network = OtherNetwork()
    send_all(after_a_day(room, network, now), room)
    assert len(network.said) <= 3


def test_a_digest_that_may_have_been_said_is_looked_for(tmp_path: Path, now: list[float]) -> None:
    class Lossy(OtherNetwork):
        lose = 1

        def post(self, place: Place, notice: Notice, key: str, thread: MessageRef | None = None) -> MessageRef:
            ref = super().post(place, notice, key, thread)
            if self.lose and key.startswith("missed:"):
                self.lose = 0
                raise OutcomeUnknown("the answer is lost")
            return ref

    room = bench(tmp_path, *(Say(f"note {n}", IRC, Notice(f"note {n}")) for n in range(6)))
    network = Lossy()
    send_all(after_a_day(room, network, now), room)
    assert [title for title in network.titles() if "was away" in title] == network.titles()[1:]
    assert len(network.said) == 2


def test_a_room_that_was_shut_for_a_day_gets_a_digest_of_its_own(tmp_path: Path, now: list[float]) -> None:
    room = bench(tmp_path, *(Say(f"note {n}", SHUT, Notice(f"note {n}")) for n in range(6)))
    network = Fussy(refuse=lambda place, *_: TransientError("banned") if place == SHUT else None)
    sender = Sender(room.outbox, network)
    for number in range(10):
        room.journal.commit([Say(f"news {number}", IRC, Notice(f"news {number}"))])
        send_all(sender, room, 1)
        now[0] += 3600
    network.refuse = never
    send_all(sender, room)
    assert [title for title in network.titles() if "news" not in title] == [
        "note 0",  # it was tried, and nobody can tell
        "irc was away for a while; 5 messages were said meanwhile",
    ]
