"""Record which keys expire and send the mails, in several processes at once; see test_key_notice_processes.

For each line of JSON on the standard input, the given number of processes is forked, so that the modules are
loaded once. They begin together, at an empty line. The audited events of keys, and the numbers of actions,
are lines of JSON on the standard output; the statuses of the processes come last.
"""

import json
import os
import sys
from typing import Any

from authguard.identity import IdentityService
from authguard.identity.audit import Event
from authguard.identity.limits import Limiter
from authguard.identity.mail.mailer import SMTPMailer
from authguard.identity.passwords.hashing import PasswordHasher
from identity.support import GENEROUS, settings


def say(**values: object) -> None:
    """Write a message for the test."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def hear(event: Event) -> None:
    """Report an event of a key to the test."""
    if event.name.startswith("api_key"):
        say(name=event.name, reason=event.reason, key_id=event.key_id)


def main() -> None:
    """Run processes for each line. When they are forked, no connection is open."""
    while line := sys.stdin.readline():
        options = json.loads(line)
        start, let_start = os.pipe()
        pids = []
        for _ in range(options["processes"]):
            if (pid := os.fork()) == 0:
                os.close(let_start)
                notify(options, start)
                os._exit(0)
            pids.append(pid)
        sys.stdin.readline()
        os.close(let_start)
        os.close(start)
        say(end=[os.waitpid(pid, 0)[1] for pid in pids])


def notify(options: dict[str, Any], start: int) -> None:
    """Do all due work at the time that the test has set."""
    service = IdentityService(
        settings(options["database"]),
        mailer=SMTPMailer(options["smtp"], sender="accounts@example.com"),
        hasher=PasswordHasher.cheap(),
        limiter=Limiter(limits=GENEROUS),
        audit_hook=hear,
        clock=lambda: float(options["now"]),
    )
    say(ready=os.getpid())
    os.read(start, 1)
    service.key_notices.step()
    say(is_done=service.mails.run(), noted=service.key_notices.noted, sent=service.mails.sent)
    service.close()


if __name__ == "__main__":
    main()
