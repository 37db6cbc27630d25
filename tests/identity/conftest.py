"""Provide the identity service: the databases, the service, and a browser."""

from collections.abc import Generator, Iterator
from functools import partial
from types import CodeType
from typing import Any

import pytest
from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket
from starlette.testclient import TestClient

from authguard.identity import Identity, IdentityService
from authguard.identity.audit import Audit, Event
from authguard.identity.pages import views
from authguard.identity.reasons import Flow, Reason
from authguard.identity.scanning.matches import SOURCES, UNKNOWN_SOURCE
from authguard.identity.social_reasons import SocialReason
from event_loop import one_event_loop  # noqa: F401  # a fixture
from identity.databases import compiled_statements, empty_url, postgres_url, sqlite_url  # noqa: F401  # fixtures
from identity.documented_answers import watch_answers
from identity.leaks import Leaks, watching
from identity.support import ANN, Clock, Postbox, browser, close_connections, service_at


@pytest.fixture(scope="session", autouse=True)
def searched_databases() -> Iterator[None]:
    """Close connections that were opened to search the databases, before these are dropped."""
    yield
    close_connections()


class _Templates(BytecodeCache):
    """Keep the code of compiled templates in memory, as long as their text stays the same."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[str, CodeType]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Set the code of a template that was compiled before."""
        checksum, code = self._codes.get(bucket.key, ("", None))
        if checksum == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template."""
        assert bucket.code is not None
        self._codes[bucket.key] = (bucket.checksum, bucket.code)


@pytest.fixture(scope="session", autouse=True)
def compiled_templates() -> Iterator[None]:
    """Keep the templates that Jinja has compiled, since each test makes an application of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "Environment", partial(Environment, bytecode_cache=_Templates()))
        yield


@pytest.fixture(autouse=True)
def closed_applications(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End the threads of each application that a test creates; several tests may share providers."""
    build = Identity.__init__
    made: list[Identity] = []

    def init(identity: Identity, *args: Any, **kwargs: Any) -> None:
        build(identity, *args, **kwargs)
        made.append(identity)

    monkeypatch.setattr(Identity, "__init__", init)
    yield
    for identity in made:
        identity._web.workers.close()
        identity.service.close()


_CHECKER = pytest.StashKey[Leaks]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Search the output of servers in processes of their own, and their arguments while they run."""
    report = yield
    leaks = item.stash.get(_CHECKER, None)
    if leaks is None or not leaks.processes.pids:
        return report
    if report.when == "call":
        leaks.processes.look()
    elif report.when == "teardown" and report.passed:
        problems = leaks.report(report.capstdout, report.capstderr)
        if problems:
            report.outcome, report.longrepr = "failed", "\n".join(problems[:20])
    return report


_REASONS = {"", *Reason, *SocialReason, *SOURCES, UNKNOWN_SOURCE}


@pytest.fixture(autouse=True)
def documented_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that the OpenAPI document names each answer that a test gets."""
    problems: set[str] = set()
    watch_answers(monkeypatch, problems)
    yield
    if problems:
        pytest.fail("\n".join(sorted(problems)[:10]), pytrace=False)


@pytest.fixture(autouse=True)
def known_events(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that each event that a test causes has a name and a reason of the lists."""
    record = Audit.record
    unknown: set[tuple[str, str]] = set()

    def record_known(audit: Audit, event: Event) -> None:
        if event.name not in list(Flow) or event.reason not in _REASONS:
            unknown.add((event.name, event.reason))
        record(audit, event)

    monkeypatch.setattr(Audit, "record", record_known)
    yield
    assert not unknown


@pytest.fixture(autouse=True)
def leaks(request: pytest.FixtureRequest) -> Iterator[Leaks]:
    """Check that no secret of a test is logged, stored in clear or echoed."""
    with watching(Leaks()) as leaks:
        request.node.stash[_CHECKER] = leaks
        yield leaks
    problems = leaks.report()
    if problems:
        pytest.fail("\n".join(problems[:20]), pytrace=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def service(url: str, clock: Clock, postbox: Postbox) -> Iterator[IdentityService]:
    with service_at(url, clock=clock, postbox=postbox) as service:
        yield service


@pytest.fixture
def app(service: IdentityService) -> Identity:
    return Identity(service)


@pytest.fixture
def ann(app: Identity) -> TestClient:
    """Yield a browser in which Ann has registered, and is signed in."""
    client = browser(app)
    assert client.post("/register", data=ANN).status_code == 303
    return client
