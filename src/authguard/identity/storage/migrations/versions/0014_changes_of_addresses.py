"""Create the table of new addresses that owners of accounts have requested."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "address_changes",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_address_changes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_address_changes")),
        sa.UniqueConstraint("digest", name=op.f("uq_address_changes_digest")),
    )


def downgrade() -> None:
    """Undo it. Waiting changes are dropped."""
    op.drop_table("address_changes")
