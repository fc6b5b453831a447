"""Servers that are kept for another hour, and those that end because the entitlement has ended that they run by"""

import sqlalchemy as sa
from alembic import op

from hub_ext.db.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("server_starts") as table:
        table.add_column(sa.Column("kept", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("must_end_at", UtcDateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("must_end_why", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("entitlements") as table:
        table.add_column(sa.Column("reminded_at", UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("entitlements") as table:
        table.drop_column("reminded_at")
    with op.batch_alter_table("server_starts") as table:
        for name in ("must_end_why", "must_end_at", "kept"):
            table.drop_column(name)
