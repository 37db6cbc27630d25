"""A verification that begins before a revocation and ends after it never restores a revoked credential."""

import itertools
import json
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from authguard import APIKey, APIKeyVerifier, Guard, IntrospectionVerifier, digest_api_key
from authguard._core.answer.decision import Deny, Known
from authguard._core.deciding.callers import _digest_of
from authguard._core.flow import Call, Fetch, Flow, Later, Question, Response, Shared
from authguard.stores.marks import make_mark
from sizes import size
from stores.fake_log import NOW, World, revocations
from support import FakeRequest

pytestmark = pytest.mark.slow

UNTIL = NOW + 600


class Process:
    """Simulate a process with a guard, rows and the log of other processes."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.world = World()
        self.store = revocations(self.world, max_marks=10**9)
        self.follower = self.store._follower
        self.follower.step()
        self.dead: set[str] = set()
        verifier = (
            APIKeyVerifier(self._row, cache_ttl=3600)
            if kind == "key"
            else IntrospectionVerifier(
                "https://issuer.example/introspect", client_id="api", client_secret="s" * 40, cache_ttl=3600
            )
        )
        self.guard = Guard(verifier, revocations=self.store, cache_size=10_000)
        self.digests: dict[str, str] = {}

    def _row(self, digest: str) -> APIKey | None:
        name = self.digests[digest]
        return None if name in self.dead else APIKey(f"owner {name}", key_id=name)

    def presented(self, name: str) -> tuple[bytes, bytes]:
        """Return the field with a credential."""
        if self.kind == "key":
            text = f"sk_test_{name}_0nly-Key-of-enough-bytes-9Zk"
            self.digests.setdefault(digest_api_key(text), name)
            return b"x-api-key", text.encode()
        return b"authorization", f"Bearer opaque-{name}".encode()

    def answer(self, question: Question[Any], name: str) -> Any:
        """Return the answer for the current row."""
        if isinstance(question, Fetch):
            document: dict[str, Any] = {"active": name not in self.dead}
            if document["active"]:
                document |= {"sub": f"owner {name}", "jti": name}
            return Response(200, {"content-type": "application/json"}, json.dumps(document).encode())
        assert isinstance(question, Call)
        return question.callback.function(*question.arguments)

    def revoke(self, name: str, by: str) -> None:
        """Change the row and write to the log, in another process."""
        self.dead.add(name)
        kind = "key_id" if self.kind == "key" else "token_id"
        named = {"name": {kind: name}, "owner": {"subject": f"owner {name}"}}
        self.world.marks.append(make_mark(**named[by], until=UNTIL))

    def notify(self) -> None:
        """Read the log."""
        self.follower.step()

    def accepts(self, name: str) -> bool:
        """Return whether a request that is sent now passes, from memory or by a verification."""
        if isinstance(self.recall(name), Known):
            return True
        fill = Fill(self, name)
        fill.begin()
        fill.read()
        fill.end()
        return not isinstance(fill.decision, Deny)

    def recall(self, name: str) -> Any:
        """Return the outcome of the straight path."""
        return self.guard.recall([self.presented(name)], ("GET", "/me", ""), NOW)

    def remembers(self, name: str) -> bool:
        """Return whether a credential is remembered."""
        field, value = self.presented(name)
        request = FakeRequest("/me", headers=[(field, value)])
        callers: Any = self.guard._straight_path.callers
        credential = callers._credential(request)
        return callers._memories[credential.method, credential.header].get(_digest_of(credential)) is not None


class Fill:
    """Run a request step by step."""

    def __init__(self, process: Process, name: str) -> None:
        self.process = process
        self.name = name
        self.decision: Any = None

    def begin(self) -> None:
        """Start the verification up to its question."""
        process = self.process
        headers = [process.presented(self.name)]
        recalled = process.recall(self.name)
        if recalled.is_decision:
            self.decision = recalled
            return
        self.flows: list[Flow[Any]] = [
            process.guard.decide(FakeRequest("/me", headers=headers), NOW, recalled)
        ]
        self._send(None)

    def read(self) -> None:
        """Answer the question, without a delivery of the answer."""
        if self.decision is None:
            self.answer = self.process.answer(self.question, self.name)

    def end(self) -> None:
        """Deliver the answer, so that the verification ends and may be remembered."""
        if self.decision is None:
            self._send(self.answer)
        while self.decision is None:
            self._send(self.process.answer(self.question, self.name))

    def _send(self, answer: Any) -> None:
        try:
            question = self.flows[-1].send(answer)
            while isinstance(question, (Shared, Later)):
                if isinstance(question, Shared):
                    self.flows.append(question.make())
                    question = next(self.flows[-1])
                else:  # a Later, which only waits for its turn
                    question.pace.begin()
                    question = self.flows[-1].send(question.work())
            self.question = question
        except StopIteration as stop:
            self.flows.pop()
            if self.flows:
                self._send(stop.value)
            else:
                self.decision = stop.value


EACH_KIND = pytest.mark.parametrize("kind", ["key", "token"])
NUMBERS = itertools.count()


def orders(parts: dict[str, int]) -> Iterator[list[str]]:
    """Yield each order of the steps of some parts, with the order within each part unchanged."""
    if not any(parts.values()):
        yield []
    for part, count in parts.items():
        if count:
            for rest in orders({**parts, part: count - 1}):
                yield [part, *rest]


def play(process: Process, order: list[str], names: dict[str, str]) -> None:
    """Play an order of steps: each word of it is the next step of a fill or of a revocation.

    Args:
        process: a process that has read the whole log.
        order: names of parts; `f…` fills, `r…` revokes and notifies.
        names: for each part, the credential.
    """
    fills = {part: Fill(process, name) for part, name in names.items() if part[0] == "f"}
    steps = {
        part: iter([fills[part].begin, fills[part].read, fills[part].end])
        if part in fills
        else iter([partial(process.revoke, name, "name" if part == "r1" else "owner"), process.notify])
        for part, name in names.items()
    }
    known: set[str] = set()  # revoked credentials of which the process has read
    in_time: set[str] = set()  # credentials whose fill has ended before that
    for part in order:
        next(steps[part])()
        if part[0] == "f" and fills[part].decision is not None and names[part] not in known:
            in_time.add(names[part])
        if len(process.world.marks) == process.store.sequence:
            known |= process.dead & set(names.values())
    process.notify()
    for name in set(names.values()) & process.dead:
        assert name in in_time or not process.remembers(name), order
        assert not process.accepts(name), order


def two_of_each(shared: bool) -> dict[str, str]:
    """Return the names of two fills and two revocations, of the same credential or of two."""
    number = next(NUMBERS)
    first, other = f"a{number}", f"a{number}" if shared else f"b{number}"
    return {"f1": first, "f2": other, "r1": first, "r2": other}


def play_all(kind: str, shared: bool, step: int) -> int:
    """Play the orders of two fills and two revocations, or some of them; return their number."""
    process, played = Process(kind), 0
    for order in itertools.islice(orders({"f1": 3, "f2": 3, "r1": 2, "r2": 2}), 0, None, step):
        play(process, order, two_of_each(shared))
        played += 1
    return played


EACH_PAIR = pytest.mark.parametrize("shared", [True, False], ids=["one credential", "two credentials"])


@EACH_KIND
@EACH_PAIR
def test_no_order_of_two_fills_and_two_revocations_restores_one(kind: str, shared: bool) -> None:
    """In each 29th order of two fills and two revocations no revoked credential is restored."""
    assert play_all(kind, shared, 29) == 869


@pytest.mark.slow
@EACH_KIND
@EACH_PAIR
def test_none_of_all_orders_restores_one(kind: str, shared: bool) -> None:
    """In each order of two fills and two revocations no revoked credential is restored."""
    assert play_all(kind, shared, 1) == 25_200


def play_at_random(kind: str, count: int) -> None:
    """Play long random orders: up to eight fills and five revocations of three credentials."""
    process, choose = Process(kind), random.Random(20261128)
    for _ in range(count):
        number = next(NUMBERS)
        names = {f"f{index}": f"{choose.choice('abc')}{number}" for index in range(choose.randint(2, 8))}
        names |= {f"r{index}": f"{choose.choice('abc')}{number}" for index in range(choose.randint(1, 5))}
        order = [part for part in names for _ in range(3 if part[0] == "f" else 2)]
        choose.shuffle(order)
        play(process, order, names)


@EACH_KIND
def test_longer_orders_restore_nothing(kind: str) -> None:
    """In 500 long random orders no revoked credential is restored."""
    play_at_random(kind, 500)


@pytest.mark.slow
@EACH_KIND
def test_many_longer_orders_restore_nothing(kind: str) -> None:
    """In many long random orders, a million with FULL=1, no revoked credential is restored."""
    play_at_random(kind, size(10_000, 500_000))
