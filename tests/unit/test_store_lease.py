import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcibot.core.journal import Remember
from kcibot.core.redact import Redactor
from kcibot.errors import Aborted, ConfigError
from kcibot.store.codec import PydanticCodec
from kcibot.store.database import Database
from kcibot.store.journal import SqlJournal
from kcibot.store.lease import FileLease

HOLDER = """
import sys
from pathlib import Path
from kcibot.store.database import Database
from kcibot.store.lease import FileLease
lease = FileLease(Database(Path(sys.argv[1])))
print(lease.epoch, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kcibot.db"


@pytest.fixture
def holder(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the lease."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_who_has_the_database(path: Path, holder: "subprocess.Popen[str]") -> None:
    with pytest.raises(ConfigError, match=f"in use by process {holder.pid};"):
        FileLease(Database(path))


def test_the_lease_of_a_killed_process_is_free(path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.wait()
    lease = FileLease(Database(path))
    assert lease.epoch == 2
    lease.release()


def test_a_lease_that_could_not_be_used_is_given_up(path: Path) -> None:
    path.write_bytes(b"no database " * 100)
    with pytest.raises(ConfigError, match="cannot be opened"):
        FileLease(Database(path))
    path.unlink()
    FileLease(Database(path)).release()


def test_whoever_lost_the_lease_can_write_nothing_more(path: Path) -> None:
    database = Database(path)
    old = FileLease(database)
    journal = SqlJournal(database, Redactor(), PydanticCodec(), old)
    journal.commit([Remember("a", "before", 1)])
    old.release()
    new = FileLease(Database(path))
    with pytest.raises(Aborted, match="took over"):
        journal.commit([Remember("a", "after", 1)])
    assert journal.recall("a") == {"before": 1}
    journal.close()
    new.release()
