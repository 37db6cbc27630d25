"""`Guard.verify` and `Guard.averify` answer for a credential what a request with it would get."""

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
    """Return a verifier of tokens of anybody."""
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None, **options)


def make_guard(**options: Any) -> Guard:
    """Return a guard for tokens, and for API keys with a prefix and without one."""
    keys = APIKeyVerifier({KEY: APIKey("kay"), PLAIN_KEY: APIKey("plain")}, prefixes=["sk_live_"])
    return Guard(jwt_verifier(), keys, **options)


def token(**options: Any) -> str:
    """Return a token that is good at `NOW`."""
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
    """Each way to verify."""
    yield request.param


def test_a_token(ask: Ask) -> None:
    """Its principal is that of a request."""
    principal = ask(make_guard(), token(scopes=["read"]))
    assert (principal.subject, principal.scopes, principal.method) == ("ann", {"read"}, "bearer")


def test_an_api_key(ask: Ask) -> None:
    """With a prefix it is known as one; without, the field has to be named."""
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
    """They are refused as they would be in a request."""
    with pytest.raises(error) as raised:
        ask(make_guard(), credential)
    assert type(raised.value) is not UnexpectedError


@pytest.mark.parametrize("credential", [5, ["a"], {"token": "a"}, True, b"abc"], ids=repr)
def test_what_is_no_text(ask: Ask, credential: Any) -> None:
    """A stranger's JSON may hold anything: it is the caller's fault, and no 500."""
    with pytest.raises(InvalidRequestError, match=f"must be text, got {type(credential).__name__}"):
        ask(make_guard(), credential)


@pytest.mark.parametrize(
    "scheme", ["Bearer ", "bearer  ", "DPoP ", "Token ", "JWT ", "Authorization: Bearer "]
)
def test_a_scheme_before_the_token(ask: Ask, scheme: str) -> None:
    """The error says how to write it, without the token."""
    text = token()
    with pytest.raises(InvalidRequestError, match=r"removeprefix\(\"Bearer \"\)") as raised:
        ask(make_guard(), scheme + text)
    assert text not in str(raised.value)


def test_the_same_text_as_in_a_request(ask: Ask) -> None:
    """A refusal has the reason of a request's."""
    with pytest.raises(ExpiredTokenError):
        ask(make_guard(), token(expires_in=-100))


def test_the_memory_is_that_of_requests() -> None:
    """A token that a request has brought is not verified again, and the other way round."""
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


def test_revocations_hold(ask: Ask) -> None:
    """A token that was logged out is refused, also if it is remembered."""
    revocations = MemoryRevocations(clock=lambda: NOW)
    guard, text = make_guard(revocations=revocations), token(jti="one")
    assert ask(guard, text).token_id == "one"
    revocations.revoke(token_id="one", until=NOW + 300)
    with pytest.raises(RevokedTokenError):
        ask(guard, text)


def test_the_user_has_to_be_there(ask: Ask) -> None:
    """`user_loader` is asked each time; who is gone is refused."""
    users = {"ann"}
    guard = make_guard(
        user_loader=lambda principal: principal.subject if principal.subject in users else None
    )
    assert ask(guard, token()).subject == "ann"
    users.clear()
    with pytest.raises(InvalidTokenError, match="the user no longer exists"):
        ask(guard, token())


def test_outages_and_bugs_of_callbacks(ask: Ask) -> None:
    """An outage is a 503, a bug a 500, with its cause."""
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
    """Nothing outside of a request could prove that it is the caller's."""
    guard = make_guard(proofs=[DPoP("https://api.example.com")])
    with pytest.raises(UnprovenTokenError):
        ask(guard, token(cnf={"jkt": "a"}))


def test_keys_for_some_networks(ask: Ask) -> None:
    """The address has to be given; without one, or with one that cannot be read, they are refused."""
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
    """A verifier that counts uses is told of an address that is one, and of no other text."""
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
    """They are for requests to paths."""
    guard = make_guard(quotas=[Quota(1, 60)])
    assert [ask(guard, token()).subject for _ in range(3)] == ["ann"] * 3


def test_the_user_of_a_test(ask: Ask) -> None:
    """`override` holds here, with a token and without."""
    guard = make_guard()
    with override(guard, Principal("eve")):
        assert [ask(guard, text).subject for text in ("anything", None)] == ["eve", "eve"]
    with override(guard, ANONYMOUS), pytest.raises(MissingCredentialsError):
        ask(guard, token())


def test_the_time_of_day_is_the_default() -> None:
    """A moment may be given as a datetime, too."""
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
    """They are the developer's fault, and say what to write."""
    with pytest.raises(ConfigurationError, match=words):
        ask(make_guard(), token(), **options)


def test_where_all_tokens_come_in_a_field_of_their_own_it_is_named(ask: Ask) -> None:
    """A good token would be refused for ever otherwise, as if it were bad."""
    guard = Guard(jwt_verifier(header="X-Token"))
    assert ask(guard, token(), header="x-token").method == "header"
    for credential in (token(), None):
        with pytest.raises(ConfigurationError, match=r"write guard.verify\(token, header='X-Token'\)"):
            ask(guard, credential)
    keys = APIKeyVerifier({KEY: APIKey("kay")})
    assert ask(Guard(jwt_verifier(header="X-Token"), keys), KEY).subject == "kay"


async def load_async(principal: Principal) -> Principal:
    """A loader that can only be awaited."""
    return principal


def load_awaitable(principal: Principal) -> Any:
    """A plain function that returns something to await."""
    return load_async(principal)


@pytest.mark.parametrize("loader", [load_async, load_awaitable])
@pytest.mark.parametrize(
    "run_it", [asyncio.run, lambda main: trio.run(lambda: main)], ids=["asyncio", "trio"]
)
def test_verify_in_an_event_loop_with_async_parts(loader: Any, run_it: Any) -> None:
    """The error says to write `averify`; it is no refusal, and nothing is left that was not awaited."""
    guard = make_guard(user_loader=loader)

    async def main() -> None:
        with pytest.raises(RuntimeError, match=rf"{loader.__name__} is async.*await guard\.averify\(token\)"):
            guard.verify(token(), now=NOW)
        assert (await guard.averify(token(), now=NOW)).subject == "ann"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_it(main())


def test_verify_in_an_event_loop_with_an_async_verifier() -> None:
    """One of the user's own, which can only be awaited, is named."""

    class Own:
        async def verify(self, credential: Any) -> Principal:
            return Principal("own")

    guard = Guard(Own())

    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"Own\.verify is async"):
            guard.verify("opaque")
        assert (await guard.averify("opaque")).subject == "own"

    asyncio.run(main())
    assert guard.verify("opaque").subject == "own"  # without a loop there is nothing in the way


def test_verify_in_an_event_loop_without_async_parts() -> None:
    """It answers."""

    async def main() -> str:
        return make_guard(user_loader=lambda principal: principal).verify(token(), now=NOW).subject

    assert asyncio.run(main()) == "ann"


@pytest.mark.parametrize("kind", ["keys", "introspection"])
def test_verify_with_an_async_client(kind: str) -> None:
    """What fetches by an AsyncClient needs an event loop, and the error says so."""
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
    """Ask as a tool does."""
    return run(guard.examine(credential, NOW))


def test_a_tool_finds_what_a_request_would() -> None:
    """The same principal, and the same errors."""
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
    """Nothing is remembered, and the verifier is not told of a use."""
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
    """They are shown in the order in which they were given, with what is asked of claims."""
    first, second = make_guard().verifiers
    assert isinstance(first, JWTVerifier)
    assert first.expectations.leeway == 30
    assert repr(second) == "APIKeyVerifier(header='X-API-Key')"


def test_a_guard_with_a_cookie(ask: Ask) -> None:
    """There is none outside of a request: without a token nobody is there."""
    guard = make_guard(cookie=AccessCookie(), proxies=["10.0.0.1"])
    assert ask(guard, token(), address="10.0.0.1").subject == "ann"
    with pytest.raises(MissingCredentialsError):
        ask(guard, None)


def test_what_a_message_shows_of_a_request() -> None:
    """The credential alone."""
    message = _Message([(b"authorization", b"Bearer a")], "192.0.2.1")
    assert (message.query, message.fields(b"authorization"), message.fields(b"cookie")) == (
        "",
        [b"Bearer a"],
        [],
    )
    assert (message.peer, message.noted_proofs, message.certificate) == ("192.0.2.1", (), None)


@pytest.mark.parametrize("unit", ["a", " ", "=", ".", "Bearer ", "日"])
def test_what_is_very_long_costs_little(unit: str) -> None:
    """A message has no bound of its own."""
    text, guard = unit * 5_000_000, make_guard()
    started = time.thread_time()
    with pytest.raises(RefusedError):
        guard.verify(text, now=NOW)
    assert time.thread_time() - started < 0.02
