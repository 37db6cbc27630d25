"""Each provider's configuration accepts its tokens, and refuses those with a fault, on ASGI and WSGI."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from providers.building import FAULTS, Fault
from providers.catalogue import NAMES, PROVIDERS
from providers.faces import Face, read
from providers.internet import Internet

TAKEN = [(name, case) for name in NAMES for case in PROVIDERS[name].taken]
REFUSED = [
    (name, fault, case)
    for name in NAMES
    for fault, cases in PROVIDERS[name].refused.items()
    for case in cases
]
#: The logged reason of each fault, so that no token is refused for another reason.
REASONS: dict[Fault, str] = {
    "audience": r"audience",
    "tenant": r"issuer|the claim ",
    "client": r"client|the claim |another audience",
    "kind": r"\A(?!.*(signature does not|no key for|expired))",
    "signer": r"signature|alg is not|no key for|parameter signer|not active",
    "expired": r"expired|no exp\b|not active",
}
#: By bearer token, by cookie, and by a field of their own.
WEBSOCKETS = ["auth0", "keycloak", "clerk", "google_iap", "aws_alb"]


@pytest.fixture(scope="module", name="faces")
def _faces(internet: Internet) -> Iterator[Any]:
    """Yield a function that builds a guarded application at its first use."""
    built: dict[tuple[str, str], Face] = {}

    def face(name: str, kind: str) -> Face:
        if (name, kind) not in built:
            provider = PROVIDERS[name]
            internet.pages.update(provider.pages())
            with pytest.MonkeyPatch.context() as patch:
                for variable, value in provider.environ.items():
                    patch.setenv(variable, value)
                built[name, kind] = Face(kind, provider.guard())
        return built[name, kind]

    yield face
    for each in built.values():
        each.close()


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize(("name", "case"), TAKEN)
def test_a_good_token_is_taken(faces: Any, name: str, case: str, kind: str) -> None:
    """A valid token has the caller of the provider's file, at the first request and as a known token."""
    credential, caller = PROVIDERS[name].taken[case]
    fields = PROVIDERS[name].send(credential.text())
    for _ in range(2):
        status, body, headers = faces(name, kind).get(fields)
        assert (status, headers.get("www-authenticate")) == (200, None)
        assert read(body) == caller


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize(("name", "fault", "case"), REFUSED)
def test_a_token_with_one_fault_is_refused(
    faces: Any, name: str, fault: Fault, case: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A token with one fault is a 401, whose logged reason names the fault and does not show the token."""
    text = PROVIDERS[name].refused[fault][case].text()
    with caplog.at_level(logging.DEBUG, logger="authguard"):
        status, _, headers = faces(name, kind).get(PROVIDERS[name].send(text))
    assert status == 401
    assert 'error="invalid_token"' in headers["www-authenticate"]
    assert text not in caplog.text
    (reason,) = re.findall(r"invalid_token \((.*)\)", caplog.text)
    assert re.search(REASONS[fault], reason), reason


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_has_a_case_or_a_reason(name: str) -> None:
    """Each provider has a token of each fault, or a reason for its absence."""
    provider = PROVIDERS[name]
    assert all(provider.refused.values())
    assert all(len(reason.split()) >= 4 for reason in provider.cannot.values())
    assert sorted([*provider.refused, *provider.cannot]) == sorted(FAULTS)


@pytest.mark.parametrize("name", WEBSOCKETS)
def test_websockets_are_judged_alike(faces: Any, name: str) -> None:
    """A valid token opens a websocket, and each invalid one is refused before it is accepted."""
    provider = PROVIDERS[name]
    for credential, caller in provider.taken.values():
        accepted, told = faces(name, "asgi").connect(provider.send(credential.text()))
        assert accepted["type"] == "websocket.accept"
        assert read(told["bytes"]) == caller
    for cases in provider.refused.values():
        for credential in cases.values():
            (refused,) = faces(name, "asgi").connect(provider.send(credential.text()))
            assert (refused["type"], refused["code"]) == ("websocket.close", 1008)
