"""Delete one's own account."""

from authguard._core.model import Principal
from authguard.identity.model import Caller
from authguard.identity.usecases.administration.removal import remove_account
from authguard.identity.usecases.context import Base, records
from authguard.identity.usecases.own_account.owner_proofs import OwnerProofs, lock_proven
from authguard.identity.usecases.sessions import Sessions

_DELETE = "delete"


class AccountDeletion:
    """Delete accounts for their owners, as `AccountAdministration` does for operators.

    Args:
        base: the parts that use cases share.
        sessions: ends sessions.
        owner_proofs: checks passwords.
    """

    def __init__(self, base: Base, sessions: Sessions, owner_proofs: OwnerProofs) -> None:
        self._base = base
        self._sessions = sessions
        self._owner_proofs = owner_proofs

    @records(_DELETE)
    def delete(self, principal: Principal, password: str | None, caller: Caller) -> None:
        """Delete the caller's account with all of its data, including waiting mails.

        Raises:
            InvalidFieldsError: if the password is missing or wrong.
            InvalidTokenError: if another request has deleted the account meanwhile, or ended the session.
            InsufficientUserAuthenticationError: if the account has no password, and the sign-in is too old.
            RateLimitedError: if it was tried too often.
            StoreUnavailableError: if it could not be stored; nothing is deleted then.
        """
        base = self._base
        proof = self._owner_proofs.prove(_DELETE, principal, password, caller)
        with base.database.write() as connection:
            user = lock_proven(connection, proof)
            remove_account(connection, self._sessions, user.id, base.clock())
        base.succeeded(_DELETE, caller, reason="owner", user_id=user.id)
