"""A mounted service with limits in memory: a WARNING if the command of the server has several processes."""

import pytest

from authguard.identity.limits.processes import processes_of_server, warn_of_processes

pytestmark = pytest.mark.one_database  # nothing is stored


@pytest.mark.parametrize(
    ("command", "environment", "number"),
    [
        ("/venv/bin/uvicorn main:app --workers 4", {}, 4),
        ("/venv/lib/uvicorn/__main__.py main:app --workers=3", {}, 3),
        ("uvicorn main:app", {"WEB_CONCURRENCY": "2"}, 2),
        ("uvicorn main:app --workers 1", {"WEB_CONCURRENCY": "2"}, 1),
        ("uvicorn main:app --reload", {}, 1),
        ("fastapi run main.py --workers 4", {}, 4),
        ("gunicorn -w 4 -k uvicorn_worker.UvicornWorker main:app", {}, 4),
        ("gunicorn -w4 main:app", {}, 4),
        ("gunicorn main:app", {"GUNICORN_CMD_ARGS": "--bind 0.0.0.0 --workers 5"}, 5),
        ("gunicorn main:app", {"WEB_CONCURRENCY": "many"}, 1),
        ("hypercorn main:app -w 2", {"WEB_CONCURRENCY": "9"}, 2),
        ("granian --interface asgi main:app", {"GRANIAN_WORKERS": "2"}, 2),
        ("authguard serve --dev --workers 2", {"WEB_CONCURRENCY": "2"}, 1),
        ("python main.py --workers 2", {}, 1),
        ("", {"WEB_CONCURRENCY": "2"}, 1),
    ],
)
def test_processes_of_server(command: str, environment: dict[str, str], number: int) -> None:
    """The number is that of the option, otherwise that of the variables of this server."""
    assert processes_of_server(command.split(), environment) == number


@pytest.mark.parametrize(
    ("url", "workers", "warns"),
    [("memory://", "2", True), ("memory://", "1", False), ("redis://localhost", "2", False)],
)
def test_limits_in_memory_of_several_processes(
    caplog: pytest.LogCaptureFixture, url: str, workers: str, warns: bool
) -> None:
    """Several processes that count in memory cause a WARNING, and one process or Redis none."""
    warn_of_processes(url, ["uvicorn", "main:app", "--workers", workers], {})
    assert [each.levelname for each in caplog.records] == ["WARNING"] * warns
