"""`authguard serve` as operators run it: workers, a path of a proxy, logs, signals and first checks."""

import json
import os
import re
import shutil
import signal

import httpx
import pytest

from authguard.cli.serving.checks import check_workers, root_path_of
from authguard.errors import ConfigurationError
from authguard.identity import Settings, upgrade
from cli.servers import served, wait_until_gone
from cli.support import ISSUER, PASSWORD, SECRET, invoke, run

ANN = {"email": "ann@example.com", "password": PASSWORD}


@pytest.fixture
def database(tmp_path):
    """Return the variable of a database without tables."""
    return {"AUTHGUARD_DATABASE": f"sqlite:///{tmp_path}/a.db"}


@pytest.fixture(scope="module")
def with_tables(tmp_path_factory):
    """Return the file of a database with tables, for copies of it."""
    path = tmp_path_factory.mktemp("tables") / "a.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def tables(database, with_tables, tmp_path):
    """Return the variables of a service with tables."""
    variables = {**database, "AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": ISSUER}
    variables |= {"AUTHGUARD_SMTP_URL": "smtp://127.0.0.1:9", "AUTHGUARD_MAIL_FROM": "a@b.example"}
    shutil.copy(with_tables, tmp_path)
    return variables


@pytest.mark.slow
def test_two_workers(database):
    """A killed worker is started again, and SIGTERM ends all of them with 0."""
    with served("--dev", "--workers", "2", **database) as server:
        assert server.get("/readyz").status_code == 200
        workers = server.children()
        assert len(workers) == 2
        killed = min(workers)
        os.kill(killed, signal.SIGKILL)
        server.wait_for_another(killed, 2)
        made = httpx.post(f"{server.base}/v1/auth/register", json=ANN, trust_env=False, timeout=20)
        assert made.status_code == 201  # all workers have the same secret
        token = {"authorization": f"Bearer {made.json()['access_token']}"}
        assert [server.get("/v1/users/me", headers=token).status_code for _ in range(6)] == [200] * 6
        workers = server.children()
        assert server.end() == 0
        wait_until_gone(workers)
    assert "each of 2 workers counts separately" in server.err


@pytest.mark.slow
def test_workers_that_start_slowly_are_not_killed(database, tmp_path):
    """A worker that starts slowly on a busy machine is not killed."""
    slow = 'import sys, time\nif "--multiprocessing-fork" in sys.argv:\n    time.sleep(7)\n'
    (tmp_path / "sitecustomize.py").write_text(slow)
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with served("--dev", "--workers", "2", PYTHONPATH=paths, **database) as server:
        assert server.get("/readyz").status_code == 200
        server.end()
    assert "died" not in server.err


@pytest.mark.slow
def test_workers_end_with_their_parent(database):
    """Workers end after a crash of their parent."""
    with served("--dev", "--workers", "2", **database) as server:
        server.get("/healthz")
        workers = server.children()
        server.end(signal.SIGKILL)
        wait_until_gone(workers)


@pytest.mark.slow
def test_behind_a_proxy_that_takes_a_path_away(database):
    """Forms, redirects and mails have the path of the issuer, which the proxy removes from requests."""
    issuer = "http://127.0.0.1:9/id"
    with served("--dev", "--root-path", "/id", AUTHGUARD_ISSUER=issuer, **database) as server:
        page = server.get("/register").text
        style = re.search(r'href="(/id/assets/style[^"]+)"', page)
        assert 'action="/id/register"' in page and style is not None
        assert server.get(style[1].removeprefix("/id")).status_code == 200
        headers = {"origin": "http://127.0.0.1:9", "host": "backend.internal"}
        answer = httpx.post(f"{server.base}/register", data=ANN, headers=headers, trust_env=False, timeout=20)
        assert answer.headers["location"] == "/id/account?notice=welcome"
        metadata = server.get("/.well-known/oauth-authorization-server/id").json()
        assert metadata["token_endpoint"] == f"{issuer}/api/v1/oauth/token"
        server.end()
    assert f"{issuer}/verify-email?token=" in server.out + server.err


@pytest.mark.slow
def test_logs_in_json(tables):
    """Each line in JSON has a time and a level, and a request has its parts without the query."""
    with served("--log-format", "json", "--access-log", "errors", **tables) as server:
        server.get("/healthz")
        server.get("/nothing?token=MARKER-secret")
        assert server.end(signal.SIGINT) == 0
    lines = [json.loads(line) for line in (server.out + server.err).splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    requests = [(line["path"], line["status"], line["level"]) for line in lines if "path" in line]
    assert requests == [("/nothing", 404, "info")]
    assert "MARKER" not in server.out + server.err


@pytest.mark.slow
def test_logs_in_text_have_times(tables):
    """Each line in text begins with the time in UTC."""
    with served(**tables) as server:
        server.get("/healthz?token=MARKER-secret")
        assert server.end(signal.SIGTERM) == 0
    lines = (server.out + server.err).splitlines()
    timed = [line for line in lines if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO", line)]
    assert len(timed) == len(lines) - 1  # the line with the address is written before
    assert re.findall(r'"GET (/\w+) HTTP', server.out) == ["/healthz"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["text", "json"])
def test_credentials_in_a_path_are_not_logged(tables, form):
    """The access log has no key, token or client secret that a client has put into the path."""
    credentials = [
        "sk_live_" + "Ab3_" * 10,
        "eyJ" + "Ab3-" * 9 + ".eyJ9.c2ln",
        "rt_" + "Ab3" * 20,
        "clsk_" + "Ab3" * 14,
    ]
    with served("--log-format", form, "--log-level", "debug", **tables) as server:
        for credential in credentials:
            assert server.get(f"/v1/api-keys/{credential}?token={credential}").status_code >= 400
        server.end()
    assert server.out.count("/v1/api-keys/[redacted]") == len(credentials) * (2 if form == "json" else 1)
    assert not [credential for credential in credentials if credential in server.out + server.err]


@pytest.mark.slow
def test_a_server_that_says_nothing(tables):
    """With `--log-level error` and `--access-log none` a successful run writes one line."""
    with served("--log-level", "error", "--access-log", "none", **tables) as server:
        server.get("/nothing")
        server.end()
    assert (server.out, len(server.err.splitlines())) == ("", 1)


@pytest.mark.slow
def test_another_secret_with_signing_keys(tables):
    """A secret that cannot decrypt the signing keys ends the start with 2."""
    variables = tables | {"AUTHGUARD_ALGORITHM": "ES256"}
    assert invoke("keys", "rotate", **variables).exit_code == 0
    done = run("serve", "--port", "0", **variables | {"AUTHGUARD_SECRET": SECRET[::-1]})
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "previous_secret" in done.stderr
    assert SECRET not in done.stderr and SECRET[::-1] not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("users", "list"),
        ("clients", "list"),
        ("apikeys", "list", "a@b.example"),
        ("keys", "rotate"),
    ],
)
def test_a_mistyped_database_makes_no_file(tables, tmp_path, command):
    """A command with a file that does not exist ends with 2, and creates no file."""
    folder = tmp_path / "empty"
    folder.mkdir()
    variables = tables | {"AUTHGUARD_DATABASE": f"sqlite:///{folder}/typo.db", "AUTHGUARD_ALGORITHM": "ES256"}
    done = invoke(*command, **variables)
    assert done.exit_code == 2
    assert "typo.db" in done.stderr and "authguard db upgrade" in done.stderr
    assert list(folder.iterdir()) == []


def test_a_command_reads_secrets_from_files(tables, tmp_path):
    """A command reads a setting from a file, and ignores variables of an orchestrator."""
    path = tmp_path / "url"
    path.write_text(tables["AUTHGUARD_DATABASE"] + "\n")
    results = {"AUTHGUARD_DATABASE_FILE": str(path), "AUTHGUARD_PORT": "tcp://10.96.0.12:80"}
    assert invoke("users", "list", "--json", **results).stdout == "[]\n"


def settings(**given):
    return Settings(**{"secret": SECRET, "issuer": ISSUER, **given})


@pytest.mark.parametrize("given", [None, "/id", "/id/"])
def test_the_path_of_the_issuer_needs_no_option(given):
    """Without `--root-path` the path is that of the issuer."""
    assert root_path_of(settings(issuer="https://example.com/id"), given) == "/id"


@pytest.mark.parametrize(("issuer", "given"), [(ISSUER, "/id"), (f"{ISSUER}/id", "/x"), (f"{ISSUER}/id", "")])
def test_another_path_than_that_of_the_issuer_is_refused(issuer, given):
    """A `--root-path` other than the path of the issuer is refused."""
    with pytest.raises(ConfigurationError, match="--root-path must be the path of the issuer"):
        root_path_of(settings(issuer=issuer), given)


@pytest.mark.slow
def test_workers_need_shared_limits(tables):
    """Several workers with limits in memory are refused, because each would count separately."""
    done = run("serve", "--port", "0", "--workers", "2", **tables)
    assert done.returncode == 2
    assert "AUTHGUARD_LIMITS_URL=redis://" in done.stderr and "--workers 1" in done.stderr


def test_workers_with_shared_limits():
    """One worker may count in memory, and several in Redis; development warns about several in memory."""
    assert check_workers(settings(), 1) is None
    assert check_workers(settings(limits_url="redis://127.0.0.1"), 4) is None
    assert "4 workers" in (check_workers(settings(dev=True), 4) or "")
