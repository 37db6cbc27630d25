"""Show sessions: that of the caller, and all sessions of an account in pages, the newest first."""

from authguard._core.model import Principal
from authguard.identity.model import Place, Session, SessionPage
from authguard.identity.storage import session_queries as session_store
from authguard.identity.storage.session_pages import list_session_page
from authguard.identity.tokens.cursors import Cursors
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.session_claims import session_id_of
from authguard.identity.usecases.sessions import MAX_SESSIONS


class SessionPages:
    """Show sessions of accounts.

    Args:
        base: the common parts of use cases.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        self._cursors = Cursors(base.settings)

    def find_current(self, principal: Principal) -> Session | None:
        """Return the caller's session; None if it no longer exists.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        with self._base.database.read() as connection:
            row = session_store.find_session(connection, session_id_of(principal))
        return None if row is None else row.session

    def page(
        self,
        principal: Principal,
        *,
        cursor: str | None = None,
        limit: int = MAX_SESSIONS,
        except_id: str | None = None,
    ) -> SessionPage:
        """Return a page of the caller's active sessions, the newest first.

        Args:
            principal: the caller.
            cursor: the cursor of the page, from another page; None for the first page.
            limit: the greatest number of sessions on the page.
            except_id: the id of a session to leave out.

        Raises:
            InvalidFieldsError: if the cursor does not belong to this list.
            StoreUnavailableError: if the database does not answer.
        """
        scope = f"sessions of {principal.subject}"
        place = None if cursor is None else self._cursors.parse(scope, cursor)
        rows = self._read(principal, place, limit + 1, except_id)
        if place is not None and not place.is_older and len(rows) <= limit:
            # The page reaches the beginning of the list, so the full first page is returned.
            place, rows = None, self._read(principal, None, limit + 1, except_id)
        has_more, rows = len(rows) > limit, rows[:limit]
        if not rows:
            return SessionPage([], None, None)
        has_older = has_more
        if place is not None and not place.is_older:
            has_older = True
            rows.reverse()
        newer = Place(is_older=False, created_at=rows[0].created_at, id=rows[0].id)
        older = Place(is_older=True, created_at=rows[-1].created_at, id=rows[-1].id)
        return SessionPage(
            rows,
            self._cursors.issue(scope, newer) if place is not None else None,
            self._cursors.issue(scope, older) if has_older else None,
        )

    def _read(
        self, principal: Principal, place: Place | None, limit: int, except_id: str | None
    ) -> list[Session]:
        now = self._base.clock()
        with self._base.database.read() as connection:
            return list_session_page(
                connection, principal.subject, now, limit=limit, place=place, except_id=except_id
            )
