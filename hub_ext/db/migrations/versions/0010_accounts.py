"""Whose a name is at the provider of the sign-in, since when its groups are known, and who has left"""

import sqlalchemy as sa
from alembic import op

from hub_ext.db.types import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("issuer", sa.String(length=400), nullable=False),
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("groups_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("away_since", UtcDateTime(timezone=True), nullable=True),
        sa.Column("signed_in_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("blocked_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("blocked_by", sa.String(length=255), server_default="", nullable=False),
        sa.Column("blocked_why", sa.Text(), server_default="", nullable=False),
        sa.Column("left_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("left_why", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("issuer", "sub"),
    )
    op.create_index("ix_accounts_subject", "accounts", ["subject"])
    op.create_table(
        "provider_sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("begun_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_provider_sessions_name", "provider_sessions", ["name"])
    op.create_index("ix_provider_sessions_begun_at", "provider_sessions", ["begun_at"])
    op.create_table(
        "used_once",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("until", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_used_once_until", "used_once", ["until"])


def downgrade() -> None:
    op.drop_index("ix_used_once_until", "used_once")
    op.drop_table("used_once")
    op.drop_index("ix_provider_sessions_begun_at", "provider_sessions")
    op.drop_index("ix_provider_sessions_name", "provider_sessions")
    op.drop_table("provider_sessions")
    op.drop_index("ix_accounts_subject", "accounts")
    op.drop_table("accounts")
