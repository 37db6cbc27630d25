"""Settings of all tests."""

import datetime as dt
import gc
import os
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import settings

import sizes

# No examples are kept between runs, and slow machines do not fail tests by their clock.
settings.register_profile("authguard", database=None, deadline=None, max_examples=sizes.size(150, 1_000))
settings.load_profile("authguard")

FOLDERS = Path(__file__).parent
# They wait for other processes. Begun first, none of them is the last one that a processor works on.
_WAITING = ("wire", "browser", "remote", "identity", "cli", "client")


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one made-up authority: each HTTP client reads all of them, and no test asks a public server."""
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


@pytest.fixture(params=["with fast", "without fast"])
def each_reader(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read tokens with the packages of the extra `fast`, and then without."""
    from benchmarks.readers import without_fast

    with without_fast() if request.param == "without fast" else nullcontext():
        yield


@pytest.hookimpl(optionalhook=True)  # `make frameworks` has no xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Start twice as many workers as there are processors: many tests wait for other processes.

    With `--numprocesses logical`, for tests that do not wait, start as many as there are: each one collects
    all of the tests.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors if config.option.numprocesses == "logical" else 2 * processors


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the folders whose tests take longest, and leave out what a second database repeats."""
    repeats = [item for item in items if _is_repeat(item)]
    if repeats:
        config.hook.pytest_deselected(items=repeats)
    items[:] = sorted((item for item in items if not _is_repeat(item)), key=_place)


def _is_repeat(item: pytest.Item) -> bool:
    """Return whether a test that is not about the database runs over the second one."""
    if sizes.FULL or item.get_closest_marker("one_database") is None:
        return False
    given = getattr(item, "callspec", None)
    return given is not None and given.params.get("url") == "postgresql"


def _place(item: pytest.Item) -> int:
    folder = item.path.relative_to(FOLDERS).parts[0] if item.path.is_relative_to(FOLDERS) else ""
    return _WAITING.index(folder) if folder in _WAITING else len(_WAITING)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector of garbage from looking through thousands of collected tests again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
