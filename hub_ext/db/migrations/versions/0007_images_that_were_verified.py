"""What was found out about images: who signed them, and their lists of parts"""

import sqlalchemy as sa
from alembic import op

from hub_ext.db.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_verifications",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("image", sa.String(length=400), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("signers", sa.JSON(), nullable=False),
        sa.Column("sbom", sa.String(length=16), nullable=False),
        sa.Column("sbom_by", sa.String(length=64), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("by_name", sa.String(length=255), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_image_verifications_image", "image_verifications", ["image", "outcome", "id"])


def downgrade() -> None:
    op.drop_index("ix_image_verifications_image", "image_verifications")
    op.drop_table("image_verifications")
