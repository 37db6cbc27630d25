"""The conditions of a verifier for each request with an API key, over ASGI and WSGI."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from adapters.faces import Answer, ask_asgi, ask_wsgi, raw_asgi, raw_wsgi
from authguard import Guard, MemoryQuotas, MemoryRevocations, Principal, Quota, Rule
from authguard._core.flow import Flow
from authguard._core.model import Credential
from authguard._core.networks import parse_network
from authguard._core.terms import OUTCOMES, Terms
from authguard._core.verifier import Verified, Verifier
from authguard.errors import (
    Cause,
    InvalidAPIKeyError,
    RefusedError,
    VerificationUnavailableError,
)

KEY = {"x-api-key": "some-key-of-enough-bytes"}
NOW = 1_800_000_000.0
PROXY = "10.0.0.1"


class Keys(Verifier):
    """A verifier of keys with terms."""

    header = "X-API-Key"
    has_terms = True

    def __init__(self, networks: Sequence[str] = (), *, begins: bool = False, keep: float = 60) -> None:
        self.looked_up: list[str] = []
        self.counted: list[str | None] = []
        self.told: list[tuple[str, str]] = []
        self.begun: list[float] = []
        self._networks = tuple(network for text in networks if (network := parse_network(text)))
        self._begins = begins
        self._keep = keep

    def accepts(self, credential: Credential) -> bool:
        return credential.method == "api_key"

    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        self.looked_up.append(credential.value)
        principal = Principal(
            "ann", method="api_key", key_id="key_1", token_id=f"key_1.{len(self.looked_up)}"
        )
        terms = Terms(
            count=self._count,
            networks=self._networks,
            begin=self.begun.append if self._begins else None,
            response_fields=((b"api-key-expires", b"soon"),),
        )
        return Verified(principal, now + self._keep, terms)

    def _count(self, now: float, address: str | None, rule: str, outcome: str, uses: int = 1, /) -> None:
        assert outcome in OUTCOMES
        if uses < 0:
            self.told.remove((rule, outcome))
            return
        self.told.append((rule, outcome))
        if outcome == "ok":
            self.counted.append(address)


class Face:
    """An application behind a guard, over ASGI or WSGI."""

    def __init__(self, kind: str) -> None:
        self.is_asgi = kind == "ASGI"

    def send(
        self,
        guard: Guard,
        peer: str | None,
        forwarded: str | None = None,
        path: str = "/private",
        fields: Sequence[tuple[str, bytes]] = (("x-api-key", b"some-key-of-enough-bytes"),),
    ) -> Answer:
        fields = list(fields)
        if forwarded is not None:
            fields.append(("x-forwarded-for", forwarded.encode()))
        if self.is_asgi:
            app = raw_asgi(guard, lambda: NOW)
            return ask_asgi(
                lambda scope, *rest: app({**scope, "client": peer and (peer, 1)}, *rest), "GET", path, fields
            )
        wsgi = raw_wsgi(guard, lambda: NOW)
        address = {} if peer is None else {"REMOTE_ADDR": peer}
        return ask_wsgi(lambda environ, start: wsgi({**environ, **address}, start), "GET", path, fields)


@pytest.fixture(name="face", params=["ASGI", "WSGI"])
def _face(request: pytest.FixtureRequest) -> Iterator[Face]:
    yield Face(request.param)


def test_the_networks_hold_for_each_request(face: Face) -> None:
    """A request from another network is a 403 without a challenge, also with a remembered key."""
    keys = Keys(["192.0.2.0/24", "2001:db8::/32"])
    guard = Guard(keys)
    peers = [
        "192.0.2.1",
        "198.51.100.1",
        "192.0.2.2",
        "::ffff:192.0.2.3",
        "2001:db8::1",
        "2001:db9::1",
        None,
        "",
    ]
    answers = [face.send(guard, peer) for peer in peers]
    assert [answer.status for answer in answers] == [200, 403, 200, 200, 200, 403, 403, 403]
    assert b'"address_denied"' in answers[1].body
    assert "www-authenticate" not in answers[1].headers
    assert len(keys.looked_up) == 1
    assert keys.counted == ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"]


def test_a_field_of_the_client_is_not_believed(face: Face) -> None:
    """A field with the address counts only if a listed proxy sends it."""
    guard = Guard(Keys(["192.0.2.0/24"]))
    assert face.send(guard, PROXY, "192.0.2.1").status == 403
    behind = Guard(Keys(["192.0.2.0/24"]), proxies=[PROXY])
    assert face.send(behind, PROXY, "192.0.2.1").status == 200
    assert face.send(behind, PROXY, "192.0.2.1, 198.51.100.1").status == 403
    assert face.send(behind, "198.51.100.1", "192.0.2.1").status == 403


def test_networks_come_before_scopes(face: Face) -> None:
    """The refusal of an address comes before that of a missing scope."""
    guard = Guard(Keys(["192.0.2.0/24"]), protected_paths=[Rule("/", scopes=["admin"])])
    assert b'"address_denied"' in face.send(guard, "198.51.100.1").body
    assert b'"insufficient_scope"' in face.send(guard, "192.0.2.1").body


def test_a_denied_address_is_nobody_where_nobody_is_enough(face: Face) -> None:
    """A key from another network is anonymous on a public path."""
    guard = Guard(Keys(["192.0.2.0/24"]), public_paths=["/public"])
    assert face.send(guard, "198.51.100.1", path="/public") == Answer(200, ANY_FIELDS, b"")


class _AnyFields(dict[str, str]):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


ANY_FIELDS = _AnyFields()


def test_each_request_that_passes_is_counted(face: Face) -> None:
    """A request that passes is counted, with its address if the key is first-seen."""
    keys = Keys()
    guard = Guard(keys, protected_paths=["/", Rule("/admin", scopes=["admin"])])
    for path in ("/private", "/private", "/admin", "/private"):
        face.send(guard, "192.0.2.1", path=path)
    assert keys.counted == ["192.0.2.1", None, None]
    assert len(keys.looked_up) == 1
    assert keys.told == [("/", "ok"), ("/", "ok"), ("/admin", "forbidden"), ("/", "ok")]


class SlowQuotas(MemoryQuotas):
    """A store that is not in memory, like one in a network."""

    in_memory = False


@pytest.mark.parametrize("store", [MemoryQuotas, SlowQuotas])
@pytest.mark.parametrize(
    ("window", "outcome"), [(60, "rate_limited"), (86_399, "rate_limited"), (86_400, "quota_exceeded")]
)
def test_requests_beyond_a_quota_are_told_apart(
    face: Face, window: int, outcome: str, store: type[MemoryQuotas]
) -> None:
    """A quota of a day or more is counted as exceeded, and a shorter one as a limit of the rate."""
    keys = Keys()
    guard = Guard(keys, quotas=[Quota(2, window)], quota_store=store(clock=lambda: NOW))
    assert [face.send(guard, "192.0.2.1").status for _ in range(4)] == [200, 200, 429, 429]
    assert [outcome for _, outcome in keys.told] == ["ok", "ok", outcome, outcome]


def test_a_429_that_is_no_answer_at_once_is_told_once(face: Face) -> None:
    """A 429 of a guard with `on_error` is counted once."""
    keys = Keys()
    guard = Guard(keys, quotas=[Quota(1, 60)], on_error=lambda request, refusal: refusal)
    assert [face.send(guard, "192.0.2.1").status for _ in range(3)] == [200, 429, 429]
    assert [outcome for _, outcome in keys.told] == ["ok", "rate_limited", "rate_limited"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InvalidAPIKeyError("unknown"), "invalid"),
        (InvalidAPIKeyError("disabled", cause=Cause.DISABLED), "disabled"),
        (InvalidAPIKeyError("revoked", cause=Cause.REVOKED), "revoked"),
        (InvalidAPIKeyError("expired", cause=Cause.EXPIRED), "expired"),
        (VerificationUnavailableError("down"), None),
    ],
)
@pytest.mark.parametrize("path", ["/private", "/open"])
def test_a_key_that_is_not_good_is_told_to_its_verifier(
    face: Face, error: RefusedError, outcome: str | None, path: str
) -> None:
    """The verifier counts an invalid key with its cause, on protected and public paths, and no outage."""
    keys = Keys()

    def refuse(credential: Credential, now: float) -> Verified:
        error.count = keys._count
        raise error

    keys.flow = refuse  # type: ignore[method-assign]
    guard = Guard(keys, protected_paths=["/private"], public_paths=["/open"])
    face.send(guard, "192.0.2.1", path=path)
    assert keys.told == ([] if outcome is None else [(path, outcome)])


def test_a_bad_token_is_told(face: Face) -> None:
    """A verifier of tokens counts a refused token with its rule."""
    keys = Keys()
    keys.header = None  # type: ignore[assignment]

    def refuse(credential: Credential, now: float) -> Verified:
        error = InvalidAPIKeyError("revoked", cause=Cause.REVOKED)
        error.count = keys._count
        raise error

    keys.flow = refuse  # type: ignore[method-assign]
    keys.accepts = lambda credential: credential.method == "bearer"  # type: ignore[method-assign]
    answer = face.send(Guard(keys), "192.0.2.1", fields=[("authorization", b"Bearer some-token")])
    assert (answer.status, keys.told) == (401, [("(default)", "revoked")])


def test_a_revoked_key_and_one_from_elsewhere_are_told(face: Face) -> None:
    """A revoked key, and one from another network, are counted, also while the key is remembered."""
    keys, revocations = Keys(["192.0.2.0/24"]), MemoryRevocations()
    guard = Guard(keys, revocations=revocations)
    for peer in ("192.0.2.1", "198.51.100.1"):
        face.send(guard, peer)
    revocations.revoke(key_id="key_1", until=NOW + 60)
    face.send(guard, "192.0.2.1")
    assert [outcome for _, outcome in keys.told] == ["ok", "ip_denied", "revoked"]


def test_a_user_that_is_gone_is_told(face: Face) -> None:
    """A key without a user is counted as forbidden, and an outage of `user_loader` is not counted."""
    keys = Keys()
    face.send(Guard(keys, user_loader=lambda principal: None), "192.0.2.1")
    assert keys.told == [("(default)", "forbidden")]

    def fail(principal: Principal) -> None:
        raise ConnectionError

    assert face.send(Guard(keys, user_loader=fail), "192.0.2.1").status == 503
    assert keys.told == [("(default)", "forbidden")]


def test_a_sign_in_that_is_asked_for_is_told(face: Face) -> None:
    """A key on a path that requires a recent sign-in is counted as forbidden."""
    keys = Keys()
    guard = Guard(keys, protected_paths=[Rule("/private", max_age=60)])
    assert face.send(guard, "192.0.2.1").status == 401
    assert keys.told == [("/private", "forbidden")]


def test_a_verifier_need_not_be_told(face: Face) -> None:
    """A verifier with terms that do not count has the same answers."""
    keys = Keys()
    keys._count = None  # type: ignore[method-assign, assignment]
    guard = Guard(keys, quotas=[Quota(2, 60)], protected_paths=["/", Rule("/admin", scopes=["admin"])])
    paths = ["/private", "/private", "/admin", "/private"]
    assert [face.send(guard, "192.0.2.1", path=path).status for path in paths] == [200, 200, 403, 429]
    assert face.send(Guard(keys), "192.0.2.1").status == 200
    assert face.send(Guard(keys), "192.0.2.1").status == 200


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/a/1", "/a/*"),
        ("/a/2", "/a/*"),
        ("/b", "GET POST /b"),
        ("/open/x", "/open"),
        ("/login", "(served by the guard)"),
        ("/other", "(default)"),
        ("/a//1", "/a/*"),
        ("/x/%2e%2e/y", "(odd path)"),
        ("/A/1", "/a/*"),
    ],
)
def test_requests_are_told_by_the_rule_that_decided(face: Face, path: str, rule: str) -> None:
    """The rule in the count has its configured spelling, also for an odd path or another case."""
    keys = Keys()
    rules = ["/a/*", Rule("/b", methods=["POST", "GET"])]
    guard = Guard(keys, protected_paths=rules, public_paths=["/open"], login_path="/login")
    for _ in range(2):
        face.send(guard, "192.0.2.1", path=path)
    assert keys.told == [(rule, "ok")] * 2


def test_what_decorators_refuse_is_told_again(face: Face) -> None:
    """A refusal by a decorator replaces the count of the guard."""
    keys = Keys()
    guard = Guard(keys, public_paths=["/open"], quotas=[Quota(1, 60)])
    client = starlette_client(guard) if face.is_asgi else flask_client(guard)
    statuses = [client.get(path, headers=KEY).status_code for path in ("/scoped", "/open", "/open")]
    assert statuses == [403, 200, 429]
    assert keys.told == [("(default)", "forbidden"), ("/open", "ok"), ("/open", "rate_limited")]
    plain = Guard(keys)
    client = starlette_client(plain) if face.is_asgi else flask_client(plain)
    for _ in range(2):  # the second time with a remembered key
        assert client.get("/scoped", headers=KEY).status_code == 403
    assert keys.told[3:] == [("(default)", "forbidden")] * 2


def starlette_client(guard: Guard) -> Any:
    """Return a client of a Starlette application with decorators behind a guard."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from authguard.asgi import AuthGuardMiddleware
    from authguard.starlette import requires

    views = {"/scoped": requires("admin"), "/open": requires()}
    routes = [Route(path, decorate(lambda request: Response(""))) for path, decorate in views.items()]
    middleware = [Middleware(AuthGuardMiddleware, guard=guard, clock=lambda: NOW)]
    return TestClient(Starlette(routes=routes, middleware=middleware))


def flask_client(guard: Guard) -> Any:
    """Return a client of a Flask application with decorators behind a guard."""
    from flask import Flask

    from authguard.flask import requires
    from authguard.wsgi import AuthGuardMiddleware

    app = Flask(__name__)
    app.add_url_rule("/scoped", "scoped", requires("admin")(lambda: ""))
    app.add_url_rule("/open", "open", requires()(lambda: ""))
    app.wsgi_app = AuthGuardMiddleware(app.wsgi_app, guard=guard, clock=lambda: NOW)
    return app.test_client()


def test_response_fields_are_on_each_response(face: Face) -> None:
    """The fields of the terms are on each response, beside those for caches."""
    guard = Guard(Keys())
    for _ in range(2):
        headers = face.send(guard, "192.0.2.1").headers
        assert (headers["api-key-expires"], headers["vary"]) == ("soon", "x-api-key")


def test_a_first_use_is_told_once_the_address_is_right(face: Face) -> None:
    """A key begins with its first request from an allowed network."""
    keys = Keys(["192.0.2.0/24"], begins=True, keep=0)
    guard = Guard(keys)
    assert face.send(guard, "198.51.100.1").status == 403
    assert keys.begun == []
    assert face.send(guard, "192.0.2.1").status == 200
    assert keys.begun == [NOW]


def test_a_remembered_key_that_is_revoked_is_looked_up_again(face: Face) -> None:
    """A remembered key whose `token_id` is revoked is looked up again."""
    keys, revocations = Keys(), MemoryRevocations()
    guard = Guard(keys, revocations=revocations)
    assert face.send(guard, "192.0.2.1").status == 200
    revocations.revoke(token_id="key_1.1", until=NOW + 60)
    assert [face.send(guard, "192.0.2.1").status for _ in range(3)] == [200] * 3
    assert len(keys.looked_up) == 2
    revocations.revoke(key_id="key_1", until=NOW + 60)
    assert face.send(guard, "192.0.2.1").status == 401
