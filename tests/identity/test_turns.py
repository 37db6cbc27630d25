"""Turns for parallel logins to one account: a limit, and an order that favours the owner."""

import asyncio
import threading

import httpx
import pytest

from authguard.errors import VerificationUnavailableError
from authguard.identity import Identity
from authguard.identity.model import Caller
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.identity.web.turns import MAX_TURNS, MAX_WAITING, Turns
from identity.support import ANN, ISSUER, PASSWORD, service_at

KEY = ("ann@example.com",)
HOME = "192.0.2.1"


async def settle():
    """Let all tasks continue that can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Tries:
    """Requests that take a turn, and keep it until a test ends them."""

    def __init__(self, turns):
        self.turns, self.begun, self.tasks, self.go = turns, [], {}, {}

    async def start(self, *names, key=KEY, network=None):
        """Begin to wait for a turn, each from another network unless one is given."""
        for name in names:
            self.go[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._try(name, key, network or str(name)))
            await settle()

    async def _try(self, name, key, network):
        async with self.turns.take(key, network):
            self.begun.append(name)
            await self.go[name].wait()

    async def finish(self, *names):
        """End these requests."""
        for name in names:
            self.go[name].set()
            await settle()

    async def end(self):
        """End all requests, and return the errors that they raised."""
        for event in self.go.values():
            event.set()
        return await asyncio.gather(*self.tasks.values(), return_exceptions=True)


def run(test, seconds=30):
    """Run a test in an event loop, with turns, and check that no queue remains."""
    turns = Turns(seconds)

    async def main():
        tries = Tries(turns)
        await test(tries)
        return await tries.end()

    results = asyncio.run(main())
    assert turns._queues == {}
    return results


def test_so_many_at_a_time():
    """At most MAX_TURNS requests have a turn, and the next one waits until one of them ends."""

    async def test(tries):
        await tries.start(*range(MAX_TURNS + 2))
        assert tries.begun == list(range(MAX_TURNS))
        assert tries.turns.is_full(KEY)
        await tries.finish(2)
        assert len(tries.begun) == MAX_TURNS + 1

    assert not any(run(test))


def test_the_newest_comes_first():
    """A request from a network that came last gets the next turn."""

    async def test(tries):
        await tries.start(*range(MAX_TURNS + 30), "owner")
        await tries.finish(0)
        assert tries.begun[-1] == "owner"

    run(test)


def test_keys_have_turns_of_their_own():
    """Requests for another account, or with a key of a known network, do not wait."""

    async def test(tries):
        await tries.start(*range(MAX_TURNS + 30))
        await tries.start("bob", key=("bob@example.com",))
        await tries.start("home", key=(*KEY, "192.0.2.0/24"))
        assert tries.begun[MAX_TURNS:] == ["bob", "home"]

    run(test)


def test_requests_of_one_network_have_their_turns_in_order():
    """Requests of one network get their turns in order."""

    async def test(tries):
        await tries.start(*range(MAX_TURNS + 4), network="office")
        for name in range(4):
            await tries.finish(name)
        assert tries.begun == list(range(MAX_TURNS + 4))

    run(test)


def test_a_network_that_came_last_is_not_behind_one_that_has_many():
    """A request from another network comes before the waiting ones of a flood from one network."""

    async def test(tries):
        await tries.start(*range(MAX_TURNS + 10), network="flood")
        await tries.start("owner")
        await tries.finish(0, 1)
        assert tries.begun[MAX_TURNS:] == ["owner", MAX_TURNS]

    run(test)


def test_a_flood_of_one_network_is_refused_itself():
    """Beyond the limit the last request of the network with the most waiting ones is refused."""

    async def test(tries):
        await tries.start("owner", "neighbour", network="home")
        await tries.start(*range(MAX_TURNS - 2 + MAX_WAITING), network="flood")
        await tries.start("bob")
        await tries.start("late", network="flood")
        refused = [name for name, task in tries.tasks.items() if task.done()]
        assert refused == [MAX_TURNS - 2 + MAX_WAITING - 1, "late"]

    run(test)


def test_waiting_is_bounded_in_number():
    """Beyond the limit of single requests from many networks, the network that came first is refused."""

    async def test(tries):
        await tries.start(*range(MAX_TURNS + MAX_WAITING + 2))
        refused = [name for name, task in tries.tasks.items() if task.done()]
        assert refused == [MAX_TURNS, MAX_TURNS + 1]

    refusals = [each for each in run(test) if each is not None]
    assert {type(each) for each in refusals} == {VerificationUnavailableError}


def test_waiting_is_bounded_in_time():
    """A request without a turn in time is refused, and leaves its place."""

    async def test(tries):
        await tries.start(*range(MAX_TURNS + 1))
        with pytest.raises(VerificationUnavailableError) as caught:
            await tries.tasks[MAX_TURNS]
        assert caught.value.retry_after >= 1
        await tries.finish(0)
        await tries.start("next")
        assert tries.begun[-1] == "next"

    run(test, 0.05)


def test_requests_that_are_cancelled():
    """A request that is cancelled leaves its turn or its place."""

    async def test(tries):
        await tries.start(*range(MAX_TURNS + 3))
        tries.tasks[MAX_TURNS + 1].cancel()
        tries.tasks[0].cancel()
        tries.tasks[MAX_TURNS + 2].cancel()
        await settle()
        assert tries.begun[-1] == MAX_TURNS
        tries.go[1].set()
        tries.go[2].set()

    run(test)


def test_requests_of_a_loop_that_has_ended():
    """A turn for a request of a closed loop goes to the next request."""
    turns, gone, begun = Turns(), asyncio.new_event_loop(), []

    async def wait():
        async with turns.take(KEY, "x"):
            begun.append("gone")

    async def main():
        tries = Tries(turns)
        await tries.start(*range(MAX_TURNS + 1))
        lost = await asyncio.to_thread(leave_behind)
        await tries.finish(0)
        assert tries.begun[-1] == MAX_TURNS
        await tries.end()
        del lost

    def leave_behind():
        task = gone.create_task(wait())
        for _ in range(5):
            gone.run_until_complete(asyncio.sleep(0))
        gone.close()
        task._log_destroy_pending = False
        return task

    asyncio.run(main())
    assert begun == []
    assert turns._queues == {}


def test_threads_take_turns():
    """Loops in several threads share the turns, and never have more than the limit."""
    turns, lock, now, most = Turns(30), threading.Lock(), [0], [0]

    async def take_turn():
        async with turns.take(KEY, "x"):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            await asyncio.sleep(0)
            with lock:
                now[0] -= 1

    async def many():
        await asyncio.gather(*(take_turn() for _ in range(6)))

    threads = [threading.Thread(target=asyncio.run, args=(many(),)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= MAX_TURNS
    assert turns._queues == {}


class GatedHasher(PasswordHasher):
    """A hasher that waits until its gate is open, and records the passwords that it checks."""

    def __init__(self):
        super().__init__(memory=8, time=1, concurrency=100, wait=60)
        self.gate, self.lock, self.calls = threading.Event(), threading.Lock(), []
        self.gate.set()

    def _hold(self, password):
        with self.lock:
            self.calls.append(password)
        assert self.gate.wait(30)

    def verify(self, kept, password):
        """Verify, once the gate is open."""
        if password != PASSWORD:
            self._hold(password)
        return super().verify(kept, password)

    def verify_dummy(self, password):
        """Verify, once the gate is open."""
        self._hold(password)
        return super().verify_dummy(password)


@pytest.fixture
def hasher():
    return GatedHasher()


@pytest.fixture
def service(url, hasher):
    with service_at(url, hasher=hasher) as service:
        yield service


def from_(app, address):
    """Return a client at an address."""
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url=ISSUER)


async def until_all_turns_are_taken(hasher):
    """Wait until all turns are taken."""
    async with asyncio.timeout(20):
        while len(hasher.calls) < MAX_TURNS:
            await asyncio.sleep(0)
    await settle()


WAYS = {
    "login": lambda client, email, password: client.post(
        "/v1/auth/login", json={"email": email, "password": password}
    ),
    "token": lambda client, email, password: client.post(
        "/v1/oauth/token", data={"grant_type": "password", "username": email, "password": password}
    ),
    "page": lambda client, email, password: client.post(
        "/login", data={"email": email, "password": password}, headers={"origin": ISSUER}
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("email", [ANN["email"], "nobody@example.com", "ANN@Example.com"])
def test_guesses_in_parallel(service, hasher, way, email):
    """Of 30 parallel guesses for one account from 30 networks, at most MAX_TURNS are checked at a time."""
    service.accounts.create(ANN["email"], PASSWORD)
    app = Identity(service)
    hasher.gate.clear()

    async def main():
        clients = [from_(app, f"198.51.{number}.7") for number in range(30)]
        tries = [
            asyncio.create_task(WAYS[way](client, email, f"guess {n}")) for n, client in enumerate(clients)
        ]
        await until_all_turns_are_taken(hasher)
        assert len(hasher.calls) == MAX_TURNS
        hasher.gate.set()
        answers = await asyncio.gather(*tries)
        assert {answer.status_code for answer in answers} <= {400, 401}
        assert len(hasher.calls) == 30

    asyncio.run(main())


@pytest.mark.slow
def test_owner_is_not_held_up_at_home(service, hasher):
    """While others' guesses have all turns, the owner signs in from a known network."""
    service.accounts.create(ANN["email"], PASSWORD)
    service.accounts.login(ANN["email"], PASSWORD, Caller(HOME))
    app = Identity(service)
    hasher.gate.clear()

    async def main():
        tries = [
            asyncio.create_task(WAYS["login"](from_(app, f"198.51.{n}.7"), ANN["email"], "guess"))
            for n in range(30)
        ]
        await until_all_turns_are_taken(hasher)
        answer = await WAYS["login"](from_(app, "192.0.2.99"), ANN["email"], PASSWORD)
        assert answer.status_code == 200
        assert not any(task.done() for task in tries)
        hasher.gate.set()
        await asyncio.gather(*tries)

    asyncio.run(main())


@pytest.mark.slow
def test_another_account_goes_on(service, hasher):
    """While guesses for one account have all its turns, another account signs in."""
    service.accounts.create(ANN["email"], PASSWORD)
    service.accounts.create("bob@example.com", PASSWORD)
    app = Identity(service)
    hasher.gate.clear()

    async def main():
        tries = [
            asyncio.create_task(WAYS["login"](from_(app, f"198.51.{n}.7"), ANN["email"], "guess"))
            for n in range(40)
        ]
        await until_all_turns_are_taken(hasher)
        answer = await WAYS["login"](from_(app, "203.0.113.5"), "bob@example.com", PASSWORD)
        assert answer.status_code == 200
        hasher.gate.set()
        await asyncio.gather(*tries)

    asyncio.run(main())
