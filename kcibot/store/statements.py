"""Every statement that writes, built once and turned into SQL text once.

SQLAlchemy's own execution costs several times as much as SQLite's for such small statements, and every reply waits for
three of them. This is the one module that names a dialect: PostgreSQL's `insert` has the same methods.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, Table, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.sql.dml import UpdateBase

from kcibot.core.gate import AskState
from kcibot.store.schema import (
    audit,
    counters,
    effects,
    gates,
    history,
    inbox,
    lease,
    notes,
    outbox,
    runs,
    steps,
    votes,
)

Values = Mapping[str, object]


def as_text(question: Select[Any]) -> str:
    """A question without values of the asker's, for the driver's own cursor: some are asked for every commit."""
    return str(question.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))


class Prepared:
    """A statement as text. Its values are plain: text, whole numbers, flags or nothing; times are text already."""

    def __init__(self, statement: UpdateBase, *columns: str) -> None:
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"), column_keys=columns or None)
        names = tuple(compiled.positiontup or ())
        self._text = str(compiled)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self._in_order: Callable[[Values], tuple[object, ...]] = itemgetter(*names)

    def run(self, cursor: sqlite3.Cursor, values: Values) -> int:
        """How many rows it changed. Raises KeyError if a value is missing."""
        return cursor.execute(self._text, self._in_order({**self._fixed, **values})).rowcount

    def run_many(self, cursor: sqlite3.Cursor, rows: Sequence[Values]) -> int:
        """The same for each of the rows, in order."""
        return cursor.executemany(self._text, [self._in_order({**self._fixed, **values}) for values in rows]).rowcount


def upsert(table: Table) -> Prepared:
    """Insert the row, or make the one with the same primary key equal to it; an equal row is not written."""
    statement = insert(table)
    key = [column.name for column in table.primary_key]
    rest = [column for column in table.columns if column.name not in key]
    changed = statement.on_conflict_do_update(
        index_elements=key,
        set_={column.name: statement.excluded[column.name] for column in rest},
        where=or_(*(column.is_distinct_from(statement.excluded[column.name]) for column in rest)),
    )
    return Prepared(changed)


def say() -> Insert:
    """A new message has version 1; another text under the same key and place is the next version, an equal one none."""
    statement = insert(outbox)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["key", "network", "channel"],
        set_={"notice": new.notice, "urgent": new.urgent, "version": outbox.c.version + 1},
        where=outbox.c.notice != new.notice,
    )


def settle() -> Insert:
    """An event may be settled that was never stored: it is stored as settled, and so is known when it comes again."""
    return insert(inbox).on_conflict_do_update(
        index_elements=["network", "event_id"], set_={"settled": True}, where=inbox.c.settled.is_(False)
    )


SAVE_RUN = upsert(runs)
SAVE_STEP = upsert(steps)
DROP_STEPS = Prepared(
    delete(steps).where(steps.c.run_id == bindparam("of_run"), steps.c.position >= bindparam("count"))
)
SAVE_ASK = upsert(gates)
SAVE_VOTE = upsert(votes)
SAVE_EFFECT = upsert(effects)
SAY = Prepared(
    say(), "key", "network", "channel", "thread", "notice", "urgent", "version", "delivered_version", "in_flight"
)
AMEND = Prepared(
    update(outbox)
    .where(
        outbox.c.key == bindparam("of_key"),
        outbox.c.network == bindparam("of_network"),
        outbox.c.channel == bindparam("of_channel"),
        outbox.c.notice != bindparam("new_notice"),
    )
    .values(notice=bindparam("new_notice"), urgent=bindparam("new_urgent"), version=outbox.c.version + 1)
)
ADD_AUDIT = Prepared(insert(audit))
EVENT = ("network", "event_id", "kind", "channel", "identity", "nick", "text", "at", "target", "settled")
ACCEPT = Prepared(insert(inbox).on_conflict_do_nothing(index_elements=["network", "event_id"]), *EVENT)
IS_STORED = f"SELECT 1 FROM {inbox.name} WHERE network = ? AND event_id = ?"  # noqa: S608 (no value is in it)
SETTLE = Prepared(settle(), *EVENT)
REMEMBER = upsert(notes)
MEASURED = upsert(history)
FORGET = Prepared(delete(notes).where(notes.c.topic == bindparam("of_topic"), notes.c.key == bindparam("of_key")))

SENDING = Prepared(update(outbox).where(outbox.c.id == bindparam("row")).values(in_flight=True))
SENT = Prepared(
    update(outbox)
    .where(outbox.c.id == bindparam("row"), outbox.c.delivered_version < bindparam("seen"))
    .values(
        delivered_version=bindparam("seen"),
        in_flight=False,
        message_channel=bindparam("at_channel"),
        message_id=bindparam("at_message"),
    )
)

LEADER = "leader"
EPOCH = select(lease.c.epoch).where(lease.c.name == LEADER)
EPOCH_TEXT = as_text(EPOCH)
SET_EPOCH = upsert(lease)

RUN_NUMBER = "run"
RUN_NUMBERS = as_text(
    select(
        select(counters.c.value).where(counters.c.name == RUN_NUMBER).scalar_subquery(),
        select(func.max(runs.c.id)).scalar_subquery(),
    )
)
SET_COUNTER = upsert(counters)

OPEN_ASKS = select(gates).where(gates.c.state == AskState.OPEN.value).order_by(gates.c.opened_at, gates.c.run_id)
