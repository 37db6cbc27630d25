"""Build the guards that users configure, by their names in docs/, with their credentials."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from authguard import (
    AccessCookie,
    APIKeyFile,
    APIKeyVerifier,
    DPoP,
    Guard,
    Quota,
    Rule,
)
from authguard.identity import SQLAPIKeys
from benchmarks import apps
from benchmarks.configured.row import Sent
from benchmarks.configured.world import (
    ORIGIN,
    AsyncRevocations,
    DeclaredRevocations,
    PlainRevocations,
    World,
    load,
    load_async,
    load_declared,
    opaque,
)
from benchmarks.traffic import Field, bearer

#: The batch of a configuration that takes a thread or an event loop for each request.
SLOW = 40
REMEMBERED = 300  # seconds; longer than the run, and the maximum of `SQLAPIKeys`
PROOFS = 1_000_000
QUOTAS = [Quota(10**8, 60), Quota(10**10, "day")]


@dataclass(frozen=True)
class Configured:
    """Describe a configuration, for each face of the package.

    Attributes:
        name: its name in the table.
        guard: builds the guard.
        good: makes the fields of a valid request.
        bad: makes the fields of a request that must be refused.
        slow: the faces on which it takes a thread or a loop for each request.
        options: the other options of the row.
    """

    name: str
    guard: Callable[[], Guard]
    good: Sent
    bad: Sent
    slow: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


KNOWN, KNOWN_KEY = "Bearer", "API key: mapping"


def configured(world: World) -> Iterator[Configured]:
    """Yield all configurations except those that only one face has."""
    good, bad = _sent(bearer(world.token)), _sent(bearer(world.forged))

    def jwt(**options: Any) -> Callable[[], Guard]:
        return lambda: Guard(apps.jwt_verifier(world.issuer), **options)

    yield Configured(KNOWN, jwt(), good, bad)
    yield Configured("Bearer again: the noise", jwt(), good, bad)
    for name, options, slow in (
        ("user_loader, plain", {"user_loader": load}, ("Starlette",)),
        ("user_loader, async", {"user_loader": load_async}, ("Flask",)),
        ("user_loader, in memory", {"user_loader": load_declared}, ()),
        ("user_loader with user_ttl", {"user_loader": load_async, "user_ttl": REMEMBERED}, ()),
        ("revocations, plain", {"revocations": PlainRevocations()}, ("Starlette",)),
        ("revocations, async", {"revocations": AsyncRevocations()}, ("Flask",)),
        ("revocations, own, in memory", {"revocations": DeclaredRevocations()}, ()),
        ("revocations, memory", {"revocations": world.memory()}, ()),
        ("revocations, shared store", {"revocations": world.store.revocations}, ()),
        ("rules with scopes", {"protected_paths": ["/", Rule("/p", scopes=["read"])]}, ()),
    ):
        yield Configured(name, jwt(**options), good, bad, slow)
    optional = jwt(protected_paths=["/", Rule("/p", optional="strict")])
    yield Configured("optional, Bearer", optional, good, bad, options={"without": 200})
    yield Configured("optional, no credential", optional, _sent(), bad, options={"without": 200})
    yield from _keys(world)
    yield from _cookies(world)
    yield from _remote(world)
    proofs = {"proofs": [DPoP(ORIGIN, proofs_per_key=PROOFS)]}
    yield Configured(
        "DPoP: a new proof each time", jwt(**proofs), world.bound, lambda: world.bound(proof_of="another"),
        ("Starlette", "Flask"), {"fresh": True},
    )  # fmt: skip


def _keys(world: World) -> Iterator[Configured]:
    good, bad = _sent(("x-api-key", world.key)), _sent(("x-api-key", world.wrong_key))

    def keys(of: Any, **options: Any) -> Callable[[], Guard]:
        return lambda: Guard(APIKeyVerifier(of, cache_ttl=REMEMBERED), **options)

    yield Configured(KNOWN_KEY, keys(world.keys), good, bad)
    yield Configured("API key: file", keys(APIKeyFile(world.key_file)), good, bad)
    yield Configured("API key: plain function, remembered", keys(world.look_up), good, bad)
    yield Configured("API key: async function, remembered", keys(world.look_up_async), good, bad)
    for name, function, slow in (
        ("API key: plain function, cache_ttl=0", world.look_up, "Starlette"),
        ("API key: async function, cache_ttl=0", world.look_up_async, "Flask"),
    ):
        verifier = APIKeyVerifier(function, cache_ttl=0)
        yield Configured(name, lambda verifier=verifier: Guard(verifier), good, bad, (slow,))
    stored = next(world.key_table.fresh)
    yield Configured(
        "API key: identity store, remembered",
        lambda: Guard(world.kept(SQLAPIKeys(world.key_table.database, cache_ttl=REMEMBERED))),
        _sent(("x-api-key", stored)), bad,
    )  # fmt: skip
    yield Configured("API key with two quotas", keys(world.keys, quotas=QUOTAS), good, bad)
    prefixed = _sent(bearer(world.key)), _sent(bearer(world.wrong_key))
    yield Configured("API key: Bearer sk_…", keys(world.keys), *prefixed)


def _cookies(world: World) -> Iterator[Configured]:
    tokens = (world.token, world.forged)
    good, bad = (_sent(("cookie", f"theme=dark; access_token={text}")) for text in tokens)

    def cookie(**options: Any) -> Callable[[], Guard]:
        # Requests use plain http here.
        return lambda: Guard(apps.jwt_verifier(world.issuer), cookie=AccessCookie(secure=False), **options)

    yield Configured("cookie", cookie(), good, bad)
    yield Configured("cookie, POST", cookie(), good, bad, options={"method": "POST"})
    yield Configured("cookie with user_loader, async", cookie(user_loader=load_async), good, bad, ("Flask",))
    yield Configured("cookie with user_loader, plain", cookie(user_loader=load), good, bad, ("Starlette",))
    yield Configured(
        "Bearer where a cookie is read, too", cookie(), *(_sent(bearer(text)) for text in tokens)
    )


def _remote(world: World) -> Iterator[Configured]:
    signed = _sent(bearer(world.remote.issue("42", expires_in=3600)))
    stranger = _sent(bearer(world.forged))
    yield Configured("remote keys", lambda: Guard(world.remote.verifier()), signed, stranger)
    good, bad = opaque(world.remote)
    yield Configured(
        "introspection, remembered",
        lambda: Guard(world.remote.introspection(cache_ttl=REMEMBERED)), _sent(*good), _sent(*bad),
    )  # fmt: skip


def _sent(*fields: Field) -> Sent:
    return lambda: list(fields)
