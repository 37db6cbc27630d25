"""Refresh sessions, several in one transaction.

SQLite has one writer, and a transaction costs more than the refresh in it, so simultaneous requests share
one. PostgreSQL gets one request at a time. `Sessions.refresh` and `Sessions.prolong` are the forms for one
request.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection

from authguard._core.model import Principal
from authguard.errors import InvalidTokenError
from authguard.identity.errors import StoreUnavailableError
from authguard.identity.model import Caller, Session, Tokens, User
from authguard.identity.storage import session_queries as session_store
from authguard.identity.storage.session_queries import SessionRow
from authguard.identity.tokens.issue import RefreshToken
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.grace import Step, after_advance, after_repeat, decide_refresh
from authguard.identity.usecases.session_claims import is_alive, session_id_or_empty

MAX_ATTEMPTS = 5  # attempts to change a row that other requests change at the same time


class RefreshRequest(NamedTuple):
    """Hold a refresh token of a request.

    Attributes:
        refresh_token: as it was issued.
        caller: the origin of the request.
        client_id: the OAuth client of the request; sessions of a client can only be used by this client.
    """

    refresh_token: str
    caller: Caller
    client_id: str | None = None


class ProlongRequest(NamedTuple):
    """Hold an access token to exchange for a new one.

    Attributes:
        principal: the principal of the token.
        caller: the origin of the request.
    """

    principal: Principal
    caller: Caller


class _Decision(NamedTuple):
    step: Step
    row: SessionRow | None = None


class SessionRefresher:
    """Refresh sessions, several in one transaction.

    Args:
        base: the common parts of use cases.
        issue_tokens: makes the tokens of a session.
        end_sessions: ends sessions by their ids.
    """

    def __init__(
        self,
        base: Base,
        issue_tokens: Callable[[User, Session], Tokens],
        end_sessions: Callable[[Iterable[str]], None],
    ) -> None:
        self._base = base
        self._issue_tokens = issue_tokens
        self._end_sessions = end_sessions

    def refresh_all(self, requests: Sequence[RefreshRequest]) -> Sequence[Tokens | Exception]:
        """Return the result or error of `Sessions.refresh` for each request.

        Raises:
            StoreUnavailableError: if not all new generations could be stored; some may have been.
        """
        with self._recording("refresh", requests):
            decisions = self._decide_all(requests)
            reused = {row.session.id for step, row in decisions if row is not None and step == "reuse"}
            if reused:
                self._end_sessions(reused)
        return [
            self._refresh_answer(request.caller, decision)
            for request, decision in zip(requests, decisions, strict=True)
        ]

    @contextmanager
    def _recording(
        self, flow: str, requests: Sequence[RefreshRequest] | Sequence[ProlongRequest]
    ) -> Iterator[None]:
        """Record a failure for each request if it could not be answered."""
        try:
            yield
        except StoreUnavailableError as error:
            for request in requests:
                self._base.failed(flow, request.caller, error)
            raise

    def _decide_all(self, requests: Sequence[RefreshRequest]) -> list[_Decision]:
        """Decide about each token, and store the changed sessions.

        If a power cut undoes the transaction, `decide_refresh` still accepts the tokens that it issued.
        """
        parse = self._base.refresh_tokens.parse
        tokens = [parse(request.refresh_token) for request in requests]
        session_ids = [token.session_id for token in tokens if token]
        if not session_ids:
            return [_Decision("refuse")] * len(requests)
        with self._base.database.swap() as connection:
            rows = session_store.find_sessions(connection, session_ids)
            return [
                self._advance(connection, rows, token, request) if token else _Decision("refuse")
                for token, request in zip(tokens, requests, strict=True)
            ]

    def _advance(
        self,
        connection: Connection,
        rows: dict[str, SessionRow],
        token: RefreshToken,
        request: RefreshRequest,
    ) -> _Decision:
        """Decide about a token, and store its session; `rows` is updated for the next request."""
        for _ in range(MAX_ATTEMPTS):
            row = rows.get(token.session_id)
            if row is None or row.session.client_id != request.client_id:
                return _Decision("refuse")
            step, new_session = self._decide(token, row, request.caller)
            if new_session == row.session:
                return _Decision(step, row)
            if session_store.advance_session(connection, row.session, new_session):
                rows[new_session.id] = SessionRow(new_session, row.user)
                return _Decision(step, rows[new_session.id])
            # Since the row was read, another request has used the token, or ended or deleted the session.
            del rows[new_session.id]
            rows |= session_store.find_sessions(connection, [new_session.id])
        return _Decision("lost")

    def _decide(self, token: RefreshToken, row: SessionRow, caller: Caller) -> tuple[Step, Session]:
        """Decide about a token, and return the session after it."""
        session, user = row
        now, settings = self._base.clock(), self._base.settings
        if session.ended_at is not None or now >= session.expires_at or user.disabled:
            return "refuse", session
        step = decide_refresh(token.generation, session, caller, now, settings)
        if step == "advance":
            return step, after_advance(token.generation, session, caller, now, settings)
        return step, after_repeat(session, caller, now, settings) if step == "repeat" else session

    def _refresh_answer(self, caller: Caller, decision: _Decision) -> Tokens | Exception:
        step, row = decision
        if step == "lost":
            lost = StoreUnavailableError("the session changes too quickly")
            return self._base.failed("refresh", caller, lost)
        if row is None:
            return self._base.failed("refresh", caller, InvalidTokenError("the token of no session"))
        session, user = row
        if step in ("reuse", "refuse"):
            reason = "reuse" if step == "reuse" else "ended"
            error = InvalidTokenError(f"refresh token: {reason}")
            return self._base.failed("refresh", caller, error, reason=reason, user_id=user.id)
        reason = "repeat" if step == "repeat" else ""
        self._base.succeeded("refresh", caller, reason=reason, user_id=user.id, session_id=session.id)
        return self._issue_tokens(user, session)

    def prolong_all(self, requests: Sequence[ProlongRequest]) -> Sequence[Tokens | Exception]:
        """Return the result or error of `Sessions.prolong` for each request.

        Raises:
            StoreUnavailableError: if not all changes could be stored; some may have been.
        """
        session_ids = [session_id_or_empty(request.principal) for request in requests]
        with self._recording("prolong", requests), self._base.database.swap() as connection:
            rows = session_store.find_sessions(connection, session_ids)
            prolonged = [
                self._prolong(connection, rows.get(session_id), request.principal)
                for session_id, request in zip(session_ids, requests, strict=True)
            ]
        return [
            self._prolong_answer(request.caller, row)
            for request, row in zip(requests, prolonged, strict=True)
        ]

    def _prolong(
        self, connection: Connection, row: SessionRow | None, principal: Principal
    ) -> SessionRow | None:
        """Store a later end of a session; None if the token does not prolong it."""
        if row is None or row.session.client_id is not None or principal.method == "cookie":
            return None
        session = row.session
        now, settings = self._base.clock(), self._base.settings
        last = min(session.ends_at, session.created_at + settings.bearer_refresh_lifetime)
        if now >= last or not is_alive(row, principal):
            return None
        until = min(now + settings.refresh_lifetime, session.ends_at)
        return row if session_store.prolong_session(connection, session.id, until) else None

    def _prolong_answer(self, caller: Caller, row: SessionRow | None) -> Tokens | Exception:
        if row is None:
            error = InvalidTokenError("the session has ended, or is not one that an access token prolongs")
            return self._base.failed("prolong", caller, error)
        session, user = row
        self._base.succeeded("prolong", caller, user_id=user.id, session_id=session.id)
        return self._issue_tokens(user, session)
