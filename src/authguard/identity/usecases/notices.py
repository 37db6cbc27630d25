"""Send mails that tell the owner of an account what has happened to it, after the answer."""

from collections.abc import Sequence
from datetime import UTC, datetime

from authguard.errors import VerificationUnavailableError
from authguard.identity.audit import Event
from authguard.identity.mail.addresses import parse_email
from authguard.identity.mail.mailer import Mail
from authguard.identity.model import User, provider_title
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.storage import queries as store
from authguard.identity.storage.exposure_queries import Untold
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.proofs import EndedSignIns

_NOTICE = "notice"
_IDENTITY = "identity"

_UNLINKED = (
    "A provider that has not verified this address was linked to the account before you had proven it. "
    "It was unlinked, and all sessions were ended."
)
_EXPOSED_KEY = (
    "A scanner of secrets has found an API key of your account where others can read it. The key was "
    "revoked: it is refused from now on, and so are the tokens that were issued for it."
)
_EXPOSED_KEYS = (
    "A scanner of secrets has found API keys of your account where others can read them. The keys were "
    "revoked: they are refused from now on, and so are the tokens that were issued for them."
)
_EXPOSED_ADVICE = (
    "Create another key for the programs that need one, and keep it out of source code and messages. Look at "
    "what the old one was used for: others may have had it."
)
_MAX_SHOWN_KEYS = 20  # of one mail


class Notices:
    """Send mails without links, and limit the mails to one mailbox.

    Args:
        base: the parts that use cases share.
    """

    def __init__(self, base: Base) -> None:
        self._base = base

    def tell_of_registration(self, email: str) -> None:
        """Tell the owner of an address that a registration with it was refused."""
        self._tell_of_account(email, "register with this e-mail address")

    def tell_of_refused_link(self, email: str, provider: str) -> None:
        """Tell the owner of an address that a provider was refused which has not verified the address."""
        self._tell_of_account(
            email,
            f"sign in with {provider_title(provider)}, which has not verified this e-mail address",
        )

    def _tell_of_account(self, email: str, wish: str) -> None:
        settings = self._base.settings
        text = (
            f"Somebody, probably you, wanted to {wish}. There is an account with it already: sign in at "
            f"{settings.page_url('/login')}, or set a new password at "
            f"{settings.page_url('/forgot-password')}, which proves that the address is yours."
        )

        def make() -> Mail | None:
            user = self.find_addressee(email)
            if user is None or not self.may_send(_NOTICE, user):
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

    def tell_of_ended_identities(self, user_id: str) -> None:
        """Tell the owner of an account that links to providers were ended by a proof of the address."""
        reset = self._base.settings.page_url("/forgot-password")
        text = f"{_UNLINKED}\n\nIf you want to sign in with a password, set one: {reset}"
        self._notify(user_id, _IDENTITY, "A provider was unlinked from your account", text)

    def _notify(self, user_id: str, kind: str, subject: str, text: str) -> None:
        def make() -> Mail | None:
            with self._base.database.read() as connection:
                user = store.find_user(connection, user_id)
            return None if user is None or not self.may_send(kind, user) else Mail(user.email, subject, text)

        self._base.outbox.submit(make)

    def mail_of_exposed_keys(self, user: User, keys: Sequence[Untold]) -> Mail:
        """Return the mail that tells the owner of API keys that they were found in public and revoked.

        It has nothing in it that an owner has written, so that nobody can send words of theirs by it.
        """
        many = len(keys) > 1
        parts = [_EXPOSED_KEYS if many else _EXPOSED_KEY]
        parts += [_found_key(key) for key in keys[:_MAX_SHOWN_KEYS]]
        if len(keys) > _MAX_SHOWN_KEYS:
            parts.append(f"And {len(keys) - _MAX_SHOWN_KEYS} more.")
        parts.append(_EXPOSED_ADVICE)
        if self._base.settings.pages:
            parts.append(f"Your keys: {self._base.settings.page_url('/account/keys')}")
        subject = "API keys of yours were found in public" if many else "Your API key was found in public"
        return Mail(user.email, subject, "\n\n".join(parts))

    def may_send(self, kind: str, user: User) -> bool:
        """Count a mail; False, and an event, for a mailbox that has had enough of them."""
        base = self._base
        try:
            if base.limiter.may_send(kind, user.email):
                return True
        except VerificationUnavailableError:
            return True  # the caller was counted, and a mail that is lost costs its owner more
        base.audit.record(Event("mail", False, base.clock(), "limit", user_id=user.id))
        return False

    def find_addressee(self, email: str) -> User | None:
        """Find the account to write to."""
        address = parse_email(email)
        if address is None:
            return None
        with self._base.database.read() as connection:
            row = store.find_user_by_address(connection, address)
        return None if row is None or row.user.disabled else row.user


def _found_key(key: Untold) -> str:
    """Return the lines of a mail that name a key and where it was found."""
    made = datetime.fromtimestamp(int(key.created_at), UTC).date().isoformat()
    lines = [f"{key.text}_…", f"Id: {key.key_id}", f"Created: {made}"]
    if key.source != "unknown":
        lines.append(f"Found in: {key.source.replace('_', ' ')}")
    if key.place is not None:
        lines.append(f"Place: {key.place}")
    return "\n".join(lines)
