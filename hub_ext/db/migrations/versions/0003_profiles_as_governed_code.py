"""Profiles as governed code: versions, approvals, exceptions, snapshots; what a decision looked at"""

import sqlalchemy as sa
from alembic import op

from hub_ext.db.types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = UtcDateTime(timezone=True)
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "profile_versions",
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("author_subject", sa.String(length=255), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("proposed_at", _TIME, nullable=False),
        sa.Column("approved_at", _TIME, nullable=True),
        sa.Column("deprecated_at", _TIME, nullable=True),
        sa.Column("successor", sa.String(length=80), nullable=False),
        sa.Column("removal_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("digest"),
        sa.UniqueConstraint("name", "number"),
    )
    op.create_index("ix_profile_versions_state", "profile_versions", ["state"])
    op.create_table(
        "approvals",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("approver", sa.String(length=255), nullable=False),
        sa.Column("approver_subject", sa.String(length=255), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("images", sa.JSON(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["digest"], ["profile_versions.digest"]),
        sa.UniqueConstraint("digest", "approver_subject"),
    )
    op.create_table(
        "policy_exceptions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("users", sa.JSON(), nullable=False),
        sa.Column("group_names", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_by", sa.String(length=255), nullable=True),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_policy_exceptions_profile", "policy_exceptions", ["profile", "until"])
    op.create_table(
        "catalog_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("clock", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO catalog_state (id, generation, clock) VALUES (1, 0, '1970-01-01 00:00:00+00:00')")
    op.create_table(
        "snapshots",
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("enclave", sa.String(length=64), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_snapshots_at", "snapshots", ["at"])
    op.add_column("decisions", sa.Column("image", sa.String(length=400), server_default="", nullable=False))
    op.add_column("decisions", sa.Column("warnings", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("decisions", sa.Column("exceptions", sa.JSON(), server_default="[]", nullable=False))


def downgrade() -> None:
    for column in ("exceptions", "warnings", "image"):
        op.drop_column("decisions", column)
    for table in ("snapshots", "catalog_state", "policy_exceptions", "approvals", "profile_versions"):
        op.drop_table(table)
