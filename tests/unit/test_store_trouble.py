"""What the store does when the disk, another program or a bug gets in its way."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.core.journal import Audit, Remember
from kcibot.core.redact import Redactor
from kcibot.errors import PermanentError, TransientError
from kcibot.store import database as store_database
from kcibot.store.audit import verify
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import Store, open_store
from kcibot.store.writer import Unit, When
from kcibot.store.writes import Transaction

NOW = datetime(2019, 6, 3, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kcibot.db"


@pytest.fixture
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that waits only a moment for others, on a disk with little room."""
    pragmas = ("busy_timeout=20", "foreign_keys=ON", "synchronous=FULL", "max_page_count=80")
    monkeypatch.setattr(store_database, "WRITER_PRAGMAS", pragmas)
    store = open_store(path, Redactor(), PydanticCodec())
    yield store
    store.close()


def commit(store: Store, key: str, value: object = 1) -> None:
    store.journal.commit([Remember("a", key, value), Audit(NOW, "operator", key)])


def test_a_database_locked_by_somebody_else_is_passing_trouble(store: Store, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match="locked"):
            commit(store, "meanwhile")
    commit(store, "after")
    assert store.journal.recall("a") == {"after": 1}


def fill(store: Store, promised: list[str]) -> None:
    for number in range(1000):
        commit(store, f"{number:04}", "x" * 2000)
        promised.append(f"{number:04}")


def test_a_full_disk_loses_nothing_that_was_promised(store: Store) -> None:
    promised: list[str] = []
    with pytest.raises(TransientError, match="full"):
        fill(store, promised)
    assert list(store.journal.recall("a")) == promised
    assert verify(store.database).entries == len(promised)


class Bug:
    """A write that fails in a way nobody foresaw."""

    def apply(self, to: Transaction) -> int:
        raise AttributeError("a bug")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_ever_when_a_bug_ends_the_writer(store: Store) -> None:
    commit(store, "before")
    with pytest.raises(PermanentError, match="stopped writing"):
        store.journal.writer.put(Unit((Bug(),), when=When.AWAITED)).wait()
    with pytest.raises(PermanentError, match="closed"):
        commit(store, "after")
    assert store.journal.recall("a") == {"before": 1}


def test_a_database_that_cannot_be_read_is_passing_trouble(store: Store, path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    store.database.reader.dispose()
    with pytest.raises(TransientError, match="could not be read"):
        store.journal.recall("a")
    path.with_suffix(".moved").rename(path)
