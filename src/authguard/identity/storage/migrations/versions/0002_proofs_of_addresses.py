"""Note which passwords and linked identities the owner of the mailbox has proven."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Earlier rows do not distinguish them. If the address was verified, both count as proven.
_PASSWORDS = "UPDATE users SET password_proven = email_verified WHERE password_hash IS NOT NULL"
_IDENTITIES = (
    "UPDATE linked_identities SET verified ="
    " (SELECT users.email_verified FROM users WHERE users.id = linked_identities.user_id)"
)


def upgrade() -> None:
    """Add the columns. No table is rebuilt, because in SQLite that would delete the rows that refer to it."""
    for table, name in (("users", "password_proven"), ("linked_identities", "verified")):
        op.add_column(table, sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(_PASSWORDS)
    op.execute(_IDENTITIES)


def downgrade() -> None:
    """Undo it."""
    op.drop_column("linked_identities", "verified")
    op.drop_column("users", "password_proven")
