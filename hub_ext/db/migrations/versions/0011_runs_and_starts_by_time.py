"""Runs by their end, starts by when they were asked for: figures cost the same among 100 and 1,000,000"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_runs_ended", "runs", ["ended_at", "state"])
    op.create_index("ix_server_starts_asked", "server_starts", ["asked_at", "outcome"])


def downgrade() -> None:
    op.drop_index("ix_server_starts_asked", "server_starts")
    op.drop_index("ix_runs_ended", "runs")
