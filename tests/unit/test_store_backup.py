import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.core.journal import Audit, Remember
from kcibot.core.redact import Redactor
from kcibot.errors import UserError
from kcibot.store.audit import verify
from kcibot.store.backup import backup
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import Store, open_store

NOW = datetime(2019, 6, 3, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kcibot.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = open_store(path, Redactor(), PydanticCodec())
    yield store
    store.close()


def commit(store: Store, number: int) -> None:
    store.journal.commit([Remember("unit", f"{number:06}", number), Audit(NOW, "operator", "unit", f"{number:06}")])


def test_a_backup_made_while_the_bot_writes_is_whole(store: Store, path: Path, tmp_path: Path) -> None:
    stop, written = threading.Event(), 200

    def work() -> None:
        number = written
        while not stop.is_set():
            commit(store, number)
            number += 1

    for number in range(written):
        commit(store, number)
    writing = threading.Thread(target=work)
    writing.start()
    backup(path, tmp_path / "copy.db")
    stop.set()
    writing.join()
    copy = open_store(tmp_path / "copy.db", Redactor(), PydanticCodec())
    notes = list(copy.journal.recall("unit"))
    assert notes == [f"{number:06}" for number in range(len(notes))]
    assert written <= len(notes) == len(copy.journal.audit_tail(1_000_000))
    copy.close()
    assert verify(copy.database).ok


def test_a_backup_is_one_file_for_its_owner_alone(store: Store, path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    backup(path, folder / "copy.db")
    assert [file.name for file in folder.iterdir()] == ["copy.db"]
    assert stat.S_IMODE((folder / "copy.db").stat().st_mode) == 0o600


def test_a_backup_never_replaces_a_file(store: Store, path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("last week's")
    with pytest.raises(UserError, match="never replaces"):
        backup(path, target)
    assert target.read_text() == "last week's"


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kcibot.db"
    with pytest.raises(UserError, match="no database"):
        backup(path, tmp_path / "copy.db")
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(UserError, match="could not be made"):
        backup(path, tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == [path]
