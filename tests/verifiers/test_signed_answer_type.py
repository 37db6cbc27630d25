"""The media type of a signed introspection answer (RFC 9701 section 5)."""

import pytest

from authguard import Credential, IntrospectionVerifier, VerificationUnavailableError
from authguard._core.flow import Response
from remote.world import World
from support import ISSUER, NOW, make_token, pem, rsa_key

URL = f"{ISSUER}/introspect"
SIGNED = "application/token-introspection+jwt"
OTHERS = (
    "application/json",
    "application/jwt",
    "text/plain",
    "",
    "application/at+jwt",
    "application/token-introspection",
)


def _ask(kind):
    body = {"iss": ISSUER, "aud": "api", "iat": NOW, "token_introspection": {"active": True, "sub": "ann"}}
    token = make_token(body, algorithm="RS256", key=rsa_key(), typ="token-introspection+jwt")
    world = World()
    world.pages[URL] = Response(200, {"content-type": kind}, token.encode())
    verifier = IntrospectionVerifier(
        URL, client_id="api", client_secret="s3cret", audience=None, issuer=ISSUER, answer_keys=pem(rsa_key())
    )
    return world.run(verifier.flow(Credential("opaque", "bearer"), NOW)).principal.subject


@pytest.mark.parametrize("kind", [SIGNED, SIGNED.upper(), f"{SIGNED}; charset=utf-8"])
def test_its_own_media_type_is_taken(kind):
    """The media type is accepted in any case, and with parameters."""
    assert _ask(kind) == "ann"


@pytest.mark.parametrize("kind", OTHERS)
def test_any_other_media_type_is_no_signed_answer(kind):
    """A valid signed answer with another media type is an outage."""
    with pytest.raises(VerificationUnavailableError):
        _ask(kind)
