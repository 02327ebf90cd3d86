"""Opens the store as a running bot needs it: lease, migrations, journal and outbox, in the one order that is safe."""

from dataclasses import dataclass
from pathlib import Path

from kcibot.core.journal import Codec
from kcibot.core.redact import Redactor
from kcibot.store.database import Database
from kcibot.store.journal import SqlJournal
from kcibot.store.lease import FileLease, Lease
from kcibot.store.outbox import SqlOutbox


@dataclass(frozen=True, slots=True)
class Store:
    """An open store; `close` writes what is queued and gives the lease up."""

    database: Database
    lease: Lease
    journal: SqlJournal
    outbox: SqlOutbox

    def close(self) -> None:
        self.journal.close()
        self.database.close()
        self.lease.release()


def open_store(path: Path, redactor: Redactor, codec: Codec) -> Store:
    """Raises ConfigError if another kcibot has the database, or if it cannot be opened or is newer than the code."""
    database = Database(path)
    lease = FileLease(database)
    journal = SqlJournal(database, redactor, codec, lease)
    return Store(database, lease, journal, SqlOutbox(journal))
