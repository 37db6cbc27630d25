"""Run the service that tests kill, starve and restart, in a process of its own: see `service_process`."""

import os
import time
from pathlib import Path

from authguard.identity import Identity, IdentityService
from authguard.identity.limits import Limiter
from authguard.identity.mail.mailer import Mailer, SMTPMailer
from authguard.identity.passwords.hashing import PasswordHasher
from identity.support import GENEROUS, Postbox, settings

SMTP = os.environ.get("TEST_SMTP")
CLOCK = os.environ.get("TEST_CLOCK")


def clock() -> float:
    """Return the time, moved by the seconds in a file, if it exists."""
    return time.time() + (float(Path(CLOCK).read_text()) if CLOCK else 0.0)


mailer: Mailer = SMTPMailer(SMTP, sender="accounts@example.com") if SMTP else Postbox()
app = Identity(
    IdentityService(
        settings(os.environ["TEST_DATABASE"]),
        mailer=mailer,
        hasher=PasswordHasher.cheap(),
        limiter=Limiter(limits=GENEROUS),
        clock=clock,
    )
)
