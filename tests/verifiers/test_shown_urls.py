"""Keys in the query of a URL, which no log, error, health or repr shows."""

import logging
from collections.abc import Callable

import pytest

from authguard import Guard, IntrospectionVerifier, JWTVerifier, RemoteKeySet
from authguard._core.options import got, shown_url
from authguard.errors import ConfigurationError, VerificationUnavailableError
from support import claims, make_token

MARKER = "hunter2-hunter2"
#: No server listens at this port.
URL = f"http://127.0.0.1:1/place?api_key={MARKER}&{MARKER}"
CLIENT = {"client_id": "api", "client_secret": "VQ7mJr2ZxK0uHs9aTe4bNw8yLc5dFg1p"}
VERIFIERS: dict[str, Callable[[], object]] = {
    "key set": lambda: JWTVerifier(
        RemoteKeySet(URL), algorithms=["ES256"], issuer="https://i.example", audience="a"
    ),
    "keys by kid": lambda: JWTVerifier(
        RemoteKeySet(f"http://127.0.0.1:1/{{kid}}?key={MARKER}"),
        algorithms=["ES256"],
        issuer="https://i.example",
        audience="a",
    ),
    "introspection": lambda: IntrospectionVerifier(URL, **CLIENT),
}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/k", "https://a.example/k"),
        (f"https://a.example/k?api_key={MARKER}", "https://a.example/k?api_key=…"),
        (f"https://a.example/k?v=1&key={MARKER}&{MARKER}", "https://a.example/k?v=…&key=…"),
        (f"https://a.example/k?{MARKER}", "https://a.example/k?…"),
        ("https://a.example/k?", "https://a.example/k?"),
    ],
    ids=range(5),
)
def test_the_values_of_a_query_are_left_out(url: str, shown: str) -> None:
    """Names of the query are shown, and values are not."""
    assert shown_url(url) == shown
    assert got(url) == f"{shown!r} (str)"


@pytest.mark.parametrize("build", VERIFIERS.values(), ids=VERIFIERS)
def test_an_outage_does_not_show_the_query(
    build: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    """The error, the log lines and the health of an outage name the place without its keys."""
    guard = Guard(build())  # type: ignore[arg-type]
    token = make_token(
        claims(iss="https://i.example"), header={"alg": "ES256", "kid": "k1"}, signed_with="HS256"
    )
    with caplog.at_level(logging.DEBUG), pytest.raises(VerificationUnavailableError) as raised:
        guard.verify(token)
    (health,) = guard.health()
    shown = [str(raised.value), raised.value.reason, repr(guard), repr(health), caplog.text]
    assert "http://127.0.0.1:1/" in raised.value.reason
    assert not [text for text in shown if MARKER in text]


def test_no_repr_shows_the_query() -> None:
    """The repr of a key set and of a verifier names the place without its keys."""
    assert repr(RemoteKeySet(URL)) == "RemoteKeySet('http://127.0.0.1:1/place?api_key=…')"
    shown = "IntrospectionVerifier('http://127.0.0.1:1/place?api_key=…')"
    assert repr(IntrospectionVerifier(URL, **CLIENT)) == shown


def test_an_error_does_not_show_the_query() -> None:
    """A refused URL is shown without its keys."""
    with pytest.raises(ConfigurationError, match="must be https") as raised:
        RemoteKeySet(f"http://keys.example.com/k?api_key={MARKER}")
    assert MARKER not in str(raised.value)
