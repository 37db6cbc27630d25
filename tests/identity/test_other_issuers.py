"""A guard with verifiers of the service and of another issuer: the `iss` of a token selects one of them."""

import secrets

import pytest

from authguard import ConfigurationError, Guard, InvalidTokenError, JWTVerifier
from authguard.testing import issue_token
from identity.support import CALLER, ISSUER, PASSWORD

pytestmark = pytest.mark.one_database  # verifying needs no database

OTHER_SECRET = secrets.token_urlsafe(32)


def other(issuer="https://other.example", audience="api"):
    """Return the verifier of another issuer."""
    return JWTVerifier(OTHER_SECRET, algorithms=["HS256"], issuer=issuer, audience=audience)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("issuer", ["https://other.example", None])
def test_tokens_of_both_are_taken(service, clock, order, issuer):
    """In either order of the verifiers, tokens of both issuers are accepted, each with its own key only."""
    guard = Guard(*[service.own_tokens, other(issuer)][::order])
    own = service.accounts.register("ann@example.com", PASSWORD, "Ann", CALLER)
    claims = {"aud": "api", "now": clock()} | ({} if issuer is None else {"iss": issuer})
    assert guard.verify(own.access_token, now=clock()).subject == own.user.id
    assert guard.verify(issue_token(OTHER_SECRET, subject="ann", **claims), now=clock()).subject == "ann"
    with pytest.raises(InvalidTokenError):
        guard.verify(issue_token(OTHER_SECRET, subject="ann", **claims | {"iss": ISSUER}), now=clock())


def test_a_second_verifier_of_the_service_is_refused(service):
    """A second verifier with the issuer of the service is refused, because it would never be used."""
    with pytest.raises(ConfigurationError, match=f"got two for HS256 of '{ISSUER}'"):
        Guard(service.own_tokens, other(ISSUER, ISSUER))
