"""The audit is a chain: each entry holds the hash of the one before, so that nothing can be changed unnoticed.

Whoever can write the file can also build a whole new chain. That is why the newest hash is told to people: with an
old head, `verify` also finds a chain that was cut or built anew.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Row, Text, select, type_coerce
from sqlalchemy.exc import SQLAlchemyError

from kcibot.core.digest import canonical
from kcibot.errors import ConfigError
from kcibot.store.database import Database, cause
from kcibot.store.schema import audit

GENESIS = "0" * 64
"""The head of an empty chain."""

BATCH = 500

ENTRIES = select(
    audit.c.number,
    # the stored text of the time, not the moment: it is what was hashed
    type_coerce(audit.c.at, Text).label("at"),
    audit.c.who,
    audit.c.what,
    audit.c.subject,
    audit.c.detail,
    audit.c.previous,
    audit.c.hash,
).order_by(audit.c.number)


def link_hash(previous: str, number: int, at: str, who: str, what: str, subject: str, detail: str) -> str:
    """SHA-256 of the previous hash and the canonical JSON of the entry with its number."""
    return hashlib.sha256((previous + canonical([number, at, who, what, subject, detail])).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry."""

    number: int = 0
    hash: str = GENESIS


def read_head(database: Database) -> Head:
    newest = select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
    with database.snapshot() as connection:
        row = connection.execute(newest).one_or_none()
    return Head() if row is None else Head(row.number, row.hash)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of a chain found. `broken_at` is the number of the first entry that is not as it was written."""

    entries: int
    head: str
    broken_at: int | None = None
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


def verify(database: Database, head: str = "") -> Verdict:
    """Walk the whole chain. `head` is a hash that was published once; it must be in the chain, if it is given.

    Raises ConfigError if the file is not there or is no database of ours.
    """
    try:
        return _walk(database, head.strip().lower())
    except SQLAlchemyError as error:
        raise ConfigError(f"The audit in {database.path} cannot be read: {cause(error)}.") from error


def _walk(database: Database, expected: str) -> Verdict:
    last, seen = Head(), expected in ("", GENESIS)
    with database.snapshot() as connection:
        for row in connection.execute(ENTRIES, execution_options={"yield_per": BATCH}):
            if problem := _misfit(row, last):
                return Verdict(last.number, last.hash, last.number + 1, problem)
            last = Head(row.number, row.hash)
            seen = seen or row.hash == expected
    if not seen:
        return Verdict(last.number, last.hash, None, _cut(last))
    return Verdict(last.number, last.hash)


def _misfit(row: Row[tuple[object, ...]], last: Head) -> str:
    """Why that row is not the next link, in words; empty if it is."""
    due = last.number + 1
    if row.number != due:
        return f"Entry {due} is missing: entry {row.number} follows entry {last.number}."
    if row.previous != last.hash:
        return f"Entry {due} does not follow entry {last.number}: one of them was changed or moved."
    texts = (row.at, row.who, row.what, row.subject, row.detail)
    if not all(isinstance(text, str) for text in texts) or link_hash(row.previous, row.number, *texts) != row.hash:
        return f"Entry {due} was changed after it was written."
    return ""


def _cut(last: Head) -> str:
    return (
        f"No entry has the expected head. The {last.number} entries that are there fit together, "
        "so the end of the chain was cut off or written anew, or the head is of another database."
    )
