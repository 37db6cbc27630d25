"""Send mails that notify the owner of an account of events, after the answer."""

from sqlalchemy import Connection

from authguard.errors import VerificationUnavailableError
from authguard.identity.audit import Event
from authguard.identity.mail.addresses import parse_email
from authguard.identity.mail.mailer import Mail
from authguard.identity.model import User, provider_title
from authguard.identity.storage import linking_queries as linking_store
from authguard.identity.storage.mails.queries import WaitingMail
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.mails import texts
from authguard.identity.usecases.proofs import EndedSignIns

_NOTICE = "notice"
_IDENTITY = "identity"


class Notices:
    """Send mails without links, and limit the mails to one mailbox.

    Args:
        base: the common parts of use cases.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        base.mails.register("registration", self._registration, alike=True)
        base.mails.register("refused_link", self._refused_link)
        base.mails.register("new_password", self._new_password)
        base.mails.register("linked", self._linked)
        base.mails.register("unlinked", self._unlinked)
        base.mails.register("identities_ended", self._identities_ended)

    def tell_of_registration(self, connection: Connection, email: str) -> None:
        """Notify the owner of an address that a registration with it was refused.

        The address may only look like that of an account. Its mails count as those of the account, so that no
        mailbox gets more of them.
        """
        if (address := parse_email(email)) is not None:
            self._base.mails.add(connection, "registration", address=address)

    def tell_of_refused_link(self, connection: Connection, email: str, provider: str) -> None:
        """Notify the owner of an address that a sign-in with a provider was refused.

        The provider has not verified the address.
        """
        if (address := parse_email(email)) is not None:
            self._base.mails.add(connection, "refused_link", address=address, details=provider)

    def tell_of_new_password(self, connection: Connection, user_id: str) -> None:
        """Notify the owner of an account that its password was changed (ASVS 6.3.7)."""
        self._base.mails.add(connection, "new_password", user_id=user_id)

    def tell_of_identity(
        self, connection: Connection, user: User, provider: str, ended: EndedSignIns
    ) -> None:
        """Notify the owner of an account that a provider was linked, and which ways to sign in have ended."""
        names = [name for name in ("password", "identities") if getattr(ended, name)]
        details = " ".join((provider, *names))
        self._base.mails.add(connection, "linked", user_id=user.id, details=details)

    def tell_of_unlinking(self, connection: Connection, user_id: str, provider: str) -> None:
        """Notify the owner of an account that a provider was unlinked."""
        self._base.mails.add(connection, "unlinked", user_id=user_id, details=provider)

    def tell_of_ended_identities(self, connection: Connection, user_id: str) -> None:
        """Notify the owner of an account that a proof of the address has ended links to providers."""
        self._base.mails.add(connection, "identities_ended", user_id=user_id)

    def _registration(self, mail: WaitingMail, user: User) -> Mail | None:
        if user.disabled or not self.may_send(_NOTICE, mail, user):
            return None
        if mail.address is not None:
            return Mail(mail.address, *texts.similar_registration(self._base.settings))
        return Mail(user.email, *texts.registration(self._base.settings))

    def _refused_link(self, mail: WaitingMail, user: User) -> Mail | None:
        if user.disabled or not self.may_send(_NOTICE, mail, user):
            return None
        return Mail(user.email, *texts.refused_link(self._base.settings, provider_title(mail.details)))

    def _new_password(self, mail: WaitingMail, user: User) -> Mail | None:
        with self._base.database.read() as connection:
            identities = linking_store.list_identities(connection, user.id)
        titles = sorted({identity.title for identity in identities})
        return Mail(user.email, *texts.new_password(self._base.settings, titles))

    def _linked(self, mail: WaitingMail, user: User) -> Mail | None:
        provider, *ended = mail.details.split(" ")
        text = texts.linked(self._base.settings, provider_title(provider), ended)
        return Mail(user.email, *text) if self.may_send(_IDENTITY, mail, user) else None

    def _unlinked(self, mail: WaitingMail, user: User) -> Mail | None:
        text = texts.unlinked(self._base.settings, provider_title(mail.details))
        return Mail(user.email, *text) if self.may_send(_IDENTITY, mail, user) else None

    def _identities_ended(self, mail: WaitingMail, user: User) -> Mail | None:
        text = texts.identities_ended(self._base.settings)
        return Mail(user.email, *text) if self.may_send(_IDENTITY, mail, user) else None

    def may_send(self, kind: str, mail: WaitingMail, user: User) -> bool:
        """Count a mail at its first attempt; False, with an event, if its mailbox has reached the limit."""
        return mail.tries > 1 or count_mail(self._base, kind, user)


def count_mail(base: Base, kind: str, user: User) -> bool:
    """Count a mail; False, with an event, if its mailbox has reached the limit."""
    try:
        if base.limiter.may_send(kind, user.email):
            return True
    except VerificationUnavailableError:
        return True  # the request of the caller was counted, and a lost mail would be worse for the owner
    base.audit.record(Event("mail", False, base.clock(), "limit", user_id=user.id))
    return False
