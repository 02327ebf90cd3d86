"""One promise of the disk for a question and its answer, and one for many: what must hold all the same."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from kcibot.core.command import Outcome, command
from kcibot.core.dispatch import Call
from kcibot.core.journal import Change, Say, Undelivered
from kcibot.core.message import EventKind, Incoming
from kcibot.core.notice import Level, Notice
from kcibot.core.redact import Redactor
from kcibot.core.sender import Sender
from kcibot.errors import KcibotError, PermanentError, TransientError
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import Store, open_store
from kcibot.store.outbox import SqlOutbox
from tests.fakes.bench import ROOM, Bench, HandClock, make_bench
from tests.fakes.second_network import IRC, OtherNetwork


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kcibot.db"


def opened(path: Path) -> closing[Store]:
    return closing(open_store(path, Redactor(), PydanticCodec()))


def an_event(number: int = 1) -> Incoming:
    return Incoming(f"event-{number}", EventKind.MESSAGE, ROOM, "op", "op", "!ping", HandClock().now())


def say(store: Store, *keys: str) -> None:
    store.journal.commit([Say(key, IRC, Notice(key)) for key in keys])


def begun(path: Path) -> dict[str, int]:
    """What is on disk."""
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT key, in_flight FROM outbox").fetchall())


# ---- what comes in -----------------------------------------------------------------------------------------------


def test_who_wants_no_acknowledgement_is_heard_at_once_and_once(path: Path) -> None:
    heard: list[Incoming] = []
    for _ in range(2):
        with opened(path) as store:
            store.journal.on_event = heard.append
            store.journal.hand_over(an_event())
            assert heard == [an_event()]  # before anything is written
            store.journal.hand_over(an_event())
            store.journal.writer.flush()
            store.journal.hand_over(an_event())
            assert store.journal.unsettled() == (an_event(),)
    assert heard == [an_event()]


def test_what_is_handed_over_is_stored_without_anything_behind_it(path: Path) -> None:
    with opened(path) as store:
        store.journal.hand_over(an_event())
    with opened(path) as store:
        assert store.journal.unsettled() == (an_event(),)


# ---- what goes out -----------------------------------------------------------------------------------------------


def test_what_a_waiting_sender_begins_with_is_recorded_as_begun_when_it_is_said(path: Path) -> None:
    with opened(path) as store:
        store.outbox.wait("irc", 0)
        say(store, "first", "second")
        assert begun(path) == {"first": 1, "second": 0}
        first, second = store.outbox.undelivered("irc")
        assert (first.in_flight, second.in_flight) == (False, False)
        before = store.journal.writer.transactions
        store.outbox.sending(first)
        assert store.journal.writer.transactions == before
        assert [one.in_flight for one in store.outbox.undelivered("irc")] == [True, False]
        store.outbox.sending(second)
        assert begun(path) == {"first": 1, "second": 1}


def test_a_bot_that_is_killed_before_it_sends_what_was_begun_looks_for_it(path: Path) -> None:
    with opened(path) as store:
        store.outbox.wait("irc", 0)
        say(store, "first", "second")
    with opened(path) as store:
        assert [one.in_flight for one in store.outbox.undelivered("irc")] == [True, False]


def test_saying_the_same_again_begins_nothing(path: Path) -> None:
    with opened(path) as store:
        say(store, "card")
        Sender(store.outbox, OtherNetwork()).send_some()
        store.outbox.wait("irc", 0)
        say(store, "card")
        store.outbox.wait("irc", 0)
        say(store, "news")
        assert begun(path) == {"card": 0, "news": 1}


class Counting:
    """Counts what is begun together."""

    def __init__(self, outbox: SqlOutbox) -> None:
        self.together: list[int] = []
        self._sending = outbox.sending
        outbox.sending = self.sending  # type: ignore[method-assign]

    def sending(self, *messages: Undelivered) -> None:
        self.together.append(len(messages))
        self._sending(*messages)


class SlowNetwork(OtherNetwork):
    """Takes a second for every message, by the clock that the test has."""

    seconds = 0.0

    def post(self, *words: object, **named: object) -> object:  # type: ignore[override]
        self.seconds += 1.0
        return super().post(*words, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize(("network", "together"), [(OtherNetwork(), [1, 2, 4, 8, 15]), (SlowNetwork(), [1] * 30)])
def test_only_a_network_that_takes_all_at_once_gets_many_at_once_if_many_wait(
    path: Path, monkeypatch: pytest.MonkeyPatch, network: OtherNetwork, together: list[int]
) -> None:
    monkeypatch.setattr("kcibot.core.sender.time.monotonic", lambda: getattr(network, "seconds", 0.0))
    keys = [f"note {number}" for number in range(30)]
    with opened(path) as store:
        say(store, *keys)
        counting = Counting(store.outbox)
        Sender(store.outbox, network).send_some()
        assert counting.together == together
        assert network.titles() == keys


def test_what_was_begun_with_others_and_not_tried_is_not_looked_for(path: Path) -> None:
    network = OtherNetwork()
    with opened(path) as store:
        say(store, "a", "b", "c", "d")
        sender = Sender(store.outbox, network)
        fails = iter((False, True))
        post = network.post
        network.post = lambda *words: _or_fail(next(fails, False), post, *words)  # type: ignore[assignment, method-assign]
        looked: list[str] = []
        find = network.find
        network.find = lambda place, key: (looked.append(key), find(place, key))[1]  # type: ignore[method-assign, func-returns-value]
        with pytest.raises(TransientError):
            sender.send_some()
        while sender.send_some():
            continue
        assert network.titles() == ["a", "b", "c", "d"]
        assert looked == ["b"]


def _or_fail(fails: object, post: object, *words: object) -> object:
    if fails:
        raise TransientError("away")
    return post(*words)  # type: ignore[operator]


# ---- between -----------------------------------------------------------------------------------------------------


def bench_of(folder: Path) -> Bench:
    bench = make_bench(folder)
    bench.dispatcher.answers_wait = False

    @command("hello", role="everybody")
    def hello(_call: Call) -> Outcome:
        """Say hello."""
        return Outcome(Notice("hello"))

    bench.world.registry.commands["hello"] = hello
    return bench


def refuse_first(bench: Bench, error: KcibotError) -> None:
    """The journal takes nothing the first time."""
    submit, errors = bench.journal.submit, [error]

    def submitted(changes: Sequence[Change], refused: object = None) -> None:
        if errors and callable(refused):
            refused(errors.pop())
        else:
            submit(changes)

    bench.journal.submit = submitted  # type: ignore[method-assign, assignment]


def test_an_answer_that_is_not_waited_for_is_given_and_settles_its_question(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    bench.say("operator", "!hello")
    bench.journal.writer.flush()
    assert bench.journal.unsettled() == ()
    assert bench.replies() == ["hello"]


def test_an_answer_that_cannot_be_recorded_is_replaced_by_the_reason(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    refuse_first(bench, PermanentError("it does not fit"))
    bench.say("operator", "!hello")
    bench.journal.writer.flush()
    assert bench.journal.unsettled() == ()
    assert bench.replies() == ["it does not fit"]
    (notice,) = bench.notices.values()
    assert notice.level is Level.ERROR


def test_a_journal_that_takes_nothing_any_more_is_told_of(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    told: list[KcibotError] = []
    bench.dispatcher.broken = told.append
    refuse_first(bench, TransientError("the disk is full"))
    bench.say("operator", "!hello")
    assert [str(error) for error in told] == ["the disk is full"]
    assert len(bench.journal.unsettled()) == 1
