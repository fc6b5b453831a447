"""Orders of the gallery: a page costs the same among 100 and 10,000 workflows"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workflows", sa.Column("title_key", sa.String(length=200), server_default="", nullable=False))
    op.execute("UPDATE workflows SET title_key = lower(title)")
    op.create_index("ix_workflows_used", "workflows", ["visibility", "last_run_at", "id"])
    op.create_index("ix_workflows_title", "workflows", ["visibility", "title_key", "id"])
    op.add_column(
        "workflow_tags", sa.Column("visibility", sa.String(length=16), server_default="private", nullable=False)
    )
    op.execute(
        "UPDATE workflow_tags SET visibility ="
        " (SELECT visibility FROM workflows WHERE workflows.id = workflow_tags.workflow_id)"
    )
    op.create_index("ix_workflow_tags_visible", "workflow_tags", ["visibility", "tag"])


def downgrade() -> None:
    op.drop_index("ix_workflow_tags_visible", "workflow_tags")
    op.drop_column("workflow_tags", "visibility")
    op.drop_index("ix_workflows_title", "workflows")
    op.drop_index("ix_workflows_used", "workflows")
    op.drop_column("workflows", "title_key")
