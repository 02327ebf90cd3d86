"""Who may write: one process at a time, with a number that every write transaction checks."""

import fcntl
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from kcibot.errors import Aborted, ConfigError
from kcibot.store import statements as sql
from kcibot.store.database import Database, cause, cursor_of


class Lease(Protocol):
    """The right to write. `epoch` grows with every new holder, so that a former one can be told apart."""

    @property
    def epoch(self) -> int: ...

    def release(self) -> None:
        """Give it up; the writer has been closed before."""
        ...


class FileLease:
    """An exclusive lock on `<database>.lock`, held as long as the process lives. The database is prepared under it.

    Raises ConfigError, which names the holder, if another process has it.
    """

    def __init__(self, database: Database) -> None:
        self._file = _lock(database.path.with_name(database.path.name + ".lock"), database.path)
        try:
            database.prepare()
            self._epoch = _next_epoch(database)
        except BaseException:
            self.release()
            raise

    @property
    def epoch(self) -> int:
        return self._epoch

    def release(self) -> None:
        """The file stays: removing it would let two processes lock two files of one name."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def check_epoch(cursor: sqlite3.Cursor, lease: Lease) -> None:
    """Raises Aborted if somebody took the lease over."""
    (now,) = cursor.execute(sql.EPOCH_TEXT).fetchone() or (None,)
    if now != lease.epoch:
        raise Aborted(
            f"Another kcibot took over this database (its turn is {now}, this one's was {lease.epoch}). "
            "Nothing of this was recorded."
        )


def _lock(path: Path, database: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"The lock {path} cannot be opened: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(descriptor)
        os.close(descriptor)
        raise ConfigError(f"The database {database} is in use by {holder}; stop that kcibot first.") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _holder(descriptor: int) -> str:
    """The holder writes its number after it got the lock: for a moment there is none."""
    with suppress(ValueError):
        return f"process {int(os.pread(descriptor, 32, 0))}"
    return "another process"


def _next_epoch(database: Database) -> int:
    try:
        with database.writer.connect() as connection, connection.begin():
            epoch = (connection.execute(sql.EPOCH).scalar() or 0) + 1
            sql.SET_EPOCH.run(cursor_of(connection), {"name": sql.LEADER, "epoch": epoch})
            return epoch
    except SQLAlchemyError as error:
        raise ConfigError(f"The database {database.path} cannot be written: {cause(error)}.") from error
