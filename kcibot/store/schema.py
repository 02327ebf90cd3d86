"""The tables as they are today. How a database got here is told by `migrations`; a test compares the two.

Times are UTC text of fixed width, which sorts; JSON is compact text; both work the same on every database.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)


class UtcTime(TypeDecorator[datetime]):
    """A moment, stored as `2019-06-04T12:00:00.000000+00:00`. A time without a zone is refused: ValueError."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else utc_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


def utc_text(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("network", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("nick", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("target", Text),
    Column("settled", Boolean, nullable=False),
    UniqueConstraint("network", "event_id"),
    sqlite_autoincrement=True,
)
Index(
    "inbox_unsettled", inbox.c.id, sqlite_where=inbox.c.settled.is_(False), postgresql_where=inbox.c.settled.is_(False)
)
Index("inbox_newest", inbox.c.network, inbox.c.id)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("procedure", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("starter", Text, nullable=False),
    Column("network", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("args", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("holds", Text, nullable=False),
    Column("ended_at", UtcTime),
    Column("aborted", Text, nullable=False),
)
Index("runs_open", runs.c.id, sqlite_where=runs.c.ended_at.is_(None), postgresql_where=runs.c.ended_at.is_(None))

steps = Table(
    "steps",
    metadata,
    Column("run_id", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("step_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("wake_at", UtcTime),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "position"),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)

effects = Table(
    "effects",
    metadata,
    Column("run_id", Integer, nullable=False),
    Column("step_id", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "step_id", "round", "key"),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)

gates = Table(
    "gates",
    metadata,
    Column("run_id", Integer, nullable=False),
    Column("gate_id", Text, nullable=False),
    Column("ask", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("display", Text, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("state", Text, nullable=False),
    Column("reminded_at", UtcTime),
    PrimaryKeyConstraint("run_id", "gate_id", "ask"),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
)
Index("gates_state", gates.c.state)

votes = Table(
    "votes",
    metadata,
    Column("run_id", Integer, nullable=False),
    Column("gate_id", Text, nullable=False),
    Column("ask", Integer, nullable=False),
    Column("person", Text, nullable=False),
    Column("network", Text, nullable=False),
    Column("choice", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("reacted", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("run_id", "gate_id", "ask", "person", "network"),
    ForeignKeyConstraint(["run_id", "gate_id", "ask"], ["gates.run_id", "gates.gate_id", "gates.ask"]),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("network", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("thread", Text, nullable=False),
    Column("notice", Text, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("delivered_version", Integer, nullable=False),
    Column("in_flight", Boolean, nullable=False),
    Column("message_channel", Text),
    Column("message_id", Text),
    UniqueConstraint("key", "network", "channel"),
    sqlite_autoincrement=True,
)
_due = outbox.c.delivered_version < outbox.c.version
_posted = outbox.c.message_id.is_not(None)
Index("outbox_due", outbox.c.network, sqlite_where=_due, postgresql_where=_due)
Index("outbox_message", outbox.c.message_id, sqlite_where=_posted, postgresql_where=_posted)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

notes = Table(
    "notes",
    metadata,
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("topic", "key"),
)

history = Table(
    "history",
    metadata,
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("ident", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("result", Text, nullable=False),
    PrimaryKeyConstraint("kind", "name", "ident"),
)
Index("history_of", history.c.kind, history.c.name, history.c.at)

lease = Table("lease", metadata, Column("name", String(32), primary_key=True), Column("epoch", Integer, nullable=False))

counters = Table(
    "counters", metadata, Column("name", String(32), primary_key=True), Column("value", Integer, nullable=False)
)
