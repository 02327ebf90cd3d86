"""Brings a database to the schema of this code, and refuses one that is newer.

Alembic is slow to import, so it is asked only if the revision in the database is not the newest one.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SQLAlchemyError

from kcibot.errors import ConfigError

REVISIONS = ("0001", "0002", "0003")
"""Every revision this code knows, oldest first. A test compares it with Alembic's."""

HEAD = REVISIONS[-1]


def migrate(connection: Connection) -> None:
    """Run what is missing, inside the caller's transaction: all of it or nothing.

    Raises ConfigError if the database was written by a newer kcibot or is no database of ours.
    """
    found = revision(connection)
    if found == HEAD:
        return
    if found and found not in REVISIONS:
        raise ConfigError(
            f"The database has schema {found}, and this kcibot knows schemas up to {HEAD} only. "
            "It was used by a newer kcibot: run that one, or restore a backup made before the upgrade."
        )
    if not found and inspect(connection).get_table_names():
        raise ConfigError("The database file holds tables that are not kcibot's; give kcibot a file of its own.")
    _upgrade(connection)


def revision(connection: Connection) -> str:
    """The revision in the database; empty if there is none."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or "")


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - slow to import, and rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise ConfigError(f"The database could not be brought to schema {HEAD}; it is unchanged. {error}") from error
