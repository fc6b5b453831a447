"""Which releases may use the tables, and whether anything may change"""

import sqlalchemy as sa
from alembic import op

from hub_ext.db.types import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "platform_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("usable_from", sa.String(length=32), server_default="", nullable=False),
        sa.Column("read_only_since", UtcDateTime(timezone=True), nullable=True),
        sa.Column("read_only_until", UtcDateTime(timezone=True), nullable=True),
        sa.Column("read_only_why", sa.Text(), server_default="", nullable=False),
        sa.Column("read_only_by", sa.String(length=255), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO platform_state (id) VALUES (1)")


def downgrade() -> None:
    op.drop_table("platform_state")
