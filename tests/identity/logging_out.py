"""Log an account out in a process that is killed before the other store has the logout."""

import os
import sys
import time

from identity.elsewhere import principal_of
from identity.support import ANN, CALLER, PASSWORD, service_at


def main() -> None:
    """Sign in, tell the session to the test, and log out."""
    url, store = os.environ["TEST_DATABASE"], os.environ["TEST_REDIS"]
    with service_at(url, clock=time.time, revocations_url=store) as service:
        tokens = service.accounts.login(ANN["email"], PASSWORD, CALLER)
        sys.stdout.write(f"{tokens.session_id}\n")
        sys.stdout.flush()
        service.sessions.log_out(principal_of(service, tokens), CALLER)
        sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
