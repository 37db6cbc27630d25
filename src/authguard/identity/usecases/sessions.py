"""Create, refresh, list and end sessions. A session is one row, regardless of the number of its refreshes.

A refresh token can be used once. `grace` decides when the previous one gets its successor again; otherwise an
older one proves a copy, and ends the session (RFC 9700 section 4.14.2).
"""

from collections.abc import Iterable, Sequence
from threading import Lock
from uuid import uuid4

from sqlalchemy import Connection, Select

from authguard._core.model import Principal
from authguard._core.options import MAX_LEEWAY
from authguard.identity.errors import NotFoundError
from authguard.identity.mail.addresses import lookup_address
from authguard.identity.model import Caller, Session, Tokens, User
from authguard.identity.storage import revocation_queries as revocation_store
from authguard.identity.storage import session_queries as session_store
from authguard.identity.storage.marks import add_marks, require_elsewhere
from authguard.identity.storage.old_rows.lifetimes import NOTE_SECONDS, find_longest_lifetime, note_lifetime
from authguard.identity.storage.session_queries import SessionRow
from authguard.identity.usecases.context import Base, records
from authguard.identity.usecases.grace import agent_of, network_of
from authguard.identity.usecases.refresh import ProlongRequest, RefreshRequest, SessionRefresher
from authguard.identity.usecases.session_claims import (
    is_alive,
    is_of_key,
    issued_at_of,
    session_id_of,
    session_id_or_empty,
)
from authguard.stores.marks import make_mark

#: The greatest number of sessions of one account; a new one ends the oldest.
MAX_SESSIONS = 100


class Sessions:
    """Create, refresh and end sessions of accounts.

    Args:
        base: the common parts of use cases.

    Attributes:
        refresher: refreshes several sessions in one transaction.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        self.refresher = SessionRefresher(base, self.issue_tokens, self.end_reused)
        self._noting = Lock()
        self._noted_at: float | None = None

    def note_lifetime(self) -> None:
        """Store the lifetime of access tokens, once in an hour; see `storage.old_rows.lifetimes`.

        Raises:
            StoreUnavailableError: if it was not stored.
        """
        if self._is_noted():
            return
        with self._noting:
            if self._is_noted():
                return
            now = self._base.clock()
            with self._base.database.write(flush=False) as connection:
                note_lifetime(connection, self._base.settings.access_lifetime, now)
            self._noted_at = now

    def _is_noted(self) -> bool:
        return self._noted_at is not None and 0 <= self._base.clock() - self._noted_at < NOTE_SECONDS

    def create_session(
        self,
        connection: Connection,
        user: User,
        caller: Caller,
        *,
        client_id: str | None = None,
        authenticated_at: float | None = None,
    ) -> Session:
        """Create a session, in the transaction of a use case; `issue_tokens` makes its tokens afterwards.

        Args:
            connection: the transaction.
            user: the account.
            caller: the origin of the request.
            client_id: the OAuth client that it belongs to.
            authenticated_at: see `Session`.
        """
        now = self._base.clock()
        settings = self._base.settings
        session = Session(
            id=str(uuid4()),
            user_id=user.id,
            generation=0,
            created_at=now,
            refreshed_at=now,
            expires_at=now + settings.refresh_lifetime,
            ends_at=now + settings.session_lifetime,
            ended_at=None,
            client_id=client_id,
            address=caller.address[:64],
            user_agent=agent_of(caller),
            refreshed_network=network_of(caller),
            refreshed_agent=agent_of(caller),
            authenticated_at=authenticated_at and min(authenticated_at, now),
        )
        session_store.insert_session(connection, session)
        self._remove_old_sessions(connection, user.id)
        return session

    def _remove_old_sessions(self, connection: Connection, user_id: str) -> None:
        """Delete the sessions of an account that have expired, and end the oldest ones beyond the limit."""
        now = self._base.clock()
        before = now - self._longest_lifetime(connection, now)
        session_store.delete_dead_sessions(connection, user_id, before)
        if surplus := session_store.list_surplus_sessions(connection, user_id, now, MAX_SESSIONS):
            self.end_sessions_in(connection, surplus)

    def issue_tokens(self, user: User, session: Session) -> Tokens:
        """Issue the tokens of a session as it is now, after the transaction that has stored it.

        Raises:
            StoreUnavailableError: if the lifetime of the tokens had to be noted, and was not.
        """
        self.note_lifetime()
        access_token, expires_in = self._base.access_tokens.issue(user, session, self._base.clock())
        refresh_token = self._base.refresh_tokens.issue(session.id, session.generation)
        return Tokens(access_token, expires_in, refresh_token, user, session.id)

    def refresh(self, refresh_token: str, caller: Caller, *, client_id: str | None = None) -> Tokens:
        """Issue new tokens for a refresh token.

        Args:
            refresh_token: as it was issued.
            caller: the origin of the request.
            client_id: the OAuth client of the request; sessions of a client can only be used by this client.

        Raises:
            InvalidTokenError: if the token is invalid; the answer is the same for all reasons.
            StoreUnavailableError: if the new generation could not be stored.
        """
        request = RefreshRequest(refresh_token, caller, client_id)
        return _single_answer(self.refresher.refresh_all([request]))

    def prolong(self, principal: Principal, caller: Caller) -> Tokens:
        """Return new tokens for an access token that is still valid.

        The refresh token, if any, stays valid. Unlike a copied refresh token, a copied access token is not
        noticed, so this is limited: it is refused for the token of a cookie, which no script may read, for a
        client's session, because the client must authenticate, and after `Settings.bearer_refresh_lifetime`
        from the sign-in.

        Raises:
            InvalidTokenError: if the token cannot be exchanged, or its session has ended.
            StoreUnavailableError: if it could not be stored.
        """
        return _single_answer(self.refresher.prolong_all([ProlongRequest(principal, caller)]))

    def list(self, principal: Principal) -> list[Session]:
        """List the caller's sessions that are alive, the newest first."""
        with self._base.database.read() as connection:
            return session_store.list_sessions(connection, principal.subject, self._base.clock())

    def knows_network(self, email: str, caller: Caller) -> bool:
        """Return whether a session of this account was created or refreshed from the caller's network.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        address = lookup_address(email)
        if address is None:
            return False
        with self._base.database.read() as connection:
            return session_store.has_session_in(connection, address, network_of(caller))

    def authenticate(self, principal: Principal) -> User | None:
        """Return the account of an access token; None if its session has ended, or the account is disabled.

        One query covers logout, new passwords and disabled accounts, at once in all processes.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        return self.authenticate_all([principal])[0]

    def authenticate_all(self, principals: Sequence[Principal]) -> Sequence[User | None]:
        """Return the accounts of several access tokens, by one query.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        session_ids = [session_id_or_empty(principal) for principal in principals]
        with self._base.database.read() as connection:
            rows = session_store.find_sessions(connection, session_ids)
        return [
            _owner(rows.get(session_id), principal)
            for session_id, principal in zip(session_ids, principals, strict=True)
        ]

    @records("logout")
    def log_out(self, principal: Principal, caller: Caller) -> None:
        """End the caller's session: its access and refresh tokens are refused from now on, in all processes.

        If the session has ended before, only another store may lack its end. A token of an API key has no
        session, so the token itself is revoked.

        Raises:
            StoreUnavailableError: if the database did not store it, and the session continues; or if another
                store does not answer, and the session has ended in the database.
        """
        if is_of_key(principal):
            self._revoke_token(principal, caller)
            return
        session_id = session_id_of(principal)
        with self._base.database.read() as connection:
            row = session_store.find_session(connection, session_id)
        if row is None or row.session.ended_at is not None:
            self._base.database.after_repeat()
            self._base.succeeded("logout", caller, reason="ended", user_id=principal.subject)
            return
        self.end_now([session_id], issued_at_of(principal))
        self._base.succeeded("logout", caller, user_id=principal.subject, session_id=session_id)

    def _revoke_token(self, principal: Principal, caller: Caller) -> None:
        """Refuse one token from now on, in a transaction of its own; nothing is written if it has expired."""
        now = self._base.clock()
        until = (principal.expires_at or now) + MAX_LEEWAY
        if until <= now:
            return
        with self._base.database.write() as connection:
            add_marks(connection, [make_mark(token_id=principal.token_id, until=until)])
            require_elsewhere(connection)
        self._base.succeeded("logout", caller, user_id=principal.subject, key_id=principal.client_id)

    @records("logout_everywhere")
    def log_out_everywhere(self, principal: Principal, caller: Caller) -> None:
        """End all of the caller's sessions.

        Raises:
            StoreUnavailableError: if the database did not store it, and all of them continue; or if another
                store does not answer, and all of them have ended in the database.
        """
        with self._base.database.write() as connection:
            self.end_sessions_of(connection, principal.subject)
            require_elsewhere(connection)
        self._base.succeeded("logout_everywhere", caller, user_id=principal.subject)

    @records("session_end")
    def end(self, principal: Principal, session_id: str, caller: Caller) -> None:
        """End one of the caller's sessions.

        Raises:
            NotFoundError: if the caller has no active session with this id.
            StoreUnavailableError: as for `log_out`.
        """
        row = None
        if session_id.isascii() and session_id.isprintable():  # some databases refuse other characters
            with self._base.database.read() as connection:
                row = session_store.find_session(connection, session_id)
        if row is None or not self._is_shown(row.session, principal):
            if row is not None and row.session.user_id == principal.subject:
                self._base.database.after_repeat()
            raise self._base.failed("session_end", caller, NotFoundError(), user_id=principal.subject)
        self.end_now([session_id])
        self._base.succeeded("session_end", caller, user_id=principal.subject, session_id=session_id)

    def _is_shown(self, session: Session, principal: Principal) -> bool:
        is_own = session.user_id == principal.subject
        return is_own and session.ended_at is None and session.expires_at > self._base.clock()

    def end_sessions_of(self, connection: Connection, user_id: str, *, except_id: str | None = None) -> None:
        """End the sessions of an account in the transaction of a use case.

        Args:
            connection: the transaction.
            user_id: the account.
            except_id: the session to keep.
        """
        now = self._base.clock()
        seconds = self._end_seconds(connection, now)
        alive = session_store.select_alive(user_id, now - seconds, except_id=except_id)
        self._end(connection, alive, now, seconds)

    def end_now(self, session_ids: Iterable[str], issued_at: float = 0) -> None:
        """End sessions for a caller who wants this, in a transaction of their own.

        Args:
            session_ids: the sessions.
            issued_at: when a token of theirs was issued, by a clock that may be ahead; 0 if unknown.

        Raises:
            StoreUnavailableError: as for `log_out`.
        """
        with self._base.database.write() as connection:
            self.end_sessions_in(connection, session_ids, issued_at)
            require_elsewhere(connection)

    def end_reused(self, session_ids: Iterable[str]) -> None:
        """End sessions of which an old refresh token was used, in a transaction of their own."""
        with self._base.database.write() as connection:
            self.end_sessions_in(connection, session_ids)

    def end_sessions_in(
        self, connection: Connection, session_ids: Iterable[str] | Select[str], issued_at: float = 0
    ) -> None:
        """End sessions in a transaction: they cannot be refreshed, and their access tokens are revoked."""
        now = self._base.clock()
        self._end(connection, session_ids, now, self._end_seconds(connection, now), issued_at)

    def _end(
        self,
        connection: Connection,
        session_ids: Iterable[str] | Select[str],
        now: float,
        seconds: float,
        issued_at: float = 0,
    ) -> None:
        ended = session_store.end_sessions(connection, session_ids, now)
        # A machine whose clock is ahead may have issued tokens that expire later than any of this machine.
        marks = [
            make_mark(session=session, until=max(now, issued_at, refreshed_at) + seconds)
            for session, refreshed_at in ended
        ]
        add_marks(connection, marks)
        revocation_store.delete_old_marks(connection, now)

    def _end_seconds(self, connection: Connection, now: float) -> float:
        """Return the seconds after which all access tokens issued so far have expired by every clock."""
        return self._longest_lifetime(connection, now) + MAX_LEEWAY

    def _longest_lifetime(self, connection: Connection, now: float) -> int:
        return find_longest_lifetime(connection, self._base.settings.access_lifetime, now)


def _single_answer(answers: Sequence[Tokens | Exception]) -> Tokens:
    (answer,) = answers
    if isinstance(answer, Exception):
        raise answer
    return answer


def _owner(row: SessionRow | None, principal: Principal) -> User | None:
    return row.user if row is not None and is_alive(row, principal) else None
