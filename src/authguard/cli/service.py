"""Open the identity service for commands; most of them need neither a mail server nor limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from authguard.cli.output import Failure
from authguard.errors import ConfigurationError

if TYPE_CHECKING:
    from authguard.identity import IdentityService, Settings, User
    from authguard.identity.mail.mailer import Mail


class _NoMailer:
    """Refuse to send: such commands send no mails, and need no mail server."""

    def send(self, mail: "Mail") -> None:
        """Refuse."""
        raise ConfigurationError("a command must send no mails, got one")


@contextmanager
def open_service(settings: "Settings", *, sends_mails: bool = False) -> Iterator["IdentityService"]:
    """Open the use cases, if the tables are of this version.

    Args:
        settings: those of the service.
        sends_mails: whether mails are sent, and count against the limits of the service.

    Raises:
        ConfigurationError: if the tables are of another version.
    """
    from authguard.identity import IdentityService
    from authguard.identity.limits import Limiter
    from authguard.identity.storage import migrations

    if sends_mails:
        service = IdentityService(settings)
    else:
        # Commands are not limited, so they need no store of limits.
        service = IdentityService(settings, mailer=_NoMailer(), limiter=Limiter())
        service.mails.leave_to_others()
    try:
        migrations.check(service.database)
        yield service
    finally:
        service.close()


def find_user(service: "IdentityService", account: str) -> "User":
    """Return the account with this address or this id.

    Raises:
        Failure: if no account has it.
    """
    if "@" in account:
        user = service.accounts.find(account)
    else:
        # Some databases reject other characters.
        is_plain = account.isascii() and account.isprintable()
        user = service.accounts.find_by_id(account) if is_plain else None
    if user is None:
        raise Failure(f"no account has this {'address' if '@' in account else 'id'}")
    return user
