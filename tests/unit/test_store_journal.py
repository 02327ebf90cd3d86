import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from kcibot.core.gate import Ask, AskState, Choice, Vote
from kcibot.core.journal import (
    Audit,
    Effect,
    EffectState,
    Forget,
    Remember,
    SaveAsk,
    SaveEffect,
    SaveRun,
    SaveVote,
    Say,
    Settle,
)
from kcibot.core.message import EventKind, Incoming, MessageRef, Place
from kcibot.core.notice import Notice
from kcibot.core.redact import Redactor
from kcibot.core.run import Hold, HoldKind, Run, StepKind, StepRecord, StepState
from kcibot.errors import PermanentError, UserError
from kcibot.store.codec import PydanticCodec
from kcibot.store.database import open_database
from kcibot.store.journal import SqlJournal

NOW = datetime(2019, 6, 3, 12, 0, 0, 123456, tzinfo=UTC)
PLACE = Place("irc", "#kernelci")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kcibot.db"


@contextmanager
def opened(path: Path) -> Iterator[SqlJournal]:
    database = open_database(path)
    journal = SqlJournal(database, Redactor(), PydanticCodec())
    yield journal
    journal.close()
    database.close()


@pytest.fixture
def journal(path: Path) -> Iterator[SqlJournal]:
    with opened(path) as journal:
        yield journal


@pytest.fixture
def with_run(journal: SqlJournal) -> SqlJournal:
    journal.commit([SaveRun(a_run())])
    return journal


def a_run(number: int = 1, **changes: object) -> Run:
    steps = (
        StepRecord("plan", "plan the release", state=StepState.DONE, started_at=NOW, ended_at=NOW, value={"n": [1, 2]}),
        StepRecord(
            "prepare", "ask to prepare", StepKind.GATE, StepState.WAITING, "waits for manager-1", 2, 3, wake_at=NOW
        ),
        StepRecord("tags", "create the tags"),
    )
    holds = (Hold(HoldKind.PAUSE, "operator", "lunch", NOW),)
    run = Run(number, "release", f"release {number}", "operator", PLACE, NOW, steps, {"version": "2019.6"}, 1, holds)
    return replace(run, **changes)  # type: ignore[arg-type]


def an_ask(number: int = 1, gate: str = "go", **changes: object) -> Ask:
    facts = {"push": {"core": "a" * 40, "old": None}, "frozen": ["x"]}
    ask = Ask(1, gate, number, "Go?", facts, ("one line", "two"), NOW + timedelta(seconds=number))
    return replace(ask, **changes)  # type: ignore[arg-type]


def an_effect(key: str = "push-core", **changes: object) -> Effect:
    effect = Effect(1, "tags", 1, key, EffectState.IN_FLIGHT, NOW, NOW + timedelta(minutes=5))
    return replace(effect, **changes)  # type: ignore[arg-type]


def an_event(number: int = 1, network: str = "irc", **changes: object) -> Incoming:
    place = Place(network, "#kernelci")
    event = Incoming(f"event-{number}", EventKind.MESSAGE, place, "op", "op_", "!status — “now”", NOW)
    return replace(event, **changes)  # type: ignore[arg-type]


# ---- what is written is read back ------------------------------------------------------------------------------


def test_a_run_is_read_back_as_it_was_saved(with_run: SqlJournal) -> None:
    assert with_run.run(1) == a_run()


def test_a_run_saved_again_replaces_the_first_and_steps_it_no_longer_has(with_run: SqlJournal) -> None:
    changed = a_run().with_step("plan", text="3 commits", state=StepState.FAILED)
    changed = replace(changed, steps=changed.steps[:2][::-1], holds=(), ended_at=NOW, aborted="no time")
    with_run.commit([SaveRun(changed)])
    assert with_run.run(1) == changed


def test_a_run_without_steps_is_a_run(journal: SqlJournal) -> None:
    journal.commit([SaveRun(a_run(steps=()))])
    assert journal.run(1) == a_run(steps=())


def test_a_run_that_is_not_there_is_the_users_error(journal: SqlJournal) -> None:
    with pytest.raises(UserError, match="no run 7"):
        journal.run(7)


def test_open_runs_are_oldest_first_and_the_newest_are_newest_first(journal: SqlJournal) -> None:
    journal.commit([SaveRun(a_run(n, ended_at=NOW if n == 2 else None)) for n in (1, 2, 3)])
    assert [run.id for run in journal.open_runs()] == [1, 3]
    assert [run.id for run in journal.runs(2)] == [3, 2]
    assert journal.runs(5)[2] == a_run(1)


def test_times_come_back_in_utc_whatever_zone_they_had(journal: SqlJournal) -> None:
    paris = NOW.astimezone(timezone(timedelta(hours=2)))
    journal.commit([SaveRun(a_run(created_at=paris))])
    assert journal.run(1).created_at.utcoffset() == timedelta(0)
    assert journal.run(1).created_at == paris


def test_a_time_without_a_zone_is_refused(journal: SqlJournal) -> None:
    with pytest.raises(PermanentError, match="zone"):
        journal.commit([Audit(NOW.replace(tzinfo=None), "operator", "ping")])


def test_run_numbers_are_never_given_twice_not_even_after_a_restart(path: Path) -> None:
    with opened(path) as journal:
        assert [journal.new_run_id(), journal.new_run_id()] == [1, 2]
        journal.commit([SaveRun(a_run(1))])
    with opened(path) as journal:
        assert journal.new_run_id() == 3
        journal.commit([SaveRun(a_run(9))])
        assert journal.new_run_id() == 10


def test_of_the_askings_of_a_gate_the_newest_counts(with_run: SqlJournal) -> None:
    first, second = an_ask(1), an_ask(2)
    other = an_ask(1, "prepare", opened_at=NOW + timedelta(hours=1))
    with_run.commit([SaveAsk(first), SaveAsk(replace(first, state=AskState.VOID)), SaveAsk(other), SaveAsk(second)])
    assert with_run.ask(1, "go") == second
    assert with_run.ask(1, "accept") is None
    assert with_run.asks(1) == (second, other)
    assert with_run.open_asks() == (second, other)


def test_an_ask_keeps_its_digest_through_the_database(with_run: SqlJournal) -> None:
    with_run.commit([SaveAsk(an_ask(reminded_at=NOW, expires_at=NOW))])
    found = with_run.ask(1, "go")
    assert found == an_ask(reminded_at=NOW, expires_at=NOW)
    assert found is not None
    assert found.digest == an_ask().digest


def test_a_later_vote_of_the_same_person_on_the_same_network_replaces_the_earlier(with_run: SqlJournal) -> None:
    yes = Vote(1, "go", 1, "manager-1", "slack", Choice.APPROVE, NOW)
    no = Vote(1, "go", 1, "manager-1", "slack", Choice.REJECT, NOW + timedelta(seconds=2), "wrong tag", withdrawn=True)
    elsewhere = replace(yes, network="irc", at=NOW + timedelta(seconds=1))
    with_run.commit([SaveAsk(an_ask()), SaveVote(yes), SaveVote(elsewhere), SaveVote(no)])
    assert with_run.votes(an_ask()) == (elsewhere, no)
    assert with_run.votes(an_ask(2)) == ()


def test_effects_belong_to_one_round_of_one_step(with_run: SqlJournal) -> None:
    done = an_effect(state=EffectState.DONE, value={"sha": "b" * 40})
    with_run.commit([SaveEffect(an_effect()), SaveEffect(done), SaveEffect(an_effect("push-x", round=2))])
    assert with_run.effects(1, "tags", 1) == {"push-core": done}
    assert with_run.effects_in(EffectState.IN_FLIGHT, 1) == (an_effect("push-x", round=2),)


def test_notes_are_remembered_by_topic_until_forgotten(journal: SqlJournal) -> None:
    journal.commit(
        [Remember("lock", "production", {"by": "operator"}), Remember("lock", "b", 1), Remember("x", "b", 2)]
    )
    journal.commit([Remember("lock", "b", [1, None]), Forget("lock", "nothing")])
    assert journal.recall("lock") == {"production": {"by": "operator"}, "b": [1, None]}
    journal.commit([Forget("lock", "production")])
    assert journal.recall("lock") == {"b": [1, None]}


def test_the_tail_of_the_audit_is_oldest_first_and_linked(journal: SqlJournal) -> None:
    journal.commit([Audit(NOW, "operator", f"verb-{n}", "release", {"n": n}) for n in range(5)])
    tail = journal.audit_tail(2)
    assert [entry.number for entry in tail] == [4, 5]
    assert tail[1].entry == Audit(NOW, "operator", "verb-4", "release", {"n": 4})
    assert tail[1].previous == tail[0].hash
    assert journal.audit_head() == tail[1].hash


# ---- the inbox -------------------------------------------------------------------------------------------------


def test_an_event_is_accepted_once_per_network(journal: SqlJournal) -> None:
    assert journal.accept(an_event())
    assert not journal.accept(an_event(text="said again"))
    assert journal.accept(an_event(network="slack"))


def test_events_are_unsettled_in_the_order_in_which_they_came_until_settled(journal: SqlJournal) -> None:
    reaction = an_event(3, kind=EventKind.REACTION_ADDED, text="+1", target=MessageRef("irc", "#kernelci", "m-1"))
    for event in (an_event(2), an_event(1), reaction):
        journal.accept(event)
    assert journal.unsettled() == (an_event(2), an_event(1), reaction)
    journal.commit([Settle(an_event(2))])
    assert journal.unsettled() == (an_event(1), reaction)
    assert journal.last_event("irc") == "event-3"
    assert journal.last_event("slack") is None


def test_an_event_settled_before_it_was_stored_is_known_when_it_comes_again(journal: SqlJournal) -> None:
    journal.commit([Settle(an_event())])
    assert journal.unsettled() == ()
    assert not journal.accept(an_event())


def test_listeners_hear_new_events_only_in_stored_order(journal: SqlJournal) -> None:
    heard: list[Incoming] = []
    journal.on_event = heard.append
    for event in (an_event(1), an_event(1), an_event(2)):
        journal.hand_over(event)
    journal.accept(an_event(3))
    assert heard == [an_event(1), an_event(2), an_event(3)]
    assert journal.unsettled() == tuple(heard)


def test_a_listener_that_fails_does_not_end_the_store(journal: SqlJournal, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_event: Incoming) -> None:
        raise RuntimeError("a bug")

    journal.on_event = fail
    assert journal.accept(an_event())
    assert "a bug" in caplog.text
    journal.commit([Remember("a", "b", 1)])


def test_half_characters_of_a_chat_line_do_not_hurt(journal: SqlJournal) -> None:
    assert journal.accept(an_event(text="caf\udce9"))
    assert journal.unsettled()[0].text == "caf?"
    journal.commit([Audit(NOW, "operator", "said", "caf\udce9", {"x": "\udce9"})])


# ---- together or not at all ------------------------------------------------------------------------------------


def test_a_unit_that_is_refused_leaves_nothing(journal: SqlJournal) -> None:
    with pytest.raises(PermanentError, match="FOREIGN KEY"):
        journal.commit([Remember("a", "b", 1), Audit(NOW, "operator", "x"), SaveEffect(an_effect())])
    assert journal.recall("a") == {}
    assert journal.audit_tail(1) == ()
    journal.commit([Audit(NOW, "operator", "y")])
    assert [entry.number for entry in journal.audit_tail(5)] == [1]


@pytest.mark.parametrize("value", [object(), float("nan"), b"bytes", {1, 2}, {"at": NOW}])
def test_what_is_not_json_is_refused_before_it_is_queued(journal: SqlJournal, value: object) -> None:
    with pytest.raises(PermanentError, match="not JSON"):
        journal.submit([Remember("a", "b", value)])


def test_later_commits_wait_for_what_was_submitted(journal: SqlJournal) -> None:
    for number in range(20):
        journal.submit([Remember("a", "b", number)])
    journal.commit([])
    assert journal.recall("a") == {"b": 19}


def test_what_nobody_waited_for_is_logged_when_it_is_refused(
    journal: SqlJournal, caplog: pytest.LogCaptureFixture
) -> None:
    journal.submit([SaveEffect(an_effect())])
    journal.commit([])
    assert "nobody waited for" in caplog.text


def test_closing_writes_what_is_queued_and_then_refuses(path: Path) -> None:
    with opened(path) as journal:
        for number in range(200):
            journal.submit([Remember("a", str(number), number)])
        journal.close()
        with pytest.raises(PermanentError, match="closed"):
            journal.commit([Remember("a", "b", 1)])
    with opened(path) as journal:
        assert len(journal.recall("a")) == 200


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.002)


@contextmanager
def writer_held_up(path: Path, journal: SqlJournal) -> Iterator[None]:
    """Another connection has the write lock, and the writer has begun a transaction that waits for it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        journal.submit([Remember("held", "up", 1)])
        eventually(lambda: not journal.writer._queue)
        yield
        other.execute("COMMIT")


def commit_all(journal: SqlJournal, path: Path, units: list[list[object]]) -> list[Exception | None]:
    """Commit each in a thread of its own, all while the writer is held up; what each of them raised."""
    raised: list[Exception | None] = [None] * len(units)

    def commit(index: int) -> None:
        try:
            journal.commit(units[index])  # type: ignore[arg-type]
        except PermanentError as error:
            raised[index] = error

    threads = [threading.Thread(target=commit, args=(index,)) for index in range(len(units))]
    with writer_held_up(path, journal):
        for thread in threads:
            thread.start()
        eventually(lambda: len(journal.writer._queue) == len(units))
    for thread in threads:
        thread.join(5)
    return raised


def test_what_is_queued_together_is_committed_together(journal: SqlJournal, path: Path) -> None:
    before = journal.writer.transactions
    raised = commit_all(journal, path, [[Remember("a", str(n), n), Audit(NOW, "operator", str(n))] for n in range(40)])
    assert raised == [None] * 40
    assert len(journal.recall("a")) == 40
    assert journal.writer.transactions - before == 2


def test_one_refused_unit_does_not_hurt_those_it_was_grouped_with(journal: SqlJournal, path: Path) -> None:
    bad = [Remember("a", "bad", 1), Audit(NOW, "operator", "bad"), SaveEffect(an_effect())]
    good = [[Remember("a", str(n), n), Audit(NOW, "operator", str(n))] for n in range(9)]
    raised = commit_all(journal, path, [*good[:4], bad, *good[4:]])
    assert [error is None for error in raised] == [True] * 4 + [False] + [True] * 5
    assert sorted(journal.recall("a")) == [str(n) for n in range(9)]
    assert [entry.number for entry in journal.audit_tail(20)] == list(range(1, 10))


def test_a_message_is_known_by_its_key_as_soon_as_it_was_sent(journal: SqlJournal) -> None:
    assert journal.message_key(MessageRef("irc", "#kernelci", "m-1")) is None
    journal.commit([Say("card:1", PLACE, Notice("Release"))])
    assert journal.message_key(MessageRef("irc", "#kernelci", "m-1")) is None
