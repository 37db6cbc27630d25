"""Keep revocations in the database, for all processes that share it."""

import time
from collections.abc import Callable

from sqlalchemy import Connection

from authguard._core.model import Principal, api_key_id
from authguard._core.options import Moment, check_function, check_moment, check_object, is_numeric_date
from authguard.errors import ConfigurationError
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.storage.database import Database

_KINDS = ("token", "key", "session", "subject")


class SQLRevocations:
    """Revocations for `Guard(revocations=…)`, shared by all processes that use the database.

    Each request asks the database, so that a logout holds at once, everywhere. If the database
    cannot be asked, the guard answers 503.

    Args:
        database: the database of the identity service, or its URL.
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database | str, *, clock: Callable[[], float] = time.time) -> None:
        if not isinstance(database, str):
            check_object(database, "database", Database, 'SQLRevocations("postgresql://…")', or_none=False)
        self._database = Database(database) if isinstance(database, str) else database
        check_function(clock, "clock", "clock=time.time", or_none=False)
        self._clock = clock

    def revoke(
        self,
        *,
        token_id: str | None = None,
        key_id: str | None = None,
        subject: str | None = None,
        session: str | None = None,
        until: float | Moment,
    ) -> None:
        """Refuse a token, an API key, a session, or all tokens that a subject has been issued so far.

        Args:
            token_id: the `jti` of the token.
            key_id: the public name of an API key; tokens, whose `key_id` is the `kid` of their
                issuer's key, are not affected.
            subject: whose tokens; those issued (`iat`) after now are not affected.
            session: the `sid` of the tokens of one session.
            until: seconds since the epoch, or a datetime with a time zone, when what is revoked has expired
                anyway, leeway included; `math.inf` for an API key that does not expire.

        Raises:
            ConfigurationError: if it is not exactly one of the four.
            StoreUnavailableError: if it could not be stored; nothing is revoked then.
        """
        until = check_moment(until, "until", infinite=True)
        by_kind = dict(zip(_KINDS, (token_id, key_id, session, subject), strict=True))
        marks = [(kind, name) for kind, name in by_kind.items() if name]
        if len(marks) != 1:
            raise ConfigurationError(
                f"exactly one of token_id, key_id, subject and session must be given, got {len(marks)}"
            )
        ((kind, name),) = marks
        with self._database.write() as connection:
            revoke(connection, kind, name, self._clock(), until)

    def is_revoked(self, principal: Principal) -> bool:
        """Return whether the principal's token, API key, session or subject has been revoked.

        Raises:
            StoreUnavailableError: if the database cannot be asked.
        """
        claims = principal.claims
        session = claims.get("sid")
        with self._database.read() as connection:
            marks = revocation_store.find_marks(
                connection,
                token=principal.token_id or "",
                key=api_key_id(principal) or "",
                session=session if isinstance(session, str) else "",
                subject=principal.subject,
                now=self._clock(),
            )
        if not marks:
            return False
        issued = claims.get("iat")
        later = is_numeric_date(issued) and issued > marks.get("subject", 0.0)
        return not (marks.keys() == {"subject"} and later)


def revoke(connection: Connection, kind: str, name: str, now: float, until: float) -> None:
    """Mark something as revoked, in the transaction of a use case, and forget old marks."""
    revocation_store.upsert_revocation(connection, kind, name, now, until)
    revocation_store.delete_old_marks(connection, now)
