"""The time and the size that a request to an issuer may have: see docs/reference/options.md."""

from datetime import timedelta

import pytest

from authguard import (
    ClientAuth,
    Credential,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    RemoteKeySet,
    VerificationUnavailableError,
)
from remote.world import World
from support import AUDIENCE, ISSUER, NOW, claims, ec_key, make_token

TOKEN = make_token(claims(), algorithm="ES256", key=ec_key(), kid="a")


def keys(http):
    """Return a verifier that fetches keys."""
    source = RemoteKeySet(f"{ISSUER}/jwks", http=http)
    return JWTVerifier(source, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)


def discovery(http):
    """Return a verifier that fetches the metadata of its issuer first."""
    return JWTVerifier.from_issuer(ISSUER, audience=AUDIENCE, http=http)


def introspection(http):
    """Return a verifier that asks the endpoint."""
    auth = ClientAuth.bearer("t0ken")
    return IntrospectionVerifier(f"{ISSUER}/introspect", audience=AUDIENCE, auth=auth, http=http)


def fetches(verifier):
    """Return the requests that a token causes, to a server that has no pages."""
    world = World()
    with pytest.raises(VerificationUnavailableError):
        world.run(verifier.flow(Credential(TOKEN, "bearer"), NOW))
    assert world.calls
    return world.calls


EACH = pytest.mark.parametrize(("make", "seconds"), [(keys, 3), (discovery, 3), (introspection, 5)])


@EACH
def test_the_limits_of_a_request(make, seconds):
    """A request may take one second to connect, some seconds in total, and 64 KiB."""
    limits = {(each.connect_timeout, each.timeout, each.max_bytes) for each in fetches(make(None))}
    assert limits == {(1, seconds, 64 * 1024)}


@EACH
def test_limits_that_are_set(make, seconds):
    """Configured times apply to each kind of request."""
    options = HTTPOptions(connect_timeout=0.5, timeout=timedelta(seconds=7))
    limits = {(each.connect_timeout, each.timeout) for each in fetches(make(options))}
    assert limits == {(0.5, 7)}
