"""What a guard tells at once of a credential that it remembers, and what it leaves to the flow."""

from typing import Any

import pytest

from authguard import APIKey, APIKeyVerifier, Guard, JWTVerifier
from authguard._core.answer.decision import Known
from authguard._core.deciding.callers import UNDECIDED
from authguard.drivers import run
from support import AUDIENCE, ISSUER, NOW, SECRET, FakeRequest, bearer

KEY, UNPREFIXED = "sk_live_0123456789", "0123456789-without-a-prefix"
KEYS = {KEY: APIKey("bob"), UNPREFIXED: APIKey("carl")}


def guard(keys: Any = KEYS, **options: Any) -> Guard:
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(jwt, APIKeyVerifier(keys, **options))


def recall(one: Guard, request: FakeRequest, now: float = NOW) -> Any:
    return one.recall(request.presented, (request.method, request.path, request.root_path), now)


def decided(one: Guard, request: FakeRequest, now: float = NOW) -> Any:
    """Return the decision, as drivers come to it."""
    recalled = recall(one, request, now)
    return recalled if recalled.is_decision else run(one.decide(request, now, recalled))


def test_a_key_in_the_authorization_field_is_recalled() -> None:
    """The second request with it needs no flow."""
    one = guard()
    assert recall(one, bearer(KEY)) is UNDECIDED
    assert decided(one, bearer(KEY)).user.subject == "bob"
    assert recall(one, bearer(KEY)).user.method == "api_key"


def test_a_key_in_the_authorization_field_is_asked_about_again() -> None:
    """After `cache_ttl` it is looked up, and refused if it is gone."""
    found: dict[str, APIKey] = {KEY: APIKey("bob")}
    one = guard(lambda digest: found.get(KEY), cache_ttl=30)
    assert decided(one, bearer(KEY)).user.subject == "bob"
    found.clear()
    assert isinstance(recall(one, bearer(KEY), NOW + 29), Known)
    assert decided(one, bearer(KEY), NOW + 30).refusal.status == 401


@pytest.mark.parametrize("key", [KEY, UNPREFIXED])
def test_a_key_is_remembered_for_the_field_that_it_came_in(key: str) -> None:
    """What is known in the field for keys is not taken for a token, nor a token's text for a key."""
    one = guard()
    in_its_field = FakeRequest(headers={"x-api-key": key})
    assert decided(one, in_its_field).reaches_app
    assert not recall(one, bearer(key)).is_decision
    assert decided(one, bearer(key)).reaches_app is (key == KEY)
    assert not recall(one, FakeRequest(headers={"x-api-key": f"Bearer {key}"})).is_decision


def test_a_known_key_beside_another_credential() -> None:
    """Two credentials are refused, also where both are known."""
    one = guard()
    both = FakeRequest(headers={"authorization": f"Bearer {KEY}", "x-api-key": KEY})
    assert decided(one, bearer(KEY)).reaches_app
    assert decided(one, FakeRequest(headers={"x-api-key": KEY})).reaches_app
    assert decided(one, both).refusal.status == 400
