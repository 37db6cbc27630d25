"""Use cases of sessions: begin, refresh, list, end. One row for each session, however often it is refreshed.

A refresh token is good once. `grace` says when the one before it is answered with its successor again;
otherwise an older one is proof of a copy, and ends the session (RFC 9700 section 4.14.2).
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias
from uuid import uuid4

from sqlalchemy import Connection, Select

from authguard._core.model import Principal
from authguard._core.options import MAX_LEEWAY
from authguard.errors import InvalidTokenError
from authguard.identity.errors import NotFoundError, StoreUnavailableError
from authguard.identity.mail.addresses import lookup_address
from authguard.identity.model import Caller, Session, Tokens, User
from authguard.identity.storage import queries as store
from authguard.identity.tokens.issue import RefreshToken
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.grace import Step, after_advance, after_repeat, agent_of, decide, network_of

#: Of one account, at the same time; the oldest one ends when there would be one more.
MAX_SESSIONS = 100

_ATTEMPTS = 5

Found: TypeAlias = tuple[Session, User]
Taken: TypeAlias = tuple[Step, Found | None]


class Sessions:
    """Sessions of accounts.

    Args:
        base: what the service is made of.
    """

    def __init__(self, base: Base) -> None:
        self._base = base

    def begin(
        self,
        connection: Connection,
        user: User,
        caller: Caller,
        *,
        client_id: str | None = None,
        authenticated_at: float | None = None,
    ) -> Session:
        """Begin a session, in the transaction of a use case; `tokens` makes its tokens afterwards.

        Args:
            connection: the transaction.
            user: whose session.
            caller: where the request comes from.
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
        store.insert_session(connection, session)
        store.delete_dead_sessions(connection, user.id, now - settings.access_lifetime)
        if surplus := store.list_surplus_sessions(connection, user.id, now, MAX_SESSIONS):
            self.end_in(connection, surplus)
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
        return _the_one(self.refresh_all([(refresh_token, caller, client_id)]))

    def refresh_all(self, asked: Sequence[tuple[str, Caller, str | None]]) -> Sequence[Tokens | Exception]:
        """What `refresh` returns or raises for each of several, which are looked up and stored together.

        Args:
            asked: the arguments of `refresh`, for each.

        Raises:
            StoreUnavailableError: if not all new generations could be stored; some may have been.
        """
        parse = self._base.refresh_tokens.parse
        steps = self._steps([(parse(token), caller, client_id) for token, caller, client_id in asked])
        if reused := {found[0].id for step, found in steps if found and step == "reuse"}:
            self.end_now(reused)
        return [self._refreshed(caller, *taken) for (_, caller, _), taken in zip(asked, steps, strict=True)]

    def _steps(self, asked: Sequence[tuple[RefreshToken | None, Caller, str | None]]) -> list[Taken]:
        """What is done about each token, and its session after that.

        If a power cut takes it back, `decide` still knows the token that was issued for it.
        """
        named = [token.session_id for token, _, _ in asked if token]
        if not named:
            return [("refuse", None)] * len(asked)
        with self._base.database.swap() as connection:
            found = store.find_sessions(connection, named)
            return [
                self._step(connection, found, token, caller, client_id) if token else ("refuse", None)
                for token, caller, client_id in asked
            ]

    def _step(
        self,
        connection: Connection,
        found: dict[str, Found],
        token: RefreshToken,
        caller: Caller,
        client_id: str | None,
    ) -> Taken:
        for _ in range(_ATTEMPTS):
            one = found.get(token.session_id)
            if one is None or one[0].client_id != client_id:
                return "refuse", None
            session, user = one
            step, after = self._decide(token, session, user, caller)
            if after == session:
                return step, one
            if store.advance_session(connection, session, after):
                found[session.id] = after, user  # for the next one who has brought the same token
                return step, found[session.id]
            # Since it was looked at, another request has used the token, or ended the session.
            found |= store.find_sessions(connection, [session.id])
        return "lost", None

    def _decide(
        self, token: RefreshToken, session: Session, user: User, caller: Caller
    ) -> tuple[Step, Session]:
        """Decide about a token, and return its session after that."""
        now, settings = self._base.clock(), self._base.settings
        if session.ended_at is not None or now >= session.expires_at or user.disabled:
            return "refuse", session
        step = decide(token.generation, session, caller, now, settings)
        if step == "advance":
            return step, after_advance(token.generation, session, caller, now, settings)
        return step, after_repeat(session, caller, now, settings) if step == "repeat" else session

    def _refreshed(self, caller: Caller, step: Step, found: Found | None) -> Tokens | Exception:
        if step == "lost":
            return StoreUnavailableError("the session changes too quickly")
        if found is None:
            return self._base.failed("refresh", caller, InvalidTokenError("the token of no session"))
        session, user = found
        if step in ("reuse", "refuse"):
            reason = "reuse" if step == "reuse" else "ended"
            error = InvalidTokenError(f"refresh token: {reason}")
            return self._base.failed("refresh", caller, error, reason=reason, user_id=user.id)
        reason = "repeat" if step == "repeat" else ""
        self._base.succeeded("refresh", caller, reason=reason, user_id=user.id, session_id=session.id)
        return self.tokens(user, session)

    def prolong(self, principal: Principal, caller: Caller) -> Tokens:
        """Return new tokens for an access token that is still valid.

        The refresh token, if there is one, stays good. A copy of an access token goes unnoticed, as one
        of a refresh token does not, so that this is bounded: not for the token of a cookie, which no
        script may read; not for a client's session, which has to prove who the client is; and not
        later than `Settings.bearer_refresh_lifetime` after the sign-in.

        Raises:
            InvalidTokenError: if the token is of no such session, or its session has ended.
            StoreUnavailableError: if that could not be stored.
        """
        return _the_one(self.prolong_all([(principal, caller)]))

    def prolong_all(self, asked: Sequence[tuple[Principal, Caller]]) -> Sequence[Tokens | Exception]:
        """What `prolong` returns or raises for each of several, which are looked up and stored together.

        Raises:
            StoreUnavailableError: if not all of it could be stored; some may have been.
        """
        with self._base.database.swap() as connection:
            found = store.find_sessions(connection, [_session_of(principal) for principal, _ in asked])
            prolonged = [self._prolong(connection, found, principal) for principal, _ in asked]
        return [self._prolonged(caller, one) for (_, caller), one in zip(asked, prolonged, strict=True)]

    def _prolong(self, connection: Connection, found: dict[str, Found], principal: Principal) -> Found | None:
        session, user = found.get(_session_of(principal), (None, None))
        if session is None or user is None or session.client_id is not None or principal.method == "cookie":
            return None
        now, settings = self._base.clock(), self._base.settings
        last = min(session.ends_at, session.created_at + settings.bearer_refresh_lifetime)
        if now >= last or not _is_alive(session, user, principal):
            return None
        until = min(now + settings.refresh_lifetime, session.ends_at)
        return (session, user) if store.prolong_session(connection, session.id, until) else None

    def _prolonged(self, caller: Caller, found: Found | None) -> Tokens | Exception:
        if found is None:
            error = InvalidTokenError("the session has ended, or is not one that an access token prolongs")
            return self._base.failed("prolong", caller, error)
        session, user = found
        self._base.succeeded("prolong", caller, user_id=user.id, session_id=session.id)
        return self.tokens(user, session)

    def list(self, principal: Principal) -> list[Session]:
        """The caller's sessions that are alive, the newest first."""
        with self._base.database.read() as connection:
            return store.list_sessions(connection, principal.subject, self._base.clock())

    def knows_network(self, email: str, caller: Caller) -> bool:
        """Return whether a session of this account was begun or refreshed from the caller's network.

        Raises:
            StoreUnavailableError: if the database cannot be asked.
        """
        address = lookup_address(email)
        if address is None:
            return False
        with self._base.database.read() as connection:
            return store.has_session_in(connection, address, network_of(caller))

    def authenticate(self, principal: Principal) -> User | None:
        """The account behind an access token; None if its session has ended, or it is disabled.

        One query answers for logout, new passwords and disabled accounts, at once in all processes.

        Raises:
            StoreUnavailableError: if the database cannot be asked.
        """
        return self.authenticate_all([principal])[0]

    def authenticate_all(self, principals: Sequence[Principal]) -> Sequence[User | None]:
        """The same for several principals, by one query for all of them.

        Raises:
            StoreUnavailableError: if the database cannot be asked.
        """
        names = [_session_of(principal) for principal in principals]
        with self._base.database.read() as connection:
            found = store.find_sessions(connection, names)
        return [_owner(found.get(name), principal) for name, principal in zip(names, principals, strict=True)]

    def log_out(self, principal: Principal, caller: Caller) -> None:
        """End the caller's session: its access and refresh tokens are refused from now on, everywhere.

        A session that has ended before is left alone, and nothing is written then.

        Raises:
            StoreUnavailableError: if that could not be stored; the session goes on then.
        """
        session = session_id(principal)
        with self._base.database.read() as connection:
            row = store.find_session(connection, session)
        if row is None or row[0].ended_at is not None:
            return
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
        with self._base.database.read() as connection:
            row = store.find_session(connection, session)
        if row is None or not self._is_shown(row[0], principal):
            raise self._base.failed("session_end", caller, NotFoundError(), user_id=principal.subject)
        self.end_now([session])
        self._base.succeeded("session_end", caller, user_id=principal.subject, session_id=session)

    def _is_shown(self, session: Session, principal: Principal) -> bool:
        is_own = session.user_id == principal.subject
        return is_own and session.ended_at is None and session.expires_at > self._base.clock()

    def end_all(self, connection: Connection, user_id: str, *, but: str | None = None) -> None:
        """End somebody's sessions in the transaction of a use case.

        Args:
            connection: the transaction.
            user_id: whose.
            but: the one that goes on.
        """
        now = self._base.clock()
        alive = store.select_alive(user_id, now - self._lifetime, but=but)
        self.end_in(connection, alive)

    def end_now(self, session_ids: Iterable[str]) -> None:
        """End sessions, in a transaction of their own."""
        with self._base.database.write() as connection:
            self.end_in(connection, session_ids)

    def end_in(self, connection: Connection, session_ids: Iterable[str] | Select[str]) -> None:
        """End sessions in a transaction: no refresh any more, and their access tokens are revoked."""
        now = self._base.clock()
        store.end_sessions(connection, session_ids, now, now + self._lifetime)
        store.delete_old_marks(connection, now)

    @property
    def _lifetime(self) -> float:
        """Seconds after which no access token that was issued by now is valid anywhere."""
        return self._base.settings.access_lifetime + MAX_LEEWAY


def _the_one(answers: Sequence[Tokens | Exception]) -> Tokens:
    (answer,) = answers
    if isinstance(answer, Exception):
        raise answer
    return answer


def session_id(principal: Principal) -> str:
    """The session that the principal's token belongs to.

    Raises:
        InvalidTokenError: if it belongs to none.
    """
    session = _session_of(principal)
    if not session:
        raise InvalidTokenError("a token of no session")
    return session


def _session_of(principal: Principal) -> str:
    session = principal.claims.get("sid")
    return session if isinstance(session, str) else ""


def _is_alive(session: Session, user: User, principal: Principal) -> bool:
    return session.ended_at is None and not user.disabled and user.id == principal.subject


def _owner(found: Found | None, principal: Principal) -> User | None:
    return found[1] if found is not None and _is_alive(*found, principal) else None
