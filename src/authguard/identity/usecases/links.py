"""Verify addresses and reset passwords by one-time tokens in mails.

A token is 32 random bytes, of which the database has the digest only. A newer one takes the place
of the older; it is used up by POST, once, however many use it at the same time.
"""

import secrets
from hashlib import sha256
from urllib.parse import quote

from authguard.errors import RefusedError, VerificationUnavailableError
from authguard.identity.audit import Event
from authguard.identity.errors import InvalidFieldsError, InvalidLinkError
from authguard.identity.mail.addresses import parse_email
from authguard.identity.mail.mailer import Mail
from authguard.identity.model import Caller, User, provider_title
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.storage import queries as store
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.proofs import AddressProofs, EndedSignIns
from authguard.identity.usecases.sessions import Sessions

_VERIFY = "verify"
_RESET = "reset"
_NOTICE = "notice"
_IDENTITY = "identity"

_UNLINKED = (
    "A provider that has not verified this address was linked to the account before you had proven it. "
    "It was unlinked, and all sessions were ended."
)


class Links:
    """One-time links in mails.

    Args:
        base: what the service is made of.
        sessions: ends the sessions of an account that is closed.
        proofs: ends unproven ways to sign in when a link proves the address.
    """

    def __init__(self, base: Base, sessions: Sessions, proofs: AddressProofs) -> None:
        self._base = base
        self._sessions = sessions
        self._proofs = proofs

    def send_verification(self, user: User, provider: str | None = None) -> None:
        """Send the link that verifies the address of an account, after the answer.

        Args:
            user: the account.
            provider: where its owner signed in to make it, without a password.
        """
        self._base.outbox.submit(lambda: self._verification_mail(user, provider))

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
        """Send it again, if there is an account with this address that needs it; the answer does not tell.

        Raises:
            RateLimitedError: if the same address has asked too often.
        """
        self._count_mail("resend_verification", email, caller)
        self._base.outbox.submit(lambda: self._resent_verification_mail(email))

    def _resent_verification_mail(self, email: str) -> Mail | None:
        user = self._addressee(email)
        return None if user is None or user.email_verified else self._verification_mail(user)

    def _verification_mail(self, user: User, provider: str | None = None) -> Mail | None:
        if not self._may_send(_VERIFY, user):
            return None
        link = self._create_link(user, _VERIFY, "/verify-email")
        begun = f"An account was made by signing in with {provider_title(provider)}.\n\n" if provider else ""
        text = (
            f"{begun}Please verify your e-mail address by following this link:\n\n{link}\n\n"
            f"{self._until()}\n\n{self._if_not_you()}"
        )
        return Mail(user.email, "Verify your e-mail address", text)

    def _if_not_you(self) -> str:
        if self._base.settings.pages:
            return (
                "If you did not register, someone else used your address: follow the link, and press "
                '"I did not register" there. That closes the account.'
            )
        return "If you did not register, someone else used your address: do not verify it."

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

        The token proves the mailbox only. With a session or the password of the account it also proves that
        the owner of the mailbox has registered; without, links to providers that are not verified end.

        Args:
            token: of the mail.
            caller: where the request comes from.
            owner_id: the account that the caller is signed in to, if any.
            password: the password of the account, if it was given.
            needs_proof: refuse a token that comes with neither, as `Settings.verify_needs_password` does.

        Returns:
            The id of the account.

        Raises:
            InvalidLinkError: if the token is unknown, used, replaced or too old.
            InvalidFieldsError: if the password is missing or wrong; the token stays good.
            RateLimitedError: if wrong tokens or passwords were tried too often.
        """
        base = self._base
        user_id = self._account_of(_VERIFY, "verify_email", token, caller).id
        is_owner = owner_id == user_id
        password_hash = None if is_owner else self._right_password(user_id, password, caller, needs_proof)
        with base.database.write() as connection:
            if store.consume_one_time_token(connection, _VERIFY, _digest(token), base.clock()) is None:
                raise base.failed("verify_email", caller, InvalidLinkError())
            if password_hash is not None and not store.holds_password(connection, user_id, password_hash):
                raise self._wrong_password(user_id, caller)
            ended = self._proofs.prove_by_link(
                connection, user_id, is_owner=is_owner, has_password=password_hash is not None
            )
        base.succeeded("verify_email", caller, user_id=user_id)
        self._proofs.record(ended, caller, user_id)
        if ended.identities:
            self._tell_of_ended_identities(user_id)
        return user_id

    def find_unverified(self, token: str) -> tuple[User, bool] | None:
        """Return the account whose address a token verifies, and whether it has a password.

        The token is not used up.
        """
        with self._base.database.read() as connection:
            user_id = store.find_one_time_token(connection, _VERIFY, _digest(token), self._base.clock())
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
        if password_hash is None or not base.hasher.verify(password_hash, password):
            raise self._wrong_password(user_id, caller)
        return password_hash

    def _wrong_password(self, user_id: str, caller: Caller) -> RefusedError:
        error = InvalidFieldsError({"password": ["is not right"]})
        return self._base.failed("verify_email", caller, error, user_id=user_id)

    def decline_registration(self, token: str, caller: Caller) -> None:
        """Close an account that the owner of its address has not registered; the address is free again.

        Args:
            token: of the mail that verifies the address.
            caller: where the request comes from.

        Raises:
            InvalidLinkError: if the token is unknown, used, replaced or too old, or the address is verified.
            RateLimitedError: if wrong tokens were tried too often.
        """
        base = self._base
        user_id = self._account_of(_VERIFY, "decline", token, caller).id
        with base.database.write() as connection:
            if store.consume_one_time_token(connection, _VERIFY, _digest(token), base.clock()) is None:
                raise base.failed("decline", caller, InvalidLinkError(), user_id=user_id)
            # A sign-in at the same moment waits, and finds no account.
            linking_store.lock_user(connection, user_id)
            self._sessions.end_sessions_of(connection, user_id)
            if not linking_store.delete_unverified_user(connection, user_id):
                raise base.failed("decline", caller, InvalidLinkError(), user_id=user_id)
        base.succeeded("decline", caller, user_id=user_id)

    def _account_of(self, purpose: str, flow: str, token: str, caller: Caller) -> User:
        """Return the account of a token; a wrong token is counted."""
        base = self._base
        with base.database.read() as connection:
            user_id = store.find_one_time_token(connection, purpose, _digest(token), base.clock())
            user = None if user_id is None else store.find_user(connection, user_id)
        if user is None:
            base.wrong_secret(flow, caller)
            raise base.failed(flow, caller, InvalidLinkError())
        return user

    def request_password_reset(self, email: str, caller: Caller) -> None:
        """Send the link that resets a password, if there is such an account; the answer does not tell.

        Everything that depends on the account happens after the answer, so that its time tells
        nothing either.

        Raises:
            RateLimitedError: if the same address has asked too often.
        """
        self._count_mail("forgot_password", email, caller)
        self._base.outbox.submit(lambda: self._reset_mail(email, caller))

    def _reset_mail(self, email: str, caller: Caller) -> Mail | None:
        user = self._addressee(email)
        if user is None or not self._may_send(_RESET, user):
            return None
        link = self._create_link(user, _RESET, "/reset-password")
        self._base.succeeded("forgot_password", caller, user_id=user.id)
        text = (
            f"Somebody, probably you, wants to set a new password. This link lets you do it:\n\n{link}\n\n"
            f"{self._until()} If it was not you, do nothing: your password stays as it is."
        )
        return Mail(user.email, "Set a new password", text)

    def reset_password(self, token: str, new_password: str, caller: Caller) -> None:
        """Set a new password with the token of a mail; all sessions end, and none begins.

        It verifies the address, too, and ends links to providers that have not verified it.

        Raises:
            InvalidLinkError: if the token is unknown, used, replaced or too old.
            InvalidFieldsError: if the password is not accepted; the token stays good.
        """
        self._set_password(_RESET, "reset_password", token, new_password, caller)

    def confirm_email_with_new_password(self, token: str, new_password: str, caller: Caller) -> None:
        """Verify the address that a token was sent to, and set a new password; as `reset_password` does.

        Raises:
            InvalidLinkError: if the token is unknown, used, replaced or too old.
            InvalidFieldsError: if the password is not accepted; the token stays good.
        """
        self._set_password(_VERIFY, "verify_email", token, new_password, caller)

    def _set_password(self, purpose: str, flow: str, token: str, new_password: str, caller: Caller) -> None:
        base = self._base
        user = self._account_of(purpose, flow, token, caller)
        if missing := base.password_problems(new_password, user.email, user.name):
            raise InvalidFieldsError({"new_password": missing})
        password_hash = base.hasher.hash(new_password)
        with base.database.write() as connection:
            user_id = store.consume_one_time_token(connection, purpose, _digest(token), base.clock())
            if user_id is None:
                raise base.failed(flow, caller, InvalidLinkError())
            ended = self._proofs.prove_by_new_password(connection, user_id, password_hash)
        base.succeeded(flow, caller, user_id=user_id)
        self._proofs.record(ended, caller, user_id)
        self.tell_of_new_password(user_id)

    def tell_of_registration(self, email: str) -> None:
        """Tell the owner of an address that a registration with it was refused."""
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
        account = self._base.settings.page_url("/account")

        def make() -> Mail | None:
            with self._base.database.read() as connection:
                user = store.find_user(connection, user_id)
                identities = linking_store.list_identities(connection, user_id)
            titles = " and ".join(sorted({identity.title for identity in identities}))
            hint = f"\n\nSigning in with {titles} leads to your account, too: {account}" if titles else ""
            return None if user is None else Mail(user.email, "Your password was changed", text + hint)

        self._base.outbox.submit(make)

    def tell_of_identity(self, user: User, provider: str, ended: EndedSignIns) -> None:
        """Tell the owner of an account that a provider signs in to it now, and what has ended for that."""
        settings = self._base.settings
        title = provider_title(provider)
        reset = settings.page_url("/forgot-password")
        parts = [f"Signing in with {title} leads to your account from now on."]
        if ended.password:
            parts.append(
                "The password that the account had was set before you had proven this address. It was "
                f"removed, and all sessions were ended. To have a password, set a new one: {reset}"
            )
        if ended.identities:
            parts.append(_UNLINKED)
        parts.append(f"If it was not you, set a new password at {reset}, and unlink {title} in your account.")
        text = "\n\n".join(parts)
        self._notify(user.id, _IDENTITY, f"{title} was linked to your account", text)

    def tell_of_unlinking(self, user_id: str, provider: str) -> None:
        """Tell the owner of an account that a provider does not sign in to it any more."""
        title = provider_title(provider)
        text = (
            f"{title} was unlinked from your account. If it was not you, set a new password at once: "
            f"{self._base.settings.page_url('/forgot-password')}"
        )
        self._notify(user_id, _IDENTITY, f"{title} was unlinked from your account", text)

    def _tell_of_ended_identities(self, user_id: str) -> None:
        reset = self._base.settings.page_url("/forgot-password")
        text = f"{_UNLINKED}\n\nIf you want to sign in with a password, set one: {reset}"
        self._notify(user_id, _IDENTITY, "A provider was unlinked from your account", text)

    def _notify(self, user_id: str, kind: str, subject: str, text: str) -> None:
        def make() -> Mail | None:
            with self._base.database.read() as connection:
                user = store.find_user(connection, user_id)
            return None if user is None or not self._may_send(kind, user) else Mail(user.email, subject, text)

        self._base.outbox.submit(make)

    def _count_mail(self, flow: str, email: str, caller: Caller) -> None:
        """Count a mail, for known and unknown addresses alike."""
        self._base.limited(flow, caller, self._base.limiter.count_mail, email, caller.address)

    def _addressee(self, email: str) -> User | None:
        """Find the account to write to."""
        address = parse_email(email)
        if address is None:
            return None
        with self._base.database.read() as connection:
            row = store.find_user_by_address(connection, address)
        return None if row is None or row.user.disabled else row.user

    def _create_link(self, user: User, purpose: str, path: str) -> str:
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
