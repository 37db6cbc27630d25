"""Use cases of mails and the one-time tokens in them: verify an address, reset a password.

A token is 32 random bytes, of which the database has the digest only. A newer one takes the place
of the older; it is used up by POST, once, however many use it at the same time.
"""

import secrets
from hashlib import sha256
from urllib.parse import quote

from authguard.errors import VerificationUnavailableError
from authguard.identity import store
from authguard.identity.addresses import parse_email
from authguard.identity.audit import Event
from authguard.identity.base import Base
from authguard.identity.errors import InvalidFieldsError, InvalidLinkError
from authguard.identity.mail import Mail
from authguard.identity.model import Caller, User
from authguard.identity.sessions import Sessions

_VERIFY = "verify"
_RESET = "reset"
_NOTICE = "notice"


class Links:
    """One-time links in mails.

    Args:
        base: what the service is made of.
        sessions: ends sessions when a password is reset.
    """

    def __init__(self, base: Base, sessions: Sessions) -> None:
        self._base = base
        self._sessions = sessions

    def send_verification(self, user: User) -> None:
        """Send the link that verifies the address of an account, after the answer."""
        self._base.outbox.submit(lambda: self._verification(user))

    def _may_send(self, kind: str, user: User) -> bool:
        """Count a mail; False, and an event, for a mailbox that has had enough of them."""
        base = self._base
        try:
            if base.limiter.may_send(kind, user.email):
                return True
        except VerificationUnavailableError:
            return True  # the caller was counted, and a mail that is lost costs its owner more
        base.audit.record(Event("mail", False, base.clock(), "limit", user_id=user.id))
        return False

    def resend_verification(self, email: str, caller: Caller) -> None:
        """Send it again, if there is an account with this address that needs it; nobody learns whether.

        Raises:
            RateLimitedError: if the same address has asked too often.
        """
        self._limit("resend_verification", email, caller)
        self._base.outbox.submit(lambda: self._resent(email))

    def _resent(self, email: str) -> Mail | None:
        user = self._addressee(email)
        return None if user is None or user.email_verified else self._verification(user)

    def _verification(self, user: User) -> Mail | None:
        if not self._may_send(_VERIFY, user):
            return None
        link = self._link(user, _VERIFY, "/verify-email")
        text = f"Please verify your e-mail address by following this link:\n\n{link}\n\n{self._until()}"
        return Mail(user.email, "Verify your e-mail address", text)

    def verify(self, token: str, caller: Caller) -> None:
        """Verify the address that a token was sent to.

        Raises:
            InvalidLinkError: if the token is unknown, used, replaced or too old.
        """
        with self._base.database.write() as connection:
            user_id = store.consume_one_time_token(connection, _VERIFY, _digest(token), self._base.clock())
            if user_id is not None:
                store.update_user(connection, user_id, email_verified=True)
        if user_id is None:
            self._base.wrong_secret("verify_email", caller)
            raise self._base.failed("verify_email", caller, InvalidLinkError())
        self._base.succeeded("verify_email", caller, user_id=user_id)

    def request_reset(self, email: str, caller: Caller) -> None:
        """Send the link that resets a password, if there is such an account; nobody learns whether.

        Everything that depends on the account happens after the answer, so that its time tells
        nothing either.

        Raises:
            RateLimitedError: if the same address has asked too often.
        """
        self._limit("forgot_password", email, caller)
        self._base.outbox.submit(lambda: self._reset(email, caller))

    def _reset(self, email: str, caller: Caller) -> Mail | None:
        user = self._addressee(email)
        if user is None or not self._may_send(_RESET, user):
            return None
        link = self._link(user, _RESET, "/reset-password")
        self._base.succeeded("forgot_password", caller, user_id=user.id)
        text = (
            f"Somebody, probably you, wants to set a new password. This link lets you do it:\n\n{link}\n\n"
            f"{self._until()} If it was not you, do nothing: your password stays as it is."
        )
        return Mail(user.email, "Set a new password", text)

    def reset(self, token: str, new_password: str, caller: Caller) -> None:
        """Set a new password with the token of a mail; all sessions end, and nobody is signed in.

        Raises:
            InvalidLinkError: if the token is unknown, used, replaced or too old.
            InvalidFieldsError: if the password is not accepted; the token stays good.
        """
        base = self._base
        digest = _digest(token)
        with base.database.read() as connection:
            owner = store.find_one_time_token(connection, _RESET, digest, base.clock())
            user = None if owner is None else store.find_user(connection, owner)
        if user is None:
            base.wrong_secret("reset_password", caller)
            raise base.failed("reset_password", caller, InvalidLinkError())
        if missing := base.password_problems(new_password, user.email, user.name):
            raise InvalidFieldsError({"new_password": missing})
        password_hash = base.hasher.hash(new_password)
        with base.database.write() as connection:
            user_id = store.consume_one_time_token(connection, _RESET, digest, base.clock())
            if user_id is None:
                raise base.failed("reset_password", caller, InvalidLinkError())
            # Whoever has the mail has the mailbox: that verifies the address, too.
            store.update_user(connection, user_id, password_hash=password_hash, email_verified=True)
            store.delete_one_time_tokens(connection, user_id)
            self._sessions.end_all(connection, user_id)
        base.succeeded("reset_password", caller, user_id=user_id)
        self.tell_of_new_password(user_id)

    def tell_owner(self, email: str) -> None:
        """Tell the owner of an address that somebody wanted to register with it."""
        text = (
            "Somebody, probably you, wanted to register with this e-mail address. You have an account "
            f"already: sign in at {self._base.settings.page_url('/login')}, or ask there for a new password."
        )

        def make() -> Mail | None:
            user = self._addressee(email)
            if user is None or not self._may_send(_NOTICE, user):
                return None
            return Mail(user.email, "You have an account already", text)

        self._base.outbox.submit(make)

    def tell_of_new_password(self, user_id: str) -> None:
        """Tell the owner of an account that its password was changed (ASVS 6.3.7)."""
        text = (
            "The password of your account was changed. If it was not you, set a new one at once: "
            f"{self._base.settings.page_url('/forgot-password')}"
        )

        def make() -> Mail | None:
            with self._base.database.read() as connection:
                user = store.find_user(connection, user_id)
            return None if user is None else Mail(user.email, "Your password was changed", text)

        self._base.outbox.submit(make)

    def _limit(self, flow: str, email: str, caller: Caller) -> None:
        """Count a mail, for known and unknown addresses alike."""
        self._base.limited(flow, caller, self._base.limiter.mail, email, caller.address)

    def _addressee(self, email: str) -> User | None:
        """The account to write to."""
        address = parse_email(email)
        if address is None:
            return None
        with self._base.database.read() as connection:
            found = store.find_user_by_address(connection, address)
        return None if found is None or found[0].disabled else found[0]

    def _link(self, user: User, purpose: str, path: str) -> str:
        token = secrets.token_urlsafe(32)
        expires_at = self._base.clock() + self._base.settings.link_lifetime
        with self._base.database.write() as connection:
            store.upsert_one_time_token(connection, user.id, purpose, _digest(token), expires_at)
        return f"{self._base.settings.page_url(path)}?token={quote(token)}"

    def _until(self) -> str:
        minutes = self._base.settings.link_lifetime // 60
        return f"The link is good once, and for {minutes} minutes."


def _digest(token: str) -> str:
    return sha256(token.encode(errors="surrogatepass")).hexdigest()
