"""The text of an API key at the revocation endpoint: revoked with its client secret, otherwise refused."""

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from authguard.errors import InvalidAPIKeyError
from authguard.identity import Identity
from identity.api_key_support import create, owner, verify
from identity.support import CALLER, service_at

pytestmark = pytest.mark.slow_on_postgresql

TOKEN, REVOKE = "/v1/oauth/token", "/v1/oauth/revoke"


@pytest.fixture
def client(service):
    return TestClient(Identity(service))


@pytest.fixture
def ann(service):
    return owner(service)


@pytest.fixture
def pair(service, ann):
    return create(service, ann, kind="claw")


def is_error(response, error):
    return (response.status_code, response.json()["error"]) == (400, error)


def is_alive(service, made):
    try:
        return bool(verify(service, made.text))
    except InvalidAPIKeyError:
        return False


@pytest.mark.parametrize("way", ["Basic", "form"])
def test_a_key_with_its_secret_revokes_itself(service, client, ann, pair, way):
    """A key that is sent with its client secret is revoked, with its tokens and both of its secrets."""
    newer = service.api_keys.rotate(ann, pair.key.id, CALLER, grace_seconds=60)
    login = (newer.text, newer.secret)
    token = client.post(TOKEN, data={"grant_type": "client_credentials"}, auth=login).json()["access_token"]
    form = {"token": newer.text}
    if way == "form":
        answer = client.post(REVOKE, data=form | {"client_id": login[0], "client_secret": login[1]})
    else:
        answer = client.post(REVOKE, data=form, auth=login)
    assert (answer.status_code, answer.json()) == (200, {})
    assert not is_alive(service, newer)
    assert not is_alive(service, pair)
    machine, secret = service.clients.create("reports")
    asked = client.post("/v1/oauth/introspect", data={"token": token}, auth=(machine.id, secret))
    assert asked.json() == {"active": False}


@pytest.mark.parametrize("who", ["nobody", "public", "machine", "another pair", "the owner"])
@pytest.mark.parametrize("kind", ["claw", "sk_live", "ak"])
def test_a_key_without_its_secret_is_told_where_to_go(service, client, ann, who, kind):
    """A key of another caller stays, and the answer names the endpoint that revokes it."""
    made, fields, login = create(service, ann, kind=kind), {}, None
    form = {"token": made.text}
    if who == "public":
        form["client_id"] = service.clients.create("app", public=True)[0].id
    elif who == "machine":
        machine, secret = service.clients.create("reports")
        login = (machine.id, secret)
    elif who == "another pair":
        other = create(service, ann, kind="claw")
        login = (other.text, other.secret)
    elif who == "the owner":
        tokens = service.accounts.issue_tokens(ann.subject, CALLER)
        fields = {"authorization": f"Bearer {tokens.access_token}"}
    answer = client.post(REVOKE, data=form, headers=fields, auth=login)
    assert is_error(answer, "unsupported_token_type")
    assert "DELETE api-keys/{id}" in answer.json()["error_description"]
    assert is_alive(service, made)


@pytest.mark.parametrize("is_client", [False, True])
def test_the_answer_does_not_tell_which_keys_exist(service, client, ann, pair, is_client):
    """Live, revoked, unknown and malformed keys and client secrets get one answer."""
    revoked = create(service, ann, kind="claw")
    service.api_keys.revoke(ann, revoked.key.id, CALLER)
    unknown = service.api_keys._texts.make("claw_", "a" * 16)
    other = create(service, ann, kind="claw")
    login = (other.text, other.secret) if is_client else None
    secrets = [pair.secret, revoked.secret, unknown.secret, other.secret]
    texts = [
        pair.text,
        revoked.text,
        unknown.text,
        *secrets,
        "claw_",
        "claw_é",
        "sk_live_x",
        f"{other.text} ",
    ]
    answers = {client.post(REVOKE, data={"token": text}, auth=login).text for text in texts}
    assert len(answers) == 1
    assert "unsupported_token_type" in answers.pop()
    assert is_alive(service, pair)
    assert is_alive(service, other)


@pytest.mark.one_database
def test_a_stranger_with_a_key_causes_no_query_of_keys(service, client, pair):
    """The text of a key is refused without a query of keys, valid or not."""
    statements = []
    event.listen(service.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for text in (pair.text, pair.secret, "claw_x"):
        assert is_error(client.post(REVOKE, data={"token": text}), "unsupported_token_type")
    assert [each for each in statements if "api_key" in each] == []


def test_the_old_text_in_its_grace_is_not_the_clients_own(service, client, ann, pair):
    """The old text of a rotated key is refused to the new pair, and the old pair may not revoke the key."""
    newer = service.api_keys.rotate(ann, pair.key.id, CALLER, grace_seconds=60)
    answer = client.post(REVOKE, data={"token": pair.text}, auth=(newer.text, newer.secret))
    assert is_error(answer, "unsupported_token_type")
    answer = client.post(REVOKE, data={"token": pair.text}, auth=(pair.text, pair.secret))
    assert is_error(answer, "unauthorized_client")
    assert is_alive(service, newer)


@pytest.mark.parametrize("wish", [{"scopes": ["read"]}, {"networks": ["192.0.2.0/24"]}])
def test_a_key_revokes_itself_only_with_the_right_to_manage_keys(service, client, ann, wish):
    """A key without `write`, or with a list of networks, stays."""
    made = create(service, ann, kind="claw", **wish)
    answer = client.post(REVOKE, data={"token": made.text}, auth=(made.text, made.secret))
    assert is_error(answer, "unauthorized_client")
    assert is_alive(service, made)


@pytest.mark.one_database
def test_a_key_does_not_revoke_itself_where_keys_manage_no_keys(url):
    """With `api_keys_manage_keys` off a key stays."""
    with service_at(url, api_keys_manage_keys=False) as service:
        made = create(service, owner(service), kind="claw")
        login = (made.text, made.secret)
        answer = TestClient(Identity(service)).post(REVOKE, data={"token": made.text}, auth=login)
        assert is_error(answer, "unauthorized_client")
        assert is_alive(service, made)


def test_a_key_that_was_revoked_meanwhile(service, ann, pair):
    """A key that ends after its client was authenticated is an inactive token, which is no error."""
    client = service.clients.authenticate(pair.text, pair.secret, CALLER)
    service.api_keys.revoke(ann, pair.key.id, CALLER)
    service.clients.revoke(pair.text, client, CALLER)


@pytest.mark.slow
@pytest.mark.one_database
def test_events_of_revoked_and_refused_keys(url):
    """A revoked key leaves the event of its revocation, too, and a refusal one event with its reason."""
    events = []
    with service_at(url, hook=events.append) as service:
        client, made = TestClient(Identity(service)), create(service, owner(service), kind="claw")
        events.clear()
        client.post(REVOKE, data={"token": made.text})
        client.post(REVOKE, data={"token": made.text}, auth=(made.text, made.secret))
    told = [each for each in events if each.name != "mail"]
    assert [(each.name, each.succeeded, each.reason, each.actor_key_id) for each in told] == [
        ("revoke", False, "unsupported_token_type", None),
        ("api_key_revoke", True, "", made.key.id),
        ("revoke", True, "", None),
    ]


@pytest.mark.one_database
def test_refresh_tokens_are_revoked_where_keys_begin_like_them(url):
    """With the prefix `rt_` for keys, a refresh token still ends its session."""
    with service_at(url, api_key_prefixes=["rt_"]) as service:
        tokens = service.accounts.issue_tokens(owner(service).subject, CALLER)
        client = TestClient(Identity(service))
        assert client.post(REVOKE, data={"token": tokens.refresh_token}).json() == {}
        assert (
            client.post("/v1/auth/refresh", json={"refresh_token": tokens.refresh_token}).status_code == 401
        )
