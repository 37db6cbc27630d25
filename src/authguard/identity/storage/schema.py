"""Define the tables. Migrations make them; a test holds the two to each other.

Times are seconds since the epoch. Nothing here can be used to sign in: passwords and one-time
tokens are hashed, signing keys are encrypted, and of refresh tokens there is a counter only.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = String(36)

users = Table(
    "users",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("email", String(320), nullable=False),
    # The one form by which an address is unique: NFKC, case folded.
    Column("email_key", Text, nullable=False, unique=True),
    Column("email_verified", Boolean, nullable=False),
    # None for accounts that sign in elsewhere only.
    Column("password_hash", Text),
    # Given together with a mailed link, or set by one: the owner of the mailbox knows it.
    Column("password_proven", Boolean, nullable=False, server_default=false()),
    Column("name", String(200), nullable=False),
    Column("picture", Text),
    Column("role", String(64), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

linked_identities = Table(
    "linked_identities",
    metadata,
    Column("provider", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    # The provider has verified the address of the account, or the owner of the mailbox has kept the link.
    Column("verified", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("provider", "subject"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    # The generation of the refresh token that is good now; all others can be told from it.
    Column("generation", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("refreshed_at", Double, nullable=False),
    # Moves with each refresh, but never past `ends_at`.
    Column("expires_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("client_id", String(64)),
    Column("address", String(64), nullable=False),
    Column("user_agent", String(200), nullable=False),
    # Of the request that made the generation; none for one that was made before these were stored.
    Column("refreshed_network", String(64)),
    Column("refreshed_agent", String(200)),
    Column("repeats", Integer, nullable=False, server_default="0"),
    Column("repeated", Integer, nullable=False, server_default="0"),
    # None for when it began, 0 for unknown.
    Column("authenticated_at", Double),
    Index("ix_sessions_user_id", "user_id"),
    # In the order of pages. Those that have ended stay for a month, and are not to be read for a page.
    Index(
        "ix_sessions_alive",
        "user_id",
        "created_at",
        "id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

one_time_tokens = Table(
    "one_time_tokens",
    metadata,
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("expires_at", Double, nullable=False),
    # One of each purpose: a newer one takes the place of the older.
    PrimaryKeyConstraint("user_id", "purpose"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("algorithm", String(16), nullable=False),
    Column("public_jwk", Text, nullable=False),
    Column("encrypted_key", Text, nullable=False),
    # Signs from then on, until the next key does.
    Column("signs_from", Double, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("secret_digest", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

# Of `authguard.stores`, whose statements make them: see its `sql_tables`.
_stores = MetaData()
marks = Table(
    "authguard_marks",
    _stores,
    Column("kind", String, nullable=False),
    Column("issuer", String, nullable=False),
    Column("name", String, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("issued_before", Double),
    Column("until", Double, nullable=False),
    PrimaryKeyConstraint("kind", "issuer", "name"),
)
proofs = Table(
    "authguard_replays",
    _stores,
    Column("digest", String, primary_key=True),
    Column("until", Double, nullable=False),
)
