"""A guard with several verifiers of one kind: each adapter asks the same verifier for a credential."""

import secrets
from typing import Any

import pytest

from adapters.faces import ASGI, WSGI, ask_asgi, ask_wsgi
from authguard import APIKey, APIKeyVerifier, Guard, JWTVerifier, Principal
from authguard.errors import InvalidAPIKeyError, InvalidTokenError
from authguard.testing import issue_token

NOW = 1_800_000_000.0
SECRET, OTHER_SECRET = secrets.token_urlsafe(40), secrets.token_urlsafe(40)
ISSUER, OTHER, AUDIENCE = "https://issuer.example", "https://other.example", "https://api.example"
KEY = "sk_live_" + secrets.token_urlsafe(32)
PARTNER_KEY = "pk_live_" + secrets.token_urlsafe(32)
BOTH_KEY = "bare-" + secrets.token_urlsafe(32)
OWN_KEY = "own-" + secrets.token_urlsafe(32)


class Own:
    """A verifier of an application, with a field and without a prefix."""

    header = "X-Own"

    def verify(self, credential: Any) -> Principal:
        if credential.value != OWN_KEY:
            raise InvalidAPIKeyError("unknown")
        return Principal(f"own by {credential.header}", method="api_key")


class Opaque:
    """A verifier of an application, for tokens of any form."""

    def verify(self, credential: Any) -> Principal:
        if credential.value != "opaque":
            raise InvalidTokenError("unknown")
        return Principal("opaque")


def jwt(secret: str, issuer: str) -> JWTVerifier:
    """Return a verifier for the JWTs of one issuer."""
    return JWTVerifier(secret, algorithms=["HS256"], issuer=issuer, audience=AUDIENCE)


def guard() -> Guard:
    """Return a guard with several verifiers of each kind."""
    return Guard(
        Opaque(),
        APIKeyVerifier({KEY: APIKey("robot"), BOTH_KEY: APIKey("ours")}),
        APIKeyVerifier(
            {PARTNER_KEY: APIKey("partner"), BOTH_KEY: APIKey("theirs")},
            header="X-Partner-Key",
            prefixes=["pk_live_"],
        ),
        Own(),
        jwt(SECRET, ISSUER),
        jwt(OTHER_SECRET, OTHER),
    )


def token(secret: str, issuer: str) -> str:
    """Return a token of one issuer."""
    return issue_token(secret, now=NOW, subject=f"user of {issuer}", iss=issuer, aud=AUDIENCE)


def sent(field: str, value: str) -> list[tuple[str, bytes]]:
    """Return the fields of a request with one field."""
    return [(field, value.encode())]


CASES: dict[str, tuple[list[Any], int, str]] = {
    "a key in its field": (sent("X-API-Key", KEY), 200, "robot"),
    "a partner's key in its field": (sent("X-Partner-Key", PARTNER_KEY), 200, "partner"),
    "the field in another case": (sent("x-partner-KEY", PARTNER_KEY), 200, "partner"),
    "a key by its prefix": (sent("Authorization", f"Bearer {KEY}"), 200, "robot"),
    "a partner's key by its prefix": (sent("Authorization", f"Bearer {PARTNER_KEY}"), 200, "partner"),
    "a key in the partner's field": (sent("X-Partner-Key", KEY), 401, ""),
    "a partner's key in our field": (sent("X-API-Key", PARTNER_KEY), 401, ""),
    "a text that is a key of both, in our field": (sent("X-API-Key", BOTH_KEY), 200, "ours"),
    "a text that is a key of both, in theirs": (sent("X-Partner-Key", BOTH_KEY), 200, "theirs"),
    "a key without a prefix, as a token": (sent("Authorization", f"Bearer {BOTH_KEY}"), 401, ""),
    "a key with the scheme in its field": (sent("X-API-Key", f"Bearer {KEY}"), 401, ""),
    "an own key in its field": (sent("X-Own", OWN_KEY), 200, "own by x-own"),
    "an own key in our field": (sent("X-API-Key", OWN_KEY), 401, ""),
    "our key in the own field": (sent("X-Own", KEY), 401, ""),
    "a token of the first issuer": (sent("Authorization", f"Bearer {token(SECRET, ISSUER)}"), 200, f"user of {ISSUER}"),
    "a token of the second": (sent("Authorization", f"Bearer {token(OTHER_SECRET, OTHER)}"), 200, f"user of {OTHER}"),
    "a token by the key of another": (sent("Authorization", f"Bearer {token(SECRET, OTHER)}"), 401, ""),
    "a token of any form": (sent("Authorization", "Bearer opaque"), 200, "opaque"),
    "a token in a key's field": (sent("X-Partner-Key", token(SECRET, ISSUER)), 401, ""),
    "keys in two fields": (sent("X-API-Key", KEY) + sent("X-Partner-Key", PARTNER_KEY), 400, ""),
}  # fmt: skip
FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES], scope="module")
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param
    app = make(guard(), lambda: NOW)
    return lambda fields: ask(app, "GET", "/private", fields)


@pytest.mark.parametrize("case", CASES)
def test_the_field_and_the_prefix_choose(face: Any, case: str) -> None:
    """Each credential is verified by the verifier of its field or prefix, also when it is remembered."""
    fields, status, subject = CASES[case]
    for _ in range(2):
        answer = face(fields)
        assert answer.status == status, answer
        assert status != 200 or answer.body.decode() == subject


@pytest.mark.parametrize(
    "pair", [("X-API-Key", "X-Partner-Key"), ("X-Partner-Key", "X-API-Key")], ids="-".join
)
@pytest.mark.parametrize(("ask", "make"), [face[1:] for face in FACES], ids=[face[0] for face in FACES])
def test_a_key_known_in_one_field_is_not_known_in_another(ask: Any, make: Any, pair: Any) -> None:
    """A key that is remembered for one field is not accepted in another field."""
    app = make(guard(), lambda: NOW)
    subjects = {"X-API-Key": "ours", "X-Partner-Key": "theirs"}
    for field in (*pair, *pair):
        assert ask(app, "GET", "/private", sent(field, BOTH_KEY)).body.decode() == subjects[field]
    for key in (KEY, PARTNER_KEY):
        assert ask(app, "GET", "/private", sent("Authorization", f"Bearer {key}")).status == 200
        statuses = [ask(app, "GET", "/private", sent(field, key)).status for field in pair]
        assert sorted(statuses) == [200, 401]


def test_caches_are_told_of_all_key_fields(face: Any) -> None:
    """A response to a key varies by the fields of all keys."""
    answer = face(sent("X-Partner-Key", PARTNER_KEY))
    assert answer.headers["vary"] == "x-api-key, x-own, x-partner-key"
