"""`Guard.verify` and `Guard.averify` give the same result for a credential as a request with it."""

import asyncio
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
import trio

from authguard import (
    ANONYMOUS,
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    DPoP,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    InvalidTokenError,
    JWTVerifier,
    MemoryRevocations,
    MissingCredentialsError,
    Principal,
    Quota,
    RefusedError,
    VerificationUnavailableError,
)
from authguard._core.deciding.outside import _Message
from authguard._core.networks import parse_network
from authguard._core.terms import Terms
from authguard._core.verifier import Verified, Verifier
from authguard.asgi import AuthGuardMiddleware
from authguard.drivers import run
from authguard.errors import (
    AddressDeniedError,
    ExpiredTokenError,
    InvalidRequestError,
    MalformedTokenError,
    RevokedTokenError,
    UnexpectedError,
    UnprovenTokenError,
)
from authguard.testing import issue_token, override
from support import NOW, SECRET

KEY = "sk_live_0123456789abcdef"
PLAIN_KEY = "plain-0123456789abcdef"


def jwt_verifier(**options: Any) -> JWTVerifier:
    """Return a verifier of tokens without an issuer and an audience."""
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None, **options)


def make_guard(**options: Any) -> Guard:
    """Return a guard for tokens, and for API keys with a prefix and without one."""
    keys = APIKeyVerifier({KEY: APIKey("kay"), PLAIN_KEY: APIKey("plain")}, prefixes=["sk_live_"])
    return Guard(jwt_verifier(), keys, **options)


def token(**options: Any) -> str:
    """Return a token that is valid at `NOW`."""
    return issue_token(SECRET, **{"now": NOW, "subject": "ann", **options})


def by_verify(guard: Guard, credential: Any, **options: Any) -> Principal:
    """Verify in this thread."""
    return guard.verify(credential, **{"now": NOW, **options})


def by_averify(guard: Guard, credential: Any, **options: Any) -> Principal:
    """Verify in an event loop of asyncio."""
    return asyncio.run(guard.averify(credential, **{"now": NOW, **options}))


def by_averify_on_trio(guard: Guard, credential: Any, **options: Any) -> Principal:
    """Verify in a run of trio."""
    return trio.run(partial(guard.averify, credential, **{"now": NOW, **options}))


Ask = Callable[..., Principal]


@pytest.fixture(params=[by_verify, by_averify, by_averify_on_trio], ids=["verify", "averify", "trio"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Provide each of the three functions that verify."""
    yield request.param


def test_a_token(ask: Ask) -> None:
    """The principal of a token is that of a request with it."""
    principal = ask(make_guard(), token(scopes=["read"]))
    assert (principal.subject, principal.scopes, principal.method) == ("ann", {"read"}, "bearer")


def test_an_api_key(ask: Ask) -> None:
    """A key with a prefix is recognised, and one without a prefix requires the name of its field."""
    assert ask(make_guard(), KEY).subject == "kay"
    assert ask(make_guard(), PLAIN_KEY, header="x-api-key").subject == "plain"
    with pytest.raises(InvalidTokenError):
        ask(make_guard(), PLAIN_KEY)


@pytest.mark.parametrize(
    ("credential", "error"),
    [
        (None, MissingCredentialsError),
        ("", InvalidRequestError),
        ("two words", InvalidRequestError),
        ("ümlaut", InvalidRequestError),
        ("日本", InvalidRequestError),
        ("a\nb", InvalidRequestError),
        ("not.a.jwt", MalformedTokenError),
        ("a" * 20_000, MalformedTokenError),
        ("sk_live_" + "a" * 20_000, InvalidTokenError),
        ("sk_live_unknown", InvalidTokenError),
        ("opaque", InvalidTokenError),
    ],
    ids=repr,
)
def test_bad_credentials(ask: Ask, credential: Any, error: type[RefusedError]) -> None:
    """Invalid credentials are refused with the error of a request."""
    with pytest.raises(error) as raised:
        ask(make_guard(), credential)
    assert type(raised.value) is not UnexpectedError


@pytest.mark.parametrize("credential", [5, ["a"], {"token": "a"}, True, b"abc"], ids=repr)
def test_what_is_no_text(ask: Ask, credential: Any) -> None:
    """A credential that is not text, such as a value from JSON, is an invalid request."""
    decode = ": write token.decode()" if isinstance(credential, bytes) else ""
    with pytest.raises(InvalidRequestError) as raised:
        ask(make_guard(), credential)
    assert raised.value.reason == f"the token must be text, got {type(credential).__name__}{decode}"


@pytest.mark.parametrize(
    "scheme", ["Bearer ", "bearer  ", "DPoP ", "Token ", "JWT ", "Authorization: Bearer "]
)
def test_a_scheme_before_the_token(ask: Ask, scheme: str) -> None:
    """The error for a token with a scheme shows how to remove it, without the token."""
    text = token()
    with pytest.raises(InvalidRequestError, match=r"removeprefix\(\"Bearer \"\)") as raised:
        ask(make_guard(), scheme + text)
    assert text not in str(raised.value)


def test_the_same_text_as_in_a_request(ask: Ask) -> None:
    """An expired token is refused with the error of a request."""
    with pytest.raises(ExpiredTokenError):
        ask(make_guard(), token(expires_in=-100))


def test_the_memory_is_that_of_requests() -> None:
    """A token that `verify` has verified is remembered for requests."""
    calls: list[str] = []

    class Counting(JWTVerifier):
        def verify(self, *arguments: Any) -> Any:
            calls.append("asked")
            return super().verify(*arguments)

    guard = Guard(Counting(SECRET, algorithms=["HS256"], issuer=None, audience=None))
    text = token()
    for _ in range(3):
        guard.verify(text, now=NOW)
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"authorization", b"Bearer " + text.encode())],
    }
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sent.append(scope["user"].subject)

    async def nothing(*_: Any) -> Any:
        return None

    asyncio.run(AuthGuardMiddleware(app, guard=guard, clock=lambda: NOW)(scope, nothing, nothing))
    assert (calls, sent) == (["asked"], ["ann"])


def test_a_refused_token_is_verified_once(ask: Ask) -> None:
    """The signature of a refused token is verified once."""
    verified = []

    class Counting(JWTVerifier):
        def flow(self, credential: Any, now: float) -> Any:
            verified.append(credential.value)
            return super().flow(credential, now)

    verifier = Counting(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    bad = token(now=NOW - 86_400)
    with pytest.raises(ExpiredTokenError):
        ask(Guard(verifier), bad)
    assert verified == [bad]


def test_revocations_hold(ask: Ask) -> None:
    """A revoked token is refused, also if it was remembered."""
    revocations = MemoryRevocations(clock=lambda: NOW)
    guard, text = make_guard(revocations=revocations), token(jti="one")
    assert ask(guard, text).token_id == "one"
    revocations.revoke(token_id="one", until=NOW + 300)
    with pytest.raises(RevokedTokenError):
        ask(guard, text)


def test_the_user_has_to_be_there(ask: Ask) -> None:
    """`user_loader` is asked at each call, and a deleted user is refused."""
    users = {"ann"}
    guard = make_guard(
        user_loader=lambda principal: principal.subject if principal.subject in users else None
    )
    assert ask(guard, token()).subject == "ann"
    users.clear()
    with pytest.raises(InvalidTokenError, match="the user no longer exists"):
        ask(guard, token())


def test_outages_and_bugs_of_callbacks(ask: Ask) -> None:
    """An outage of a callback is a 503 and a bug is a 500, each with its cause."""
    errors: list[Exception] = [ConnectionError(), LookupError()]

    def load(principal: Principal) -> None:
        raise errors[0]

    guard = make_guard(user_loader=load)
    with pytest.raises(VerificationUnavailableError) as down:
        ask(guard, token())
    assert isinstance(down.value.__cause__, ConnectionError)
    del errors[0]
    with pytest.raises(UnexpectedError) as bug:
        ask(guard, token())
    assert isinstance(bug.value.__cause__, LookupError)


def test_a_bound_token_is_refused(ask: Ask) -> None:
    """A bound token is refused, since no proof can be given outside of a request."""
    guard = make_guard(proofs=[DPoP("https://api.example.com")])
    with pytest.raises(UnprovenTokenError):
        ask(guard, token(cnf={"jkt": "a"}))


def test_keys_for_some_networks(ask: Ask) -> None:
    """A key for certain networks is refused without an address, and from another network."""
    network = parse_network("192.0.2.0/24")
    assert network is not None
    counted: list[Any] = []

    class Near(Verifier):
        has_terms = True

        def accepts(self, credential: Any) -> bool:
            return True

        def flow(self, credential: Any, now: float) -> Verified:
            terms = Terms(lambda _, *told: counted.append(told), networks=(network,))
            return Verified(Principal("near"), now + 60, terms)

    guard = Guard(Near())
    for address in (None, "", "unix", "198.51.100.1"):
        with pytest.raises(AddressDeniedError):
            ask(guard, "opaque", address=address)
    assert ask(guard, "opaque", address="::ffff:192.0.2.7").subject == "near"
    told = [(address, "(outside of requests)", "ip_denied") for address in (None, None, None, "198.51.100.1")]
    assert counted == [*told, ("192.0.2.7", "(outside of requests)", "ok")]


def test_what_is_told_of_an_address(ask: Ask) -> None:
    """A verifier that counts uses gets a valid address, and None for any other text."""
    counted: list[Any] = []

    class Counting(Verifier):
        has_terms = True

        def accepts(self, credential: Any) -> bool:
            return True

        def flow(self, credential: Any, now: float) -> Verified:
            return Verified(
                Principal("ann"), now + 60, Terms(lambda at, address, *_: counted.append(address))
            )

    guard = Guard(Counting())
    for address in (None, "unix:/run/app", "192.0.2.1"):
        ask(guard, "opaque", address=address)
    assert counted == [None, None, "192.0.2.1"]


def test_nothing_is_taken_from_quotas(ask: Ask) -> None:
    """The call takes nothing from the quotas."""
    guard = make_guard(quotas=[Quota(1, 60)])
    assert [ask(guard, token()).subject for _ in range(3)] == ["ann"] * 3


def test_the_user_of_a_test(ask: Ask) -> None:
    """`override` applies to the call, with a token and without one."""
    guard = make_guard()
    with override(guard, Principal("eve")):
        assert [ask(guard, text).subject for text in ("anything", None)] == ["eve", "eve"]
    with override(guard, ANONYMOUS), pytest.raises(MissingCredentialsError):
        ask(guard, token())


def test_the_time_of_day_is_the_default() -> None:
    """The default time is the present, and a time may be a datetime."""
    assert make_guard().verify(issue_token(SECRET)).subject == "somebody"
    assert make_guard().verify(token(), now=datetime.fromtimestamp(NOW, UTC)).subject == "ann"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"header": "X-Other"}, "header must be a field that the guard reads \\(authorization, x-api-key\\)"),
        ({"header": ""}, "header must be text"),
        ({"header": "Cookie"}, "header must be a field"),
        ({"header": 5}, "header must be text"),
        ({"address": 5}, "address must be text, or None, got 5"),
        ({"now": "today"}, "now must be seconds since the epoch"),
        ({"now": True}, "now must be seconds since the epoch"),
    ],
)
def test_wrong_options(ask: Ask, options: dict[str, Any], words: str) -> None:
    """Invalid options are errors with advice."""
    with pytest.raises(ConfigurationError, match=words):
        ask(make_guard(), token(), **options)


def test_where_all_tokens_come_in_a_field_of_their_own_it_is_named(ask: Ask) -> None:
    """A guard that reads all tokens from another field requires the name of that field."""
    guard = Guard(jwt_verifier(header="X-Token"))
    assert ask(guard, token(), header="x-token").method == "header"
    for credential in (token(), None):
        with pytest.raises(ConfigurationError, match=r"write guard.verify\(token, header='X-Token'\)"):
            ask(guard, credential)
    keys = APIKeyVerifier({KEY: APIKey("kay")})
    assert ask(Guard(jwt_verifier(header="X-Token"), keys), KEY).subject == "kay"


async def load_async(principal: Principal) -> Principal:
    """Return the principal by a coroutine function."""
    return principal


def load_awaitable(principal: Principal) -> Any:
    """Return an awaitable, by a plain function."""
    return load_async(principal)


@pytest.mark.parametrize("loader", [load_async, load_awaitable])
@pytest.mark.parametrize(
    "run_it", [asyncio.run, lambda main: trio.run(lambda: main)], ids=["asyncio", "trio"]
)
def test_verify_in_an_event_loop_with_async_parts(loader: Any, run_it: Any) -> None:
    """`verify` in an event loop with an async loader is an error that advises `averify`."""
    guard = make_guard(user_loader=loader)

    async def main() -> None:
        with pytest.raises(RuntimeError, match=rf"{loader.__name__} is async.*await guard\.averify\(token\)"):
            guard.verify(token(), now=NOW)
        assert (await guard.averify(token(), now=NOW)).subject == "ann"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_it(main())


def test_verify_in_an_event_loop_with_an_async_verifier() -> None:
    """`verify` in an event loop with an async verifier is an error that names the verifier."""

    class Own:
        async def verify(self, credential: Any) -> Principal:
            return Principal("own")

    guard = Guard(Own())

    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"Own\.verify is async"):
            guard.verify("opaque")
        assert (await guard.averify("opaque")).subject == "own"

    asyncio.run(main())
    assert guard.verify("opaque").subject == "own"  # without an event loop `verify` can run it


def test_verify_in_an_event_loop_without_async_parts() -> None:
    """`verify` in an event loop works if no callback is async."""

    async def main() -> str:
        return make_guard(user_loader=lambda principal: principal).verify(token(), now=NOW).subject

    assert asyncio.run(main()) == "ann"


@pytest.mark.parametrize("kind", ["keys", "introspection"])
def test_verify_with_an_async_client(kind: str) -> None:
    """`verify` with an `AsyncClient` is an error that advises `averify`."""
    from authguard import RemoteKeySet

    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, json={})))
    http = HTTPOptions(client=client)
    url = "https://issuer.example/x"
    guard = Guard(
        JWTVerifier(RemoteKeySet(url, http=http), algorithms=["ES256"], issuer=None, audience=None)
        if kind == "keys"
        else IntrospectionVerifier(url, client_id="api", client_secret="secret", audience=None, http=http)
    )
    text = issue_token(SECRET).replace("HS256", "ES256") if kind == "introspection" else _es256()
    with pytest.raises(RuntimeError, match=r"httpx\.Client.*await guard\.averify\(token\)"):
        guard.verify(text)


def _es256() -> str:
    from support import claims, ec_key, make_token

    return make_token(claims(), algorithm="ES256", key=ec_key(), kid="a")


def examine(guard: Guard, credential: str) -> Principal:
    """Return the principal that `Guard.examine` finds."""
    return run(guard.examine(credential, NOW))


def test_a_tool_finds_what_a_request_would() -> None:
    """`examine` gives the principal and the errors of a request, and ignores `override`."""
    revocations = MemoryRevocations(clock=lambda: NOW)
    revocations.revoke(token_id="one", until=NOW + 300)
    users = {"ann", "kay"}
    guard = make_guard(
        revocations=revocations,
        user_loader=lambda principal: principal.subject if principal.subject in users else None,
        proofs=[DPoP("https://api.example.com")],
    )
    assert [examine(guard, text).subject for text in (token(), KEY)] == ["ann", "kay"]
    for text, error in (
        (token(jti="one"), RevokedTokenError),
        (token(subject="bob"), InvalidTokenError),
        (token(cnf={"jkt": "a"}), UnprovenTokenError),
        (token(cnf={"other": "a"}), UnprovenTokenError),
        (token(expires_in=-100), ExpiredTokenError),
        ("", InvalidRequestError),
    ):
        with pytest.raises(error):
            examine(guard, text)
    with override(guard, Principal("eve")):
        assert examine(guard, token()).subject == "ann"


def test_a_tool_leaves_nothing_behind() -> None:
    """`examine` remembers nothing, and counts no use."""
    told: list[Any] = []

    class Telling(Verifier):
        has_terms = True

        def accepts(self, credential: Any) -> bool:
            return True

        def flow(self, credential: Any, now: float) -> Verified:
            told.append("asked")
            terms = Terms(lambda *_: told.append("counted"), begin=lambda _: told.append("begun"))
            principal = ANONYMOUS if credential.value == "nobody" else Principal("ann")
            return Verified(principal, now + 60, terms)

    guard = Guard(Telling())
    assert [examine(guard, "opaque").subject for _ in range(2)] == ["ann", "ann"]
    with pytest.raises(InvalidTokenError, match="the verifier found no principal"):
        examine(guard, "nobody")
    assert told == ["asked"] * 3


def test_the_verifiers_of_a_guard() -> None:
    """The verifiers of a guard are in their order, with their expectations of claims."""
    first, second = make_guard().verifiers
    assert isinstance(first, JWTVerifier)
    assert first.expectations.leeway == 30
    assert repr(second) == "APIKeyVerifier(header='X-API-Key')"


def test_a_guard_with_a_cookie(ask: Ask) -> None:
    """A guard with a cookie verifies a token, and a missing token is an error."""
    guard = make_guard(cookie=AccessCookie(), proxies=["10.0.0.1"])
    assert ask(guard, token(), address="10.0.0.1").subject == "ann"
    with pytest.raises(MissingCredentialsError):
        ask(guard, None)


def test_what_a_message_shows_of_a_request() -> None:
    """The message of a call has the credential and the address, and nothing else of a request."""
    message = _Message([(b"authorization", b"Bearer a")], "192.0.2.1")
    assert (message.query, message.fields(b"authorization"), message.fields(b"cookie")) == (
        "",
        [b"Bearer a"],
        [],
    )
    assert (message.peer, message.noted_proofs, message.certificate) == ("192.0.2.1", (), None)


@pytest.mark.parametrize("unit", ["a", " ", "=", ".", "Bearer ", "日"])
def test_what_is_very_long_costs_little(unit: str) -> None:
    """A very long credential is refused in a short time."""
    text, guard = unit * 5_000_000, make_guard()
    started = time.thread_time()
    with pytest.raises(RefusedError):
        guard.verify(text, now=NOW)
    assert time.thread_time() - started < 0.02
