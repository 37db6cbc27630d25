"""Prove that an account belongs to the owner of its address, and end the ways to sign in without proof.

Registering needs no proof of the address, and some providers do not verify addresses. An attacker can create
an account with the address of a victim, and wait for the victim to use it (account pre-hijacking).
docs/identity.md has the table. All of this runs in the transaction of a use case.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from authguard.identity.audit import Event
from authguard.identity.keys.generations import revoke_keys_of
from authguard.identity.model import Caller
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.storage import queries as store
from authguard.identity.storage.addresses import queries as change_store
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.sessions import Sessions


@dataclass(frozen=True, slots=True)
class EndedSignIns:
    """Describe the ways to sign in that a proof has ended.

    Attributes:
        password: whether an unproven password was ended.
        identities: whether links to providers that have not verified the address were ended.
    """

    password: bool = False
    identities: bool = False


class AddressProofs:
    """Record proofs of an address, and end the passwords, links and sessions that they do not cover.

    Args:
        base: the common parts of use cases.
        sessions: ends sessions.
    """

    def __init__(self, base: Base, sessions: Sessions) -> None:
        self._base = base
        self._sessions = sessions

    def prove_by_link(
        self, connection: Connection, user_id: str, *, is_owner: bool = False, has_password: bool = False
    ) -> EndedSignIns:
        """Accept a mailed link as proof of the address.

        Args:
            connection: the transaction.
            user_id: the account.
            is_owner: whether the request has a session of the account, which proves its links and password.
            has_password: whether the request has the password of the account.
        """
        proven = {"password_proven": True} if is_owner or has_password else {}
        # The row of the account is changed first, so that a simultaneous sign-in waits for it.
        store.update_user(connection, user_id, email_verified=True, **proven)
        if is_owner:
            linking_store.verify_identities(connection, user_id)
        return self._end_unproven(connection, user_id)

    def prove_by_new_password(
        self, connection: Connection, user_id: str, password_hash: str, *, kept: Collection[str]
    ) -> EndedSignIns:
        """Accept a new password, set by a mailed link, as proof of address and password; all sessions end.

        Args:
            connection: the transaction.
            user_id: the account.
            password_hash: of the new password.
            kept: the purposes of one-time tokens that do not end.
        """
        before, is_proven = linking_store.lock_user(connection, user_id)
        store.update_user(
            connection, user_id, password_hash=password_hash, password_proven=True, email_verified=True
        )
        store.delete_one_time_tokens(connection, user_id, kept=kept)
        ended = self._end_unproven(connection, user_id)
        self._sessions.end_sessions_of(connection, user_id)
        if before is not None and not is_proven:
            revoke_keys_of(connection, user_id, self._base.clock())
        return ended

    def prove_by_provider(self, connection: Connection, user_id: str) -> EndedSignIns:
        """Accept the statement of a provider that it has verified the address; an unproven password ends."""
        password_hash, is_proven = linking_store.lock_user(connection, user_id)
        ends_password = password_hash is not None and not is_proven
        changes = {"password_hash": None} if ends_password else {}
        store.update_user(connection, user_id, email_verified=True, **changes)
        return self._end_unproven(connection, user_id, password=ends_password)

    def _end_unproven(self, connection: Connection, user_id: str, *, password: bool = False) -> EndedSignIns:
        identities = linking_store.delete_unverified_identities(connection, user_id)
        if password or identities:
            self._sessions.end_sessions_of(connection, user_id)
            # Another person may have requested another address, so that the owner would follow its link, and
            # may have created keys.
            change_store.delete_change(connection, user_id)
            revoke_keys_of(connection, user_id, self._base.clock())
        return EndedSignIns(password, identities)

    def record(self, ended: EndedSignIns, caller: Caller, user_id: str) -> None:
        """Record an event if something ended that could have been a takeover.

        Call this after the transaction.
        """
        for is_ended, reason in ((ended.password, "password"), (ended.identities, "identity")):
            if is_ended:
                event = Event(
                    "takeover_prevented",
                    True,
                    self._base.clock(),
                    reason,
                    user_id=user_id,
                    address=caller.address,
                )
                self._base.audit.record(event)
