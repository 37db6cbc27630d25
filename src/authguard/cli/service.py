"""Open the identity service for commands; most of them need neither a mail server nor limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from authguard.cli.output import Failure, note
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

    A change whose revocations are only in the database succeeds with a remark, unless it can be repeated.

    Args:
        settings: those of the service.
        sends_mails: whether mails are sent, and count against the limits of the service.

    Raises:
        ConfigurationError: if the tables are of another version.
        Failure: if only the store of `revocations_url` lacks a revocation.
    """
    from authguard.identity import IdentityService
    from authguard.identity.errors import RevocationWaitsError
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
        if service.database.unspread is not None:
            note(_waiting(service.database.unspread.reason))
    except RevocationWaitsError as error:
        raise Failure(f"{_waiting(error.reason)}, or repeat the command until it succeeds") from None
    finally:
        service.close()


def _waiting(reason: str) -> str:
    """Return the fault of the store that lacks a revocation, the consequence, and the remedy."""
    return (
        f"the change is in the database, but its revocations are not in the other store: {reason}. Guards "
        "that follow this store may accept what has ended: repair it; a running service with this setting "
        "writes the revocations then"
    )


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
