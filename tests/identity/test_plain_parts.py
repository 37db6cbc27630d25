"""Parts of the service with async methods, which are refused because a coroutine is true."""

import functools
from types import SimpleNamespace
from typing import Any

import pytest

from authguard import ConfigurationError
from authguard.identity import IdentityService
from authguard.identity.limits import Limiter
from authguard.identity.mail.outbox import Outbox
from authguard.identity.passwords.hashing import PasswordHasher, PasswordPolicy
from identity.support import Postbox, settings

pytestmark = pytest.mark.one_database


async def coroutine(*arguments: Any, **options: Any) -> bool:
    """Return False, as an async method."""
    return False


PARTS = [
    ("mailer", "send", Postbox),
    ("policy", "check", PasswordPolicy),
    ("breaches", "is_breached", SimpleNamespace),
    ("hasher", "hash", PasswordHasher),
    ("hasher", "verify", PasswordHasher),
    ("hasher", "verify_dummy", PasswordHasher),
    ("hasher", "needs_rehash", PasswordHasher),
    ("limiter", "hit", Limiter),
    ("limiter", "count_login", Limiter),
]


@pytest.mark.parametrize(("option", "method", "make"), PARTS)
def test_an_async_method_is_refused(option: str, method: str, make: Any) -> None:
    """A part with an async method is refused when the service is built."""
    part = type("Part", (make,), {method: coroutine})()
    with pytest.raises(ConfigurationError, match=f"{option} must have a plain {method}, got an async one"):
        IdentityService(settings("sqlite:////nowhere/unused.db"), **{option: part})


def test_an_async_audit_hook_is_refused() -> None:
    """An async audit hook is refused, because its events would be lost."""
    for hook in (coroutine, functools.partial(coroutine)):
        with pytest.raises(ConfigurationError, match="audit_hook must be a plain function, got an async one"):
            IdentityService(settings("sqlite:////nowhere/unused.db"), audit_hook=hook)


def test_an_outbox_refuses_an_async_mailer() -> None:
    """An outbox with an async mailer is refused, because its mails would count as sent."""
    with pytest.raises(ConfigurationError, match="mailer must have a plain send, got an async one"):
        Outbox(SimpleNamespace(send=coroutine))  # type: ignore[arg-type]
