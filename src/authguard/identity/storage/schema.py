"""Define the tables. Migrations create them; a test compares both.

Times are seconds since the epoch. No content of the tables can be used to sign in: passwords and one-time
tokens are hashed, signing keys are encrypted, and refresh tokens are only counters.
"""

from sqlalchemy import (
    BigInteger,
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
    # The form by which an address is unique: NFKC, case folded.
    Column("email_key", Text, nullable=False, unique=True),
    Column("email_verified", Boolean, nullable=False),
    # None for accounts that only sign in with a provider.
    Column("password_hash", Text),
    # Whether the password was given together with a mailed link, or set by one, so that the owner of the
    # mailbox knows it.
    Column("password_proven", Boolean, nullable=False, server_default=false()),
    Column("name", String(200), nullable=False),
    Column("picture", Text),
    Column("role", String(64), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    # A list in JSON of the roles besides `role`; empty for none.
    Column("further_roles", Text, nullable=False, server_default=""),
    # The scopes, separated by spaces.
    Column("scopes", Text, nullable=False, server_default=""),
)

linked_identities = Table(
    "linked_identities",
    metadata,
    Column("provider", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    # Whether the provider has verified the address of the account, or the owner of the mailbox has kept the
    # link.
    Column("verified", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("provider", "subject"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    # The generation of the valid refresh token; all other generations are derived from it.
    Column("generation", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("refreshed_at", Double, nullable=False),
    # The end moves with each refresh, but never past `ends_at`.
    Column("expires_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("client_id", String(64)),
    Column("address", String(64), nullable=False),
    Column("user_agent", String(200), nullable=False),
    # Network and agent of the request that created the generation; None if it was created before these
    # columns existed.
    Column("refreshed_network", String(64)),
    Column("refreshed_agent", String(200)),
    Column("repeats", Integer, nullable=False, server_default="0"),
    Column("repeated", Integer, nullable=False, server_default="0"),
    # None for the beginning of the session, 0 for an unknown time.
    Column("authenticated_at", Double),
    Index("ix_sessions_user_id", "user_id"),
    # In the order of pages. Ended sessions stay for a month, and must not be read for a page.
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
    # One token for each purpose: a newer one replaces the older.
    PrimaryKeyConstraint("user_id", "purpose"),
)

# New addresses that owners have requested: the newest of each account.
address_changes = Table(
    "address_changes",
    metadata,
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("address", String(320), nullable=False),
    Column("asked_at", Double, nullable=False),
    # The digest of the token in the newest mail; None before the first mail.
    Column("digest", String(64), unique=True),
    Column("expires_at", Double, nullable=False),
)

# Waiting mails. The rows contain neither links nor tokens, which are created in each attempt.
mails = Table(
    "mails",
    metadata,
    # Derived from the kind and the recipient, so that repeated requests lead to one mail.
    Column("id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), index=True),
    # The typed address, until the account is looked up; None afterwards. If the account was known from the
    # beginning, an earlier address of the account, to which the mail is sent.
    Column("address", String(320)),
    # Further data, such as the name of a provider.
    Column("details", String(300), nullable=False),
    Column("asked_at", Double, nullable=False),
    # A process that takes the mail sets this to the time after which others may take it.
    Column("try_at", Double, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("reason", String(200), nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("algorithm", String(16), nullable=False),
    Column("public_jwk", Text, nullable=False),
    Column("encrypted_key", Text, nullable=False),
    # The key signs from this time on, until the next key does.
    Column("signs_from", Double, nullable=False),
    # The `typ` of the tokens that it signs; keys that are older than this column have JWT.
    Column("typ", String(16), nullable=False, server_default="JWT"),
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
    # Empty for a public client, which has no secret.
    Column("is_public", Boolean, nullable=False, server_default=false()),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("prefix", String(32), nullable=False),
    Column("shown", String(32), nullable=False),
    Column("readable_id", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("tier", String(32), nullable=False),
    Column("metadata", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    # Another key of the same owner, which may have been deleted.
    Column("created_by", String(64)),
    Column("expires_at", Double, nullable=False),
    Column("disabled_at", Double),
    Column("revoked_at", Double),
    # The number of the newest secret, so that two secrets of a key never have the same number.
    Column("generation", Integer, nullable=False),
    Column("last_used_at", Double),
    Column("last_used_address", String(64)),
    Column("usage_count", BigInteger, nullable=False),
    # None for a key that its owner has revoked.
    Column("revoked_for", String(16)),
    # None together with a `disabled_at` means an operator who used SQL.
    Column("disabled_by", String(16)),
    Column("switches", Integer, nullable=False, server_default="0"),
    # None if no further notice is due.
    Column("notice_at", Double),
    Index("ix_api_keys_user_id", "user_id", "created_at", "id"),
    # The index for texts with the id of a key and a wrong secret.
    Index("ix_api_keys_readable_id", "readable_id"),
    Index(
        "ix_api_keys_notice_at",
        "notice_at",
        sqlite_where=text("notice_at IS NOT NULL"),
        postgresql_where=text("notice_at IS NOT NULL"),
    ),
)

# Events of keys, once each: the primary key decides among processes.
api_key_events = Table(
    "api_key_events",
    metadata,
    Column("key_id", String(64), ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(16), nullable=False),
    # The days before the expiry, the generation, or the number of times it was disabled; otherwise 0.
    Column("number", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("actor", String(16), nullable=False),
    Column("actor_key_id", String(64)),
    PrimaryKeyConstraint("key_id", "name", "number"),
)

api_key_secrets = Table(
    "api_key_secrets",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("key_id", String(64), ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("made_at", Double, nullable=False),
    # None until its first use, if the first use ends the previous generation.
    Column("active_from", Double),
    # Seconds for which the previous generation stays valid after that.
    Column("grace", Double, nullable=False),
    # None for the newest generation, which ends with the key.
    Column("expires_at", Double),
    # The digest of the client secret of the same generation.
    Column("client_digest", String(64)),
    Index("ix_api_key_secrets_key_id", "key_id", "generation", unique=True),
    Index(
        "ix_api_key_secrets_client_digest",
        "client_digest",
        sqlite_where=text("client_digest IS NOT NULL"),
        postgresql_where=text("client_digest IS NOT NULL"),
    ),
)

# Keys that were revoked because a secret scanner has found them in public.
api_key_exposures = Table(
    "api_key_exposures",
    metadata,
    # One row for each key, even if it is found several times.
    Column("key_id", String(64), ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("found_at", Double, nullable=False),
    # From the scanner's fixed list, or `unknown`.
    Column("source", String(32), nullable=False),
    # None if the URL cannot be shown.
    Column("place", Text),
)


def _usage_of(period: str) -> Table:
    """Return the table of the usage in one kind of period; see `usage_roll_up`."""
    name = f"api_key_usage_{period}"
    is_left = text("uses <> rolled")
    # Without rowids, SQLite stores the rows of a key next to each other.
    return Table(
        name,
        metadata,
        Column("key_id", String(64), nullable=False),
        # The beginning of the period, in UTC.
        Column("start", BigInteger, nullable=False),
        # 0 if the key has no such secret.
        Column("generation", Integer, nullable=False),
        Column("rule", String(160), nullable=False),
        Column("outcome", String(16), nullable=False),
        # The owner, and not only the key, because the counts stay when the key is deleted.
        Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        Column("uses", BigInteger, nullable=False),
        # The number of these uses that the table of longer periods includes.
        Column("rolled", BigInteger, nullable=False),
        PrimaryKeyConstraint("key_id", "start", "generation", "rule", "outcome"),
        Index(f"ix_{name}_user_id", "user_id", "start"),
        Index(f"ix_{name}_start", "start"),
        # The indexes of rows to roll up: by age, and by owner.
        Index(f"ix_{name}_left", "start", sqlite_where=is_left, postgresql_where=is_left),
        Index(f"ix_{name}_left_of", "user_id", "start", sqlite_where=is_left, postgresql_where=is_left),
        sqlite_with_rowid=False,
    )


api_key_usage_minutes = _usage_of("minutes")
api_key_usage_hours = _usage_of("hours")
api_key_usage_days = _usage_of("days")
api_key_usage_months = _usage_of("months")

# The last batch of each process that counts, so that no batch is added twice.
api_key_usage_writers = Table(
    "api_key_usage_writers",
    metadata,
    Column("writer", String(32), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("written_at", Double, nullable=False),
)

# Tasks that one process does for all, with the time when each is due next.
background_tasks = Table(
    "background_tasks",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("next_at", Double, nullable=False),
)

# The seconds for which each level of the usage is kept, for all processes; no row for the default.
api_key_usage_kept = Table(
    "api_key_usage_kept",
    metadata,
    Column("level", String(8), primary_key=True),
    Column("seconds", BigInteger, nullable=False),
)

# The lifetimes of access tokens that services had, and when one last had it: such tokens may still be valid.
access_lifetimes = Table(
    "access_lifetimes",
    metadata,
    Column("seconds", BigInteger, primary_key=True),
    Column("seen_at", Double, nullable=False),
)

# The number of the last mark in the log that another store has, too; `store` is a digest of its address.
marks_elsewhere = Table(
    "marks_elsewhere",
    metadata,
    Column("store", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

# The tables of `authguard.stores`, whose statements create them: see its `sql_tables`.
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
