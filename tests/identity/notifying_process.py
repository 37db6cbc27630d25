"""Note which keys expire and send the mails, beside others that do the same; see test_key_notice_processes.

It begins with a line on the standard input. The audited events of keys, and the numbers of what was done, are
lines of JSON on the standard output.
"""

import json
import os
import sys

from authguard.identity import IdentityService
from authguard.identity.audit import Event
from authguard.identity.limits import Limiter
from authguard.identity.mail.mailer import SMTPMailer
from authguard.identity.passwords.hashing import PasswordHasher
from identity.support import GENEROUS, settings


def say(**values: object) -> None:
    """Tell the test something."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def hear(event: Event) -> None:
    """Tell the test of an event of a key."""
    if event.name.startswith("api_key"):
        say(name=event.name, reason=event.reason, key_id=event.key_id)


def main() -> None:
    """Run once, at the time that the test has set."""
    now = float(os.environ["TEST_NOW"])
    service = IdentityService(
        settings(os.environ["TEST_DATABASE"]),
        mailer=SMTPMailer(os.environ["TEST_SMTP"], sender="accounts@example.com"),
        hasher=PasswordHasher.cheap(),
        limiter=Limiter(limits=GENEROUS),
        audit_hook=hear,
        clock=lambda: now,
    )
    say(ready=True)
    sys.stdin.readline()
    is_done = service.key_notices.run()
    say(is_done=is_done, noted=service.key_notices.noted, sent=service.key_notices.sent)
    service.close()


if __name__ == "__main__":
    main()
