"""The one thread that writes. Whatever was queued while it was busy goes into one transaction: group commit.

A disk takes about a millisecond to promise that something is safe; fifty callers share one promise. Four writing
threads would starve each other for seconds instead.
"""

import logging
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from kcibot.errors import Aborted, KcibotError, PermanentError, TransientError
from kcibot.store.audit import read_head
from kcibot.store.database import Database, cause, transaction
from kcibot.store.lease import Lease, check_epoch
from kcibot.store.writes import Transaction, Write

log = logging.getLogger(__name__)

PATIENCE = 0.05
"""Seconds for which a unit that may come later lies, so that it travels with something else."""

LARGEST_GROUP = 1000

REFUSALS = (SQLAlchemyError, sqlite3.Error, KcibotError, ValueError, TypeError, OverflowError)
"""What statements raise: SQLAlchemy's, and the driver's own."""

Then = Callable[[int], None]
Refused = Callable[[KcibotError], None]


def nothing_then(_result: int) -> None:
    """Nobody wants to know."""


def only_logged(error: KcibotError) -> None:
    """Nobody waited for it."""
    log.error("a record nobody waited for was refused: %s", error)


class When(Enum):
    """How soon a unit has to be written."""

    AWAITED = "somebody waits for it"
    SOON = "at once, and nobody waits"
    LATER = "with the next one that comes"


class Unit:
    """Writes that belong together. `result` is what the last of them answered; `then` is told it, once it is safe.

    `then`, or `refused` if nobody waits for it, runs in the writer's thread: it hands over and returns.
    """

    __slots__ = ("_done", "error", "refused", "result", "then", "when", "writes")

    def __init__(self, writes: Sequence[Write], then: Then = nothing_then, when: When = When.AWAITED) -> None:
        self.writes = writes
        self.then = then
        self.refused: Refused = only_logged
        self.when = when
        self.result = 0
        self.error: KcibotError | None = None
        self._done = threading.Lock()  # an Event costs several times as much, and this is made for every commit
        if when is When.AWAITED:
            self._done.acquire()

    def wait(self) -> int:
        """Block until it is on disk. Raises what kept it from there."""
        with self._done:
            if self.error is not None:
                # one error may have met many units: each waiting thread raises its own
                raise type(self.error)(*self.error.args) from self.error
            return self.result

    def done(self) -> None:
        if self.when is When.AWAITED:
            self._done.release()


class Writer:
    """Takes units from any thread, and writes them in the order in which they came."""

    def __init__(self, database: Database, lease: Lease | None) -> None:
        self.transactions = 0
        self._database = database
        self._lease = lease
        self._head = read_head(database)
        self._queue: deque[Unit] = deque()
        self._bell: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._rung = False
        self._patience: float | None = None
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def put(self, unit: Unit) -> Unit:
        """Queue it. Raises PermanentError if the store is closed."""
        with self._door:
            if self._closed:
                raise PermanentError("The store is closed; nothing of this was recorded.")
            self._queue.append(unit)
            self._ring(hurry=unit.when is not When.LATER)
        return unit

    def flush(self) -> None:
        """Return when everything that was put before is on disk."""
        self.put(Unit(())).wait()

    def close(self) -> None:
        """Write what is queued, then take nothing more."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._ring(hurry=True)
        self._thread.join()

    def _ring(self, *, hurry: bool) -> None:
        """Waking the writer costs more than many a unit: once is enough, and who can wait does not wake it again."""
        if (hurry and not self._rung) or self._patience is None:
            self._rung = self._rung or hurry
            self._patience = PATIENCE
            self._bell.put(hurry)

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
        while not units:
            hurry = self._wait()
            with self._door:
                if not hurry:
                    continue
                self._rung = False
                while self._queue and len(units) < LARGEST_GROUP:
                    units.append(self._queue.popleft())
                if self._queue or self._closed:
                    self._ring(hurry=True)
                elif not units:
                    self._patience = None  # asleep, until something comes
                if self._closed and not units:
                    return False
        return True

    def _wait(self) -> bool:
        """Whether what is queued is to be written now: it is in a hurry, or has lain for long enough."""
        try:
            return self._bell.get(timeout=self._patience)
        except queue.Empty:
            return True

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
        try:
            with transaction(connection) as cursor:
                if self._lease is not None:
                    check_epoch(cursor, self._lease)
                to = Transaction(cursor, self._head)
                for unit in units:
                    for write in unit.writes:
                        unit.result = write.apply(to)
        except REFUSALS as error:
            return _told(error)
        self._head = to.head
        self.transactions += 1
        return None

    def _refuse(self, units: deque[Unit]) -> None:
        """After the end, expected or not, nobody may wait for ever."""
        with self._door:
            self._closed = True
        units.extend(self._queue)
        for unit in units:
            unit.error = PermanentError("The store has stopped writing; nothing of this was recorded.")
            unit.done()


def _finish(unit: Unit) -> None:
    try:
        if unit.error is None:
            unit.then(unit.result)
        elif unit.when is not When.AWAITED:
            unit.refused(unit.error)
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
