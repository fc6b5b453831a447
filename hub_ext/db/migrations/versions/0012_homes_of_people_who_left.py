"""Homes of people who left, and since when the provider of the sign-in knows somebody no more"""

import sqlalchemy as sa
from alembic import op

from hub_ext.db.types import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("gone_at", UtcDateTime(timezone=True), nullable=True))
    op.create_table(
        "left_homes",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("left_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("place", sa.String(length=400), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("hindrance", sa.Text(), server_default="", nullable=False),
        sa.Column("identity", sa.String(length=200), server_default="", nullable=False),
        sa.Column("confirmed_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.String(length=255), server_default="", nullable=False),
        sa.Column("removed_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_left_homes_left_at", "left_homes", ["left_at"])
    op.create_index("ix_left_homes_state", "left_homes", ["state"])


def downgrade() -> None:
    op.drop_index("ix_left_homes_state", "left_homes")
    op.drop_index("ix_left_homes_left_at", "left_homes")
    op.drop_table("left_homes")
    op.drop_column("accounts", "gone_at")
