"""Many first-seen tokens at once, which must not block the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio

from adapters.faces import ask_wsgi, raw_wsgi
from authguard import Guard, JWTVerifier
from authguard._core.flow import Channel
from authguard.asgi import AuthGuardMiddleware
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, ec_key, make_token, pem

CROWD = 400


class Counting(JWTVerifier):
    """A verifier that counts all tokens that it verifies, and those between two turns of the event loop."""

    def __init__(self, key: Any = None, *, algorithm: str = "ES256", **options: Any) -> None:
        given = {"issuer": ISSUER, "audience": AUDIENCE, **options}
        super().__init__(key or pem(ec_key()), algorithms=[algorithm], **given)
        self.verified: list[str] = []
        self.in_turn = 0
        self.most = 0
        self._by_keys, self._keys = self._keys.verify, self

    def verify(self, token: Any, *arguments: Any) -> Any:
        """Verify a credential, or a signature in the role of its own keys."""
        if arguments:
            return super().verify(token, *arguments)
        self.verified.append(token.signed.decode())
        self.in_turn += 1
        self.most = max(self.most, self.in_turn)
        return self._by_keys(token)


class Elsewhere(Counting):
    """A verifier with remote keys."""

    def channels(self) -> Sequence[Channel]:
        return (Channel(),)


async def accepts(issuer: str) -> bool:
    """Accept each issuer."""
    return True


VERIFIERS: dict[str, Callable[[], Counting]] = {
    "keys at hand": Counting,
    "keys elsewhere": Elsewhere,
    "issuers by a function": lambda: Counting(issuer=accepts),
}
TOKENS = [make_token(claims(jti=str(number)), algorithm="ES256", key=ec_key()) for number in range(CROWD)]
FORGED = [f"{token[:-6]}AAAAAA" for token in TOKENS]
SIGNED = [token.rpartition(".")[0] for token in TOKENS]


class Face:
    """A guarded ASGI application that records the admitted callers and the statuses."""

    def __init__(self, *verifiers: JWTVerifier) -> None:
        self.app = AuthGuardMiddleware(self._respond, guard=Guard(*verifiers), clock=lambda: NOW)
        self.reached: list[str] = []
        self.statuses: list[int] = []

    async def _respond(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached.append(scope["user"].token_id)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])

    async def ask(self, token: str) -> None:
        headers = [(b"authorization", b"Bearer " + token.encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
        await self.app(scope, lambda: None, self._send)


async def together(face: Face, verifier: Counting, tokens: Sequence[str]) -> None:
    """Send all tokens at once on asyncio, with a callback in each turn of the loop."""
    loop = asyncio.get_running_loop()

    def turn() -> None:
        verifier.in_turn = 0
        if len(face.statuses) < len(tokens):
            loop.call_soon(turn)

    loop.call_soon(turn)
    await asyncio.gather(*(face.ask(token) for token in tokens))


async def together_on_trio(face: Face, verifier: Counting, tokens: Sequence[str]) -> None:
    """Send all tokens at once on trio, with a task in each turn of the loop."""

    async def turn() -> None:
        while len(face.statuses) < len(tokens):
            verifier.in_turn = 0
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        for token in tokens:
            nursery.start_soon(face.ask, token)


LOOPS = {
    "asyncio": lambda *given: asyncio.run(together(*given)),
    "trio": lambda *given: trio.run(together_on_trio, *given),
}


@pytest.mark.parametrize("make", VERIFIERS.values(), ids=VERIFIERS)
@pytest.mark.parametrize("run", LOOPS.values(), ids=LOOPS)
def test_a_crowd_lets_the_loop_turn(make, run):
    """No turn verifies more than a hundred signatures, and all callers are admitted."""
    verifier = make()
    face = Face(verifier)
    run(face, verifier, TOKENS)
    assert face.statuses == [200] * CROWD
    assert sorted(face.reached, key=int) == [str(number) for number in range(CROWD)]
    assert sorted(verifier.verified) == sorted(SIGNED)
    assert verifier.most <= 100


@pytest.mark.parametrize("make", VERIFIERS.values(), ids=VERIFIERS)
@pytest.mark.parametrize("run", LOOPS.values(), ids=LOOPS)
def test_forged_tokens_are_verified_once(make, run):
    """Each forged token is refused with one verification, also if it had to wait."""
    verifier = make()
    face = Face(verifier)
    run(face, verifier, FORGED)
    assert face.statuses == [401] * CROWD
    assert sorted(verifier.verified) == sorted(SIGNED)


def test_who_came_first_is_let_in_first():
    """Waiting requests are verified in the order in which they came."""
    verifier = Counting()
    face = Face(verifier)
    asyncio.run(together(face, verifier, TOKENS))
    assert verifier.verified == SIGNED


def test_who_comes_later_waits_behind_the_others():
    """A request that comes while others wait is verified after them."""

    async def in_two_parts() -> None:
        tasks = [asyncio.ensure_future(face.ask(token)) for token in TOKENS[:200]]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tasks += [asyncio.ensure_future(face.ask(token)) for token in TOKENS[200:]]
        await asyncio.gather(*tasks)

    verifier = Counting()
    face = Face(verifier)
    asyncio.run(in_two_parts())
    assert verifier.verified == SIGNED


@pytest.mark.parametrize("run", LOOPS.values(), ids=LOOPS)
def test_when_nobody_waits_tokens_are_verified_at_once(run):
    """A token that comes after the crowd is verified at once."""
    verifier = Counting()
    face = Face(verifier)
    run(face, verifier, TOKENS[:200])
    for token in TOKENS[200:260]:
        field = (b"authorization", b"Bearer " + token.encode())
        assert face.app.guard.recall([field], ("/", "GET", ""), NOW).is_decision


def test_a_crowd_can_come_again():
    """A token after the crowd, and a second crowd in another loop, are verified."""
    verifier = Counting()
    face = Face(verifier)
    asyncio.run(together(face, verifier, TOKENS[:200]))
    asyncio.run(face.ask(TOKENS[300]))
    asyncio.run(together(face, verifier, TOKENS[200:300]))
    assert face.statuses == [200] * 301
    assert len(verifier.verified) == 301


def test_who_leaves_is_not_verified():
    """A request that is cancelled while it waits is not verified, and the others are."""

    async def some_leave() -> None:
        tasks = [asyncio.ensure_future(face.ask(token)) for token in TOKENS]
        await asyncio.sleep(0)
        for task in tasks[100:200]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    verifier = Counting()
    face = Face(verifier)
    asyncio.run(some_leave())
    assert verifier.verified == SIGNED[:100] + SIGNED[200:]
    assert face.statuses == [200] * (CROWD - 100)


def test_secrets_do_not_wait():
    """With HS256 the tokens are verified at once, because a turn costs as much as a signature."""

    async def all_at_once() -> None:
        await asyncio.gather(*(face.ask(token) for token in tokens))

    tokens = [make_token(claims(jti=str(number))) for number in range(CROWD)]
    face = Face(JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE))
    asyncio.run(all_at_once())
    assert face.reached == [str(number) for number in range(CROWD)]


@pytest.mark.parametrize("make", VERIFIERS.values(), ids=VERIFIERS)
def test_without_a_loop_nothing_waits(make):
    """On WSGI each request is verified at once in its thread."""
    verifier = make()
    app = raw_wsgi(Guard(verifier), lambda: NOW)
    answers = [
        ask_wsgi(app, "GET", "/", [("Authorization", f"Bearer {token}".encode())]) for token in TOKENS[:200]
    ]
    assert {answer.status for answer in answers} == {200}
    assert verifier.verified == SIGNED[:200]


@pytest.mark.parametrize("run", LOOPS.values(), ids=LOOPS)
def test_a_crowd_with_a_secret_lets_the_loop_turn(run):
    """No turn verifies more than 300 HMACs, and all callers are admitted."""
    verifier = Counting(SECRET, algorithm="HS256")
    face = Face(verifier)
    run(face, verifier, [make_token(claims(jti=str(number))) for number in range(1_500)])
    assert face.statuses == [200] * 1_500
    assert len(verifier.verified) == 1_500
    assert verifier.most <= 300
