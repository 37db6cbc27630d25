"""Use cases of sessions: begin, refresh, list, end. One row for each session, however often it is refreshed.

A refresh token is good once. The one before it is answered with its successor for some seconds
more, because answers get lost and tabs refresh at the same time; an older one is proof that
somebody has a copy, and ends the session (RFC 9700 section 4.14.2).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal
from uuid import uuid4

from sqlalchemy import Connection

from authguard._core.model import Principal
from authguard.errors import InvalidTokenError
from authguard.identity import store
from authguard.identity.base import Base
from authguard.identity.errors import NotFoundError, StoreUnavailableError
from authguard.identity.model import Caller, Session, Tokens, User
from authguard.identity.revocations import revoke
from authguard.identity.tokens import RefreshToken

_LEEWAY = 300  # the most by which a guard lets a token outlive its `exp`
_LONGEST_AGENT = 200
_ATTEMPTS = 5

Step = Literal["advance", "repeat", "lost", "reuse", "refuse"]


class Sessions:
    """Sessions of accounts.

    Args:
        base: what the service is made of.
    """

    def __init__(self, base: Base) -> None:
        self._base = base

    def begin(
        self, connection: Connection, user: User, caller: Caller, *, client_id: str | None = None
    ) -> Session:
        """Begin a session, in the transaction of a use case; `tokens` makes its tokens afterwards."""
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
            user_agent=_printable(caller.user_agent)[:_LONGEST_AGENT],
        )
        store.insert_session(connection, session)
        store.delete_dead_sessions(connection, user.id, now - settings.access_lifetime)
        return session

    def tokens(self, user: User, session: Session) -> Tokens:
        """The tokens of a session as it is now."""
        access_token, expires_in = self._base.access_tokens.issue(user, session, self._base.clock())
        refresh_token = self._base.refresh_tokens.issue(session.id, session.generation)
        return Tokens(access_token, expires_in, refresh_token, user, session.id)

    def refresh(self, refresh_token: str, caller: Caller, *, client_id: str | None = None) -> Tokens:
        """New tokens for a refresh token.

        Args:
            refresh_token: as it was issued.
            caller: where the request comes from.
            client_id: the OAuth client that asks; only it can use its sessions.

        Raises:
            InvalidTokenError: if it is not good (any more); one answer for all reasons.
            StoreUnavailableError: if the new generation could not be stored.
        """
        token = self._base.refresh_tokens.parse(refresh_token)
        if token is None:
            raise self._base.failed("refresh", caller, InvalidTokenError("not a refresh token of ours"))
        for _ in range(_ATTEMPTS):
            step, session, user = self._step(token, client_id)
            if session is None or user is None:
                raise self._base.failed("refresh", caller, InvalidTokenError("no such session"))
            if step in ("reuse", "refuse"):
                raise self._refuse(step, session, caller)
            if step != "lost":
                self._base.succeeded("refresh", caller, user_id=user.id, session_id=session.id)
                return self.tokens(user, session)
        raise StoreUnavailableError("the session changes too quickly")

    def _step(self, token: RefreshToken, client_id: str | None) -> tuple[Step, Session | None, User | None]:
        """One try: what to do, and the session after it.

        If a power cut takes it back, `_decide` still knows the token that was issued for it.
        """
        with self._base.database.swap() as connection:
            found = store.find_session(connection, token.session_id)
            if found is None or found[0].client_id != client_id:
                return "refuse", None, None
            session, user = found
            step = self._decide(token, session, user)
            if step == "advance":
                now = self._base.clock()
                until = min(now + self._base.settings.refresh_lifetime, session.ends_at)
                after = replace(session, generation=token.generation + 1, refreshed_at=now, expires_at=until)
                # Since it was looked at, somebody else may have used the token, or ended the session.
                if not store.advance_session(connection, session, after):
                    return "lost", session, user
                session = after
            return step, session, user

    def _decide(self, token: RefreshToken, session: Session, user: User) -> Step:
        now = self._base.clock()
        if session.ended_at is not None or now >= session.expires_at or user.disabled:
            return "refuse"
        # A later generation than the stored one: issued by us, and lost with the end of the
        # database (a backup was restored). Its holder is the one who refreshed last.
        if token.generation >= session.generation:
            return "advance"
        graceful = now < session.refreshed_at + self._base.settings.refresh_grace
        return "repeat" if graceful and token.generation == session.generation - 1 else "reuse"

    def _refuse(self, step: Step, session: Session, caller: Caller) -> Exception:
        if step == "reuse":
            self.end_now([session.id])
        reason = "reuse" if step == "reuse" else "ended"
        error = InvalidTokenError(f"refresh token: {reason}")
        return self._base.failed("refresh", caller, error, reason=reason, user_id=session.user_id)

    def prolong(self, principal: Principal, caller: Caller) -> Tokens:
        """New tokens for whoever has an access token that is still valid.

        The refresh token, if there is one, stays good. The session ends when it would have anyway.

        Raises:
            InvalidTokenError: if the token is of no session, or its session has ended.
        """
        session_name = session_id(principal)
        now = self._base.clock()
        prolonged = False
        with self._base.database.swap() as connection:
            found = store.find_session(connection, session_name)
            if found is not None and now < found[0].ends_at and _is_alive(*found, principal):
                until = min(now + self._base.settings.refresh_lifetime, found[0].ends_at)
                prolonged = store.prolong_session(connection, session_name, until)
        if found is None or not prolonged:
            raise self._base.failed("refresh", caller, InvalidTokenError("the session has ended"))
        session, user = found
        self._base.succeeded("refresh", caller, user_id=user.id, session_id=session.id)
        return self.tokens(user, session)

    def list(self, principal: Principal) -> list[Session]:
        """The caller's sessions that are alive, the newest first."""
        with self._base.database.read() as connection:
            return store.list_sessions(connection, principal.subject, self._base.clock())

    def authenticate(self, principal: Principal) -> User | None:
        """The account behind an access token; None if its session has ended, or it is disabled.

        One query answers for logout, new passwords and disabled accounts, at once in all processes.

        Raises:
            StoreUnavailableError: if the database cannot be asked.
        """
        session = principal.claims.get("sid")
        if not isinstance(session, str):
            return None
        with self._base.database.read() as connection:
            found = store.find_session(connection, session)
        return found[1] if found is not None and _is_alive(*found, principal) else None

    def log_out(self, principal: Principal, caller: Caller) -> None:
        """End the caller's session: its access and refresh tokens are refused from now on, everywhere.

        Raises:
            StoreUnavailableError: if that could not be stored; the session goes on then.
        """
        session = session_id(principal)
        self.end_now([session])
        self._base.succeeded("logout", caller, user_id=principal.subject, session_id=session)

    def log_out_everywhere(self, principal: Principal, caller: Caller) -> None:
        """End all of the caller's sessions.

        Raises:
            StoreUnavailableError: if that could not be stored; all of them go on then.
        """
        with self._base.database.write() as connection:
            self.end_all(connection, principal.subject)
        self._base.succeeded("logout_everywhere", caller, user_id=principal.subject)

    def end(self, principal: Principal, session: str, caller: Caller) -> None:
        """End one of the caller's sessions.

        Raises:
            NotFoundError: if the caller has none of this id that is alive.
        """
        if session not in {one.id for one in self.list(principal)}:
            raise self._base.failed("session_end", caller, NotFoundError(), user_id=principal.subject)
        self.end_now([session])
        self._base.succeeded("session_end", caller, user_id=principal.subject, session_id=session)

    def end_all(self, connection: Connection, user_id: str, *, but: str | None = None) -> None:
        """End somebody's sessions in the transaction of a use case.

        Args:
            connection: the transaction.
            user_id: whose.
            but: the one that goes on.
        """
        now = self._base.clock()
        alive = [session.id for session in store.list_sessions(connection, user_id, now - self._lifetime)]
        self.end_in(connection, [session for session in alive if session != but])

    def end_now(self, session_ids: Iterable[str]) -> None:
        """End sessions, in a transaction of their own."""
        with self._base.database.write() as connection:
            self.end_in(connection, session_ids)

    def end_in(self, connection: Connection, session_ids: Iterable[str]) -> None:
        """End sessions in a transaction: no refresh any more, and their access tokens are revoked."""
        now = self._base.clock()
        for one in session_ids:
            store.end_session(connection, one, now)
            revoke(connection, "session", one, now, now + self._lifetime)

    @property
    def _lifetime(self) -> float:
        """Seconds after which no access token that was issued by now is valid anywhere."""
        return self._base.settings.access_lifetime + _LEEWAY


def session_id(principal: Principal) -> str:
    """The session that the principal's token belongs to.

    Raises:
        InvalidTokenError: if it belongs to none.
    """
    session = principal.claims.get("sid")
    if not isinstance(session, str):
        raise InvalidTokenError("a token of no session")
    return session


def _is_alive(session: Session, user: User, principal: Principal) -> bool:
    return session.ended_at is None and not user.disabled and user.id == principal.subject


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
