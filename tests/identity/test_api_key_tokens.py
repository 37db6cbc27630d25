"""Tokens for API keys with a client secret: the client_credentials grant, with the key as client id."""

from typing import Any

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from authguard import Credential, Principal
from authguard.errors import RateLimitedError
from authguard.identity import Identity, IdentityService, NewAPIKey, SQLRevocations
from authguard.identity.errors import OAuthError
from authguard.identity.limits import Limit
from identity.api_key_support import create, owner, update
from identity.support import CALLER, GENEROUS, ISSUER, Clock, service_at
from support import judge

pytestmark = pytest.mark.slow_on_postgresql

DAY = 86_400


@pytest.fixture(name="ann")
def _ann(service: IdentityService) -> Principal:
    return owner(service)


@pytest.fixture(name="made")
def _made(service: IdentityService, ann: Principal) -> NewAPIKey:
    return create(service, ann, kind="claw")


def issue(
    service: IdentityService, made: NewAPIKey, scope: str | None = None, **other: str
) -> dict[str, Any]:
    """Return the token response for a key."""
    given = {"key_text": made.text, "secret": made.secret or ""} | other
    return service.api_keys.issue_token(given["key_text"], given["secret"], scope, CALLER)


def principal_of(service: IdentityService, response: dict[str, Any]) -> Principal:
    """Return the principal that a verifier of JWTs finds in a token response."""
    return judge(
        service.own_tokens, Credential(response["access_token"], "bearer"), service.clock()
    ).principal


def refused(service: IdentityService, made: NewAPIKey, scope: str | None = None, **other: str) -> str:
    """Return the error code of a refused request for a token."""
    with pytest.raises(OAuthError) as error:
        issue(service, made, scope, **other)
    return error.value.error


def test_a_token_acts_for_the_owner_of_the_key(
    service: IdentityService, ann: Principal, made: NewAPIKey
) -> None:
    """A token of a key has the owner as subject, the key's scopes and tier, and the key's id as client."""
    response = issue(service, made)
    assert (response["token_type"], response["expires_in"], response["scope"]) == (
        "bearer",
        900,
        "read write",
    )
    principal = principal_of(service, response)
    assert (principal.subject, principal.client_id) == (ann.subject, made.key.id)
    assert principal.scopes == {"read", "write"}
    assert principal.claims["tier"] == "free"
    assert principal.roles == {"USER"}


@pytest.mark.one_database
def test_a_scope_may_be_asked_for(service: IdentityService, made: NewAPIKey) -> None:
    """A request may ask for some of the key's scopes, and any other scope is refused."""
    assert principal_of(service, issue(service, made, "read")).scopes == {"read"}
    assert refused(service, made, "read admin") == "invalid_scope"


@pytest.mark.one_database
def test_a_token_ends_with_its_key(service: IdentityService, ann: Principal, clock: Clock) -> None:
    """A token expires with its key at the latest."""
    made = create(service, ann, kind="claw", expires_in_days=1)
    clock.go_on(DAY - 30)
    assert issue(service, made)["expires_in"] == 30
    clock.go_on(30)
    assert refused(service, made) == "invalid_client"


def test_one_answer_for_all_that_is_not_right(
    service: IdentityService, ann: Principal, made: NewAPIKey
) -> None:
    """A wrong secret, an unknown key, a key without a secret and a revoked key get the same error."""
    other = create(service, ann, kind="claw")
    revoked = create(service, ann, kind="claw")
    service.api_keys.revoke(ann, revoked.key.id, CALLER)
    texts = service.api_keys._texts
    assert refused(service, made, secret=str(other.secret)) == "invalid_client"
    assert refused(service, made, secret=texts.make("claw_", "a" * 16).secret or "") == "invalid_client"
    assert refused(service, create(service, ann), secret=str(other.secret)) == "invalid_client"
    assert refused(service, revoked) == "invalid_client"
    assert refused(service, made, key_text=texts.make("claw_", "a" * 16).text) == "invalid_client"


@pytest.mark.one_database
def test_garbage_is_refused_without_a_query(service: IdentityService, made: NewAPIKey) -> None:
    """A malformed key or secret is refused without a query of the database."""
    statements: list[str] = []
    event.listen(service.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for secret in ("", "x", "clsk_x9y8z7", "é", "\x00", "x" * 100_000):
        assert refused(service, made, secret=secret) == "invalid_client"
        assert refused(service, made, key_text=f"claw_{secret}") == "invalid_client"
    assert statements == []


@pytest.mark.one_database
def test_guesses_are_limited(url: str, clock: Clock) -> None:
    """Wrong secrets are limited by the address of the caller."""
    with service_at(url, clock=clock, limits={**GENEROUS, "secret_address": Limit(2, DAY)}) as service:
        made = create(service, owner(service), kind="claw")
        for _ in range(2):
            assert refused(service, made, secret="clsk_wrong") == "invalid_client"
        with pytest.raises(RateLimitedError):
            issue(service, made, secret="clsk_wrong")
        assert issue(service, made)["expires_in"] == 900


@pytest.mark.one_database
def test_a_key_with_networks_gets_no_tokens(service: IdentityService, ann: Principal) -> None:
    """A key with a list of networks gets no tokens, because a token is valid from each address."""
    made = create(service, ann, kind="claw", networks=["192.0.2.0/24"])
    assert refused(service, made) == "unauthorized_client"


def test_a_pair_belongs_to_one_generation(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """In its grace the old pair of key and secret is valid, and a mix of old key and new secret is not."""
    newer = service.api_keys.rotate(ann, made.key.id, CALLER, grace_seconds=60)
    assert issue(service, made)["expires_in"] == 60
    assert issue(service, newer)["expires_in"] == 900
    assert refused(service, made, secret=str(newer.secret)) == "invalid_client"
    clock.go_on(60)
    assert refused(service, made) == "invalid_client"


def test_a_token_is_a_first_use(service: IdentityService, ann: Principal, made: NewAPIKey) -> None:
    """A request for a token is the first use of a generation that waits for one."""
    newer = service.api_keys.rotate(ann, made.key.id, CALLER, activate="first_use")
    issue(service, newer)
    assert refused(service, made) == "invalid_client"


ENDS = {
    "revoked": lambda service, ann, made: service.api_keys.revoke(ann, made.key.id, CALLER),
    "disabled owner": lambda service, ann, made: service.accounts.disable(ann.subject),
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_tokens_die_with_the_key(
    service: IdentityService, ann: Principal, made: NewAPIKey, url: str, clock: Clock, end: str
) -> None:
    """Tokens of a revoked key or a disabled owner are revoked, and those of another key are not."""
    principal = principal_of(service, issue(service, made))
    other = create(service, owner(service, "bob@example.com"), kind="claw")
    others = principal_of(service, issue(service, other))
    revocations = SQLRevocations(url, clock=clock)
    assert not revocations.is_revoked(principal)
    ENDS[end](service, ann, made)
    assert revocations.is_revoked(principal)
    assert not revocations.is_revoked(others)
    revocations.close()


# By HTTP


@pytest.fixture(name="api")
def _api(app: Identity) -> TestClient:
    return TestClient(app, base_url=ISSUER)


def post(api: TestClient, path: str, made: NewAPIKey, **form: str) -> Any:
    """Send a form with the key as the client."""
    return api.post(f"/v1/oauth/{path}", data=form, auth=(made.text, str(made.secret)))


@pytest.mark.slow
def test_the_token_endpoint_takes_a_key_as_client(api: TestClient, made: NewAPIKey) -> None:
    """The token endpoint accepts a key and its secret as a client by Basic authentication."""
    answer = post(api, "token", made, grant_type="client_credentials", scope="read")
    assert answer.status_code == 200
    assert answer.json()["scope"] == "read"


@pytest.mark.one_database
def test_a_key_has_no_other_grant(api: TestClient, made: NewAPIKey) -> None:
    """A key as a client can use no other grant, and cannot introspect tokens."""
    for form in ({"grant_type": "password"}, {"grant_type": "refresh_token", "refresh_token": "x"}):
        answer = post(api, "token", made, **form)
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    answer = post(api, "introspect", made, token="x")
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


def introspect(service: IdentityService, token: str) -> dict[str, Any]:
    """Return the introspection response that a registered client gets."""
    client, _ = service.clients.create("introspector")
    return service.clients.introspect(token, client)


def test_introspection_follows_the_key(
    service: IdentityService, ann: Principal, made: NewAPIKey, clock: Clock
) -> None:
    """Introspection shows the claims of a key's token, and an inactive token once the key is disabled."""
    token = issue(service, made)["access_token"]
    told = introspect(service, token)
    assert (told["active"], told["sub"], told["client_id"], told["scope"]) == (
        True,
        ann.subject,
        made.key.id,
        "read write",
    )
    update(service, "UPDATE api_keys SET disabled_at = 1 WHERE id = :id", id=made.key.id)
    assert introspect(service, token) == {"active": False}


def test_a_key_revokes_its_own_token(
    api: TestClient, service: IdentityService, ann: Principal, made: NewAPIKey
) -> None:
    """A key revokes one token of its own, and no token of another key."""
    first, second = (issue(service, made)["access_token"] for _ in range(2))
    other = create(service, ann, kind="claw")
    assert post(api, "revoke", other, token=first).json()["error"] == "unauthorized_client"
    assert post(api, "revoke", made, token=first).status_code == 200
    assert introspect(service, first) == {"active": False}
    assert introspect(service, second)["active"]
    issue(service, made)


def test_a_logout_with_the_token_of_a_key_ends_that_token(
    api: TestClient, service: IdentityService, made: NewAPIKey
) -> None:
    """A logout with a key's token ends that token, and neither the key nor its other tokens."""
    first, second = (issue(service, made)["access_token"] for _ in range(2))
    for _ in range(2):
        response = api.post("/v1/auth/logout", headers={"authorization": f"Bearer {first}"})
        assert response.status_code == 200
    assert introspect(service, first) == {"active": False}
    assert introspect(service, second)["active"]
    issue(service, made)


def test_a_logout_with_an_expired_token_of_a_key_writes_nothing(
    api: TestClient, service: IdentityService, made: NewAPIKey, clock: Clock
) -> None:
    """A logout with an expired token of a key succeeds, and writes nothing to the database."""
    token = issue(service, made)["access_token"]
    clock.now += DAY
    assert service.outbox.flush()  # another thread writes about earlier mails
    statements: list[str] = []
    engine = service.database.engine
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    response = api.post("/v1/auth/logout", headers={"authorization": f"Bearer {token}"})
    assert response.status_code == 200
    assert [text for text in statements if text.startswith(("INSERT", "UPDATE", "DELETE"))] == []


def test_the_token_of_a_key_is_no_session(api: TestClient, service: IdentityService, made: NewAPIKey) -> None:
    """The endpoints of accounts refuse the token of a key, because it belongs to no session."""
    token = issue(service, made)["access_token"]
    for path in ("/v1/auth/me", "/v1/users/me/sessions"):
        assert api.get(path, headers={"authorization": f"Bearer {token}"}).status_code == 403
