import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command as alembic_command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

import kcibot.store
from kcibot.errors import ConfigError
from kcibot.store.database import Database, open_database
from kcibot.store.migrate import HEAD, REVISIONS
from kcibot.store.schema import metadata

OPEN_AND_CLOSE = """
import sys
from pathlib import Path
from kcibot.core.redact import Redactor
from kcibot.store.codec import PydanticCodec
from kcibot.store.opening import open_store
open_store(Path(sys.argv[1]), Redactor(), PydanticCodec()).close()
sys.exit("alembic" in sys.modules)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kcibot.db"


def schema_of(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index')")
        return {
            name: " ".join((sql or "").replace('"', "").split())
            for name, sql in found
            if not name.startswith(("alembic", "sqlite_"))
        }


def test_the_migrations_lead_to_the_schema_of_the_code(tmp_path: Path) -> None:
    migrated, made = tmp_path / "migrated.db", tmp_path / "made.db"
    open_database(migrated).close()
    made.touch()
    with Database(made).writer.begin() as connection:
        metadata.create_all(connection)
    assert schema_of(migrated) == schema_of(made)


def test_a_database_of_an_older_kcibot_is_brought_up_to_date_with_all_that_it_holds(path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(kcibot.store.__file__).parent / "migrations"))
    path.touch()
    old = Database(path)
    with old.writer.begin() as connection:
        config.attributes["connection"] = connection
        alembic_command.upgrade(config, REVISIONS[0])
        connection.exec_driver_sql("INSERT INTO notes VALUES ('paused', 'monitor', '{}')")
    old.close()
    database = open_database(path)
    with database.snapshot() as connection:
        assert connection.exec_driver_sql("SELECT topic, key FROM notes").all() == [("paused", "monitor")]
    database.close()
    open_database(path.with_name("new.db")).close()
    assert schema_of(path) == schema_of(path.with_name("new.db"))


def test_the_known_revisions_are_those_that_alembic_finds() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(kcibot.store.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_heads() == [HEAD]


def test_a_database_that_is_up_to_date_is_opened_without_alembic(path: Path) -> None:
    open_database(path).close()
    command = [sys.executable, "-c", OPEN_AND_CLOSE, str(path)]
    assert subprocess.run(command, check=False).returncode == 0


def test_a_newer_database_is_refused_and_left_as_it_is(path: Path) -> None:
    open_database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="newer kcibot"):
        open_database(path)
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(ConfigError, match="not kcibot's"):
        open_database(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"a letter to the team " * 100)
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_database(path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_database(tmp_path / "none" / "kcibot.db")


def test_an_interrupted_migration_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more_tables(*_arguments: object, **_options: object) -> None:
        raise OperationalError("CREATE INDEX", {}, sqlite3.OperationalError("disk I/O error"))

    with monkeypatch.context() as patched:
        patched.setattr("alembic.op.create_index", no_more_tables)
        with pytest.raises(ConfigError, match="it is unchanged"):
            open_database(path)
    assert schema_of(path) == {}
    open_database(path).close()


def test_only_the_owner_may_read_the_files(path: Path) -> None:
    path.touch(mode=0o644)
    database = open_database(path)
    with database.snapshot():
        files = list(path.parent.iterdir())
        assert {file.suffix for file in files} == {".db", ".db-wal", ".db-shm"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    database.close()


def test_every_connection_is_set_up_to_be_safe(path: Path) -> None:
    database = open_database(path)
    with database.writer.connect() as writer, writer.begin():
        pragmas = {name: writer.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "foreign_keys")}
        assert pragmas == {"synchronous": 2, "foreign_keys": 1}
        assert writer.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        with database.snapshot() as reader:
            assert reader.exec_driver_sql("PRAGMA query_only").scalar() == 1
    database.close()


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "a b?c#d%20e.db"
    open_database(path).close()
    assert path.exists()
    assert len(list(tmp_path.iterdir())) == 1
