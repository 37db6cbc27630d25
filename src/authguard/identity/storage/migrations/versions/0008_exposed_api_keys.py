"""Create the table of API keys that were found in public."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and the index by which secrets are found."""
    op.add_column("api_keys", sa.Column("revoked_for", sa.String(length=16), nullable=True))
    op.create_index(
        "ix_api_key_secrets_client_digest",
        "api_key_secrets",
        ["client_digest"],
        sqlite_where=sa.text("client_digest IS NOT NULL"),
        postgresql_where=sa.text("client_digest IS NOT NULL"),
    )
    op.create_table(
        "api_key_exposures",
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("found_at", sa.Double(), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("tell_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_api_key_exposures_key_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_api_key_exposures_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_key_exposures")),
    )
    op.create_index(op.f("ix_api_key_exposures_user_id"), "api_key_exposures", ["user_id"])
    op.create_index(
        "ix_api_key_exposures_untold",
        "api_key_exposures",
        ["tell_at"],
        sqlite_where=sa.text("tell_at IS NOT NULL"),
        postgresql_where=sa.text("tell_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("api_key_exposures")
    op.drop_index("ix_api_key_secrets_client_digest", "api_key_secrets")
    op.drop_column("api_keys", "revoked_for")
