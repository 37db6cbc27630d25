"""Configure all tests."""

import datetime as dt
import gc
import os
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import find, settings, strategies

import sizes

# No examples are stored between runs, and tests do not fail because a machine is slow.
settings.register_profile("authguard", database=None, deadline=None, max_examples=sizes.size(150, 1_000))
settings.load_profile("authguard")

FOLDERS = Path(__file__).parent
# These tests wait for other processes. They begin first, so that no processor waits for one of them at the
# end.
_WAITING = ("wire", "browser", "remote", "identity", "cli", "client", "stores", "docs")


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use only one test authority, because each HTTP client loads all, and no test asks a public server."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, start, start + dt.timedelta(days=36_500)
    )
    path = tmp_path_factory.mktemp("authorities") / "authority.pem"
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(path))
        yield


@pytest.fixture(autouse=True)
def outages_of_each_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test log its outages, of which a process logs one a minute for each reason."""
    from authguard import _logs as logs
    from authguard._logs.by_reason import LineCounts

    monkeypatch.setattr(logs, "_outages", LineCounts())


@pytest.fixture(params=["with fast", "without fast"])
def each_reader(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read tokens with the packages of the extra `fast`, and then without."""
    from benchmarks.readers import without_fast

    with without_fast() if request.param == "without fast" else nullcontext():
        yield


@pytest.hookimpl(optionalhook=True)  # `make frameworks` does not install xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Start two workers for each processor, because many tests wait for other processes.

    With `--numprocesses logical`, for tests that do not wait, start one for each processor, because each
    worker collects all tests.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors if config.option.numprocesses == "logical" else 2 * processors


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give all files of tests/browser to one worker, since each worker starts Chromium for itself."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "tests/browser" if file.startswith("tests/browser/") else file

    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Send one message for each test that passes, and not five: those of thousands of tests take long."""
    if not hasattr(item.config, "workerinput"):  # only the workers of xdist send messages
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the folders whose tests take longest, and leave out repetitions with the second database."""
    for item in items:
        if " at 0x" in item.nodeid:  # the workers of xdist would collect different tests
            raise pytest.UsageError(f"the name of a test must not have an address, got {item.nodeid}")
    repeats = [item for item in items if _is_repeat(item, "one_database")]
    for item in items:
        if _is_repeat(item, "slow_on_postgresql"):
            item.add_marker("slow")
    if repeats:
        config.hook.pytest_deselected(items=repeats)
    left_out = set(repeats)
    items[:] = sorted((item for item in items if item not in left_out), key=lambda item: _place(item.path))


def _is_repeat(item: pytest.Item, marker: str) -> bool:
    """Return whether a test with this marker runs over the second database."""
    given = getattr(item, "callspec", None)
    if sizes.FULL or given is None or given.params.get("url") != "postgresql":
        return False
    return item.get_closest_marker(marker) is not None


@cache  # each process asks for the few files of thousands of tests
def _place(path: Path) -> int:
    folder = path.relative_to(FOLDERS).parts[0] if path.is_relative_to(FOLDERS) else ""
    return _WAITING.index(folder) if folder in _WAITING else len(_WAITING)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from scanning thousands of collected tests repeatedly.

    A test creates thousands of objects, such as an application with its routes. With the default settings,
    the collector scans them so often that it takes a large part of the time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        # Hypothesis looks for the owner of its generator, which it would not find among frozen objects.
        find(strategies.none(), lambda _: True)
        gc.collect()
        gc.freeze()
        gc.enable()
        gc.set_threshold(10_000, 10, 10)
