"""Events of failures: each flow leaves one for a refusal and one for an outage, with a documented reason."""

import logging
import re
from pathlib import Path

import pytest
from sqlalchemy import event, exc
from starlette.testclient import TestClient

from authguard.errors import RefusedError, VerificationUnavailableError
from authguard.identity import Identity
from authguard.identity.errors import OAuthError, StoreUnavailableError
from authguard.identity.limits import Limiter
from authguard.identity.model import SocialIdentity
from authguard.identity.reasons import Flow, Reason
from identity.support import ANN, CALLER, GENEROUS, PASSWORD, Postbox, service_at
from identity.test_sessions import principal_of, register

pytestmark = pytest.mark.slow_on_postgresql

DOCS = Path(__file__).parents[2] / "docs/identity.md"
NEW = "NewSecurePass456!"
SOCIAL = SocialIdentity("github", "1", "bob@example.com", email_verified=True)


@pytest.fixture
def events():
    return []


@pytest.fixture
def audited(url, clock, events):
    with service_at(url, clock=clock, postbox=Postbox(), hook=events.append) as service:
        yield service


def of(events):
    return [(each.name, each.succeeded, each.reason) for each in events if each.name != "mail"]


#: Each flow with a request that it refuses, and the reason.
REFUSALS = {
    "register": (lambda s, me: s.accounts.register("bob@example.com", "weak", "", CALLER), "invalid_fields"),
    "register, address": (lambda s, me: s.accounts.register("bob", PASSWORD, "", CALLER), "invalid_fields"),
    "login": (lambda s, me: s.accounts.login("bob@example.com", PASSWORD, CALLER), "unknown"),
    "change_password": (
        lambda s, me: s.accounts.change_password(me, PASSWORD, "weak", CALLER),
        "invalid_fields",
    ),
    "ask_email_change": (
        lambda s, me: s.address_changes.ask(me, "bob@example.com", "wrong", CALLER),
        "invalid_fields",
    ),
    "ask_email_change, address": (
        lambda s, me: s.address_changes.ask(me, "bob", PASSWORD, CALLER),
        "invalid_fields",
    ),
    "change_email": (lambda s, me: s.address_changes.change("no", CALLER), "invalid_link"),
    "delete": (lambda s, me: s.deletion.delete(me, "wrong", CALLER), "invalid_fields"),
    "reset_password": (lambda s, me: s.links.reset_password("no", NEW, CALLER), "invalid_link"),
    "verify_email": (lambda s, me: s.links.confirm_email("no", CALLER), "invalid_link"),
    "decline": (lambda s, me: s.links.decline_registration("no", CALLER), "invalid_link"),
    "session_end": (lambda s, me: s.sessions.end(me, "no", CALLER), "not_found"),
    "unlink": (lambda s, me: s.linking.unlink(me, "github", CALLER), "not_found"),
    "client": (lambda s, me: s.clients.authenticate("no", "no", CALLER), "invalid_client"),
    "create": (lambda s, me: s.accounts.create(ANN["email"], PASSWORD), "email_taken"),
    "disable": (lambda s, me: s.accounts.disable("no"), "not_found"),
    "enable": (lambda s, me: s.accounts.disable("no", disabled=False), "not_found"),
    "issue_tokens": (lambda s, me: s.accounts.issue_tokens("no"), "not_found"),
}


@pytest.mark.parametrize("flow", REFUSALS)
def test_refusal_leaves_one_event(audited, events, flow):
    """A refusal leaves exactly one event, with its reason."""
    me = principal_of(audited, register(audited).access_token)
    ask, reason = REFUSALS[flow]
    del events[:]
    with pytest.raises((RefusedError, OAuthError)):
        ask(audited, me)
    assert of(events) == [(flow.partition(",")[0], False, reason)]


#: Each flow that asks the database.
FLOWS = {
    "register": lambda s, t, me: s.accounts.register("bob@example.com", PASSWORD, "", CALLER),
    "login": lambda s, t, me: s.accounts.login(ANN["email"], PASSWORD, CALLER),
    "refresh": lambda s, t, me: s.sessions.refresh(t.refresh_token, CALLER),
    "prolong": lambda s, t, me: s.sessions.prolong(me, CALLER),
    "logout": lambda s, t, me: s.sessions.log_out(me, CALLER),
    "logout_everywhere": lambda s, t, me: s.sessions.log_out_everywhere(me, CALLER),
    "session_end": lambda s, t, me: s.sessions.end(me, t.session_id, CALLER),
    "forgot_password": lambda s, t, me: s.links.request_password_reset(ANN["email"], CALLER),
    "resend_verification": lambda s, t, me: s.links.resend_verification(ANN["email"], CALLER),
    "reset_password": lambda s, t, me: s.links.reset_password("no", NEW, CALLER),
    "change_password": lambda s, t, me: s.accounts.change_password(me, PASSWORD, NEW, CALLER),
    "ask_email_change": lambda s, t, me: s.address_changes.ask(me, "b@example.com", PASSWORD, CALLER),
    "change_email": lambda s, t, me: s.address_changes.change("no", CALLER),
    "delete": lambda s, t, me: s.deletion.delete(me, PASSWORD, CALLER),
    "verify_email": lambda s, t, me: s.links.confirm_email("no", CALLER),
    "decline": lambda s, t, me: s.links.decline_registration("no", CALLER),
    "social": lambda s, t, me: s.sign_in_with(SOCIAL, CALLER),
    "unlink": lambda s, t, me: s.linking.unlink(me, "github", CALLER),
    "client": lambda s, t, me: s.clients.authenticate("known", "no", CALLER),
    "introspect": lambda s, t, me: s.clients.introspect(t.access_token, s.client, CALLER),
    "revoke": lambda s, t, me: s.clients.revoke(t.refresh_token, None, CALLER),
    "api_key_disable": lambda s, t, me: s.api_keys.disable(me, "key_1", CALLER),
    "api_key_revoke": lambda s, t, me: s.api_keys.revoke(me, "key_1", CALLER),
    "create": lambda s, t, me: s.accounts.create("bob@example.com", PASSWORD),
}


@pytest.mark.parametrize("flow", FLOWS)
def test_outage_of_the_database_leaves_one_event(audited, events, flow, caplog):
    """An outage leaves an event with `unavailable`, and a log line with the reason but no statement."""
    tokens = register(audited)
    me = principal_of(audited, tokens.access_token)
    audited.client, _ = audited.clients.create("reports")
    assert audited.outbox.flush()

    def fail(connection, cursor, statement, *_):
        cause = Exception(statement)
        cause.sqlite_errorname = "SQLITE_FULL"
        raise exc.OperationalError(statement, {}, cause)

    event.listen(audited.database.engine, "before_cursor_execute", fail)
    del events[:]
    with caplog.at_level(logging.WARNING), pytest.raises(StoreUnavailableError):
        FLOWS[flow](audited, tokens, me)
    assert of(events) == [(flow, False, "unavailable")]
    assert "the disk is full (SQLITE_FULL)" in caplog.text
    assert "SELECT" not in caplog.text


def test_body_that_cannot_be_used_leaves_a_line(audited, caplog):
    """An invalid body leaves a log line with the path and the fields, and without their values."""
    client = TestClient(Identity(audited))
    with caplog.at_level(logging.INFO):
        answer = client.post("/v1/auth/register", json={"email": 1, "password": PASSWORD})
    assert answer.status_code == 422
    assert "a request to '/v1/auth/register' was answered with 422: email" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.slow
def test_outage_of_the_api_leaves_a_line(url, caplog):
    """The 503s of the API for one fault, such as a store of limits that is down, leave one line."""
    with (
        service_at(url, limiter=Limiter("redis://127.0.0.1:9")) as service,
        caplog.at_level(logging.WARNING),
    ):
        client = TestClient(Identity(service))
        answers = [client.post("/v1/auth/login", json=ANN) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503] * 3
    (line,) = [each.getMessage() for each in caplog.records if "127.0.0.1:9" in each.getMessage()]
    assert line.startswith("the store of limits cannot be asked: ") and "limits_url" in line


class _Dying(Limiter):
    """A limiter whose store fails after it has counted."""

    def clear(self, name, *key, address=None):
        """Raise the error of a store that is down."""
        raise VerificationUnavailableError("the store of limits is down")


def test_store_of_limits_that_dies_after_counting_keeps_nobody_out(url, caplog, events):
    """A login succeeds if the store of limits fails after counting, and the log reports the failure."""
    with service_at(url, limiter=_Dying(limits=GENEROUS), hook=events.append) as service:
        service.accounts.create(ANN["email"], PASSWORD)
        with caplog.at_level(logging.WARNING):
            answer = TestClient(Identity(service)).post("/v1/auth/login", json=ANN)
        assert (answer.status_code, bool(answer.json()["access_token"])) == (200, True)
        assert ("login", True, "") in of(events)
    assert "the tries of a sign-in are not forgotten" in caplog.text


def _documented(heading):
    """Return the names in the first column of a table of the audit."""
    text = DOCS.read_text(encoding="utf-8").partition("\n## Audit\n")[2].partition("\n## ")[0]
    table = text.partition(f"| {heading} |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


@pytest.mark.parametrize(("heading", "names"), [("event", Flow), ("reason", Reason)])
def test_names_are_documented(heading, names):
    """docs/identity.md has each name of an event or reason once, and no other name."""
    assert sorted(_documented(heading)) == sorted(names)
