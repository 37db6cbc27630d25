"""The options for issuers, tenants, clients and claims, with the same answers by each adapter."""

import logging
from typing import Any

import pytest

from adapters.answering import AUDIENCE, INVALID_TOKEN, NOW, bearer
from adapters.faces import ASGI, WSGI, ask_asgi, ask_wsgi
from authguard import Guard, JWTVerifier
from support import SECRET, claims, make_token

TENANTS = "https://login.example/{tenantid}/v2.0"
OTHER_SECRET = "Zr7Pq1Wm4Xc9Tn2Yv6Lk8Jh3Gf5DsBa0eUoIiE"


def _is_customer(issuer: str) -> bool:
    return issuer == "https://customer.example"


def guard() -> Guard:
    return Guard(
        JWTVerifier(
            SECRET,
            algorithms=["HS256"],
            issuer=TENANTS,
            tenants=["a", "b"],
            audience=None,
            client_ids=["web"],
            claims={"org": "acme", "verified": True},
            header_claims={"signer": "alb"},
            subject_claims=["upn", "sub"],
            role_claims=["resource_access.my.api.roles"],
        ),
        JWTVerifier(OTHER_SECRET, algorithms=["HS256"], issuer=_is_customer, audience=AUDIENCE),
    )


def token(*, signer: Any = "alb", **changes: Any) -> str:
    good = {"iss": "https://login.example/a/v2.0", "aud": ..., "azp": "web", "org": "acme", "verified": True}
    return make_token(claims(**{**good, **changes}), **({} if signer is ... else {"signer": signer}))


def customer(issuer: str) -> str:
    return make_token(claims(iss=issuer), key=OTHER_SECRET)


TAKEN = {
    "a good token": (token(), "ann"),
    "of the other tenant": (token(iss="https://login.example/b/v2.0"), "ann"),
    "with an empty audience": (token(aud=[]), "ann"),
    "with a name": (token(upn="ann@x.example"), "ann@x.example"),
    "with a type of the application's": (token(type="email", events=["x"], auth_time="today"), "ann"),
    "of a customer": (customer("https://customer.example"), "ann"),
}
REFUSED = {
    "of a third tenant": token(iss="https://login.example/c/v2.0"),
    "of the pattern": token(iss=TENANTS),
    "of another client": token(azp="evil"),
    "of no client": token(azp=...),
    "of another organisation": token(org="Acme"),
    "of a flag that is a number": token(verified=1),
    "of another load balancer": token(signer="other"),
    "of no load balancer": token(signer=...),
    "with a subject that is a list": token(upn=["ann"]),
    "with a client's subject": token(upn="client:web2"),
    "of another kind": token(type="password-reset"),
    "of no customer": customer("https://stranger.example"),
}
FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]


@pytest.fixture(name="face", params=FACES, ids=[face[0] for face in FACES], scope="module")
def _face(request: pytest.FixtureRequest) -> Any:
    _, ask, make = request.param
    app = make(guard(), lambda: NOW)
    return lambda text: ask(app, "GET", "/private", [bearer(text)])


@pytest.mark.parametrize("name", TAKEN)
def test_a_good_token_is_taken(face: Any, name: str) -> None:
    """A token that fulfils the options is accepted, with the subject of the configured claim."""
    text, subject = TAKEN[name]
    answer = face(text)
    assert (answer.status, answer.body.decode()) == (200, subject)


@pytest.mark.parametrize("name", REFUSED)
def test_another_one_is_refused(face: Any, name: str, caplog: Any) -> None:
    """A token that does not fulfil the options is a 401, with the reason in the log and without the token."""
    with caplog.at_level(logging.DEBUG, logger="authguard"):
        answer = face(REFUSED[name])
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith(INVALID_TOKEN)
    assert "invalid_token (" in caplog.text
    assert REFUSED[name] not in caplog.text


def test_the_answers_do_not_tell_what_was_expected(face: Any) -> None:
    """The bodies of the refusals are equal for each option."""
    assert len({face(text).body for text in REFUSED.values()}) == 1
