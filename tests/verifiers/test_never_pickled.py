"""Objects with secrets, of which no pickle is made."""

import copy
import pickle
from collections.abc import Callable

import pytest

from authguard import ClientAuth, DPoP, HTTPOptions, RemoteKeySet, TokenIssuer
from authguard.client import APIKeyAuth

SECRET = "VQ7mJr2ZxK0uHs9aTe4bNw8yLc5dFg1p-Pk3oXiR6tE"
OBJECTS: dict[str, Callable[[], object]] = {
    "TokenIssuer": lambda: TokenIssuer(SECRET, issuer="https://i.example", audience="a"),
    "ClientAuth.basic": lambda: ClientAuth.basic("c", SECRET),
    "ClientAuth.post": lambda: ClientAuth.post("c", SECRET),
    "ClientAuth.bearer": lambda: ClientAuth.bearer(SECRET),
    "HTTPOptions": lambda: HTTPOptions(headers={"X-Key": SECRET}),
    "RemoteKeySet": lambda: RemoteKeySet("https://i.example/k", http=HTTPOptions(headers={"X-Key": SECRET})),
    "DPoP": lambda: DPoP("https://api.example", nonce_secret=SECRET),
    "APIKeyAuth": lambda: APIKeyAuth("https://api.example", f"sk_live_{SECRET}"),
}
BUILDERS = pytest.mark.parametrize("build", OBJECTS.values(), ids=OBJECTS)


@BUILDERS
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_object_with_a_secret_is_not_pickled(build: Callable[[], object], protocol: int) -> None:
    """A pickle would have the secret in clear, so it is an error with advice."""
    with pytest.raises(TypeError, match=r"must not be pickled, .*: build it in each process"):
        pickle.dumps(build(), protocol)


@pytest.mark.parametrize("build", [OBJECTS[name] for name in OBJECTS if name != "RemoteKeySet"], ids=range(7))
def test_a_copy_is_the_object_itself(build: Callable[[], object]) -> None:
    """Copies work, as of settings that have such an object."""
    original = build()
    assert copy.copy(original) is copy.deepcopy([original])[0] is original
