"""The history names each thing that was measured, so that it is kept once however often it is seen to end."""

import sqlalchemy as sa
from alembic import op

from kcibot.store.schema import UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Nothing was ever written to the first one."""
    op.drop_index("history_of", "history")
    op.drop_table("history")
    op.create_table(
        "history",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "name", "ident")),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "ident"),
    )
    op.create_index("history_of", "history", ["kind", "name", "at"])
