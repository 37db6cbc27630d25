"""Check the types of `authguard.testing` as tests of applications use it; this must be accepted."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import assert_type

import httpx

from authguard import AccessCookie, Guard, HTTPOptions, IntrospectionVerifier, JWTVerifier, Principal
from authguard.testing import Clock, FakeIssuer, override

clock = Clock()
clock.advance(5)
clock.advance(timedelta(minutes=5))
clock.set(1_800_000_000)
assert_type(clock(), float)
takes_clock: Callable[[], float] = clock

issuer = FakeIssuer(clock=clock)
FakeIssuer("https://a.test", audience=["b", "c"], clients={"api": "secret"})
assert_type(issuer.issue("ada", scopes=["read"], expires_in=-60, aud="https://other.test", sub=None), str)
assert_type(issuer.issue_opaque(), str)
assert_type(issuer.verifier(), JWTVerifier)
assert_type(issuer.introspection(cache_ttl=0), IntrospectionVerifier)
assert_type(issuer.requests, list[str])
HTTPOptions(client=httpx.Client(transport=issuer.transport()))
HTTPOptions(client=httpx.AsyncClient(transport=issuer.transport()))
httpx.ASGITransport(issuer.asgi)
httpx.WSGITransport(issuer.wsgi)
issuer.rotate(withdraw=True)
with issuer.outage():
    pass

guard = Guard(issuer.verifier(), cookie=AccessCookie())
context: AbstractContextManager[None] = override(guard, Principal("ada"), everywhere=False)


@override(guard, Principal("ada"))
def decorated(number: int) -> str:
    """Check that a decorated test keeps its type."""
    return str(number)


@override(guard, Principal("ada"))
async def awaited(number: int) -> str:
    """Check that a decorated `async` test keeps its type."""
    assert_type(decorated(number), str)
    return await awaited(number)


decorated("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
