"""Add public clients, and the type of the tokens that a signing key signs."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns."""
    op.add_column("clients", sa.Column("is_public", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(
        "signing_keys", sa.Column("typ", sa.String(length=16), nullable=False, server_default="JWT")
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_column("signing_keys", "typ")
    op.drop_column("clients", "is_public")
