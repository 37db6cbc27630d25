"""`authguard keys delete`: all sessions end after a restore or a leak, with another secret."""

import json
import time

import pytest

from authguard.errors import ConfigurationError, InvalidTokenError
from cli.support import ISSUER, PASSWORD, SECRET, invoke
from identity.support import CALLER, service_at

ANN = "ann@example.com"
NEW = "an0ther-c0mmand-0nly-Secret-of-bytes-5Kd"
ALGORITHMS = pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])


def running(variables, algorithm, secret=SECRET):
    """Return a service with the variables of a command."""
    return service_at(
        variables["AUTHGUARD_DATABASE"], issuer=ISSUER, algorithm=algorithm, secret=secret, clock=time.time
    )


def signed_in(variables, algorithm):
    """Return tokens of an account that the service has created."""
    with running(variables, algorithm) as service:
        service.accounts.register(ANN, PASSWORD, "Ann", CALLER)
        return service.accounts.login(ANN, PASSWORD, CALLER)


@pytest.mark.slow
@ALGORITHMS
def test_another_secret_and_new_keys_end_all_sessions(service, algorithm):
    """With another secret and without the signing keys, the service runs, and refuses all older tokens."""
    tokens = signed_in(service, algorithm)
    changed = service | {"AUTHGUARD_ALGORITHM": algorithm, "AUTHGUARD_SECRET": NEW}
    says = r"as previous_secret, or, to end all sessions, run `authguard keys delete`$"
    with running(service, algorithm, NEW) as after, pytest.raises(ConfigurationError, match=says):
        after.keys.current(time.time())
    done = invoke("keys", "delete", "--yes", **changed)
    assert (done.exit_code, done.stdout) == (0, "Signing keys deleted: 1. Their tokens are refused.\n")
    with running(service, algorithm, NEW) as after:
        assert after.accounts.login(ANN, PASSWORD, CALLER).user.email == ANN
    seen = invoke("token", "inspect", "--json", given=tokens.access_token, **changed)
    assert (seen.exit_code, json.loads(seen.stdout)["code"]) == (1, "kid")
    with running(service, algorithm, NEW) as after, pytest.raises(InvalidTokenError):
        after.sessions.refresh(tokens.refresh_token, CALLER)


def test_a_running_service_creates_a_new_key(service):
    """A service whose keys were deleted creates a new one, and refuses tokens of the deleted one."""
    signed_in(service, "ES256")
    with running(service, "ES256") as one, running(service, "ES256") as other:
        (before,) = one.keys.public_keys(time.time())
        assert other.delete_keys() == 1
        assert other.audit.counts()["delete_keys", "success"] == 1
        (after,) = other.keys.public_keys(time.time())
        one.keys.load(time.time())
        assert before["kid"] != after["kid"] == one.keys.current(time.time()).kid


def test_without_keys_nothing_is_deleted(service):
    """With HS256 the command deletes nothing, and tokens stay valid."""
    tokens = signed_in(service, "HS256")
    done = invoke("keys", "delete", "--yes", **service)
    assert (done.exit_code, done.stdout) == (0, "Signing keys deleted: 0.\n")
    assert invoke("token", "inspect", given=tokens.access_token, **service).exit_code == 0


@pytest.mark.one_database
def test_keys_are_deleted_after_a_confirmation(service):
    """Without `--yes` the command asks, and any other answer deletes nothing."""
    signed_in(service, "ES256")
    variables = service | {"AUTHGUARD_ALGORITHM": "ES256"}
    refused = invoke("keys", "delete", given="n\n", **variables)
    assert refused.exit_code == 1 and "deleted" not in refused.stdout
    done = invoke("keys", "delete", given="y\n", **variables)
    assert done.exit_code == 0 and "Signing keys deleted: 1." in done.stdout
