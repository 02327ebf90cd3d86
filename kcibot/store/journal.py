"""The journal and the inbox in the database: writes go through the one writer, reads take short snapshots."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from kcibot.core.gate import Ask, Vote
from kcibot.core.journal import AuditEntry, Change, Codec, Effect, EffectState, Measured, Say
from kcibot.core.message import Incoming, MessageRef
from kcibot.core.redact import Redactor
from kcibot.core.run import Run
from kcibot.errors import TransientError, UserError
from kcibot.store import reading
from kcibot.store import statements as sql
from kcibot.store.audit import GENESIS
from kcibot.store.clean import Cleaner
from kcibot.store.database import Database, cause
from kcibot.store.lease import Lease
from kcibot.store.schema import audit, effects, gates, history, inbox, notes, outbox, votes
from kcibot.store.writer import Refused, Then, Unit, When, Writer, nothing_then
from kcibot.store.writes import Claims, NextRunNumber, NoClaims, OneRow, Scribe


def ignore_event(_event: Incoming) -> None:
    """Nobody listens yet; the event lies in the inbox, unsettled."""


def ignore_network(_network: str) -> None:
    """Nobody sends yet; the message lies in the outbox."""


class SqlJournal:
    """Fulfils `Journal` and `Inbox`. Without a lease nothing fences its writes: for tests and tools.

    `on_event` is told of every event that is new, in the order in which they came, and `on_say` of every network on
    which there is something to say, after the commit. Both hand over and return. `claims` is the outbox's.
    """

    def __init__(self, database: Database, redactor: Redactor, codec: Codec, lease: Lease | None = None) -> None:
        self.codec = codec
        self.on_event: Callable[[Incoming], None] = ignore_event
        self.on_say: Callable[[str], None] = ignore_network
        self.database = database
        self.writer = Writer(database, lease)
        self.cleaner = Cleaner(redactor)
        self.claims: Claims = NoClaims()
        self._scribe = Scribe(self.cleaner, codec, lambda: self.claims)
        self._arriving: dict[tuple[object, ...], Incoming] = {}

    def close(self) -> None:
        """Write what is queued, then refuse everything."""
        self.writer.close()

    # ---- writing ---------------------------------------------------------------------------------------------

    def commit(self, changes: Sequence[Change]) -> None:
        self.writer.put(self._unit(changes, When.AWAITED)).wait()

    def submit(self, changes: Sequence[Change], refused: Refused | None = None) -> None:
        unit = self._unit(changes, When.SOON)
        unit.refused = refused or unit.refused
        self.writer.put(unit)

    def new_run_id(self) -> int:
        return self.writer.put(Unit((NextRunNumber(),))).wait()

    def _unit(self, changes: Sequence[Change], when: When) -> Unit:
        networks = {change.place.network for change in changes if isinstance(change, Say)}
        return Unit(self._scribe.writes(changes), self._tell_of_says(networks) if networks else nothing_then, when)

    def _tell_of_says(self, networks: set[str]) -> Then:
        def tell(_result: int) -> None:
            for network in networks:
                self.on_say(network)

        return tell

    # ---- the inbox -------------------------------------------------------------------------------------------

    def accept(self, event: Incoming) -> bool:
        return bool(self.writer.put(self._arrival(event)).wait())

    def _arrival(self, event: Incoming) -> Unit:
        def tell(stored: int) -> None:
            if stored:
                self.on_event(event)

        return Unit((OneRow(sql.ACCEPT, self._scribe.event(event)),), tell)

    def hand_over(self, event: Incoming) -> None:
        """As `accept`, without waiting, for networks that want no acknowledgement.

        `on_event` is told at once, and the event stored together with what comes of it, which leaves nothing out: both
        settle it, and nothing is answered before. If that takes long, the event is stored alone.
        """
        row = self._scribe.event(event)
        name = (row["network"], row["event_id"])
        if self._arriving.setdefault(name, event) is not event:
            return

        def arrived(_result: object) -> None:
            self._arriving.pop(name, None)

        if self._is_stored(name):
            arrived(name)
            return
        unit = Unit((OneRow(sql.ACCEPT, row),), arrived, When.LATER)
        self.writer.put(unit)
        self.on_event(event)

    def _is_stored(self, name: tuple[object, ...]) -> bool:
        with self.glance() as cursor:
            return cursor.execute(sql.IS_STORED, name).fetchone() is not None

    def last_event(self, network: str) -> str | None:
        newest = select(inbox.c.event_id).where(inbox.c.network == network).order_by(inbox.c.id.desc()).limit(1)
        with self.snapshot() as connection:
            found: str | None = connection.execute(newest).scalar()
        return found

    def unsettled(self) -> tuple[Incoming, ...]:
        waiting = select(inbox).where(inbox.c.settled.is_(False)).order_by(inbox.c.id)
        with self.snapshot() as connection:
            return tuple(reading.to_event(row, self.codec) for row in connection.execute(waiting))

    # ---- runs, gates, effects --------------------------------------------------------------------------------

    def run(self, run_id: int) -> Run:
        with self.snapshot() as connection:
            found = reading.read_runs(connection, self.codec, reading.one_run(run_id))
        if not found:
            raise UserError(f"There is no run {run_id}.")
        return found[0]

    def open_runs(self) -> tuple[Run, ...]:
        with self.snapshot() as connection:
            return reading.read_runs(connection, self.codec, reading.open_runs())

    def runs(self, newest: int) -> tuple[Run, ...]:
        with self.snapshot() as connection:
            return reading.read_runs(connection, self.codec, reading.newest_runs(newest))

    def ask(self, run_id: int, gate_id: str) -> Ask | None:
        of_gate = select(gates).where(gates.c.run_id == run_id, gates.c.gate_id == gate_id)
        with self.snapshot() as connection:
            row = connection.execute(of_gate.order_by(gates.c.ask.desc()).limit(1)).one_or_none()
        return None if row is None else reading.to_ask(row)

    def asks(self, run_id: int) -> tuple[Ask, ...]:
        """Of each gate the newest asking, in the order in which they were opened."""
        of_run = select(gates).where(gates.c.run_id == run_id).order_by(gates.c.ask)
        with self.snapshot() as connection:
            newest = {row.gate_id: reading.to_ask(row) for row in connection.execute(of_run)}
        return tuple(sorted(newest.values(), key=lambda ask: ask.opened_at))

    def open_asks(self) -> tuple[Ask, ...]:
        with self.snapshot() as connection:
            return tuple(reading.to_ask(row) for row in connection.execute(sql.OPEN_ASKS))

    def votes(self, ask: Ask) -> tuple[Vote, ...]:
        """Oldest first."""
        of_ask = (votes.c.run_id == ask.run_id, votes.c.gate_id == ask.gate_id, votes.c.ask == ask.ask)
        ordered = select(votes).where(*of_ask).order_by(votes.c.at, votes.c.person, votes.c.network)
        with self.snapshot() as connection:
            return tuple(reading.to_vote(row) for row in connection.execute(ordered))

    def effects(self, run_id: int, step_id: str, of_round: int) -> Mapping[str, Effect]:
        of_step = (effects.c.run_id == run_id, effects.c.step_id == step_id, effects.c.round == of_round)
        with self.snapshot() as connection:
            rows = connection.execute(select(effects).where(*of_step).order_by(effects.c.at))
            return {row.key: reading.to_effect(row) for row in rows}

    def effects_in(self, state: EffectState, run_id: int) -> tuple[Effect, ...]:
        wanted = (effects.c.run_id == run_id, effects.c.state == state.value)
        with self.snapshot() as connection:
            rows = connection.execute(select(effects).where(*wanted).order_by(effects.c.at))
            return tuple(reading.to_effect(row) for row in rows)

    # ---- messages, notes, audit ------------------------------------------------------------------------------

    def message_key(self, ref: MessageRef) -> str | None:
        found = self._message_key(ref)
        if found is None:
            # its delivery may not be written yet, and a vote must not be lost to that
            self.writer.flush()
            found = self._message_key(ref)
        return found

    def _message_key(self, ref: MessageRef) -> str | None:
        text = self.cleaner.text
        message = (
            outbox.c.message_id == text(ref.message_id),
            outbox.c.message_channel == text(ref.channel),
            outbox.c.network == ref.network,
        )
        with self.snapshot() as connection:
            found: str | None = connection.execute(select(outbox.c.key).where(*message)).scalar()
        return found

    def message_refs(self, key: str, network: str) -> tuple[MessageRef, ...]:
        self.writer.flush()
        said = (outbox.c.key == self.cleaner.text(key), outbox.c.network == network, outbox.c.message_id > "")
        with self.snapshot() as connection:
            rows = connection.execute(select(outbox.c.message_channel, outbox.c.message_id).where(*said))
            return tuple(MessageRef(network, row.message_channel, row.message_id) for row in rows)

    def recall(self, topic: str) -> Mapping[str, object]:
        of_topic = select(notes.c.key, notes.c.value).where(notes.c.topic == topic).order_by(notes.c.key)
        with self.snapshot() as connection:
            return {row.key: json.loads(row.value) for row in connection.execute(of_topic)}

    def history(self, kind: str, name: str, newest: int) -> tuple[Measured, ...]:
        wanted = (history.c.kind == kind, history.c.name == self.cleaner.name(name))
        with self.snapshot() as connection:
            rows = connection.execute(select(history).where(*wanted).order_by(history.c.at.desc()).limit(newest))
            return tuple(map(reading.to_measured, rows))

    def audit_tail(self, newest: int) -> tuple[AuditEntry, ...]:
        with self.snapshot() as connection:
            return reading.to_entries(connection.execute(select(audit).order_by(audit.c.number.desc()).limit(newest)))

    def audit_head(self) -> str:
        with self.snapshot() as connection:
            found = connection.execute(select(audit.c.hash).order_by(audit.c.number.desc()).limit(1)).scalar()
        return GENESIS if found is None else str(found)

    @contextmanager
    def glance(self) -> Iterator[sqlite3.Cursor]:
        """For one question, on the driver's own cursor. Raises TransientError as `snapshot` does."""
        try:
            with self.database.glance() as cursor:
                yield cursor
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise TransientError(f"The journal could not be read ({cause(error)}).") from error

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A short snapshot. Raises TransientError if the database cannot be read."""
        try:
            with self.database.snapshot() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise TransientError(f"The journal could not be read ({cause(error)}).") from error
