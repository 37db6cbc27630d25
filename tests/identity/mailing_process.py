"""Request mails in a process that is killed while they are sent; see test_mail_queue."""

import json
import os
import sys

from authguard.identity import Caller
from authguard.identity.mail.mailer import SMTPMailer
from identity.support import Clock, service_at


def main() -> None:
    """Request a mail to each address, acknowledge it, and send mails until the process is killed."""
    mailer = SMTPMailer(os.environ["TEST_SMTP"], sender="accounts@example.com")
    with service_at(os.environ["TEST_DATABASE"], postbox=mailer, clock=Clock()) as service:
        for email in json.loads(os.environ["TEST_ADDRESSES"]):
            service.links.request_password_reset(email, Caller("192.0.2.1", "tests"))
            sys.stdout.write(f"{email}\n")
            sys.stdout.flush()
        service.outbox.flush(60)
        sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
