"""Audit: an event for success and failure of each flow, without secrets; a hook; counters."""

import logging

import pytest
from starlette.testclient import TestClient

from authguard import _logs
from authguard._logs.by_reason import LineCounts
from authguard.errors import RefusedError
from authguard.identity import APIKeyRequest, Identity, SocialIdentity
from authguard.identity.errors import InvalidCredentialsError, InvalidLinkError
from authguard.identity.limits import Limit
from authguard.identity.model import Operator
from identity.support import CALLER, PASSWORD, service_at
from identity.test_sessions import principal_of, register

pytestmark = pytest.mark.slow_on_postgresql

NEW = "NewSecurePass456!"
SOCIAL = SocialIdentity("github", "1", "ann@example.com", email_verified=False)


@pytest.fixture
def events():
    return []


@pytest.fixture
def audited(url, clock, postbox, events):
    with service_at(url, clock=clock, postbox=postbox, hook=events.append) as service:
        yield service


def everything(service, postbox, clock):
    """Run each flow once with success and once without."""
    tokens = register(service)
    me = principal_of(service, tokens.access_token)
    service.outbox.flush()
    service.links.confirm_email(postbox.token(), CALLER)
    service.links.request_password_reset("ann@example.com", CALLER)
    service.outbox.flush()
    second = service.accounts.login("ann@example.com", PASSWORD, CALLER)
    refreshed = service.sessions.refresh(tokens.refresh_token, CALLER)
    service.sessions.refresh(refreshed.refresh_token, CALLER)
    service.sessions.end(me, second.session_id, CALLER)
    service.accounts.change_password(me, PASSWORD, NEW, CALLER)
    service.links.request_password_reset("ann@example.com", CALLER)
    service.outbox.flush()
    reset = next(mail for mail in reversed(postbox.mails) if "token=" in mail.text)
    failures = [
        lambda: register(service),
        lambda: service.accounts.login("ann@example.com", "wrong", CALLER),
        lambda: service.sessions.refresh("rt_garbage", CALLER),
        lambda: service.sessions.end(me, second.session_id, CALLER),
        lambda: service.accounts.change_password(me, "wrong", PASSWORD, CALLER),
        lambda: service.links.confirm_email("wrong", CALLER),
        lambda: service.links.reset_password("wrong", NEW, CALLER),
        lambda: service.sign_in_with(SOCIAL),
    ]
    clock.go_on(31)
    failures.append(lambda: service.sessions.refresh(tokens.refresh_token, CALLER))
    for failure in failures:
        with pytest.raises(RefusedError):
            failure()
    service.links.reset_password(reset.text.partition("token=")[2].split()[0], PASSWORD, CALLER)
    third = service.accounts.login("ann@example.com", PASSWORD, CALLER)
    service.sessions.log_out(principal_of(service, third.access_token), CALLER)
    service.sessions.log_out_everywhere(me, CALLER)
    service.sign_in_with(SocialIdentity("github", "2", "bob@example.com", email_verified=True))
    service.accounts.disable(tokens.user.id)
    service.outbox.flush()


@pytest.mark.slow
def test_each_flow_has_events(audited, events, postbox, clock):
    """Success and failure of each flow reach the hook."""
    everything(audited, postbox, clock)
    both = {"register", "login", "refresh", "session_end", "change_password", "verify_email",
            "reset_password", "social"}  # fmt: skip
    succeeded = {event.name for event in events if event.succeeded}
    failed = {event.name for event in events if not event.succeeded}
    assert succeeded == both | {"forgot_password", "logout", "logout_everywhere", "disable", "mail"}
    assert failed == both
    assert ("refresh", "reuse") in {(event.name, event.reason) for event in events}


def test_a_sign_in_is_told_with_its_session(audited, events):
    """The event of a sign-in, by a password or by a provider, has the id of the new session."""
    register(audited)
    tokens = [audited.accounts.login("ann@example.com", PASSWORD, CALLER)]
    tokens.append(audited.sign_in_with(SocialIdentity("github", "1", "bob@example.com", email_verified=True)))
    told = [event.session_id for event in events if event.name in ("login", "social")]
    assert told == [principal_of(audited, each.access_token).claims["sid"] for each in tokens]


def test_a_sign_in_to_a_disabled_account_is_told(audited, events):
    """A provider's sign-in to a disabled account leaves an event with the reason."""
    mine = SocialIdentity("github", "1", "bob@example.com", email_verified=True)
    user_id = audited.sign_in_with(mine).user.id
    audited.accounts.disable(user_id)
    with pytest.raises(InvalidCredentialsError):
        audited.sign_in_with(mine)
    told = [(event.reason, event.user_id) for event in events if event.name == "social"]
    assert told == [("", user_id), ("disabled", user_id)]


#: Refusals that are about the account of Ann, by the name of their event.
OF_ANN = {
    "login": lambda s, me: s.accounts.login("ann@example.com", "wrong", CALLER),
    "login, disabled": lambda s, me: s.accounts.login("ann@example.com", PASSWORD, CALLER),
    "issue_tokens, disabled": lambda s, me: s.accounts.issue_tokens(me.subject, CALLER),
    "change_password": lambda s, me: s.accounts.change_password(me, "wrong", NEW, CALLER),
    "ask_email_change": lambda s, me: s.address_changes.ask(me, "bob@example.com", "wrong", CALLER),
    "delete": lambda s, me: s.deletion.delete(me, "wrong", CALLER),
    "session_end": lambda s, me: s.sessions.end(me, "no", CALLER),
    "unlink": lambda s, me: s.linking.unlink(me, "github", CALLER),
    "api_key_create": lambda s, me: s.api_keys.create(me, APIKeyRequest("a key", scopes=("no",)), CALLER),
    "api_key_disable": lambda s, me: s.api_keys.disable(me, "key_1", CALLER),
    "api_key_revoke": lambda s, me: s.api_keys.revoke(me, "key_1", CALLER),
    "api_key_tier": lambda s, me: s.api_keys.set_tier(Operator(me.subject), "key_1", "pro", CALLER),
}


@pytest.mark.one_database
@pytest.mark.parametrize("flow", OF_ANN)
def test_a_refusal_is_told_with_its_account_and_address(audited, events, flow):
    """The event of a refusal has the account and the address of the caller."""
    me = principal_of(audited, register(audited).access_token)
    if "disabled" in flow:
        audited.accounts.disable(me.subject)
    with pytest.raises(RefusedError):
        OF_ANN[flow](audited, me)
    told = events[-1]
    assert (told.name, told.succeeded) == (flow.partition(",")[0], False)
    assert (told.user_id, told.address) == (me.subject, CALLER.address)


@pytest.mark.one_database
@pytest.mark.parametrize("given", [{"require_verified_email": True}, {"enumeration_safe": True}], ids=str)
def test_the_right_password_of_an_unverified_address_is_told_with_its_account(url, postbox, events, given):
    """The event of a right password with an unverified address has the account."""
    with service_at(url, postbox=postbox, hook=events.append, **given) as service:
        register(service)
        user = service.accounts.find("ann@example.com")
        with pytest.raises(RefusedError):
            service.accounts.login("ann@example.com", PASSWORD, CALLER)
        told = [(event.reason, event.user_id) for event in events if event.name == "login"]
        assert told == [("email_not_verified", user.id)]


def test_a_registration_that_is_declined_is_told(audited, events, postbox):
    """Declining a registration leaves an event with the deleted account, and a second use a failure."""
    user_id = register(audited).user.id
    assert audited.outbox.flush()
    audited.links.decline_registration(postbox.token(), CALLER)
    with pytest.raises(InvalidLinkError):
        audited.links.decline_registration(postbox.token(), CALLER)
    told = [(event.succeeded, event.user_id) for event in events if event.name == "decline"]
    assert told == [(True, user_id), (False, None)]


@pytest.mark.slow
def test_events_are_counted(audited, postbox, clock):
    """Counters have each flow with each outcome."""
    everything(audited, postbox, clock)
    counts = audited.audit.counts()
    assert counts["login", "success"] == 2
    assert counts["login", "invalid_credentials"] == 1
    assert counts["register", "email_taken"] == 1


@pytest.mark.slow
def test_events_hold_no_secrets(audited, events, postbox, clock, caplog):
    """No event and no log has a password, a token or the address of an account."""
    with caplog.at_level(logging.DEBUG):
        everything(audited, postbox, clock)
    told = caplog.text + repr(events)
    tokens = {mail.text.partition("token=")[2].split()[0] for mail in postbox.mails if "token=" in mail.text}
    for secret in {PASSWORD, NEW, "rt_", "eyJ", "$argon2", "ann@example.com", *tokens}:
        assert secret not in told
    assert "authguard.audit" in caplog.text


@pytest.mark.one_database
@pytest.mark.parametrize("name", ["login", "login_address"])
def test_an_event_names_the_limit(url, events, name):
    """Of several limits of a flow, the event names the exceeded one."""
    with service_at(url, hook=events.append, limits={name: Limit(1, 900)}) as service:
        client = TestClient(Identity(service))
        for _ in range(2):
            client.post("/v1/auth/login", json={"email": "ann@example.com", "password": "wrong"})
    assert [(event.reason, event.limit) for event in events] == [("unknown", ""), ("rate_limited", name)]


@pytest.mark.slow
@pytest.mark.one_database
def test_an_event_of_a_redirected_browser_names_the_limit(url, events):
    """A browser that is redirected to a provider too often exceeds the limit `authorize_address`."""
    github = {"github_client_id": "id", "github_client_secret": "secret-of-the-app"}
    limits = {"authorize_address": Limit(1, 900)}
    with service_at(url, hook=events.append, limits=limits, **github) as service:
        client = TestClient(Identity(service), follow_redirects=False)
        answers = [client.get("/v1/auth/github/authorize").status_code for _ in range(2)]
    assert answers[1] == 429 and events[-1].limit == "authorize_address"


def test_hook_that_raises_does_not_fail_the_flow(url):
    """A hook that raises does not make a flow fail."""

    def hook(event):
        raise ValueError("hidden")

    with service_at(url, hook=hook) as service:
        assert register(service)


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("token", "line"),
    [
        (None, "refused with 401: missing_credentials"),
        ("x.y.z", "refused with 401: invalid_token (malformed)"),
    ],
)
def test_what_a_guard_of_the_service_refuses(audited, events, caplog, token, line):
    """Refusals of the service's guard are logged once per reason, and leave no event."""
    caplog.set_level(logging.INFO, logger="authguard")
    client = TestClient(Identity(audited))
    fields = {"authorization": f"Bearer {token}"} if token else {}
    # These tests turn on all levels of logging for `leaks`, so the level is set here.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_logs, "_refusals", LineCounts())
        patch.setattr(logging.Logger, "isEnabledFor", lambda logger, level: level >= logging.INFO)
        answers = [client.get("/v1/users/me", headers=fields).status_code for _ in range(3)]
    lines = [record.getMessage() for record in caplog.records if record.name == "authguard"]
    assert answers == [401] * 3 and events == []
    assert [each for each in lines if each.startswith("refused")] == [line]
