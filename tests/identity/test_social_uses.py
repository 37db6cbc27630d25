"""Limits of sign-ins with providers by network address, and the one use of each attempt."""

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from authguard.identity.limits import Limit
from authguard.identity.usecases.social.sign_in import ATTEMPT_SECONDS
from identity.api_key_support import rows
from identity.providers import code_for, come_back, hand_in, local_providers
from identity.social_attempts import start
from identity.support import ANN, GENEROUS, ISSUER, PASSWORD, browser, service_at, together

pytestmark = pytest.mark.slow

DAY = 86_400
WAYS = {"browser": (come_back, 303), "application": (hand_in, 200)}


@pytest.fixture(scope="module")
def providers():
    with local_providers("github") as providers:
        yield providers


@pytest.fixture(params=WAYS)
def way(request):
    """Return a function that signs in at the provider, and the status of its success."""
    return WAYS[request.param]


def elsewhere(app):
    """Return a browser with another network address."""
    return TestClient(app, base_url=ISSUER, follow_redirects=False, client=("198.51.100.7", 50_000))


def limited(**limits):
    return {**GENEROUS, **{name: Limit(count, DAY) for name, count in limits.items()}}


# --- limits


@pytest.mark.one_database
def test_sign_ins_of_one_address_are_limited(url, providers, way):
    """Sign-ins with a provider count as those with a password, for the network address of the caller."""
    sign_in, success = way
    events = []
    with service_at(url, limits=limited(login_address=3), hook=events.append) as service:
        app = Identity(service, providers=providers)
        service.accounts.create(**ANN)
        client, code = browser(app), code_for(1, ANN["email"], verified=True)
        assert client.post("/v1/auth/login", json=ANN).status_code == 200
        assert [sign_in(client, code).status_code for _ in range(4)] == [success, success, 429, 429]
        assert client.post("/v1/auth/login", json=ANN).status_code == 429
        assert sign_in(elsewhere(app), code).status_code == success
        assert len(rows(service, "sessions")) == 4
    refused = [event for event in events if event.name == "social" and not event.succeeded]
    assert {(event.reason, event.limit) for event in refused} == {("rate_limited", "login_address")}


@pytest.mark.one_database
def test_new_accounts_of_one_address_are_limited(url, providers, postbox, way):
    """Accounts that a provider creates count as registrations, and so does their number of mails."""
    sign_in, success = way
    events = []
    limits = limited(register_address=2)
    with service_at(url, limits=limits, postbox=postbox, hook=events.append) as service:
        app = Identity(service, providers=providers)
        codes = [code_for(number, f"new{number}@example.com", verified=False) for number in range(4)]
        statuses = [sign_in(browser(app), code).status_code for code in codes]
        assert statuses == [success, success, 429, 429]
        assert service.outbox.flush()
        assert (len(rows(service, "users")), len(postbox.mails)) == (2, 2)
        assert browser(app).post("/v1/auth/register", json=ANN).status_code == 429
        assert [sign_in(browser(app), code).status_code for code in codes[:2]] == [success] * 2
        assert sign_in(elsewhere(app), codes[2]).status_code == success
    refused = [event for event in events if event.name == "social" and not event.succeeded]
    assert {(event.reason, event.limit) for event in refused} == {("rate_limited", "register_address")}


@pytest.mark.one_database
@pytest.mark.parametrize(("verified", "status"), [(True, 200), (False, 409)])
def test_links_of_one_address_are_limited(url, providers, verified, status):
    """A new link counts as a registration, and so does one that is refused, because both send a mail."""
    with service_at(url, limits=limited(register_address=2)) as service:
        client = browser(Identity(service, providers=providers))
        service.accounts.create(**ANN)
        codes = [code_for(number, ANN["email"], verified=verified) for number in range(3)]
        assert [hand_in(client, code).status_code for code in codes] == [status, status, 429]


@pytest.mark.one_database
@pytest.mark.parametrize("kind", ["new", "known", "waiting", "disabled"])
def test_the_limit_on_new_accounts_tells_nothing(url, providers, kind):
    """With `enumeration_safe`, the limit has the same effect for each kind of address."""
    with service_at(url, limits=limited(register_address=2), enumeration_safe=True) as service:
        client = browser(Identity(service, providers=providers))
        if kind != "new":
            user = service.accounts.create(ANN["email"], PASSWORD, verified=kind != "waiting")
            service.accounts.disable(user.id, disabled=kind == "disabled")
        code = code_for(1, ANN["email"], verified=False)
        assert [hand_in(client, code).status_code for _ in range(4)] == [403, 403, 429, 429]


@pytest.mark.one_database
def test_waiting_accounts_of_one_address_are_limited(url, providers):
    """With `require_verified_email`, a sign-in that only sends the mail again counts as a registration."""
    with service_at(url, limits=limited(register_address=2), require_verified_email=True) as service:
        client = browser(Identity(service, providers=providers))
        code = code_for(1, ANN["email"], verified=False)
        assert [hand_in(client, code).status_code for _ in range(3)] == [403, 403, 429]
        service.administration.verify(service.accounts.find(ANN["email"]).id)
        assert [hand_in(client, code).status_code for _ in range(3)] == [200] * 3


# --- one use of each attempt


def callback(app, cookies, state, subject=1, method="GET", *, verified=True):
    """Send the callback of a browser that has kept its cookies; return the answer."""
    client = browser(app)
    client.cookies.update(cookies)
    query = {"code": code_for(subject, ANN["email"], verified=verified), "state": state}
    return client.request(method, "/v1/auth/github/callback", params=query)


def begun(app):
    """Return the cookies of a browser that has begun an attempt, and its state."""
    client = browser(app)
    sent = start(client)
    return dict(client.cookies), sent["state"]


def test_a_kept_cookie_signs_in_once(url, providers, clock):
    """A callback of an attempt that has signed in is refused, even if the provider accepts the code."""
    events = []
    with service_at(url, clock=clock, hook=events.append) as service:
        app = Identity(service, providers=providers)
        cookies, state = begun(app)
        assert callback(app, cookies, state).status_code == 303
        assert [callback(app, cookies, state, subject).status_code for subject in (1, 2)] == [400, 400]
        assert len(rows(service, "sessions")) == 1
        assert [event.reason for event in events if event.name == "social"] == ["", "repeated", "repeated"]
        assert callback(app, *begun(app)).status_code == 303


def test_simultaneous_callbacks_sign_in_once(service, providers):
    """Of several simultaneous callbacks of one attempt, one signs in."""
    app = Identity(service, providers=providers)
    cookies, state = begun(app)
    answers = together(6, lambda _: callback(app, cookies, state).status_code)
    assert sorted(answers) == [303] + [400] * 5
    assert len(rows(service, "sessions")) == 1


@pytest.mark.one_database
def test_an_attempt_without_a_session_is_used_up(url, providers):
    """A sign-in that only creates an account uses its attempt up as well."""
    with service_at(url, require_verified_email=True) as service:
        app = Identity(service, providers=providers)
        cookies, state = begun(app)
        answers = [callback(app, cookies, state, verified=False).status_code for _ in range(2)]
        assert answers == [403, 400]


def test_used_states_are_deleted(service, providers, clock):
    """A used state is stored as a digest until no service accepts it, and is then deleted."""
    app = Identity(service, providers=providers)
    cookies, state = begun(app)
    assert callback(app, cookies, state).status_code == 303
    for seconds, count in ((ATTEMPT_SECONDS, 1), (ATTEMPT_SECONDS, 0)):
        clock.go_on(seconds)
        service.purge.run()
        stored = [row.digest for row in rows(service, "authguard_replays")]
        assert len(stored) == count
        assert state not in "".join(stored)
        assert callback(app, cookies, state).status_code == 400


@pytest.mark.one_database
def test_a_head_request_does_not_sign_in(service, providers):
    """A HEAD request for a callback, as previews of links send, is refused, and uses nothing up."""
    app = Identity(service, providers=providers)
    cookies, state = begun(app)
    answer = callback(app, cookies, state, method="HEAD")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert "set-cookie" not in answer.headers
    assert rows(service, "sessions") == []
    assert callback(app, cookies, state).status_code == 303
