"""Test the program that `make demo` starts: its printed commands work unchanged."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
SECRET = "t3st-0nly-Secret-of-the-demo-9Wq4"


class Demo:
    """Run the program in a process of its own."""

    def __init__(self, directory):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url, self.log = f"http://127.0.0.1:{port}", directory / "log"
        self.temporary = directory / "temporary"
        self.temporary.mkdir()
        environment = os.environ | {"PORT": str(port), "DEMO_SECRET": SECRET, "TMPDIR": str(self.temporary)}
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "examples.fastapi_app"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)  # noqa: S603

    def wait(self):
        deadline = time.monotonic() + 60
        with httpx.Client(trust_env=False) as client:
            while time.monotonic() < deadline and self.process.poll() is None:
                try:
                    if client.get(f"{self.url}/healthz").status_code == 200:
                        return
                except httpx.TransportError:
                    time.sleep(0.05)
        pytest.fail("the demo did not start")

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(60)

    @property
    def printed(self):
        return self.log.read_text()


@contextmanager
def running(directory):
    """Run the program until the end of the context; yield it when it answers."""
    demo = Demo(directory)
    try:
        demo.wait()
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Yield one running program to all tests that do not stop it."""
    with running(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.mark.slow
def test_the_printed_lines_work(demo):
    """The printed commands, run in a shell one after the other, give the answers that the comments name."""
    missing = [name for name in ("bash", "curl", "python3") if shutil.which(name) is None]
    if missing:
        assert os.environ.get("CI") != "true", f"{missing} missing"
        pytest.skip(f"{missing} missing")
    lines = re.findall(r"^  ((?:curl|TOKEN=|KEY=).*)$", demo.printed, re.MULTILINE)
    script = "\n".join(["export NO_PROXY='*'", *lines])
    bash = [str(shutil.which("bash")), "-eu"]
    ran = subprocess.run(  # noqa: S603
        bash, input=script, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert re.findall(r"HTTP/1.1 (\d+)", ran.stdout) == [
        "401",
        "200",
        "201",
        "200",
        "200",
        "200",
        "403",
        "200",
        "401",
    ]
    assert len(lines) == 11
    size = (ROOT / "README.md").stat().st_size
    for told in (
        {"name": "ada@example.com", "roles": ["ADMIN"], "method": "bearer"},
        [{"by": "ada@example.com", "text": "hello"}],
    ):
        assert json.dumps(told, separators=(",", ":")) in ran.stdout
    assert f'"size":{size},' in ran.stdout
    assert ran.stdout.count('"roles":[],"method":"api_key"}') == 1


def test_the_page_it_names_is_there(demo):
    """The printed address leads to the login page, and the printed password signs in there."""
    page, email, password = (re.search(rf" {name} +(\S+)\n", demo.printed)[1] for name in
                             ("browser", "email", "password"))  # fmt: skip
    with httpx.Client(headers={"accept": "text/html", "origin": demo.url}, trust_env=False) as browser:
        answer = browser.get(page)
        form = {"email": email, "password": password, "next": "/dashboard"}
        entered = browser.post(demo.url + answer.headers["location"], data=form)
        assert entered.headers["location"] == "/dashboard"
        assert "Hello, ada@example.com" in browser.get(page).text


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_it(tmp_path, number):
    """Stopped by Control-C or SIGTERM, the program ends cleanly, and deletes its accounts."""
    with running(tmp_path) as demo:
        assert [each.stat().st_mode & 0o077 for each in demo.temporary.iterdir()] == [0]
        assert demo.stop(number) == 0
    assert list(demo.temporary.iterdir()) == []
    assert "Traceback" not in demo.printed


def test_the_secret_is_not_printed(demo):
    """The secret that signs the tokens is not printed."""
    assert SECRET not in demo.printed


def test_the_readme_tells_of_it():
    """The README has the program's address, account and password."""
    from fastapi_app.__main__ import DEFAULT_PORT, EMAIL, HOST, PASSWORD

    readme = (ROOT / "README.md").read_text()
    assert all(text in readme for text in (f"http://{HOST}:{DEFAULT_PORT}/dashboard", EMAIL, PASSWORD))
