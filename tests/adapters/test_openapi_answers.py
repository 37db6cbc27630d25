"""The OpenAPI document has each status by which a guard may refuse, and no other."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from adapters.test_openapi import JWT, PROBLEM, get, installed
from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, Rule, VerificationUnavailableError
from authguard._core.verifier import Verified, Verifier
from authguard.fastapi import OptionalUser, install, requires

REFUSALS = {"303", "400", "401", "403", "429", "503"}


def refusals(app: FastAPI, path: str, method: str = "get") -> set[str]:
    return set(get(app, path, method)["responses"]) & REFUSALS


def test_a_protected_operation_has_its_refusals() -> None:
    """A protected operation has a 400, 401 and 503 with their fields, and a public one has none."""
    app = installed("/x", "/open", public_paths=["/open"])
    assert refusals(app, "/x") == refusals(app, "/x", "post") == {"400", "401", "503"}
    assert refusals(app, "/open") == set()
    responses = get(app, "/x")["responses"]
    assert all(responses[status]["content"] == PROBLEM for status in ("400", "401", "503"))
    assert list(responses["400"]["headers"]) == list(responses["401"]["headers"]) == ["WWW-Authenticate"]
    assert list(responses["503"]["headers"]) == ["Retry-After"]


def test_an_optional_operation_has_those_of_bad_credentials() -> None:
    """A strict operation has the refusals of invalid credentials, and a lenient one has none."""
    rules = [Rule("/strict", optional="strict"), Rule("/lenient", optional="lenient")]
    app = installed("/strict", "/lenient", protected_paths=rules)
    assert refusals(app, "/strict") == {"400", "401", "503"}
    assert refusals(app, "/lenient") == set()


def test_pages_send_browsers_to_sign_in() -> None:
    """A GET operation with a login page has a 303, and POST and the login page itself have none."""
    rules = ["/x", Rule("/open", optional="lenient"), Rule("/strict", optional="strict")]
    app = installed("/x", "/open", "/strict", "/login", protected_paths=rules, login_path="/login")
    assert refusals(app, "/x") == refusals(app, "/strict") == {"303", "400", "401", "503"}
    assert refusals(app, "/x", "post") == {"400", "401", "503"}
    assert refusals(app, "/open") == refusals(app, "/login") == set()
    assert list(get(app, "/x")["responses"]["303"]["headers"]) == ["Location"]
    decorated = FastAPI()
    decorated.add_api_route("/login", requires("read")(lambda: ""))
    install(decorated, Guard(JWT, login_path="/login"))
    assert refusals(decorated, "/login") == {"400", "401", "403", "503"}
    own = installed("/x", "/y", protected_paths=[Rule("/x", login_path="/in"), "/y"])
    assert "303" in refusals(own, "/x")
    assert "303" not in refusals(own, "/y")
    answer = TestClient(app).get("/x", headers={"accept": "text/html"}, follow_redirects=False)
    assert answer.status_code == 303


def test_nobody_is_sent_to_sign_in_where_that_is_switched_off_or_in_vain() -> None:
    """A rule with `login_redirect=False`, or without the cookie, sends and documents no 303."""
    rules = ["/", Rule("/api", login_redirect=False), Rule("/programs", credentials=["bearer"])]
    paths = ["/x", "/api", "/programs"]
    app = installed(*paths, protected_paths=rules, login_path="/login", cookie=AccessCookie())
    client = TestClient(app)
    for path, status in {"/x": 303, "/api": 401, "/programs": 401}.items():
        answer = client.get(path, headers={"accept": "text/html"}, follow_redirects=False)
        assert answer.status_code == status
        assert ("303" in refusals(app, path)) is (status == 303)


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_form_of_a_refusal_is_documented(method: str) -> None:
    """A refusal is documented as a problem document and as a page."""
    app = installed("/x")
    content = get(app, "/x", method)["responses"]["401"]["content"]
    for accept in ("application/json", "text/html"):
        answer = TestClient(app).request(method, "/x", headers={"accept": accept})
        assert answer.headers["content-type"].partition(";")[0] in content
    assert len(content) == 2


def test_a_cookie_is_refused_from_other_sites() -> None:
    """A 403 for other origins is documented for unsafe methods, the login page and rules with scopes."""
    rules = ["/x", Rule("/admin", scopes=["admin"])]
    app = installed(
        "/x", "/admin", "/login", "/open", protected_paths=rules, login_path="/login", cookie=AccessCookie()
    )
    assert "403" not in refusals(app, "/x")
    assert refusals(app, "/login", "post") == {"403"}
    assert refusals(app, "/open", "post") == set()
    words = get(app, "/admin", "post")["responses"]["403"]["description"]
    assert "scope admin" in words
    assert "another site" in words


class WithTerms(Verifier):
    """A verifier with conditions for each request, such as an address."""

    has_terms = True

    def accepts(self, credential: Any) -> bool:
        return True

    def flow(self, credential: Any, now: float) -> Verified:
        raise VerificationUnavailableError("down")


def test_keys_with_networks_may_be_refused() -> None:
    """A verifier with conditions has a 403 in the document, also without required scopes."""
    app = FastAPI()
    app.add_api_route("/x", lambda: "")
    install(app, Guard(WithTerms()))
    assert "networks" in get(app, "/x")["responses"]["403"]["description"]


def test_on_error_sends_what_it_likes() -> None:
    """With `on_error` the document has the statuses of refusals without their bodies."""
    app = installed("/x", on_error=lambda request, refusal: refusal.with_json({"error": 1}))
    assert refusals(app, "/x") == {"400", "401", "503"}
    assert not any("content" in get(app, "/x")["responses"][status] for status in ("400", "401", "503"))


def answers(client: TestClient, path: str, headers: list[dict[str, str]]) -> set[str]:
    return {str(client.get(path, headers=each).status_code) for each in headers}


@pytest.mark.parametrize("path", ["/x", "/strict", "/lenient", "/open", "/maybe", "/decorated"])
def test_what_callers_are_answered_is_documented(path: str) -> None:
    """The answers to no credential, to an invalid one, to two and in an outage are in the document."""
    key = "sk_live_" + "k3Yz9" * 8

    def find(digest: str) -> APIKey | None:
        raise ConnectionError("the database is down")

    app = FastAPI()
    for each in ("/x", "/strict", "/lenient", "/open"):
        app.add_api_route(each, lambda: "")

    @app.get("/maybe")
    def _maybe(user: OptionalUser) -> None: ...

    @app.get("/decorated")
    @requires("read")
    def _decorated() -> None: ...

    rules: list[str | Rule] = ["/x"]
    rules += [Rule("/strict", optional="strict"), Rule("/lenient", optional="lenient")]
    install(app, Guard(JWT, APIKeyVerifier(find), protected_paths=rules))
    sent = [{}, {"authorization": "Bearer bad"}, {"x-api-key": key}]
    sent.append({"authorization": "Bearer bad", "x-api-key": key})
    given = answers(TestClient(app), path, sent)
    documented = set(get(app, path)["responses"])
    assert given <= documented
    may_pass = "200" in given
    assert ({} in get(app, path).get("security", [{}])) is may_pass
    if path in ("/x", "/strict", "/decorated"):
        assert {"400", "401", "503"} <= given
