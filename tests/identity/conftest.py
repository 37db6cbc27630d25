"""The identity service: the databases, the service, and a browser."""

import pytest

from authguard.identity import Identity
from databases import empty_url, postgres_url, sqlite_url  # noqa: F401  # fixtures
from identity_support import ANN, Clock, Postbox, browser, service_at
from leaks_support import Leaks, close_connections, watching


@pytest.fixture(scope="session", autouse=True)
def searched_databases():
    """Close what was opened to search the databases, before they are dropped."""
    yield
    close_connections()


_CHECKER = pytest.StashKey[Leaks]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
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


@pytest.fixture(autouse=True)
def leaks(request):
    """Nothing that a test sends, is sent or sets in secret is logged, stored in clear or echoed."""
    with watching(Leaks()) as leaks:
        request.node.stash[_CHECKER] = leaks
        yield leaks
    problems = leaks.report()
    if problems:
        pytest.fail("\n".join(problems[:20]), pytrace=False)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def postbox():
    return Postbox()


@pytest.fixture
def service(url, clock, postbox):
    with service_at(url, clock=clock, postbox=postbox) as service:
        yield service


@pytest.fixture
def app(service):
    return Identity(service)


@pytest.fixture
def ann(app):
    """A browser in which Ann has registered, and is signed in."""
    client = browser(app)
    assert client.post("/register", data=ANN).status_code == 303
    return client
