"""`authguard db purge`: several processes at once, on both databases."""

import json
import subprocess
import time

import pytest

from cli.support import COMMAND, ISSUER, PASSWORD, SECRET, environment, invoke
from identity.support import service_at


def test_processes_share_the_work(service):
    """Of several processes that purge at once, each old session is deleted by one, and a living one stays."""
    given = {"secret": SECRET, "issuer": ISSUER}
    past = time.time() - 400 * 86_400
    with service_at(service["AUTHGUARD_DATABASE"], clock=lambda: past, **given) as before:
        user = before.accounts.create("ann@example.com", PASSWORD)
        for _ in range(90):
            before.accounts.issue_tokens(user.id)
    with service_at(service["AUTHGUARD_DATABASE"], clock=time.time, **given) as now:
        bob = now.accounts.create("bob@example.com", PASSWORD)
        now.accounts.issue_tokens(bob.id)
    command = [COMMAND, "db", "purge", "--json"]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(**service))
        for _ in range(3)
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(answer["sessions"] for answer in answers) == 90
    shown = invoke("users", "show", "bob@example.com", "--json", **service)
    assert json.loads(shown.stdout)["sessions"] == 1


@pytest.mark.one_database
def test_numbers_are_written(service):
    """It writes how much it has deleted, for people, too."""
    done = invoke("db", "purge", **service)
    assert (done.exit_code, done.stdout) == (0, "Deleted: 0 sessions, 0 links, 0 mails.\n")
