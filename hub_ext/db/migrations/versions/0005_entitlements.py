"""Entitlements, their imports, and requests for access"""

import sqlalchemy as sa
from alembic import op

from hub_ext.db.types import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "entitlements",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("granted_until", _TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.String(length=255), nullable=False),
        sa.Column("granted_at", _TIME, nullable=False),
        sa.Column("request_id", sa.String(length=32), nullable=True),
        sa.Column("import_id", sa.String(length=32), nullable=True),
        sa.Column("shortened_by", sa.String(length=255), nullable=True),
        sa.Column("shortened_at", _TIME, nullable=True),
        sa.Column("shortened_why", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_entitlements_holder", "entitlements", ["kind", "name", "until"])
    op.create_index("ix_entitlements_profile", "entitlements", ["profile", "until", "id"])
    op.create_index("ix_entitlements_until", "entitlements", ["until", "id"])
    op.create_index("ix_entitlements_import", "entitlements", ["import_id"])
    op.create_table(
        "entitlement_imports",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("by_name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("done_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "access_requests",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("wanted_until", _TIME, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("answered_by", sa.String(length=255), nullable=True),
        sa.Column("answered_at", _TIME, nullable=True),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("entitlement_id", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_access_requests_state", "access_requests", ["state", "asked_at", "id"])
    op.create_index("ix_access_requests_user", "access_requests", ["user_name", "asked_at", "id"])
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_access_requests_one",
        "access_requests",
        ["user_name", "profile"],
        unique=True,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.add_column("decisions", sa.Column("entitlement_id", sa.String(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("decisions", "entitlement_id")
    for table in ("access_requests", "entitlement_imports", "entitlements"):
        op.drop_table(table)
