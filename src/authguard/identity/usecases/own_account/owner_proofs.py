"""Require another proof of ownership before a change that a stolen session must not make."""

from typing import NamedTuple

from sqlalchemy import Connection

from authguard._core.model import Principal
from authguard.errors import InsufficientUserAuthenticationError, InvalidTokenError, RefusedError
from authguard.identity.errors import InvalidFieldsError
from authguard.identity.model import Caller, User
from authguard.identity.storage import queries as store
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.session_claims import check_session

#: Seconds for which a sign-in is recent: the proof of an account without a password.
RECENT_SECONDS = 600


class OwnerProof(NamedTuple):
    """Hold an account whose owner has proved the ownership.

    Attributes:
        user: the account at that time.
        password_hash: of the given password; None for an account without one.
        principal: the principal of the request.
    """

    user: User
    password_hash: str | None
    principal: Principal


class OwnerProofs:
    """Check the password of an account, or how recent the sign-in was if it has none.

    Args:
        base: the parts that use cases share.
    """

    def __init__(self, base: Base) -> None:
        self._base = base

    def prove(self, flow: str, principal: Principal, password: str | None, caller: Caller) -> OwnerProof:
        """Check that the caller is the owner of the account.

        Args:
            flow: the name of the event of a failure.
            principal: the principal of the request.
            password: as it was sent; None for no password.
            caller: the origin of the request.

        Raises:
            InvalidFieldsError: if the password is missing or wrong.
            InsufficientUserAuthenticationError: if the account has none, and the sign-in was too long ago.
            InvalidTokenError: if the account no longer exists.
            RateLimitedError: if it was tried too often.
        """
        base, user_id = self._base, principal.subject
        base.limited(flow, caller, base.limiter.hit, "login", user_id, address=caller.address)
        with base.database.read() as connection:
            user = store.find_user(connection, user_id)
            password_hash = store.find_password_hash(connection, user_id)
        if user is None:
            raise InvalidTokenError("no such account")
        error: RefusedError | None = None
        if password_hash is None:
            if not self._is_recent(principal):
                error = InsufficientUserAuthenticationError("a sign-in too long ago", max_age=RECENT_SECONDS)
        elif password is None:
            error = InvalidFieldsError({"password": ["is required"]})
        elif not base.is_password(password_hash, password):
            error = InvalidFieldsError({"password": ["is not right"]})
        if error is not None:
            raise base.failed(flow, caller, error, user_id=user_id)
        return OwnerProof(user, password_hash, principal)

    def _is_recent(self, principal: Principal) -> bool:
        signed_in = principal.claims.get("auth_time")
        return isinstance(signed_in, int) and signed_in >= self._base.clock() - RECENT_SECONDS


def lock_proven(connection: Connection, proof: OwnerProof) -> User:
    """Lock the account of a proof, and return it as it is now.

    Raises:
        InvalidFieldsError: if its password was changed meanwhile, or it was disabled.
        InvalidTokenError: if it was deleted meanwhile, such as by a second press of the same button; or if it
            has no password, and the session of the request has ended meanwhile.
    """
    user: User | None
    if proof.password_hash is not None:
        user = store.lock_holder(connection, proof.user.id, proof.password_hash)
    else:
        user = store.lock_account(connection, proof.user.id)
        if store.find_password_hash(connection, proof.user.id) is not None:
            user = None
    if user is None and store.find_user(connection, proof.user.id) is None:
        raise InvalidTokenError("no such account")
    if user is None or user.disabled:
        raise InvalidFieldsError({"password": ["is not right"]})
    if proof.password_hash is None:
        check_session(connection, proof.principal)
    return user
