"""What a verifier asks of each request with an API key: the same over ASGI and WSGI, remembered or not."""

from collections.abc import Iterator, Sequence

import pytest

from adapters.faces import Answer, ask_asgi, ask_wsgi, raw_asgi, raw_wsgi
from authguard import Guard, MemoryRevocations, Principal, Quota, Rule
from authguard._core.flow import Flow
from authguard._core.model import Credential
from authguard._core.networks import parse_network
from authguard._core.terms import Terms
from authguard._core.verifier import Verified, Verifier

NOW = 1_800_000_000.0
PROXY = "10.0.0.1"


class Keys(Verifier):
    """A verifier of keys with terms."""

    header = "X-API-Key"
    has_terms = True

    def __init__(self, networks: Sequence[str] = (), *, begins: bool = False, keep: float = 60) -> None:
        self.looked_up: list[str] = []
        self.counted: list[str | None] = []
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
            count=lambda now, address: self.counted.append(address),
            networks=self._networks,
            begin=self.begun.append if self._begins else None,
            response_fields=((b"api-key-expires", b"soon"),),
        )
        return Verified(principal, now + self._keep, terms)


class Face:
    """An application behind a guard, as one of the two kinds of servers runs it."""

    def __init__(self, kind: str) -> None:
        self.is_asgi = kind == "ASGI"

    def send(
        self, guard: Guard, peer: str | None, forwarded: str | None = None, path: str = "/private"
    ) -> Answer:
        fields = [("x-api-key", b"some-key-of-enough-bytes")]
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
    """Also while the key is remembered: elsewhere it is a 403 with no challenge, and it is not counted."""
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
    """Unless a proxy that is listed sends it."""
    guard = Guard(Keys(["192.0.2.0/24"]))
    assert face.send(guard, PROXY, "192.0.2.1").status == 403
    behind = Guard(Keys(["192.0.2.0/24"]), proxies=[PROXY])
    assert face.send(behind, PROXY, "192.0.2.1").status == 200
    assert face.send(behind, PROXY, "192.0.2.1, 198.51.100.1").status == 403
    assert face.send(behind, "198.51.100.1", "192.0.2.1").status == 403


def test_networks_come_before_scopes(face: Face) -> None:
    """Both are a 403; the first is about the address."""
    guard = Guard(Keys(["192.0.2.0/24"]), protected_paths=[Rule("/", scopes=["admin"])])
    assert b'"address_denied"' in face.send(guard, "198.51.100.1").body
    assert b'"insufficient_scope"' in face.send(guard, "192.0.2.1").body


def test_a_denied_address_is_nobody_where_nobody_is_enough(face: Face) -> None:
    """On a public path the application sees no caller."""
    guard = Guard(Keys(["192.0.2.0/24"]), public_paths=["/public"])
    assert face.send(guard, "198.51.100.1", path="/public") == Answer(200, ANY_FIELDS, b"")


class _AnyFields(dict[str, str]):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


ANY_FIELDS = _AnyFields()


def test_each_request_that_passes_is_counted(face: Face) -> None:
    """The first with its address, those of a remembered key without it; refused ones are not."""
    keys = Keys()
    guard = Guard(keys, protected_paths=["/", Rule("/admin", scopes=["admin"])])
    for path in ("/private", "/private", "/admin", "/private"):
        face.send(guard, "192.0.2.1", path=path)
    assert keys.counted == ["192.0.2.1", None, None]
    assert len(keys.looked_up) == 1


def test_requests_beyond_a_quota_are_not_counted(face: Face) -> None:
    """Only those that pass are told to the verifier."""
    keys = Keys()
    guard = Guard(keys, quotas=[Quota(2, 60)])
    assert [face.send(guard, "192.0.2.1").status for _ in range(4)] == [200, 200, 429, 429]
    assert keys.counted == ["192.0.2.1", None]


def test_response_fields_are_on_each_response(face: Face) -> None:
    """Beside those for caches."""
    guard = Guard(Keys())
    for _ in range(2):
        headers = face.send(guard, "192.0.2.1").headers
        assert (headers["api-key-expires"], headers["vary"]) == ("soon", "x-api-key")


def test_a_first_use_is_told_once_the_address_is_right(face: Face) -> None:
    """Not from elsewhere, and before the application runs."""
    keys = Keys(["192.0.2.0/24"], begins=True, keep=0)
    guard = Guard(keys)
    assert face.send(guard, "198.51.100.1").status == 403
    assert keys.begun == []
    assert face.send(guard, "192.0.2.1").status == 200
    assert keys.begun == [NOW]


def test_a_remembered_key_that_is_revoked_is_looked_up_again(face: Face) -> None:
    """What is remembered may be a generation of before; what the look-up tells counts."""
    keys, revocations = Keys(), MemoryRevocations()
    guard = Guard(keys, revocations=revocations)
    assert face.send(guard, "192.0.2.1").status == 200
    revocations.revoke(token_id="key_1.1", until=NOW + 60)
    assert [face.send(guard, "192.0.2.1").status for _ in range(3)] == [200] * 3
    assert len(keys.looked_up) == 2
    revocations.revoke(key_id="key_1", until=NOW + 60)
    assert face.send(guard, "192.0.2.1").status == 401
