"""Run the service in a process of its own, with connections that record its answers."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ports import free_port

TESTS = Path(__file__).parents[1]
_SECONDS = 60.0


class Answer(NamedTuple):
    """Hold an answer, and the times of its request.

    Attributes:
        status: of the answer.
        body: its document; empty if it has none.
        begun: the time of the request, on the monotonic clock.
        ended: the time of the complete answer.
    """

    status: int
    body: dict[str, Any]
    begun: float
    ended: float


class ServiceProcess:
    """Run `identity.durable_app` in a process that can be killed and started again.

    Args:
        folder: for its log.
        variables: its environment, in addition to that of the tests.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.port = free_port()
        self.log = folder / "service.log"
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        path = os.pathsep.join([str(TESTS), *sys.path])
        command = [sys.executable, "-m", "uvicorn", "identity.durable_app:app", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = process = subprocess.Popen(
                [*command, "--log-level", "error", "--no-access-log"],
                env={**os.environ, "PYTHONPATH": path, **self._variables},
                cwd=TESTS, stdout=log, stderr=log,
            )  # fmt: skip
        connection, end = Connection(self.port), time.monotonic() + _SECONDS
        while True:
            with contextlib.suppress(OSError):
                if connection.get("/healthz").status == 200:
                    return connection.close()
            assert process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, "the service does not answer"
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End the process by a signal."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_SECONDS)
            self._process = None

    def restart(self, number: int = signal.SIGTERM) -> None:
        """End the process by a signal, and start it again."""
        self.end(number)
        self.start()


class Connection:
    """Keep a connection of one client open, like a browser.

    Attributes:
        answers: to all of its requests.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._http: http.client.HTTPConnection | None = None
        self._begun = 0.0
        self.answers: list[Answer] = []

    def get(self, path: str, token: str | None = None) -> Answer:
        """Send a GET request."""
        return self._ask("GET", path, None, token)

    def post(self, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> Answer:
        """Send a document to an endpoint of the API."""
        return self._ask("POST", path, body, token)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, token: str | None) -> Answer:
        self.send(method, path, body, token)
        return self.receive()

    def send(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> None:
        """Send a request, whose answer is received later."""
        fields = {"content-type": "application/json", "user-agent": "measured"}
        if token is not None:
            fields["authorization"] = f"Bearer {token}"
        if self._http is None:
            self._http = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        self._begun = time.monotonic()
        with self._closed_if_lost():
            self._http.request(
                method,
                path if path.startswith("/") else f"/v1/{path}",
                None if body is None else json.dumps(body),
                fields,
            )

    def receive(self) -> Answer:
        """Wait for the answer to the request that was sent."""
        assert self._http is not None
        with self._closed_if_lost():
            response = self._http.getresponse()
            text = response.read()
        is_document = "json" in (response.getheader("content-type") or "")
        document = json.loads(text) if is_document else {}
        answer = Answer(response.status, document, self._begun, time.monotonic())
        self.answers.append(answer)
        return answer

    @contextlib.contextmanager
    def _closed_if_lost(self) -> Iterator[None]:
        try:
            yield
        except http.client.HTTPException as error:
            self.close()
            raise ConnectionError(str(error)) from error
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._http is not None:
            self._http.close()
            self._http = None
