"""List and unlink the social identities of an account."""

from authguard._core.model import Principal
from authguard.identity.errors import LastSignInError, NotFoundError
from authguard.identity.model import Caller, LinkedIdentity
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.usecases.context import Base, records
from authguard.identity.usecases.notices import Notices
from authguard.identity.usecases.session_claims import check_session
from authguard.identity.usecases.sessions import Sessions


class Linking:
    """List and unlink providers that sign in to an account. Signing in with one links it: see `SocialSignIn`.

    Args:
        base: the common parts of use cases.
        sessions: ends sessions.
        notices: sends mails.
    """

    def __init__(self, base: Base, sessions: Sessions, notices: Notices) -> None:
        self._base = base
        self._sessions = sessions
        self._notices = notices

    def list(self, principal: Principal) -> list[LinkedIdentity]:
        """List the providers that sign in to the caller's account, the oldest first."""
        with self._base.database.read() as connection:
            return linking_store.list_identities(connection, principal.subject)

    @records("unlink")
    def unlink(self, principal: Principal, provider: str, caller: Caller) -> None:
        """Unlink a provider from the caller's account; all of the caller's other sessions end.

        Raises:
            InvalidTokenError: if the caller's session has ended meanwhile.
            NotFoundError: if it is not linked.
            LastSignInError: if the account has neither a password nor another provider.
        """
        base, user_id = self._base, principal.subject
        with base.database.write() as connection:
            # Of two simultaneous requests, the second waits, and sees the result of the first.
            password_hash, _ = linking_store.lock_user(connection, user_id)
            check_session(connection, principal)
            providers = {identity.provider for identity in linking_store.list_identities(connection, user_id)}
            if provider not in providers:
                raise base.failed("unlink", caller, NotFoundError("not linked"), user_id=user_id)
            if password_hash is None and len(providers) == 1:
                raise base.failed("unlink", caller, LastSignInError(), user_id=user_id)
            linking_store.delete_identities(connection, user_id, provider)
            self._sessions.end_sessions_of(connection, user_id, except_id=principal.claims.get("sid"))
            self._notices.tell_of_unlinking(connection, user_id, provider)
        base.succeeded("unlink", caller, user_id=user_id)
