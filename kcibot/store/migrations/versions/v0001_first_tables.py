"""The first tables, and the triggers that keep the audit as it was written."""

import sqlalchemy as sa
from alembic import op

from kcibot.store.schema import UtcTime

revision = "0001"
down_revision = None

NO_CHANGE = """
CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is only ever added to'); END
"""


def upgrade() -> None:
    create_inbox()
    create_runs()
    create_effects()
    create_gates()
    create_outbox()
    create_audit()
    create_rest()


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def moment(name: str) -> "sa.Column[object]":
    return sa.Column(name, UtcTime, nullable=False)


def maybe_moment(name: str) -> "sa.Column[object]":
    return sa.Column(name, UtcTime)


def partial_index(name: str, table: str, columns: list[str], sqlite: str, postgresql: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(sqlite), postgresql_where=sa.text(postgresql))


def create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer, primary_key=True),
        *(text(name) for name in ("network", "event_id", "kind", "channel", "identity", "nick", "text")),
        moment("at"),
        sa.Column("target", sa.Text),
        flag("settled"),
        sa.UniqueConstraint("network", "event_id"),
        sqlite_autoincrement=True,
    )
    partial_index("inbox_unsettled", "inbox", ["id"], "settled IS 0", "settled IS false")
    op.create_index("inbox_newest", "inbox", ["network", "id"])


def create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        *(text(name) for name in ("procedure", "title", "starter", "network", "channel")),
        moment("created_at"),
        text("args"),
        number("revision"),
        text("holds"),
        maybe_moment("ended_at"),
        text("aborted"),
    )
    partial_index("runs_open", "runs", ["id"], "ended_at IS NULL", "ended_at IS NULL")
    op.create_table(
        "steps",
        number("run_id"),
        number("position"),
        *(text(name) for name in ("step_id", "title", "kind", "state", "text")),
        number("round"),
        number("failures"),
        *(maybe_moment(name) for name in ("started_at", "ended_at", "wake_at")),
        text("value"),
        sa.PrimaryKeyConstraint("run_id", "position"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"]),
    )


def create_effects() -> None:
    op.create_table(
        "effects",
        number("run_id"),
        text("step_id"),
        number("round"),
        text("key"),
        text("state"),
        moment("at"),
        moment("until"),
        text("value"),
        sa.PrimaryKeyConstraint("run_id", "step_id", "round", "key"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"]),
    )


def create_gates() -> None:
    op.create_table(
        "gates",
        number("run_id"),
        text("gate_id"),
        number("ask"),
        *(text(name) for name in ("title", "facts", "display")),
        moment("opened_at"),
        maybe_moment("expires_at"),
        text("state"),
        maybe_moment("reminded_at"),
        sa.PrimaryKeyConstraint("run_id", "gate_id", "ask"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"]),
    )
    op.create_index("gates_state", "gates", ["state"])
    op.create_table(
        "votes",
        number("run_id"),
        text("gate_id"),
        number("ask"),
        *(text(name) for name in ("person", "network", "choice")),
        moment("at"),
        text("reason"),
        flag("withdrawn"),
        sa.PrimaryKeyConstraint("run_id", "gate_id", "ask", "person", "network"),
        sa.ForeignKeyConstraint(["run_id", "gate_id", "ask"], ["gates.run_id", "gates.gate_id", "gates.ask"]),
    )


def create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        *(text(name) for name in ("key", "network", "channel", "thread", "notice")),
        flag("urgent"),
        number("version"),
        number("delivered_version"),
        flag("in_flight"),
        sa.Column("message_channel", sa.Text),
        sa.Column("message_id", sa.Text),
        sa.UniqueConstraint("key", "network", "channel"),
        sqlite_autoincrement=True,
    )
    due, posted = "delivered_version < version", "message_id IS NOT NULL"
    partial_index("outbox_due", "outbox", ["network"], due, due)
    partial_index("outbox_message", "outbox", ["message_id"], posted, posted)


def create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        moment("at"),
        *(text(name) for name in ("who", "what", "subject", "detail")),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(NO_CHANGE.format(verb=verb))


def create_rest() -> None:
    op.create_table("notes", text("topic"), text("key"), text("value"), sa.PrimaryKeyConstraint("topic", "key"))
    op.create_table(
        "history",
        sa.Column("id", sa.Integer, primary_key=True),
        text("kind"),
        text("name"),
        moment("at"),
        sa.Column("seconds", sa.Float, nullable=False),
        text("result"),
    )
    op.create_index("history_of", "history", ["kind", "name", "at"])
    for table, column in (("lease", "epoch"), ("counters", "value")):
        op.create_table(table, sa.Column("name", sa.String(32), primary_key=True), number(column))
