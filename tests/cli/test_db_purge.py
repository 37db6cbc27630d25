"""`authguard db purge` in several processes at once, on both databases."""

import json
import time

import pytest

from cli.support import ISSUER, PASSWORD, SECRET, invoke, run_at_once
from identity.support import service_at


@pytest.mark.slow
def test_processes_share_the_work(service):
    """Concurrent purges delete each old session once, and keep a live one."""
    given = {"secret": SECRET, "issuer": ISSUER}
    past = time.time() - 400 * 86_400
    with service_at(service["AUTHGUARD_DATABASE"], clock=lambda: past, **given) as before:
        user = before.accounts.create("ann@example.com", PASSWORD)
        for _ in range(90):
            before.accounts.issue_tokens(user.id)
    with service_at(service["AUTHGUARD_DATABASE"], clock=time.time, **given) as now:
        bob = now.accounts.create("bob@example.com", PASSWORD)
        now.accounts.issue_tokens(bob.id)
    ended = run_at_once(3, "db", "purge", "--json", **service)
    assert [each.returncode for each in ended] == [0, 0, 0]
    answers = [json.loads(each.stdout) for each in ended]
    assert sum(answer["sessions"] for answer in answers) == 90
    shown = invoke("users", "show", "bob@example.com", "--json", **service)
    assert json.loads(shown.stdout)["sessions"] == 1


@pytest.mark.one_database
def test_numbers_are_written(service):
    """The purge writes the numbers of deleted rows."""
    done = invoke("db", "purge", **service)
    assert (done.exit_code, done.stdout) == (0, "Deleted: 0 sessions, 0 links, 0 mails.\n")
