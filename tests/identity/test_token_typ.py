"""The `typ` of access tokens: `at+jwt` (RFC 9068) for new installations with keys, or by setting."""

import jwt
import pytest
from starlette.testclient import TestClient

from authguard import JWTVerifier
from authguard._core.model import Credential
from authguard.errors import ConfigurationError
from authguard.identity import Identity, Settings
from authguard.identity.storage.schema import signing_keys
from identity.support import ISSUER, SECRET, service_at
from identity.test_sessions import register
from support import judge

pytestmark = pytest.mark.slow_on_postgresql


def typ_of(service, email="ann@example.com"):
    return jwt.get_unverified_header(register(service, email).access_token)["typ"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "typ"), [("HS256", "JWT"), ("ES256", "at+jwt"), ("RS256", "at+jwt"), ("EdDSA", "at+jwt")]
)
def test_of_a_new_installation(url, algorithm, typ):
    """The first key of an installation signs `at+jwt`, and tokens of the secret have `JWT`."""
    with service_at(url, algorithm=algorithm) as service:
        assert typ_of(service) == typ


@pytest.mark.slow
def test_of_an_installation_that_had_keys(url, clock):
    """An installation with keys that signed `JWT` keeps that type for its next keys."""
    with service_at(url, algorithm="ES256", clock=clock) as service:
        register(service)
        with service.database.write() as connection:
            connection.execute(signing_keys.update().values(typ="JWT"))  # as the migration leaves them
    with service_at(url, algorithm="ES256", clock=clock) as service:
        service.rotate_keys()
        clock.go_on(601)
        assert typ_of(service, "b@example.com") == "JWT"
    with service_at(url, algorithm="EdDSA", clock=clock) as service:
        assert typ_of(service, "c@example.com") == "JWT"


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
@pytest.mark.parametrize("typ", ["JWT", "at+jwt"])
def test_by_setting(url, algorithm, typ):
    """The setting applies at once, also for an existing key."""
    with service_at(url, algorithm=algorithm) as service:
        register(service)
    with service_at(url, algorithm=algorithm, access_token_typ=typ) as service:
        assert typ_of(service, "b@example.com") == typ


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_tokens_of_both_kinds_stay_good(url, algorithm):
    """After a change of the setting, tokens of both types are accepted."""
    with service_at(url, algorithm=algorithm, access_token_typ="JWT") as service:
        old = register(service).access_token
    with service_at(url, algorithm=algorithm, access_token_typ="at+jwt") as service:
        client = TestClient(Identity(service))
        tokens = [old, register(service, "b@example.com").access_token]
        answers = [
            client.get("/v1/users/me", headers={"authorization": f"Bearer {token}"}) for token in tokens
        ]
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.one_database
def test_a_guard_can_insist_on_it(url, clock):
    """A guard can accept the tokens as they are, or require `at+jwt`."""
    with service_at(url, algorithm="ES256", clock=clock) as service:
        token = register(service).access_token
        keys = {"keys": service.keys.public_keys(clock())}
    for options in ({}, {"token_types": ["at+jwt"]}):
        verifier = JWTVerifier(keys, algorithms=["ES256"], issuer=ISSUER, audience=ISSUER, **options)
        assert judge(verifier, Credential(token, "bearer"), clock()).principal.subject


def test_the_setting_is_checked():
    """Another type of access tokens is refused."""
    with pytest.raises(ConfigurationError, match="access_token_typ"):
        Settings(secret=SECRET, issuer="https://auth.example.com", access_token_typ="id+jwt")
