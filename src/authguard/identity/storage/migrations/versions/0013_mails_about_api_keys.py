"""Move the mails about API keys to the table of waiting mails."""

from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# The columns to drop, with the index of each.
_COLUMNS = (
    ("api_key_events", "mail_at", "ix_api_key_events_mail_at"),
    ("api_key_exposures", "tell_at", "ix_api_key_exposures_untold"),
)
_EVENTS = (
    "SELECT keys.user_id, events.name, events.key_id, events.number, events.at, events.mail_at"
    " FROM api_key_events AS events JOIN api_keys AS keys ON keys.id = events.key_id"
    " WHERE events.mail_at IS NOT NULL"
)
_EXPOSURES = (
    "SELECT user_id, 'exposed', key_id, NULL, found_at, tell_at FROM api_key_exposures"
    " WHERE tell_at IS NOT NULL"
)
_ADD = sa.text(
    "INSERT INTO mails (id, kind, user_id, details, asked_at, try_at, tries, reason)"
    " VALUES (:id, :kind, :user_id, :details, :asked_at, :try_at, 0, '')"
)


def upgrade() -> None:
    """Move waiting mails, and drop the columns."""
    connection = op.get_bind()
    for statement in (_EVENTS, _EXPOSURES):
        rows = [_row(row) for row in connection.execute(sa.text(statement))]
        if rows:
            connection.execute(_ADD, rows)
    for table, column, index in _COLUMNS:
        op.drop_index(index, table_name=table)
        op.drop_column(table, column)


def _row(row: Any) -> dict[str, Any]:
    """Return a row as the service of this release writes it."""
    user_id, name, key_id, number, asked_at, try_at = row
    kind, details = f"api_key_{name}", key_id if number is None else f"{key_id} {number}"
    mail_id = sha256("\0".join((kind, user_id, details)).encode()).hexdigest()
    values = {"id": mail_id, "kind": kind, "user_id": user_id, "details": details}
    return {**values, "asked_at": asked_at, "try_at": try_at}


def downgrade() -> None:
    """Undo it. Waiting mails about keys are not sent."""
    op.execute("DELETE FROM mails WHERE kind LIKE 'api_key_%'")
    for table, column, index in _COLUMNS:
        op.add_column(table, sa.Column(column, sa.Double(), nullable=True))
        is_set = sa.text(f"{column} IS NOT NULL")
        op.create_index(index, table, [column], sqlite_where=is_set, postgresql_where=is_set)
