"""A consistent copy of a database that is in use. Copying the file gives an old or an empty one."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from kcibot.errors import UserError


def backup(path: Path, target: Path) -> None:
    """Copy the database at `path` to `target`, which must not exist. The copy is checked, and complete or not there.

    Raises UserError if it cannot be made.
    """
    if target.exists():
        raise UserError(f"{target} is there already; a backup never replaces a file.")
    if not path.is_file():
        raise UserError(f"There is no database at {path}.")
    partial = target.with_name(f".{target.name}.partial")
    try:
        _copy(path, partial)
        partial.rename(target)
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"The backup of {path} could not be made: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(path: Path, partial: Path) -> None:
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as source:
            _copy_pages(source, partial)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_pages(source: sqlite3.Connection, partial: Path) -> None:
    with closing(sqlite3.connect(partial)) as copy:
        # all pages in one step: in several steps every write in between begins the copy anew
        source.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file; it is set back to WAL when it is opened
        found = copy.execute("PRAGMA quick_check").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(f"the copy is damaged: {found}")
