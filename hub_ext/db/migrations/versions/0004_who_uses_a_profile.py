"""Who uses a profile: asked for by a curator's table, among many starts and runs"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_server_starts_outcome", "server_starts", ["outcome", "profile"])
    op.create_index("ix_runs_profile", "runs", ["profile", "profile_version", "created_at"])


def downgrade() -> None:
    op.drop_index("ix_runs_profile", "runs")
    op.drop_index("ix_server_starts_outcome", "server_starts")
