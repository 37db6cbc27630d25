"""Create the mails about API keys: one mail for all due rows of an account that the queue has taken."""

from collections.abc import Sequence
from functools import partial

from authguard.identity.keys.stages import days_left
from authguard.identity.mail.mailer import Mail
from authguard.identity.model import KEY_EVENTS, User
from authguard.identity.storage import exposure_queries as exposure_store
from authguard.identity.storage import key_event_queries as event_store
from authguard.identity.storage.key_event_queries import EventOfKey, KeyEvent
from authguard.identity.storage.mails.queries import WaitingMail
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.mail_texts import exposed_mail, key_mail
from authguard.identity.usecases.mails.queue import LIMITED, FullMailboxError
from authguard.identity.usecases.notices import count_mail

#: The kind of the mails about keys that were found in public.
EXPOSED_KIND = "api_key_exposed"
# Counted separately for the limit of a mailbox, so that many mails of one kind do not delay others.
_SECURITY, _EXPIRY, _EXPOSED = "api_key", "api_key_expiry", "exposed"


def kind_of(name: str) -> str:
    """Return the kind of the mails about events of a name."""
    return f"api_key_{name}"


def details_of(event: KeyEvent) -> str:
    """Return the details of an event in a row of the queue: key and number.

    The kind of the row is the name.
    """
    return f"{event.key_id} {event.number}"


class KeyMails:
    """Make the mails about keys.

    Args:
        base: the common parts of use cases.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        for name in KEY_EVENTS:
            base.mails.register_together(kind_of(name), partial(self._of_events, name))
        base.mails.register_together(EXPOSED_KIND, self._of_exposures)

    def _of_events(self, name: str, mails: Sequence[WaitingMail], user: User) -> Mail | None:
        """Return the mail about events of one name; None if they are obsolete."""
        if user.disabled:
            return None
        wanted = {mail.details for mail in mails}
        with self._base.database.read() as connection:
            events = event_store.list_events(connection, name, {text.partition(" ")[0] for text in wanted})
        now = self._base.clock()
        told = [each for each in events if details_of(each.event) in wanted and _is_told(each, now)]
        if not told:
            return None
        self._count(_EXPIRY if name in ("expiring", "expired") else _SECURITY, mails, user)
        return key_mail(told, user, self._base.settings)

    def _of_exposures(self, mails: Sequence[WaitingMail], user: User) -> Mail | None:
        """Return the mail about keys that were found in public; None if they were deleted."""
        with self._base.database.read() as connection:
            keys = exposure_store.list_keys_for_mail(connection, [mail.details for mail in mails])
        if not keys:
            return None
        self._count(_EXPOSED, mails, user)
        return exposed_mail(keys, user, self._base.settings)

    def _count(self, kind: str, mails: Sequence[WaitingMail], user: User) -> None:
        """Count a mail, unless an earlier attempt was counted.

        Raises:
            FullMailboxError: if the mailbox has reached its limit.
        """
        is_counted = any(mail.tries > 1 and mail.reason != LIMITED for mail in mails)
        if not is_counted and not count_mail(self._base, kind, user):
            raise FullMailboxError


def _is_told(entry: EventOfKey, now: float) -> bool:
    """Return whether the owner must still be notified of an event."""
    event, key = entry
    # A later mail contains newer information.
    return event.name != "expiring" or (key.revoked_at is None and days_left(key, now) == event.number)
