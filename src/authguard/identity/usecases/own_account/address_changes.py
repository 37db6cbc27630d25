"""Change the address of an account for its owner: with the password, and a link mailed to the new address.

The old address stays until the link is used, and gets a notice of both steps. The link needs a session or the
password of the account as well, so that a mail to a mistyped address gives no access to the account.
"""

import secrets
from dataclasses import replace
from urllib.parse import quote

from sqlalchemy import Connection

from authguard._core.encoding import sha256_hex
from authguard._core.model import Principal
from authguard.identity.errors import (
    EmailTakenError,
    InvalidFieldsError,
    InvalidLinkError,
    StoreUnavailableError,
)
from authguard.identity.mail.addresses import parse_email
from authguard.identity.mail.mailer import Mail
from authguard.identity.model import Caller, User
from authguard.identity.storage import queries as store
from authguard.identity.storage.addresses import queries as change_store
from authguard.identity.storage.addresses.queries import AddressChange
from authguard.identity.storage.mails.queries import WaitingMail
from authguard.identity.usecases.context import Base, records
from authguard.identity.usecases.mails.queue import MAX_AGE
from authguard.identity.usecases.notices import count_mail
from authguard.identity.usecases.own_account import texts
from authguard.identity.usecases.own_account.owner_proofs import OwnerProof, OwnerProofs, lock_proven
from authguard.identity.usecases.proofs import AddressProofs, EndedSignIns
from authguard.identity.usecases.session_claims import check_session
from authguard.identity.usecases.sessions import Sessions

_ASK, _CHANGE = "ask_email_change", "change_email"
_NEW, _WISH, _NOTICE = "new_address", "address_asked", "notice"
_UNPROVEN = "unproven"  # the details of a mail to an address that its account has never proven
_CHANGED = "changed"  # the purpose of a token that has changed an address


class AddressChanges:
    """Store the requested address of an account, and set it when the link of the mail is used.

    Args:
        base: the parts that use cases share.
        sessions: ends the other sessions.
        proofs: removes unproven ways to sign in.
        owner_proofs: checks passwords.
    """

    def __init__(
        self, base: Base, sessions: Sessions, proofs: AddressProofs, owner_proofs: OwnerProofs
    ) -> None:
        self._base = base
        self._sessions = sessions
        self._proofs = proofs
        self._owner_proofs = owner_proofs
        base.mails.register(_NEW, self._mail_to_new_address)
        base.mails.register(_WISH, self._mail_of_wish)
        base.mails.register("address_changed", self._mail_of_change)

    @records(_ASK)
    def ask(self, principal: Principal, email: str, password: str | None, caller: Caller) -> None:
        """Send a link to the new address, and a notice to the present one; an older link becomes invalid.

        The answer does not disclose whether another account has the address; if so, its owner gets a mail.

        Raises:
            InvalidFieldsError: if the address is invalid or unchanged, or the password is wrong.
            InsufficientUserAuthenticationError: if the account has no password, and the sign-in is too old.
            RateLimitedError: if it was tried too often.
            StoreUnavailableError: if it could not be stored.
        """
        base = self._base
        proof = self._owner_proofs.prove(_ASK, principal, password, caller)
        address = parse_email(email)
        if address is None:
            raise InvalidFieldsError({"new_email": ["is not an e-mail address"]})
        if address == proof.user.email:
            raise InvalidFieldsError({"new_email": ["is the address of the account already"]})
        base.limited(_ASK, caller, base.limiter.count_mail, address, caller.address)
        now = base.clock()
        # The change waits until its mail was sent, which is attempted for a day, and then as long as the link
        # is valid.
        ends_at = now + MAX_AGE + base.settings.link_lifetime
        with base.database.write() as connection:
            user = lock_proven(connection, proof)
            change_store.put_change(connection, AddressChange(user.id, address, now, ends_at))
            base.mails.add(connection, _NEW, user_id=user.id)
            base.mails.add(connection, _WISH, user_id=user.id)
        base.succeeded(_ASK, caller, user_id=user.id)

    def _mail_to_new_address(self, mail: WaitingMail, user: User) -> Mail | None:
        base, now = self._base, self._base.clock()
        with base.database.read() as connection:
            change = change_store.find_change(connection, user.id, now)
            if change is None or user.disabled:
                return None
            is_taken = change_store.is_taken(connection, change.address, user.id)
            other = store.find_user_by_address(connection, change.address) if is_taken else None
        if mail.tries <= 1 and not count_mail(base, _NEW, replace(user, email=change.address)):
            return None
        if is_taken:
            is_told = other is not None and not other.user.disabled
            return Mail(change.address, *texts.address_taken(base.settings)) if is_told else None
        token = secrets.token_urlsafe(32)
        expires_at = now + base.settings.link_lifetime
        with base.database.write() as connection:
            if not change_store.set_digest(connection, change, sha256_hex(token), expires_at):
                raise StoreUnavailableError("another address was asked for meanwhile")
        link = f"{base.settings.page_url('/change-email')}?token={quote(token)}"
        return Mail(change.address, *texts.new_address(base.settings, link))

    def _mail_of_wish(self, mail: WaitingMail, user: User) -> Mail | None:
        # Counted separately from the mails that strangers can cause, which could use up the limit.
        kind = _WISH if user.email_verified else _NOTICE
        if mail.tries <= 1 and not count_mail(self._base, kind, user):
            return None
        return Mail(user.email, *texts.address_wish(self._base.settings))

    def _mail_of_change(self, mail: WaitingMail, user: User) -> Mail | None:
        before = replace(user, email=mail.address or user.email)
        # Like the notice of a new password, this mail is not limited, because it is the only notice of a
        # takeover. It is limited if the address is not verified, because another person may have registered
        # it.
        is_limited = mail.details == _UNPROVEN and mail.tries <= 1
        if is_limited and not count_mail(self._base, _NOTICE, before):
            return None
        return Mail(before.email, *texts.address_changed(self._base.settings))

    @records(_CHANGE)
    def change(
        self, token: str, caller: Caller, *, principal: Principal | None = None, password: str | None = None
    ) -> str:
        """Give an account the address that a token was sent to; all other sessions and mailed links end.

        A token that has done so before gets the same answer again, and changes nothing.

        Args:
            token: of the mail.
            caller: the origin of the request.
            principal: the signed-in caller; None without one.
            password: the password of the account, for callers who are not signed in to it.

        Returns:
            The id of the account.

        Raises:
            InvalidLinkError: if the token is unknown, replaced or too old.
            InvalidTokenError: if the caller's session has ended meanwhile; the token stays valid.
            InvalidFieldsError: if the password is missing or wrong; the token stays valid.
            EmailTakenError: if another account has the address meanwhile.
            RateLimitedError: if wrong tokens or passwords were tried too often.
        """
        base = self._base
        pending = self.find(token)
        if pending is None:
            # Checked afterwards, because another request may have used the token meanwhile.
            if (changed_id := self.find_changed(token)) is not None:
                return changed_id
            base.wrong_secret(_CHANGE, caller)
            raise InvalidLinkError
        owner, proof = self._owner_of(pending.user_id, principal, password, caller)
        with base.database.write() as connection:
            user = self._lock(connection, pending.user_id, owner, proof)
            change = change_store.take_by_digest(connection, sha256_hex(token), base.clock())
            if change is None:
                if self._changed_by(connection, token) == user.id:
                    return user.id  # another simultaneous request has used the token
                raise InvalidLinkError
            ended = self._replace(connection, user, change, token, owner)
        base.succeeded(_CHANGE, caller, user_id=user.id)
        self._proofs.record(ended, caller, user.id)
        return user.id

    def _owner_of(
        self, user_id: str, principal: Principal | None, password: str | None, caller: Caller
    ) -> tuple[Principal | None, OwnerProof | None]:
        """Return the caller if it is the signed-in owner; otherwise the proof by the password."""
        if principal is not None and principal.subject == user_id:
            return principal, None
        if password is None:
            raise InvalidFieldsError({"password": ["is required"]})
        owner = Principal(subject=user_id)  # no recent sign-in is needed
        return None, self._owner_proofs.prove(_CHANGE, owner, password, caller)

    def _lock(
        self, connection: Connection, user_id: str, owner: Principal | None, proof: OwnerProof | None
    ) -> User:
        if proof is not None:
            return lock_proven(connection, proof)
        user = store.lock_account(connection, user_id)
        if user is None:
            raise InvalidLinkError
        if owner is not None:
            check_session(connection, owner)
        return user  # a disabled account has no waiting change

    def _replace(
        self,
        connection: Connection,
        user: User,
        change: AddressChange,
        token: str,
        owner: Principal | None,
    ) -> EndedSignIns:
        if not change_store.replace_address(connection, user.id, change.address):
            raise EmailTakenError("another account has the address")
        ended = self._proofs.prove_by_link(
            connection, user.id, is_owner=owner is not None, has_password=owner is None
        )
        # Including the links that were sent to the previous address.
        store.delete_one_time_tokens(connection, user.id)
        store.upsert_one_time_token(connection, user.id, _CHANGED, sha256_hex(token), change.expires_at)
        own_session = None if owner is None else owner.claims.get("sid")
        self._sessions.end_sessions_of(connection, user.id, except_id=own_session)
        details = "" if user.email_verified else _UNPROVEN
        self._base.mails.add(
            connection, "address_changed", user_id=user.id, address=user.email, details=details
        )
        return ended

    def find(self, token: str) -> AddressChange | None:
        """Return the change of address that a token confirms, without using the token."""
        with self._base.database.read() as connection:
            return change_store.find_by_digest(connection, sha256_hex(token), self._base.clock())

    def has_password(self, user_id: str) -> bool:
        """Return whether an account has a password."""
        with self._base.database.read() as connection:
            return store.find_password_hash(connection, user_id) is not None

    def find_changed(self, token: str) -> str | None:
        """Return the account whose address a token has changed; None for another or an expired token."""
        with self._base.database.read() as connection:
            return self._changed_by(connection, token)

    def _changed_by(self, connection: Connection, token: str) -> str | None:
        return store.find_one_time_token(connection, _CHANGED, sha256_hex(token), self._base.clock())
