import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kcibot.core.journal import Audit
from kcibot.core.redact import Redactor
from kcibot.errors import ConfigError
from kcibot.store.audit import GENESIS, Verdict, verify
from kcibot.store.codec import PydanticCodec
from kcibot.store.database import Database, open_database
from kcibot.store.journal import SqlJournal

NOW = datetime(2019, 6, 3, 12, tzinfo=UTC)
ENTRIES = 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "kcibot.db"
    append(path, range(1, ENTRIES + 1))
    return path


def append(path: Path, numbers: range) -> str:
    database = open_database(path)
    journal = SqlJournal(database, Redactor(), PydanticCodec())
    for number in numbers:
        journal.commit([Audit(NOW, "operator", f"verb-{number}", "release “2019.6”", {"n": number, "x": None})])
    head = journal.audit_head()
    journal.close()
    database.close()
    return head


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for trigger in ("audit_no_UPDATE", "audit_no_DELETE"):
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def verdict(path: Path, head: str = "") -> Verdict:
    return verify(Database(path), head)


def test_an_untouched_chain_is_whole(path: Path) -> None:
    found = verdict(path)
    assert found.ok
    assert found.entries == ENTRIES
    assert verdict(path, found.head).ok


def test_an_empty_chain_is_whole(tmp_path: Path) -> None:
    head = append(tmp_path / "empty.db", range(0))
    assert verdict(tmp_path / "empty.db", head) == Verdict(0, GENESIS)


def test_the_chain_goes_on_over_a_restart_and_still_has_the_old_head(path: Path) -> None:
    old = verdict(path).head
    append(path, range(11, 13))
    found = verdict(path, old)
    assert found.ok
    assert found.entries == ENTRIES + 2


@pytest.mark.parametrize(
    "change",
    [
        "who = 'somebody'",
        "what = 'x'",
        "subject = ''",
        "detail = '{}'",
        "at = '2019-06-03T13:00:00.000000+00:00'",
        "at = 'never'",
        "who = x'00ff'",
        f"hash = '{'0' * 64}'",
        f"previous = '{'0' * 64}'",
    ],
)
def test_a_changed_entry_is_found_and_named(path: Path, change: str) -> None:
    tamper(path, f"UPDATE audit SET {change} WHERE number = 4")  # noqa: S608
    found = verdict(path)
    assert not found.ok
    assert found.broken_at == 4
    assert found.entries == 3


def test_a_deleted_entry_is_found_and_named(path: Path) -> None:
    tamper(path, "DELETE FROM audit WHERE number = 4")
    assert verdict(path).broken_at == 4
    assert "Entry 4 is missing" in verdict(path).problem


def test_a_deleted_entry_is_found_though_the_rest_was_numbered_anew(path: Path) -> None:
    renumbered = [f"UPDATE audit SET number = {n - 1} WHERE number = {n}" for n in range(5, 11)]  # noqa: S608
    tamper(path, "DELETE FROM audit WHERE number = 4", *renumbered)
    assert verdict(path).broken_at == 4


def test_reordered_entries_are_found_and_named(path: Path) -> None:
    moves = [(4, 99), (5, 4), (99, 5)]
    tamper(path, *(f"UPDATE audit SET number = {to} WHERE number = {of}" for of, to in moves))  # noqa: S608
    assert verdict(path).broken_at == 4


def test_a_cut_tail_is_found_by_a_head_that_was_told_before(path: Path) -> None:
    head = verdict(path).head
    tamper(path, "DELETE FROM audit WHERE number > 7")
    assert verdict(path).ok
    found = verdict(path, head)
    assert not found.ok
    assert found.entries == 7
    assert "expected head" in found.problem


def test_the_database_refuses_to_change_or_delete_an_entry(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("UPDATE audit SET who = 'x'", "DELETE FROM audit WHERE number = 10"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
                connection.execute(statement)


def test_a_file_that_is_not_there_is_a_configuration_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        verdict(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []
