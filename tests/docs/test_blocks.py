"""Each block of README and of the pages runs here or in a test of its own, or is listed with a reason."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from docs.blocks import ROOT, Block, blocks, execute, pages

SECRET = "d0cs-0nly-Secret-of-enough-bytes-7Qx"
ENVIRONMENT = {
    "JWT_SECRET": SECRET,
    "CLIENT_SECRET": SECRET,
    "BILLING_KEY": "sk_test_docs-0nly-Key-of-enough-bytes-9Zk",
    "ISSUER": "https://auth.example.com",
    "AUTHGUARD_SECRET": SECRET,
    "AUTHGUARD_ISSUER": "https://auth.example.com",
    "AUTHGUARD_DATABASE": "sqlite:///authguard.db",
}
#: The names that the blocks of a page, in order, take from the text around them.
NAMES: dict[str, dict[str, Any]] = {
    "docs/identity.md": {"secret": SECRET, "issuer": "https://auth.example.com"},
}
#: Pages and languages whose blocks need servers, a project or an order, with the test that runs them.
RUN_BY = {
    ("README.md", "python"): "tests/docs/test_first_hour.py",
    ("README.md", "sh"): "tests/docs/test_first_hour.py",
    ("docs/coming-from/*.md", "*"): "tests/migrations",
    ("docs/client.md", "python"): "tests/identity/test_client_page.py",
    ("docs/django.md", "python"): "tests/frameworks/test_django_docs.py",
    ("docs/frameworks.md", "python"): "tests/frameworks/test_page.py",
    ("docs/guides/proxies.md", "caddyfile"): "tests/docs/test_proxies.py",
    ("docs/guides/proxies.md", "nginx"): "tests/docs/test_proxies.py",
    ("docs/guides/proxies.md", "yaml"): "tests/docs/test_proxies.py",
    ("docs/guides/websockets.md", "js"): "tests/browser/test_websocket_in_chromium.py",
    ("docs/identity.md", "console"): "tests/docs/test_api_keys.py",
    ("docs/login.md", "python"): "tests/docs/test_login.py",
    ("docs/machines.md", "console"): "tests/docs/test_machines.py",
    ("docs/machines.md", "python"): "tests/docs/test_machines.py",
    ("docs/machines.md", "sql"): "tests/identity/test_revocations.py",
    ("docs/production.md", "sql"): "tests/identity/test_write_readiness.py",
    ("docs/providers.md", "python"): "tests/docs/test_providers.py",
    ("docs/quotas.md", "python"): "tests/docs/test_quotas.py",
    ("docs/refusals.md", "python"): "tests/docs/test_refusals.py",
    ("docs/start.md", "sh"): "tests/docs/test_first_hour.py",
    ("docs/testing.md", "python"): "tests/testing/test_plugin.py",
}
#: Blocks below a heading, by page and language, whose test takes other steps first.
RUN_BELOW = {
    ("docs/identity.md", "Keys that are found in public", "sh"): "tests/docs/test_leaks.py",
}
#: Blocks that cannot be run, with the reason.
NOT_RUN = {
    ("docs/reference/a*.md", "*"): "written from the code and its tests by `make reference`",
    ("docs/*", "mermaid"): "a drawing",
}
PARSERS: dict[str, Callable[[str], Any]] = {"toml": tomllib.loads, "json": json.loads}
EACH = [block for page in pages() for block in blocks(page)]


class _Plan(NamedTuple):
    """Have the test that runs a block, or the reason why it is not run."""

    run_by: str | None = None
    reason: str | None = None


def _matches(key: tuple[str, str], block: Block) -> bool:
    page, language = key
    return fnmatch(block.page, page) and fnmatch(block.language, language)


def _is_install(block: Block) -> bool:
    return block.text.startswith("pip install ") and block.text.count("\n") == 1


def _plan(block: Block) -> _Plan:
    if _is_install(block):  # without the package, the name could be that of another one
        return _Plan(run_by="tests/docs/test_blocks.py")
    below = RUN_BELOW.get((block.page, block.heading, block.language))
    if below:
        return _Plan(run_by=below)
    for key, test in RUN_BY.items():
        if _matches(key, block):
            return _Plan(run_by=test)
    return _Plan(reason=next((why for key, why in NOT_RUN.items() if _matches(key, block)), None))


def _here(block: Block) -> bool:
    return _plan(block) == _Plan()


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with the variables of the pages, and without others of the service."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AUTHGUARD_")]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.mark.parametrize("block", [block for block in EACH if _is_install(block)], ids=str)
def test_installs_name_extras_that_exist(block: Block) -> None:
    """The extras of an install command, such as `authguard[fastapi,cli]`, exist."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r'"authguard\[([\w,]+)\]"', block.text)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("page", [page for page in pages() if any(map(_here, blocks(page, "python")))])
def test_python_runs(page: str, folder: Path) -> None:
    """The Python blocks of a page run one after the other without an exception."""
    names: dict[str, Any] = {"__name__": "page", **NAMES.get(page, {})}
    for block in blocks(page, "python"):
        if _here(block):
            execute(block, names)


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [block for block in EACH if block.language in ("sh", "console") and _here(block)], ids=str
)
def test_commands_run(block: Block, folder: Path) -> None:
    """Each command of a block succeeds after the tables of the service are created."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    script = f"authguard db upgrade >&2\n{block.text}" if "authguard " in block.text else block.text
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script,
        env={**os.environ, "PATH": path},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [block for block in EACH if block.language in PARSERS], ids=str)
def test_data_is_read(block: Block) -> None:
    """A block of data can be parsed in its format."""
    assert PARSERS[block.language](block.text)


def test_each_block_is_run_or_named() -> None:
    """No block has a language that is not run here, unless its page is listed above."""
    known = {"python", "sh", "console", *PARSERS, "text"}
    assert [str(block) for block in EACH if _here(block) and block.language not in known] == []


@pytest.mark.parametrize(
    ("page", "test"), sorted({(key[0], test) for key, test in {**RUN_BY, **RUN_BELOW}.items()})
)
def test_a_test_that_is_named_reads_the_page(page: str, test: str) -> None:
    """A listed test contains the name of the page, or of its folder."""
    if "*" in page and not any(fnmatch(block.page, page) for block in EACH):
        return
    path = ROOT / test
    files = [path] if path.is_file() else sorted(path.glob("*.py"))
    name = Path(page).parent.name if "*" in page else Path(page).name
    assert any(name in file.read_text(encoding="utf-8") for file in files)


def test_no_name_above_is_left_over() -> None:
    """Each listed page and language has a block; a folder may be empty."""
    seen = {(block.page, block.language) for block in EACH}
    named = {key for key in {**RUN_BY, **NOT_RUN} if "*" not in key[0]}
    assert named - seen == set()
    below = {(block.page, block.heading, block.language) for block in EACH}
    assert set(RUN_BELOW) - below == set()
