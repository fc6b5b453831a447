"""Budgets: how much somebody may have, what is in use, what was used in a month"""

import sqlalchemy as sa
from alembic import op

from hub_ext.db.types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = UtcDateTime(timezone=True)


def _holder() -> list[sa.Column[str]]:
    return [
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "budgets",
        *_holder(),
        sa.Column("servers", sa.Integer(), nullable=True),
        sa.Column("runs", sa.Integer(), nullable=True),
        sa.Column("cpu_hours", sa.Float(), nullable=True),
        sa.Column("memory_hours", sa.Float(), nullable=True),
        sa.Column("gpu_hours", sa.Float(), nullable=True),
        sa.Column("storage", sa.BigInteger(), nullable=True),
        sa.Column("soft", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.String(length=255), nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_table("budget_holders", *_holder(), sa.PrimaryKeyConstraint("kind", "name"))
    op.create_table(
        "budget_charges",
        sa.Column("use_id", sa.String(length=300), nullable=False),
        *_holder(),
        sa.Column("purpose", sa.String(length=8), nullable=False),
        sa.Column("cpu", sa.Float(), nullable=False),
        sa.Column("memory", sa.Float(), nullable=False),
        sa.Column("gpu", sa.Integer(), nullable=False),
        sa.Column("storage", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.Float(precision=53), nullable=True),
        sa.Column("expires", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("use_id", "kind", "name"),
    )
    op.create_index("ix_budget_charges_holder", "budget_charges", ["kind", "name"])
    op.create_table(
        "budget_meters",
        *_holder(),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("servers", sa.Integer(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("cpu", sa.Float(precision=53), nullable=False),
        sa.Column("memory", sa.Float(precision=53), nullable=False),
        sa.Column("gpu", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "month"),
    )
    op.create_index("ix_budget_meters_month", "budget_meters", ["month", "kind", "name"])


def downgrade() -> None:
    for table in ("budget_meters", "budget_charges", "budget_holders", "budgets"):
        op.drop_table(table)
