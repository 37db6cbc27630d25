"""The identity service: the databases, the service, and a browser."""

from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

import pytest
from jinja2 import Environment, FileSystemBytecodeCache
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
    """Close what was opened to search the databases, before they are dropped."""
    yield
    close_connections()


@pytest.fixture(scope="session", autouse=True)
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what Jinja has compiled, since each test makes an application of its own."""
    cache = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "Environment", partial(Environment, bytecode_cache=cache))
        yield


@pytest.fixture(autouse=True)
def closed_applications(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End the threads of each application that a test makes; providers may be shared by several tests."""
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
    """Search what servers in processes of their own have written, and their arguments while they run."""
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
    """Each answer that a test gets is one of those that the OpenAPI document names."""
    problems: set[str] = set()
    watch_answers(monkeypatch, problems)
    yield
    if problems:
        pytest.fail("\n".join(sorted(problems)[:10]), pytrace=False)


@pytest.fixture(autouse=True)
def known_events(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each event that a test causes has a name and a reason of the lists."""
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
    """Nothing that a test sends, is sent or sets in secret is logged, stored in clear or echoed."""
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
    """A browser in which Ann has registered, and is signed in."""
    client = browser(app)
    assert client.post("/register", data=ANN).status_code == 303
    return client
