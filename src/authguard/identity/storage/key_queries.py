"""Query signing keys. Use cases pass the connection of their transaction."""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from authguard.identity.storage.schema import signing_keys


def list_signing_keys(connection: Connection, algorithm: str) -> list[Row[Any]]:
    """List signing keys, the oldest first: kid, algorithm, public_jwk, encrypted_key, signs_from, typ."""
    statement = select(signing_keys).where(signing_keys.c.algorithm == algorithm)
    return list(connection.execute(statement.order_by(signing_keys.c.signs_from, signing_keys.c.kid)))


def find_newest_typ(connection: Connection) -> str | None:
    """Return the `typ` of the tokens of the newest key of any algorithm; None without a key."""
    statement = select(signing_keys.c.typ).order_by(signing_keys.c.signs_from.desc(), signing_keys.c.kid)
    return connection.execute(statement.limit(1)).scalar()


def list_encrypted_keys(connection: Connection) -> list[tuple[str, str]]:
    """List the names and encrypted keys of all signing keys, of any algorithm."""
    rows = connection.execute(select(signing_keys.c.kid, signing_keys.c.encrypted_key))
    return [(row.kid, row.encrypted_key) for row in rows]


def update_signing_key(connection: Connection, kid: str, encrypted_key: str) -> None:
    """Store a signing key in another encryption."""
    statement = update(signing_keys).where(signing_keys.c.kid == kid)
    connection.execute(statement.values(encrypted_key=encrypted_key))


def insert_signing_key(connection: Connection, **values: Any) -> None:
    """Add a signing key."""
    connection.execute(insert(signing_keys), values)


def delete_signing_keys(connection: Connection, kids: list[str]) -> None:
    """Delete signing keys."""
    connection.execute(delete(signing_keys).where(signing_keys.c.kid.in_(kids)))


def lock_signing_keys(connection: Connection) -> None:
    """Block other transactions that add a key; in SQLite they wait anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE signing_keys IN EXCLUSIVE MODE")
