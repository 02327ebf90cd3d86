"""Changes as rows to be written. Made in the caller's thread; applied by the writer, in order, in one transaction."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from kcibot.core.gate import Ask, Vote
from kcibot.core.journal import (
    Audit,
    Change,
    Codec,
    Effect,
    Forget,
    Measured,
    Remember,
    SaveAsk,
    SaveEffect,
    SaveRun,
    SaveVote,
    Say,
    Settle,
)
from kcibot.core.message import Incoming
from kcibot.core.notice import URGENT
from kcibot.core.run import Run, StepRecord
from kcibot.store import statements as sql
from kcibot.store.audit import Head, link_hash
from kcibot.store.clean import Cleaner
from kcibot.store.statements import Prepared, Values


@dataclass(slots=True)
class Transaction:
    """What a write needs: the cursor, and the head of the audit's chain, which moves on."""

    cursor: sqlite3.Cursor
    head: Head


Name = tuple[str, str]
"""Key and channel of a message: what tells it from the others of its network."""


class Write(Protocol):
    """One statement's worth of a change."""

    def apply(self, to: Transaction) -> int:
        """How many rows it changed, or the number it was to find."""
        ...


class OneRow:
    """A statement and the row that goes into it."""

    __slots__ = ("_statement", "_values")

    def __init__(self, statement: Prepared, values: Values) -> None:
        self._statement = statement
        self._values = values

    def apply(self, to: Transaction) -> int:
        return self._statement.run(to.cursor, self._values)


class ManyRows:
    """A statement and the rows that go into it one after the other."""

    __slots__ = ("_rows", "_statement")

    def __init__(self, statement: Prepared, rows: Sequence[Values]) -> None:
        self._statement = statement
        self._rows = rows

    def apply(self, to: Transaction) -> int:
        return self._statement.run_many(to.cursor, self._rows)


class Claims(Protocol):
    """What a sender that has nothing to do would begin with: it is recorded as begun together with the message."""

    def take(self, network: str, name: Name) -> bool:
        """Whether the message of that key and channel is what the sender begins with. Asked in the writer's thread."""
        ...

    def give_back(self, network: str, name: Name) -> None:
        """It is nothing new, and will not be sent."""
        ...


class NoClaims:
    """Nobody sends."""

    def take(self, network: str, name: Name) -> bool:
        return False

    def give_back(self, network: str, name: Name) -> None:
        """There is none."""


class Saying:
    """A message, which may be on its way as soon as it is stored."""

    __slots__ = ("_claims", "_row")

    def __init__(self, row: dict[str, object], claims: Claims) -> None:
        self._row = row
        self._claims = claims

    def apply(self, to: Transaction) -> int:
        network, name = str(self._row["network"]), (str(self._row["key"]), str(self._row["channel"]))
        taken = self._claims.take(network, name)
        changed = sql.SAY.run(to.cursor, {**self._row, "in_flight": taken})
        if taken and not changed:
            self._claims.give_back(network, name)
        return changed


class Link:
    """An entry of the audit, which gets its number and its hash when its turn comes."""

    __slots__ = ("_row",)

    def __init__(self, row: dict[str, str]) -> None:
        self._row = row

    def apply(self, to: Transaction) -> int:
        number, previous = to.head.number + 1, to.head.hash
        made = link_hash(previous, number, **self._row)
        sql.ADD_AUDIT.run(to.cursor, {**self._row, "number": number, "previous": previous, "hash": made})
        to.head = Head(number, made)
        return 1


@dataclass(frozen=True, slots=True)
class NextRunNumber:
    """Counts also what was given and never saved, and what was saved without being given."""

    def apply(self, to: Transaction) -> int:
        given, saved = to.cursor.execute(sql.RUN_NUMBERS).fetchone()
        number = max(given or 0, saved or 0) + 1
        sql.SET_COUNTER.run(to.cursor, {"name": sql.RUN_NUMBER, "value": number})
        return number


class Scribe:
    """Turns changes into writes. Raises PermanentError for a value that cannot be stored."""

    def __init__(self, cleaner: Cleaner, codec: Codec, claims: Callable[[], Claims] = NoClaims) -> None:
        self._clean = cleaner
        self._codec = codec
        self._claims = claims

    def writes(self, changes: Sequence[Change]) -> list[Write]:
        return [write for change in changes for write in self._of(change)]

    def _of(self, change: Change) -> Iterator[Write]:
        match change:
            case SaveRun(run):
                yield from self._run(run)
            case SaveAsk(ask):
                yield OneRow(sql.SAVE_ASK, self._ask(ask))
            case SaveVote(vote):
                yield OneRow(sql.SAVE_VOTE, self._vote(vote))
            case SaveEffect(effect):
                yield OneRow(sql.SAVE_EFFECT, self._effect(effect))
            case Say(amends=False):
                yield Saying(self._say(change), self._claims())
            case Say():
                yield OneRow(sql.AMEND, self._amendment(change))
            case Audit():
                yield self._link(change)
            case Settle(event):
                yield OneRow(sql.SETTLE, {**self.event(event), "settled": True})
            case Remember() | Forget() | Measured():
                yield self._kept(change)
            case _:
                assert_never(change)

    def _kept(self, change: Remember | Forget | Measured) -> OneRow:
        """What outlives the runs."""
        match change:
            case Remember():
                return OneRow(sql.REMEMBER, self._note(change))
            case Forget(topic, key):
                return OneRow(sql.FORGET, {"of_topic": self._clean.name(topic), "of_key": self._clean.name(key)})
            case Measured():
                return OneRow(sql.MEASURED, self._measured(change))

    def event(self, event: Incoming) -> dict[str, object]:
        """A row of the inbox, not yet settled."""
        text = self._clean.text
        return {
            "network": text(event.place.network),
            "event_id": text(event.event_id),
            "kind": event.kind.value,
            "channel": text(event.place.channel),
            "identity": text(event.identity),
            "nick": text(event.nick),
            "text": text(event.text),
            "at": self._clean.time(event.at),
            "target": None if event.target is None else self._clean.json(self._codec.dump(event.target)),
            "settled": False,
        }

    def _run(self, run: Run) -> Iterator[Write]:
        text = self._clean.text
        row = {
            "id": run.id,
            "procedure": self._clean.name(run.procedure),
            "title": text(run.title),
            "starter": text(run.starter),
            "network": text(run.place.network),
            "channel": text(run.place.channel),
            "created_at": self._clean.time(run.created_at),
            "args": self._clean.json(run.args),
            "revision": run.revision,
            "holds": self._clean.json([self._codec.dump(hold) for hold in run.holds]),
            "ended_at": self._clean.maybe_time(run.ended_at),
            "aborted": text(run.aborted),
        }
        yield OneRow(sql.SAVE_RUN, row)
        if run.steps:
            yield ManyRows(sql.SAVE_STEP, [self._step(run.id, place, step) for place, step in enumerate(run.steps)])
        yield OneRow(sql.DROP_STEPS, {"of_run": run.id, "count": len(run.steps)})

    def _step(self, run_id: int, position: int, step: StepRecord) -> dict[str, object]:
        return {
            "run_id": run_id,
            "position": position,
            "step_id": self._clean.name(step.id),
            "title": self._clean.text(step.title),
            "kind": step.kind.value,
            "state": step.state.value,
            "text": self._clean.text(step.text),
            "round": step.round,
            "failures": step.failures,
            "started_at": self._clean.maybe_time(step.started_at),
            "ended_at": self._clean.maybe_time(step.ended_at),
            "wake_at": self._clean.maybe_time(step.wake_at),
            "value": self._clean.json(step.value),
        }

    def _ask(self, ask: Ask) -> dict[str, object]:
        return {
            "run_id": ask.run_id,
            "gate_id": self._clean.name(ask.gate_id),
            "ask": ask.ask,
            "title": self._clean.text(ask.title),
            "facts": self._clean.json(dict(ask.facts)),
            "display": self._clean.json(ask.display),
            "opened_at": self._clean.time(ask.opened_at),
            "expires_at": self._clean.maybe_time(ask.expires_at),
            "state": ask.state.value,
            "reminded_at": self._clean.maybe_time(ask.reminded_at),
        }

    def _vote(self, vote: Vote) -> dict[str, object]:
        return {
            "run_id": vote.run_id,
            "gate_id": self._clean.name(vote.gate_id),
            "ask": vote.ask,
            "person": self._clean.name(vote.person),
            "network": self._clean.name(vote.network),
            "choice": vote.choice.value,
            "at": self._clean.time(vote.at),
            "reason": self._clean.text(vote.reason),
            "withdrawn": vote.withdrawn,
            "reacted": vote.reacted,
        }

    def _effect(self, effect: Effect) -> dict[str, object]:
        return {
            "run_id": effect.run_id,
            "step_id": self._clean.name(effect.step_id),
            "round": effect.round,
            "key": self._clean.name(effect.key),
            "state": effect.state.value,
            "at": self._clean.time(effect.at),
            "until": self._clean.time(effect.until),
            "value": self._clean.json(effect.value),
        }

    def _say(self, say: Say) -> dict[str, object]:
        return {
            "key": self._clean.text(say.key),
            "network": self._clean.name(say.place.network),
            "channel": self._clean.name(say.place.channel),
            "thread": self._clean.text(say.thread),
            "notice": self._clean.json(self._codec.dump(say.notice)),
            "urgent": say.notice.level in URGENT,
            "version": 1,
            "delivered_version": 0,
        }

    def _amendment(self, say: Say) -> dict[str, object]:
        row = self._say(say)
        where = {"of_key": row["key"], "of_network": row["network"], "of_channel": row["channel"]}
        return {**where, "new_notice": row["notice"], "new_urgent": row["urgent"]}

    def _note(self, note: Remember) -> dict[str, object]:
        return {
            "topic": self._clean.name(note.topic),
            "key": self._clean.name(note.key),
            "value": self._clean.json(note.value),
        }

    def _measured(self, one: Measured) -> dict[str, object]:
        return {
            "kind": self._clean.name(one.kind),
            "name": self._clean.name(one.name),
            "ident": self._clean.name(one.ident),
            "at": self._clean.time(one.at),
            "seconds": one.seconds,
            "result": self._clean.text(one.result),
        }

    def _link(self, entry: Audit) -> Link:
        text = self._clean.text
        row = {
            "at": self._clean.time(entry.at),
            "who": text(entry.who),
            "what": text(entry.what),
            "subject": text(entry.subject),
            "detail": self._clean.json(dict(entry.detail)),
        }
        return Link(row)
