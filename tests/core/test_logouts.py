"""A store of revocations that processes share answers from memory while its memory is valid."""

from typing import Any

import pytest

from authguard import ClientAuth, Guard, IntrospectionVerifier, JWTVerifier, MemoryRevocations, Principal
from authguard._core.answer.decision import Allow, Deny, Known
from authguard._core.deciding.callers import AskFirst
from authguard._core.logouts import StoreHealth
from authguard.drivers import run
from authguard.drivers.blocking import decide
from authguard.errors import RevokedTokenError
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, SECRET, bearer, make_token

TOKEN = make_token()


class SharedStore:
    """Be a store with a memory, written as outside of the package.

    Attributes:
        number: the revision of memory; None while memory is not valid.
        revoked: subjects, in the store and in memory.
        looked_up: the number of searches in memory.
        waited_for: the number of calls of the store itself.
        fault: the exception that the revision raises, or None.
    """

    def __init__(self) -> None:
        self.number: int | None = 1
        self.revoked: set[str] = set()
        self.looked_up = self.waited_for = 0
        self.fault: Exception | None = None

    def revision(self) -> int | None:
        """Return the revision of memory."""
        if self.fault is not None:
            raise self.fault
        return self.number

    def is_known_revoked(self, principal: Principal) -> bool:
        """Search memory."""
        self.looked_up += 1
        return principal.subject in self.revoked

    def is_revoked(self, principal: Principal) -> bool:
        """Search the store."""
        self.waited_for += 1
        return principal.subject in self.revoked

    def health(self) -> StoreHealth:
        """Return the health of the store."""
        mode = "stale" if self.number is None else "pushed"
        return StoreHealth("shared", mode, lag=0.0, sequence=7, reconnects=0, reason="")


@pytest.fixture
def store() -> SharedStore:
    return SharedStore()


@pytest.fixture
def guard(store: SharedStore) -> Guard:
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(verifier, revocations=store)


def is_allowed(guard: Guard) -> bool:
    """Return whether the token is accepted; a refusal must be the one of a revoked token."""
    request = bearer(TOKEN)
    recalled = guard.recall(request.presented, (request.method, request.path, request.root_path), NOW)
    if isinstance(recalled, Known):
        return True
    decision = run(guard.decide(request, NOW, recalled))
    assert isinstance(decision, Allow) or isinstance(decision.error, RevokedTokenError)
    return isinstance(decision, Allow)


def test_memory_is_searched_once_for_each_revision(guard: Guard, store: SharedStore) -> None:
    """Memory is searched again for a remembered caller only after the revision has changed."""
    assert all(is_allowed(guard) for _ in range(5))
    before = store.looked_up
    assert is_allowed(guard)
    assert store.looked_up == before
    store.number = 2
    assert is_allowed(guard)
    assert (store.looked_up, store.waited_for) == (before + 1, 0)


def test_a_revocation_that_memory_learns_of_holds_at_once(guard: Guard, store: SharedStore) -> None:
    """The next request after a revocation with a new revision is refused."""
    assert is_allowed(guard)
    store.revoked.add("ann")
    store.number = 2
    assert not is_allowed(guard)


def test_the_first_request_with_a_revoked_token_is_refused_as_revoked(store: SharedStore) -> None:
    """The first request with a revoked opaque token, whose question is shared, is refused as revoked."""
    world, url = World(), f"{ISSUER}/introspect"
    world.pages[url] = page({"active": True, "sub": "ann", "aud": AUDIENCE})
    verifier = IntrospectionVerifier(url, audience=AUDIENCE, auth=ClientAuth.bearer("t0ken"))
    guard = Guard(verifier, revocations=store)
    store.revoked.add("ann")
    request = bearer("opaque")
    recalled = guard.recall(request.presented, (request.method, request.path, request.root_path), NOW)
    assert isinstance(recalled, AskFirst)
    decision = world.run(guard.decide(request, NOW, recalled))
    assert isinstance(decision, Deny)
    assert isinstance(decision.error, RevokedTokenError)


def test_the_store_is_waited_for_while_memory_may_not_be_trusted(guard: Guard, store: SharedStore) -> None:
    """Without a revision each request asks the store, also for a remembered caller."""
    assert is_allowed(guard)
    store.number = None
    assert is_allowed(guard)
    assert store.waited_for == 1
    store.revoked.add("ann")
    assert not is_allowed(guard)
    assert store.waited_for == 2


@pytest.mark.parametrize(("number", "state"), [(1, "fresh"), (None, "stale")])
def test_health_of_the_store_is_that_of_the_guard(
    guard: Guard, store: SharedStore, number: int | None, state: str
) -> None:
    """The health of the guard has the name and the state of the store."""
    store.number = number
    (health,) = guard.health(NOW)
    assert (health.name, health.state) == ("shared", state)


class Counted(MemoryRevocations):
    """Count the searches of the revocations of one process."""

    searched = 0

    def is_known_revoked(self, principal: Principal) -> bool:
        self.searched += 1
        return super().is_known_revoked(principal)


def with_revocations(revocations: Any) -> Guard:
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    return Guard(verifier, revocations=revocations)


def test_revocations_of_one_process_are_searched_after_each_revocation() -> None:
    """A remembered caller is looked up again after each revocation, and only then."""
    revocations = Counted(clock=lambda: NOW)
    guard = with_revocations(revocations)
    assert all(is_allowed(guard) for _ in range(5))
    before = revocations.searched
    revocations.revoke(subject="bob", until=NOW + 600)
    assert all(is_allowed(guard) for _ in range(5))
    assert revocations.searched == before + 1
    revocations.revoke(subject="ann", until=NOW + 600)
    assert not is_allowed(guard)


class Stricter(MemoryRevocations):
    """Refuse more callers than those that were revoked, as a store of an application."""

    closed = False

    def is_revoked(self, principal: Principal) -> bool:
        return self.closed or super().is_revoked(principal)


def test_a_class_of_the_application_is_asked_each_time() -> None:
    """A class of the application with its own `is_revoked` is called for each request."""
    revocations = Stricter(clock=lambda: NOW)
    guard = with_revocations(revocations)
    assert all(is_allowed(guard) for _ in range(3))
    revocations.closed = True
    assert not is_allowed(guard)
    revocations.closed = False
    revocations.revoke(subject="ann", until=NOW + 600)
    assert not is_allowed(guard)


def test_a_function_of_the_application_is_asked_each_time() -> None:
    """A function of the application that replaces `is_revoked` is called for each request."""
    revocations, gone = MemoryRevocations(clock=lambda: NOW), set[str]()
    revocations.is_revoked = lambda principal: principal.subject in gone  # type: ignore[method-assign]
    guard = with_revocations(revocations)
    assert all(is_allowed(guard) for _ in range(3))
    gone.add("ann")
    assert not is_allowed(guard)


class StricterShared(SharedStore):
    """Refuse more callers than those that memory knows, as a store of an application."""

    closed = False

    def is_revoked(self, principal: Principal) -> bool:
        return self.closed or super().is_revoked(principal)


def test_a_class_of_the_application_with_a_shared_store_is_asked_each_time() -> None:
    """A shared store of the application with its own `is_revoked` is called for each request."""
    store = StricterShared()
    guard = with_revocations(store)
    assert all(is_allowed(guard) for _ in range(3))
    store.closed = True
    assert not is_allowed(guard)


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "first seen"])
@pytest.mark.parametrize(("fault", "status"), [(ConnectionError("down"), 503), (RuntimeError("a bug"), 500)])
def test_a_fault_of_the_revision_is_a_refusal(
    guard: Guard, store: SharedStore, is_known: bool, fault: Exception, status: int
) -> None:
    """A revision that raises makes the answer a 503 or a 500, and no caller passes."""
    request = bearer(TOKEN)
    key = (request.method, request.path, request.root_path)
    if is_known:
        assert is_allowed(guard)
    store.fault = fault
    denied = decide(guard, lambda *_: request, None, request.presented, key, NOW)
    assert isinstance(denied, Deny)
    assert denied.refusal.status == status
