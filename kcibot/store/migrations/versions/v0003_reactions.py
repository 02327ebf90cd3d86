"""A vote says whether it was given by a reaction: one that is not there any more was taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Votes of before are taken to be words, which only words take back."""
    with op.batch_alter_table("votes", recreate="always") as votes:
        votes.add_column(sa.Column("reacted", sa.Boolean, nullable=False, server_default=sa.false()))
