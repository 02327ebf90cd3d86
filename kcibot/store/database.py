"""One SQLite file and the two ways into it: an engine that writes and an engine that only reads.

pysqlite begins no transaction for a SELECT, so that two threads could each read, change and lose the other's change.
The writing engine therefore says BEGIN IMMEDIATE itself; the reading one takes short snapshots beside it.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from kcibot.errors import ConfigError
from kcibot.store.migrate import migrate

BUSY_MS = 5000
WRITER_PRAGMAS = (f"busy_timeout={BUSY_MS}", "foreign_keys=ON", "synchronous=FULL")
READER_PRAGMAS = (f"busy_timeout={BUSY_MS}", "query_only=ON")

BEGIN_WRITING = "BEGIN IMMEDIATE"


class Database:
    """The file at `path`. Nothing is opened before it is used, and nothing is created but by `prepare`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = _engine(path, WRITER_PRAGMAS, BEGIN_WRITING)
        self.reader = _engine(path, READER_PRAGMAS, "BEGIN")
        self._glancing = threading.Lock()
        self._asked: sqlite3.Connection | None = None

    def prepare(self) -> None:
        """Create the file for this user alone, if there is none, and bring it to the schema of this code.

        Raises ConfigError if it cannot be opened, is newer than the code, or cannot be kept in write-ahead mode.
        Whoever calls this holds the lease (see `FileLease`): nobody migrates beneath a running bot.
        """
        try:
            _create_private(self.path)
            _set_wal(self.path)
            with self.writer.connect() as connection, connection.begin():
                migrate(connection)
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            raise ConfigError(f"The database {self.path} cannot be opened: {cause(error)}.") from error

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One short snapshot; never hold it across a wait, because it keeps the write-ahead log growing."""
        with self.reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def glance(self) -> Iterator[sqlite3.Cursor]:
        """For one question, on the driver's own cursor: for what is asked for every line and every message."""
        with self._glancing:
            self._asked = self._asked or _connect(self.path, READER_PRAGMAS)
            yield self._asked.cursor()

    def close(self) -> None:
        with self._glancing:
            if self._asked:
                self._asked.close()
            self._asked = None
        self.reader.dispose()
        self.writer.dispose()


def open_database(path: Path) -> Database:
    """A prepared database without a lease: for tests and tools that work on a file nobody else has."""
    database = Database(path)
    database.prepare()
    return database


def cause(error: Exception) -> str:
    """What went wrong in the driver's words, without the statement and its values."""
    return str(getattr(error, "orig", None) or error)


def cursor_of(connection: Connection) -> sqlite3.Cursor:
    """The driver's own cursor, inside the connection's transaction."""
    cursor = connection.connection.cursor()
    assert isinstance(cursor, sqlite3.Cursor)  # noqa: S101 (the engines of this module make no other)
    return cursor


@contextmanager
def transaction(connection: Connection) -> Iterator[sqlite3.Cursor]:
    """All or nothing, as the writing engine does it, on the driver's own cursor: a fraction of its time.

    Raises sqlite3.Error.
    """
    cursor = cursor_of(connection)
    cursor.execute(BEGIN_WRITING)
    try:
        yield cursor
        cursor.execute("COMMIT")
    except BaseException:
        if cursor.connection.in_transaction:
            cursor.execute("ROLLBACK")
        raise
    finally:
        cursor.close()


def _engine(path: Path, pragmas: tuple[str, ...], begin: str) -> Engine:
    def connect() -> sqlite3.Connection:
        return _connect(path, pragmas)

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=8, max_overflow=24, hide_parameters=True
    )
    event.listen(engine, "begin", on_begin)
    return engine


def _connect(path: Path, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    # mode=rw: a typing error in a path must not leave an empty database behind
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _create_private(path: Path) -> None:
    """SQLite gives its log and index files the permissions of the database."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _set_wal(path: Path) -> None:
    """The mode is stored in the file, and cannot be changed inside a transaction."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
    try:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    finally:
        connection.close()
    if mode != "wal":
        raise ConfigError(
            f"The database {path} cannot be kept in write-ahead mode (it is in mode {mode}); put it on a local disk."
        )
