"""The one thread that writes. Whatever was queued while it was busy goes into one transaction: group commit.

A disk takes about a millisecond to promise that something is safe; fifty callers share one promise. Four writing
threads would starve each other for seconds instead.
"""

import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from kcibot.errors import Aborted, KcibotError, PermanentError, TransientError
from kcibot.store.audit import read_head
from kcibot.store.database import Database, cause, cursor_of
from kcibot.store.lease import Lease, check_epoch
from kcibot.store.writes import Transaction, Write

log = logging.getLogger(__name__)

PATIENCE = 0.05
"""Seconds for which a unit that may come later lies, so that it travels with something else."""

LARGEST_GROUP = 1000

REFUSALS = (SQLAlchemyError, sqlite3.Error, KcibotError, ValueError, TypeError, OverflowError)
"""What statements raise: SQLAlchemy's, and the driver's own."""

Then = Callable[[int], None]


def nothing_then(_result: int) -> None:
    """Nobody wants to know."""


class When(Enum):
    """How soon a unit has to be written."""

    AWAITED = "somebody waits for it"
    SOON = "at once, and nobody waits"
    LATER = "with the next one that comes"


class Unit:
    """Writes that belong together. `result` is what the last of them answered; `then` is told it, once it is safe.

    `then` runs in the writer's thread: it hands over and returns.
    """

    __slots__ = ("_done", "error", "result", "then", "when", "writes")

    def __init__(self, writes: Sequence[Write], then: Then = nothing_then, when: When = When.AWAITED) -> None:
        self.writes = writes
        self.then = then
        self.when = when
        self.result = 0
        self.error: KcibotError | None = None
        self._done = threading.Lock()  # an Event costs several times as much, and this is made for every commit
        self._done.acquire()

    def wait(self) -> int:
        """Block until it is on disk. Raises what kept it from there."""
        with self._done:
            if self.error is not None:
                # one error may have met many units: each waiting thread raises its own
                raise type(self.error)(*self.error.args) from self.error
            return self.result

    def done(self) -> None:
        self._done.release()


class Writer:
    """Takes units from any thread, and writes them in the order in which they came."""

    def __init__(self, database: Database, lease: Lease | None) -> None:
        self.transactions = 0
        self._database = database
        self._lease = lease
        self._head = read_head(database)
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def put(self, unit: Unit) -> Unit:
        """Queue it. Raises PermanentError if the store is closed."""
        with self._door:
            if self._closed:
                raise PermanentError("The store is closed; nothing of this was recorded.")
            self._queue.put(unit)
        return unit

    def flush(self) -> None:
        """Return when everything that was put before is on disk."""
        self.put(Unit(())).wait()

    def close(self) -> None:
        """Write what is queued, then take nothing more."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    # ---- the thread ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        units: deque[Unit] = deque()
        try:
            with self._database.writer.connect() as connection:
                while self._gather(units):
                    self._write(connection, units)
                    while units:
                        _finish(units.popleft())
        finally:
            self._refuse(units)

    def _gather(self, units: deque[Unit]) -> bool:
        """Take what is queued, at least one unit; false when the store was closed and the queue is empty."""
        patience: float | None = None
        due = 0.0
        while len(units) < LARGEST_GROUP:
            try:
                unit = self._queue.get(timeout=patience)
            except queue.Empty:
                break
            if unit is None:
                self._queue.put(None)  # to be found again next time, with nothing before it
                break
            units.append(unit)
            due = due or time.monotonic() + PATIENCE
            hurry = patience == 0.0 or unit.when is not When.LATER
            patience = 0.0 if hurry else max(0.0, due - time.monotonic())
        return bool(units)

    def _write(self, connection: Connection, units: Sequence[Unit]) -> None:
        """Together if possible; if not, each alone, so that one that is refused does not hurt the others."""
        refusal = self._attempt(connection, units)
        if refusal is None:
            return
        for unit in units:
            shared = len(units) == 1 or isinstance(refusal, Aborted | TransientError)
            unit.error = refusal if shared else self._attempt(connection, [unit])

    def _attempt(self, connection: Connection, units: Sequence[Unit]) -> KcibotError | None:
        """One transaction; what it was refused for, if it was."""
        if not any(unit.writes for unit in units):
            return None
        transaction = Transaction(connection, cursor_of(connection), self._head)
        try:
            with connection.begin():
                if self._lease is not None:
                    check_epoch(connection, self._lease)
                for unit in units:
                    for write in unit.writes:
                        unit.result = write.apply(transaction)
        except REFUSALS as error:
            return _told(error)
        self._head = transaction.head
        self.transactions += 1
        return None

    def _refuse(self, units: deque[Unit]) -> None:
        """After the end, expected or not, nobody may wait for ever."""
        with self._door:
            self._closed = True
        while not self._queue.empty():
            if (unit := self._queue.get()) is not None:
                units.append(unit)
        for unit in units:
            unit.error = PermanentError("The store has stopped writing; nothing of this was recorded.")
            unit.done()


def _finish(unit: Unit) -> None:
    try:
        if unit.error is None:
            unit.then(unit.result)
        elif unit.when is not When.AWAITED:
            log.error("a record nobody waited for was refused: %s", unit.error)
    except Exception:
        # a listener's mistake must not end the store, and what it was told of is safe on disk
        log.exception("somebody who was told of a commit failed")
    finally:
        unit.done()


def _told(error: Exception) -> KcibotError:
    """The error as a sentence, without values."""
    if isinstance(error, KcibotError):
        return error
    if isinstance(getattr(error, "orig", error), sqlite3.OperationalError):
        return TransientError(f"The journal could not be written ({cause(error)}). Nothing of this was recorded.")
    return PermanentError(f"The journal refused a record ({cause(error)}). Nothing of this was recorded.")
