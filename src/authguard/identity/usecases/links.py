"""Verify addresses and reset passwords by one-time tokens in mails.

A token is 32 random bytes; the database stores only its digest. A newer token replaces the older. A POST uses
up a token, and only one of several simultaneous requests changes something. The digest of a used token stays
until it expires, so that a second press of a button gets a suitable answer.
"""

import secrets
from urllib.parse import quote

from sqlalchemy import Connection

from authguard._core.encoding import sha256_hex
from authguard.errors import RefusedError
from authguard.identity.errors import (
    InvalidFieldsError,
    InvalidLinkError,
    StoreUnavailableError,
    UsedLinkError,
)
from authguard.identity.mail.addresses import parse_email
from authguard.identity.mail.mailer import Mail
from authguard.identity.model import Caller, User, provider_title
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.storage import queries as store
from authguard.identity.storage.mails.queries import WaitingMail
from authguard.identity.usecases.context import Base, records
from authguard.identity.usecases.mails import texts
from authguard.identity.usecases.notices import Notices
from authguard.identity.usecases.proofs import AddressProofs, EndedSignIns
from authguard.identity.usecases.sessions import Sessions

VERIFY = "verify"  # the purpose of the token in the first mail
_VERIFIED = "verified"  # the purpose of such a token after its use
_RESET = "reset"
_RESET_USED = "reset-used"
# The purposes of tokens after their use, until they expire.
_USED = {VERIFY: _VERIFIED, _RESET: _RESET_USED}


class Links:
    """Send one-time links in mails, and redeem them.

    Args:
        base: the common parts of use cases.
        sessions: ends the sessions of an account that is closed.
        notices: sends mails without links.
        proofs: ends unproven ways to sign in when a link proves the address.
    """

    def __init__(self, base: Base, sessions: Sessions, notices: Notices, proofs: AddressProofs) -> None:
        self._base = base
        self._sessions = sessions
        self._notices = notices
        self._proofs = proofs
        base.mails.register(VERIFY, self._verification_mail)
        base.mails.register(_RESET, self._reset_mail)

    def send_verification(self, connection: Connection, user: User, provider: str | None = None) -> None:
        """Send the link that verifies the address of an account, after the answer.

        Args:
            connection: the transaction.
            user: the account.
            provider: the provider with which its owner created it, without a password.
        """
        self._base.mails.add(connection, VERIFY, user_id=user.id, details=provider or "")

    @records("resend_verification")
    def resend_verification(self, email: str, caller: Caller) -> None:
        """Send the link again, if an account with this address needs it; the answer does not disclose this.

        Raises:
            RateLimitedError: if the same address has asked too often.
            StoreUnavailableError: if the mail could not be stored, or too many mails wait.
        """
        self._ask_for_mail("resend_verification", VERIFY, email, caller)

    def _verification_mail(self, mail: WaitingMail, user: User) -> Mail | None:
        if user.disabled or user.email_verified or not self._notices.may_send(VERIFY, mail, user):
            return None
        link = self._create_link(user, VERIFY, "/verify-email")
        title = provider_title(mail.details) if mail.details else None
        return Mail(user.email, *texts.verification(self._base.settings, link, title))

    @records("verify_email")
    def confirm_email(
        self,
        token: str,
        caller: Caller,
        *,
        owner_id: str | None = None,
        password: str | None = None,
        needs_proof: bool = False,
    ) -> str:
        """Verify the address that a token was sent to.

        The token proves only the mailbox. Together with a session or the password of the account, it also
        proves that the owner of the mailbox has registered. Otherwise, unverified links to providers end.

        Args:
            token: of the mail.
            caller: the origin of the request.
            owner_id: the account that the caller is signed in to, if any.
            password: the password of the account, if it was given.
            needs_proof: whether to refuse a token without a session or password; see
                `Settings.verify_needs_password`. A token that has verified the address before gets the same
                answer again until it expires, and changes nothing, because users press a button twice, and
                scanners of mails press it first.

        Returns:
            The id of the account.

        Raises:
            InvalidLinkError: if the token is unknown, replaced or too old, or was used for something else.
            InvalidFieldsError: if the password is missing or wrong; the token stays valid.
            RateLimitedError: if wrong tokens or passwords were tried too often.
        """
        base = self._base
        user = self._find_account(VERIFY, token)
        if user is None:
            # Checked afterwards, because another request may have used the token meanwhile, and this is never
            # undone.
            if (verified_id := self.find_verified(token)) is not None:
                return verified_id
            raise self._wrong_link("verify_email", caller)
        user_id = user.id
        is_owner = owner_id == user_id
        password_hash = None if is_owner else self._right_password(user_id, password, caller, needs_proof)
        ended = self._confirm(token, user_id, caller, is_owner=is_owner, password_hash=password_hash)
        if ended is None:
            return user_id  # another simultaneous request has used the token
        base.succeeded("verify_email", caller, user_id=user_id)
        self._proofs.record(ended, caller, user_id)
        return user_id

    def _confirm(
        self, token: str, user_id: str, caller: Caller, *, is_owner: bool, password_hash: str | None
    ) -> EndedSignIns | None:
        """Use up the token, and verify the address; None if another request has done so meanwhile."""
        has_password, digest = password_hash is not None, sha256_hex(token)
        with self._base.database.write() as connection:
            # the account is locked before its token, as by all transactions that lock both
            store.lock_account(connection, user_id)
            if not store.mark_one_time_token(connection, VERIFY, _VERIFIED, digest, self._base.clock()):
                if self._verified_by(connection, digest) == user_id:
                    return None
                raise self._base.failed("verify_email", caller, InvalidLinkError())
            if password_hash is not None and store.lock_holder(connection, user_id, password_hash) is None:
                raise self._wrong_password(user_id, caller)
            ended = self._proofs.prove_by_link(
                connection, user_id, is_owner=is_owner, has_password=has_password
            )
            if ended.identities:
                self._notices.tell_of_ended_identities(connection, user_id)
            return ended

    def find_verified(self, token: str) -> str | None:
        """Return the account whose address a token has verified; None for another or an expired token."""
        with self._base.database.read() as connection:
            return self._verified_by(connection, sha256_hex(token))

    def _verified_by(self, connection: Connection, digest: str) -> str | None:
        user_id = store.find_one_time_token(connection, _VERIFIED, digest, self._base.clock())
        user = None if user_id is None else store.find_user(connection, user_id)
        return user.id if user is not None and user.email_verified else None

    def get_account_to_reset(self, token: str) -> User:
        """Return the account whose password a token can set, without using the token up.

        Raises:
            UsedLinkError: if it has set a password before.
            InvalidLinkError: if it is unknown, replaced or too old.
        """
        digest, now = sha256_hex(token), self._base.clock()
        with self._base.database.read() as connection:
            user_id = store.find_one_time_token(connection, _RESET, digest, now)
            user = None if user_id is None else store.find_user(connection, user_id)
            if user is not None:
                return user
            if store.find_one_time_token(connection, _RESET_USED, digest, now) is not None:
                raise UsedLinkError
        raise InvalidLinkError

    def find_unverified(self, token: str) -> tuple[User, bool] | None:
        """Return the account whose address a token verifies, and whether the account has a password.

        The token is not used up.
        """
        with self._base.database.read() as connection:
            user_id = store.find_one_time_token(connection, VERIFY, sha256_hex(token), self._base.clock())
            user = None if user_id is None else store.find_user(connection, user_id)
            if user is None:
                return None
            return user, store.find_password_hash(connection, user.id) is not None

    def _right_password(
        self, user_id: str, password: str | None, caller: Caller, is_needed: bool
    ) -> str | None:
        """Check the password of an account, if one was given; return its hash."""
        base = self._base
        if password is None:
            if is_needed or base.settings.verify_needs_password:
                raise InvalidFieldsError({"password": ["is required"]})
            return None
        base.limited("verify_email", caller, base.limiter.hit, "login", user_id, address=caller.address)
        with base.database.read() as connection:
            password_hash = store.find_password_hash(connection, user_id)
        if password_hash is None or not base.is_password(password_hash, password):
            raise self._wrong_password(user_id, caller)
        return password_hash

    def _wrong_password(self, user_id: str, caller: Caller) -> RefusedError:
        error = InvalidFieldsError({"password": ["is not right"]})
        return self._base.failed("verify_email", caller, error, user_id=user_id)

    @records("decline")
    def decline_registration(self, token: str, caller: Caller) -> User:
        """Close an account that was registered by another person than the owner of its address.

        The address can then be registered again.

        Args:
            token: of the mail that verifies the address.
            caller: the origin of the request.

        Returns:
            The account that was closed.

        Raises:
            InvalidLinkError: if the token is unknown, used, replaced or too old, or the address is verified.
            RateLimitedError: if wrong tokens were tried too often.
        """
        base = self._base
        user = self._account_of(VERIFY, "decline", token, caller)
        user_id = user.id
        with base.database.write() as connection:
            # A simultaneous sign-in waits, and finds no account.
            store.lock_account(connection, user_id)
            if store.consume_one_time_token(connection, VERIFY, sha256_hex(token), base.clock()) is None:
                raise base.failed("decline", caller, InvalidLinkError(), user_id=user_id)
            self._sessions.end_sessions_of(connection, user_id)
            if not linking_store.delete_unverified_user(connection, user_id):
                raise base.failed("decline", caller, InvalidLinkError(), user_id=user_id)
        base.succeeded("decline", caller, user_id=user_id)
        return user

    def _account_of(self, purpose: str, flow: str, token: str, caller: Caller) -> User:
        """Return the account of a token; a wrong token is counted."""
        user = self._find_account(purpose, token)
        if user is None:
            raise self._wrong_link(flow, caller)
        return user

    def _find_account(self, purpose: str, token: str) -> User | None:
        with self._base.database.read() as connection:
            digest = sha256_hex(token)
            user_id = store.find_one_time_token(connection, purpose, digest, self._base.clock())
            return None if user_id is None else store.find_user(connection, user_id)

    def _wrong_link(self, flow: str, caller: Caller) -> RefusedError:
        """Count a wrong token, and return the error to raise."""
        self._base.wrong_secret(flow, caller)
        return self._base.failed(flow, caller, InvalidLinkError())

    @records("forgot_password")
    def request_password_reset(self, email: str, caller: Caller) -> None:
        """Send the link that resets a password, if the account exists; the answer does not disclose this.

        All work that depends on the account happens after the answer, so that the time does not disclose it
        either.

        Raises:
            RateLimitedError: if the same address has asked too often.
            StoreUnavailableError: if the mail could not be stored, or too many mails wait.
        """
        self._ask_for_mail("forgot_password", _RESET, email, caller)

    def _ask_for_mail(self, flow: str, kind: str, email: str, caller: Caller) -> None:
        """Count a mail and add it, for known and unknown addresses alike."""
        base = self._base
        base.limited(flow, caller, base.limiter.count_mail, email, caller.address)
        address = parse_email(email)
        with base.database.write() as connection:
            if address is not None and not base.mails.add(connection, kind, address=address):
                raise StoreUnavailableError("too many mails wait")
        base.succeeded(flow, caller)

    def _reset_mail(self, mail: WaitingMail, user: User) -> Mail | None:
        if user.disabled or not self._notices.may_send(_RESET, mail, user):
            return None
        link = self._create_link(user, _RESET, "/reset-password")
        return Mail(user.email, *texts.reset(self._base.settings, link))

    @records("reset_password")
    def reset_password(self, token: str, new_password: str, caller: Caller) -> str:
        """Set a new password with the token of a mail; all sessions end, and none begins.

        This also verifies the address, and ends links to providers that have not verified it.

        Returns:
            The id of the account.

        Raises:
            InvalidLinkError: if the token is unknown, used, replaced or too old.
            InvalidFieldsError: if the password is not accepted; the token stays valid.
        """
        return self._set_password(_RESET, "reset_password", token, new_password, caller)

    @records("verify_email")
    def confirm_email_with_new_password(self, token: str, new_password: str, caller: Caller) -> str:
        """Verify the address that a token was sent to, and set a new password, as `reset_password` does.

        A token that has set this password before gets the same answer again, and changes nothing.

        Returns:
            The id of the account.

        Raises:
            InvalidLinkError: if the token is unknown, used, replaced or too old.
            InvalidFieldsError: if the password is not accepted; the token stays valid.
        """
        return self._set_password(VERIFY, "verify_email", token, new_password, caller)

    def _set_password(self, purpose: str, flow: str, token: str, new_password: str, caller: Caller) -> str:
        base = self._base
        user = self._find_account(purpose, token)
        if user is None:
            return self._repeat(purpose, flow, token, new_password, caller)
        if missing := base.password_problems(new_password, user.email, user.name):
            raise InvalidFieldsError({"new_password": missing})
        password_hash = base.hasher.hash(new_password)
        ended = self._use(purpose, token, user.id, password_hash)
        if ended is None:  # another simultaneous request has used the token
            return self._repeat(purpose, flow, token, new_password, caller)
        base.succeeded(flow, caller, user_id=user.id)
        self._proofs.record(ended, caller, user.id)
        return user.id

    def _use(self, purpose: str, token: str, user_id: str, password_hash: str) -> EndedSignIns | None:
        """Use up a token, and set the password; None if the token is not valid any more."""
        used, digest = _USED[purpose], sha256_hex(token)
        with self._base.database.write() as connection:
            store.lock_account(connection, user_id)  # the account is locked first, as in `_confirm`
            if not store.mark_one_time_token(connection, purpose, used, digest, self._base.clock()):
                return None
            # The new password proves the address, so the link of the first mail has nothing left to do.
            store.retire_one_time_token(connection, user_id, VERIFY, _VERIFIED)
            ended = self._proofs.prove_by_new_password(
                connection, user_id, password_hash, kept=tuple(_USED.values())
            )
            self._notices.tell_of_new_password(connection, user_id)
            return ended

    def _repeat(self, purpose: str, flow: str, token: str, password: str, caller: Caller) -> str:
        """Accept a verification again with the password that it has set, which changes nothing.

        Users press a button twice. This counts as a sign-in with the password, so that a used token allows no
        further guesses.

        Raises:
            UsedLinkError: for another password, and for each second reset.
            InvalidLinkError: if the token was not used for this purpose, or has expired.
            RateLimitedError: if the same address has tried too often.
        """
        base = self._base
        with base.database.read() as connection:
            user_id = store.find_one_time_token(connection, _USED[purpose], sha256_hex(token), base.clock())
            user = None if user_id is None else store.find_user(connection, user_id)
            password_hash = None if user is None else store.find_password_hash(connection, user.id)
        if user is None:
            raise self._wrong_link(flow, caller)
        if purpose == _RESET:
            raise base.failed(flow, caller, UsedLinkError(), user_id=user.id)
        delay = base.limited(flow, caller, base.limiter.count_login, user.email, caller.address)
        # A sign-in to an account under attack would be delayed; this one is refused.
        if delay or password_hash is None or not base.is_password(password_hash, password):
            raise base.failed(flow, caller, UsedLinkError(), user_id=user.id)
        return user.id

    def _create_link(self, user: User, purpose: str, path: str) -> str:
        token = secrets.token_urlsafe(32)
        expires_at = self._base.clock() + self._base.settings.link_lifetime
        with self._base.database.write() as connection:
            store.upsert_one_time_token(connection, user.id, purpose, sha256_hex(token), expires_at)
            # Read afterwards and without a lock: a change of the address, or disabling the account, deletes
            # this row, or this request has waited for it.
            current = store.find_user(connection, user.id)
            if current is None or current.disabled or current.email != user.email:
                # the next attempt reads the new state
                raise StoreUnavailableError("the account was changed meanwhile")
        return f"{self._base.settings.page_url(path)}?token={quote(token)}"
