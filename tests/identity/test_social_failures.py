"""Failed sign-ins with a provider: each leaves one event with a reason, and some a warning."""

import json
import re
import threading
from pathlib import Path

import pytest

from authguard.identity import Identity
from authguard.identity.audit import Event
from authguard.identity.limits import Limit
from authguard.identity.social_reasons import SocialReason, clean_code
from authguard.identity.usecases.social.failures import WARNING_SECONDS
from identity.social_attempts import APP, answering, back, both_kinds, id_token, start
from identity.support import GENEROUS, browser, service_at

pytestmark = pytest.mark.one_database  # records do not depend on the database

DOCUMENT = (Path(__file__).parents[2] / "docs" / "identity.md").read_text(encoding="utf-8")
TOKEN = "/login/oauth/access_token"


class World:
    """The service with two providers, and a browser."""

    def __init__(self, service, providers, server, clock, events):
        self.service, self.server, self.clock, self.events = service, server, clock, events
        self.client = browser(Identity(service, providers=providers))

    def hand_in(self, name="github", **body):
        """Sign in with a code that an application sends."""
        return self.client.post(
            f"/v1/auth/{name}/callback", json={"code": "c0de", "redirect_uri": APP} | body
        )

    def come_back(self, name="github", login=None, **query):
        """Go to the provider, and return."""
        sent = start(self.client, name, **(login or {}))
        return back(self.client, name, **({"code": "c0de", "state": sent["state"]} | query))

    def answer(self, path, status, document):
        """Set an answer of the provider."""
        self.server.answers[path] = status, document

    def come_back_with(self, **claims):
        """Return from the provider of OpenID Connect with these claims in the ID token."""
        sent = start(self.client, "op")
        id_token(self.server, self.clock, **{"nonce": sent["nonce"]} | claims)
        return back(self.client, "op", code="c0de", state=sent["state"])

    def failures(self):
        """Return the events of failed sign-ins."""
        return [event for event in self.events if event.name == "social" and not event.succeeded]


@pytest.fixture
def server():
    with answering() as server:
        yield server


@pytest.fixture
def make_world(url, clock, server):
    """Return a function that makes the service with some settings."""
    opened = []

    def make(**given):
        events: list[Event] = []
        context = service_at(url, clock=clock, hook=events.append, **given)
        providing = both_kinds(server, clock)
        opened.extend((context, providing))
        return World(context.__enter__(), providing.__enter__(), server, clock, events)

    yield make
    for context in reversed(opened):
        context.__exit__(None, None, None)


@pytest.fixture
def world(make_world):
    return make_world()


def _disabled(world):
    world.hand_in()
    user = world.service.accounts.find("ann@example.com")
    world.service.accounts.disable(user.id)
    return world.hand_in()


def _refused_link(world):
    world.service.accounts.create("ann@example.com", "SecurePass123!")
    world.answer("/user/emails", 200, [{"email": "ann@example.com", "primary": True, "verified": False}])
    return world.come_back()


def _two_browsers(world):
    sent = start(world.client)
    world.client.cookies.clear()
    return back(world.client, code="c0de", state=sent["state"])


def _other_provider(world):
    sent = start(world.client)
    return back(world.client, "op", code="c0de", state=sent["state"])


def _again(world):
    sent = start(world.client)
    assert back(world.client, code="c0de", state=sent["state"]).status_code == 303
    return back(world.client, code="c0de", state=sent["state"])


def _with(path, status, document, act):
    def run(world):
        world.answer(path, status, document)
        return act(world)

    return run


def _emails(document, act=lambda world: world.come_back()):
    return _with("/user/emails", 200, document, act)


# The status, the reason, the provider's own code, and the attempt.
CASES = {
    "cancel": (303, "cancelled", "access_denied", lambda w: w.come_back(error="access_denied")),
    "cancel at LinkedIn": (
        303, "cancelled", "user_cancelled_login", lambda w: w.come_back(error="user_cancelled_login"),
    ),
    "cancel without a state": (
        303, "cancelled", "access_denied", lambda w: back(w.client, error="access_denied"),
    ),
    "other error": (400, "provider_error", "login_required", lambda w: w.come_back(error="login_required")),
    "error that is no code": (400, "provider_error", "scriptx", lambda w: w.come_back(error="<script>\nx")),
    "down, says the browser": (
        503, "provider_down", "server_error", lambda w: w.come_back(error="server_error"),
    ),
    "redirect URI": (
        503, "client_refused", "redirect_uri_mismatch", lambda w: w.come_back(error="redirect_uri_mismatch"),
    ),
    "scope": (503, "client_refused", "invalid_scope", lambda w: w.come_back(error="invalid_scope")),
    "no state": (400, "state_unknown", "", lambda w: w.come_back(state="")),
    "state of another browser": (400, "state_unknown", "", _two_browsers),
    "state of another provider": (400, "state_mismatch", "", _other_provider),
    "reloaded": (303, "repeated", "", _again),
    "another issuer": (400, "issuer_mismatch", "", lambda w: w.come_back("op", iss="https://evil.example")),
    "no code": (400, "callback_malformed", "", lambda w: w.come_back(code="")),
    "code refused": (
        400, "code_refused", "bad_verification_code",
        _with(TOKEN, 200, {"error": "bad_verification_code"}, lambda w: w.hand_in()),
    ),
    "code refused, OpenID": (
        400, "code_refused", "invalid_grant",
        _with("/token", 400, {"error": "invalid_grant"}, lambda w: w.come_back("op")),
    ),
    "client secret": (
        503, "client_refused", "incorrect_client_credentials",
        _with(TOKEN, 200, {"error": "incorrect_client_credentials"}, lambda w: w.come_back()),
    ),
    "client secret, OpenID": (
        503, "client_refused", "invalid_client",
        _with("/token", 401, {"error": "invalid_client"}, lambda w: w.hand_in("op")),
    ),
    "redirect URI at the token endpoint": (
        503, "client_refused", "redirect_uri_mismatch",
        _with(TOKEN, 200, {"error": "redirect_uri_mismatch"}, lambda w: w.hand_in()),
    ),
    "401 without a word": (503, "client_refused", "", _with("/token", 401, b"no", lambda w: w.hand_in("op"))),
    "GitHub App": (
        503, "permission_missing", "",
        _with("/user/emails", 403, {"message": "Resource not accessible by integration"}, World.come_back),
    ),
    "scope of GitHub": (
        503, "permission_missing", "",
        _with("/user/emails", 404, {"message": "Not Found"}, lambda w: w.hand_in()),
    ),
    "limit of GitHub": (
        503, "provider_down", "",
        _with("/user/emails", 403, {"message": "API rate limit exceeded for 192.0.2.1"}, World.hand_in),
    ),
    "down": (503, "provider_down", "", _with("/user", 500, {}, lambda w: w.come_back())),
    "down before": (
        503, "provider_down", "",
        _with("/.well-known/openid-configuration", 500, {}, lambda w: w.client.get("/v1/auth/op/authorize")),
    ),
    "no keys": (503, "keys_down", "", _with("/jwks", 500, {}, lambda w: w.come_back_with())),
    "for others": (400, "id_token", "", lambda w: w.come_back_with(aud="other")),
    "azp": (400, "id_token", "", lambda w: w.come_back_with(azp="other")),
    "at_hash": (400, "id_token", "", lambda w: w.come_back_with(at_hash="AAAAAAAAAAAAAAAAAAAAAA")),
    "no sub": (400, "id_token", "", lambda w: w.come_back_with(sub=...)),
    "nonce": (400, "nonce_mismatch", "", lambda w: w.come_back_with(nonce="other")),
    "no nonce": (400, "nonce_mismatch", "", lambda w: w.come_back_with(nonce=...)),
    "our clock is slow": (400, "clock_skew", "", lambda w: w.come_back_with(iat=w.clock() + 3600)),
    "our clock is fast": (
        400, "clock_skew", "", lambda w: w.come_back_with(iat=w.clock() - 3600, exp=w.clock() - 60),
    ),
    "silent": (401, "stale", "", lambda w: w.come_back(login={"max_age": "60"})),
    "no address": (403, "no_address", "", _emails([])),
    "no address, by an application": (403, "no_address", "", _emails([], lambda w: w.hand_in())),
    "an address that is none": (403, "bad_identity", "", _emails([{"email": "nobody", "primary": True}])),
    "account": (409, "link_refused", "", _refused_link),
    "disabled": (401, "disabled", "", _disabled),
    "redirect_uri of an application": (422, "redirect_uri", "", lambda w: w.hand_in(redirect_uri="https://e.example")),
    "body": (422, "invalid_fields", "", lambda w: w.hand_in(code="")),
}  # fmt: skip
WARNED = {"provider_down", "keys_down", "client_refused", "permission_missing", "clock_skew"}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_failure_leaves_one_event(world, case, caplog):
    """A failed sign-in leaves one event, and a warning in the log if the operator must correct the cause."""
    status, reason, code, act = case
    caplog.set_level("INFO")
    answer = act(world)
    assert answer.status_code == status, answer.text
    (event,) = world.failures()
    assert (event.reason, event.provider_error) == (reason, code)
    assert event.provider in ("github", "op")
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert bool(warnings) is (reason in WARNED)
    own = [record for record in caplog.records if record.name.startswith("authguard")]
    text = "\n".join(record.getMessage() for record in own)
    assert not re.search("c0de|cl1ent-s3cret|gho_t0ken|eyJ", text)


@pytest.mark.slow
def test_unverified_address(make_world):
    """A sign-in with an unverified address leaves an event of a failure."""
    world = make_world(require_verified_email=True)
    world.answer("/user/emails", 200, [{"email": "ann@example.com", "primary": True, "verified": False}])
    assert world.come_back().status_code == 403
    (event,) = world.failures()
    assert (event.reason, event.provider) == ("email_not_verified", "github")
    assert event.user_id == world.service.accounts.find("ann@example.com").id


def test_too_many_wrong_codes(make_world):
    """A sign-in beyond the limit of wrong codes leaves an event of a failure."""
    world = make_world(limits=GENEROUS | {"secret_address": Limit(1, 86_400)})
    world.answer(TOKEN, 200, {"error": "bad_verification_code"})
    assert [world.hand_in().status_code for _ in range(2)] == [400, 429]
    assert [event.reason for event in world.failures()] == ["code_refused", "rate_limited"]


def test_database_that_is_down(world, url):
    """An outage of the database while an account is made leaves an event of a failure."""
    world.service.database.close()
    with world.service.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE linked_identities RENAME TO away")
    try:
        assert world.hand_in().status_code == 503
    finally:
        with world.service.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO linked_identities")
    assert [event.reason for event in world.failures()] == ["unavailable"]


def test_a_success_leaves_one_event(world):
    """A successful sign-in leaves one event with the provider."""
    assert world.come_back().status_code == 303
    (event,) = (event for event in world.events if event.name == "social")
    assert (event.succeeded, event.provider, event.reason) == (True, "github", "")


def test_warnings_say_what_to_change(world, caplog):
    """The warning about GitHub names the permission, and the one about clocks has their difference."""
    world.answer("/user/emails", 403, {"message": "Resource not accessible by integration"})
    world.hand_in()
    world.come_back_with(iat=world.clock() + 3600)
    text = caplog.text
    assert '"Email addresses"' in text
    assert "3600 seconds after now" in text


@pytest.mark.slow
def test_warnings_are_few(world, caplog):
    """Each reason of each provider is warned about at most once a minute."""
    world.answer("/user", 500, {})
    for seconds, expected in ((0, 1), (WARNING_SECONDS - 1, 1), (1, 2)):
        world.clock.go_on(seconds)
        for _ in range(3):
            assert world.come_back().status_code == 503
        warnings = [record for record in caplog.records if record.levelname == "WARNING"]
        assert len(warnings) == expected
    assert len(world.failures()) == 9


def test_events_are_written_as_json(world, caplog):
    """The log line of an event is JSON with the provider and its code."""
    caplog.set_level("INFO", "authguard.audit")
    world.come_back(error="login_required")
    line = json.loads(caplog.records[-1].getMessage())
    assert (line["provider"], line["provider_error"]) == ("github", "login_required")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a" * 100, "a" * 64),
        ("a\r\nb", "ab"),
        ("ä\x1b[0m", "0m"),
        (7, ""),
        (None, ""),
        ("urn:x_y-z.1", "urn:x_y-z.1"),
    ],
)
def test_codes_of_providers_are_cleaned(sent, kept):
    """A provider's code is cut to 64 characters, and has only printable ASCII of its alphabet."""
    assert clean_code(sent) == kept


def test_all_reasons_are_documented():
    """The table of docs/identity.md has each reason, and no other."""
    section = DOCUMENT.partition("### Failures of a sign-in with a provider")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(SocialReason)
    tested = {reason for _, reason, _, _ in CASES.values()}
    assert set(SocialReason) - tested == {
        "email_not_verified",
        "rate_limited",
        "unavailable",
        "internal_error",
    }


def test_the_hook_may_wait(url, clock, server):
    """The hook of an application is called in a worker thread, and never in that of the event loop."""
    threads = []
    with (
        both_kinds(server, clock) as providers,
        service_at(url, clock=clock, hook=lambda _: threads.append(threading.current_thread())) as service,
    ):
        world = World(service, providers, server, clock, [])
        world.come_back(error="access_denied")
        world.answer(TOKEN, 200, {"error": "bad_verification_code"})
        world.come_back()
        world.hand_in(code="")
    assert len(threads) == 3
    assert all(thread.name.startswith("authguard-") for thread in threads), threads
