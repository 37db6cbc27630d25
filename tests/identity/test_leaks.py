"""Leaks of secrets: each planted leak is reported, without the secret.

The checker itself runs around each test of this folder, by the fixture `leaks`.
"""

import logging
import os
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.leaks import Leaks, note_answer, note_request, note_settings, watching
from identity.processes import Processes
from identity.support import ANN, CALLER, ISSUER, PASSWORD, SECRET, browser, service_at

SECOND = "An0ther-Secret-of-a-caller"
FORM = [(b"content-type", b"application/x-www-form-urlencoded")]


@pytest.fixture
def planted():
    """Run a checker inside the one that watches this test."""
    with watching(Leaks()) as planted:
        yield planted


@pytest.fixture
def leaks(leaks):
    """Forget the intended leaks of a test."""
    yield leaks
    leaks.secrets.clear()
    leaks.processes = Processes()


def only(problems, *words):
    """Require one report, with these words and without the secrets."""
    assert len(problems) == 1, problems
    assert all(word in problems[0] for word in words), problems
    assert SECOND not in problems[0]
    assert PASSWORD not in problems[0]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.ERROR])
@pytest.mark.parametrize("name", ["authguard", "sqlalchemy.pool", "authlib.oauth2", "asyncio"])
def test_a_line_of_any_library_is_searched(planted, name, level):
    """A password in a log line of any level is reported with the name of the logger."""
    planted.note(SECOND, "password")
    logging.getLogger(name).log(level, "refused %r", SECOND)
    only(planted.report(), f"the log of {name}", "[password]")


def test_a_traceback_is_searched(planted):
    """A secret in a traceback, or in the error that caused another one, is reported."""
    planted.note(SECOND, "token")
    try:
        try:
            int(SECOND)
        except ValueError as error:
            raise RuntimeError("no number") from error
    except RuntimeError:
        logging.getLogger("authguard").exception("a fault")
    only(planted.report(), "the log of authguard", "[token]")


def test_an_extra_attribute_of_a_record_is_searched(planted):
    """A secret in an extra attribute of a record is reported, because handlers for JSON write it."""
    planted.note(SECOND, "token")
    logging.getLogger("authguard").info("refused", extra={"given": SECOND})
    only(planted.report(), "the log of authguard", "[token]")


@pytest.mark.parametrize(
    "shown",
    ["a%22b%26c%20d-12345", "a&#34;b&amp;c d-12345", "a&quot;b&amp;c d-12345", 'a\\"b&c d-12345'],
)
def test_other_spellings_are_searched(planted, shown):
    """A percent-encoded or escaped secret is reported."""
    planted.note('a"b&c d-12345', "password")
    logging.getLogger("authguard").info("%s", shown)
    only(planted.report(), "the log of authguard", "[password]")


def test_a_row_is_searched(planted, url):
    """A token in a row is reported with the name of the table."""
    planted.databases.add(url)
    planted.note(SECOND, "token")
    assert planted.report() == []
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO authguard_marks VALUES ('token', '', :name, 1, 1, 2)"), {"name": SECOND}
        )
    engine.dispose()
    problems = planted.report()
    assert problems
    assert all("[token]" in problem and SECOND not in problem for problem in problems)
    assert "authguard_marks" in problems[-1] or "bytes" in problems[-1]


def test_a_password_hash_may_be_stored_and_not_be_logged(planted, service):
    """A password hash may be stored, and is reported in a log line."""
    service.accounts.register(ANN["email"], SECOND, "", CALLER)
    assert planted.report() == []
    (kept,) = [secret for secret, kind in planted.secrets.items() if kind == "password hash"]
    logging.getLogger("authguard").debug("row: %r", (kept,))
    only(planted.report(), "the log of authguard", "[password hash]")


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_signing_keys_are_noted(planted, url, algorithm):
    """A signing key, and its encrypted form, are reported in log lines."""
    with service_at(url, algorithm=algorithm) as service:
        service.accounts.register(ANN["email"], PASSWORD, "", CALLER)
    assert planted.report() == []
    kinds = {kind: secret for secret, kind in planted.secrets.items()}
    logging.getLogger("authguard").debug("%s", kinds["signing key"])
    logging.getLogger("authguard").debug("%s", kinds["encrypted key"])
    assert len(planted.report()) == 2


def test_the_arguments_of_processes_are_searched(planted):
    """A secret in the arguments of a process is reported, because other users can read them."""
    planted.note(SECOND, "setting")
    subprocess.run([sys.executable, "-c", "", "--password", SECOND], check=True)
    only(planted.report(), "the arguments of a process", "[setting]")


def server(program, **options):
    """Run a program as if it were a server."""
    return subprocess.run([sys.executable, "-c", program, "uvicorn"], check=True, **options)


#: Secrets that a server has issued, which the test does not know.
TOKENS = {
    "refresh token": "rt_" + "Ab1-" * 15,
    "access token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLW9mLWEtdG9rZW4",
    "private key": "-----BEGIN PRIVATE KEY-----",
    "password hash": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
    "link": "/verify-email?token=Ab1-Ab1-Ab1-Ab1-Ab1-Ab1-",
}


@pytest.mark.parametrize("secret", [PASSWORD, SECRET, *TOKENS.values()], ids=["password", "secret", *TOKENS])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_output_of_servers_is_searched(planted, tmp_path, stream, secret):
    """A secret in the output of a server is reported, from pipes, files and pytest's capture."""
    program = "import sys; sys.{}.write(sys.stdin.read())"
    server(program.format(stream), input=f"x {secret}", capture_output=True, text=True)
    with (tmp_path / "server.log").open("w") as log:
        server(program.format(stream), input=f"y {secret}", text=True, **{stream: log})
    problems = planted.report(f"z {secret}")
    places = "\n".join(problems)
    assert "the output of a server" in places
    if secret in TOKENS.values():  # one report for each place
        assert len(problems) == 3
        assert "server.log" in places
    assert secret not in places


def test_the_secrets_of_the_environment_of_servers_are_noted(planted):
    """A secret of a server's environment is reported in the output of the server."""
    environment = os.environ | {"AUTHGUARD_SECRET": SECOND}
    server("import os; print(os.environ['AUTHGUARD_SECRET'])", env=environment, capture_output=True)
    only(planted.report(), "the output of a server", "[setting]")


def test_the_arguments_of_workers_are_searched(planted):
    """A secret in the arguments of a worker that a server starts is reported."""
    worker = f"[sys.executable, '-c', 'print(1, flush=True); input()', '{TOKENS['refresh token']}']"
    program = f"import subprocess, sys; subprocess.run({worker})"
    command = [sys.executable, "-c", "exec(input())", "uvicorn"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(program + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "1\n"
        planted.processes.look()
        process.stdin.close()
    only(planted.report(), "the arguments of a process", "something like a secret")


@pytest.mark.parametrize("how", ["environment", "argument"])
def test_the_databases_of_servers_are_searched(planted, url, how):
    """A token in the database of a server is reported by its form."""
    engine = create_engine(url)
    with engine.begin() as connection:
        name = {"name": TOKENS["refresh token"]}
        connection.execute(text("INSERT INTO authguard_marks VALUES ('token', '', :name, 1, 1, 2)"), name)
    engine.dispose()
    if how == "environment":
        server("", env=os.environ | {"TEST_DATABASE": url})
    else:
        subprocess.run([sys.executable, "-c", "", "uvicorn", "--database", url], check=True)
    assert "something like a secret" in "\n".join(planted.report())


def test_the_output_of_other_programs_is_not_searched(planted):
    """A token in the output of another program is not reported."""
    program = f"print('{TOKENS['access token']}')"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert planted.report() == []


@pytest.mark.parametrize(
    ("headers", "query", "body"),
    [
        (FORM, b"", f"password={SECOND}".encode()),
        (FORM, b"", f"client_secret={SECOND}".encode()),
        ([(b"content-type", b"application/json")], b"", f'{{"new_password": "{SECOND}"}}'.encode()),
        ([], f"token={SECOND}".encode(), b""),
        ([], f"code={SECOND}".encode(), b""),
        ([(b"authorization", f"Bearer {SECOND}".encode())], b"", b""),
        ([(b"cookie", f"theme=dark; session={SECOND}".encode())], b"", b""),
        ([(b"authorization", b"Basic aWQ6QW4wdGhlci1TZWNyZXQtb2YtYS1jYWxsZXI=")], b"", b""),
    ],
)
def test_an_answer_that_echoes_is_reported(headers, query, body):
    """An answer with a password, token, code, cookie or secret of its request is reported."""
    planted = Leaks()
    own = note_request(planted, query, headers, body)
    start = {"type": "http.response.start", "status": 400, "headers": []}
    answer = [start, {"type": "http.response.body", "body": f"no: {SECOND}".encode()}]
    note_answer(planted, "the answer to POST /x", answer, own)
    only(planted.report(), "the answer to POST /x")


def test_a_later_answer_must_not_show_a_password(planted, service):
    """A registered password in a header field of a later answer is reported."""
    service.accounts.register(ANN["email"], SECOND, "", CALLER)
    note_answer(
        planted,
        "the answer to GET /x",
        [{"type": "http.response.start", "status": 200, "headers": [(b"x-debug", SECOND.encode())]}],
        [],
    )
    only(planted.report(), "the answer to GET /x", "[password]")


@pytest.mark.slow
def test_all_that_passes_is_noted(planted, service, postbox):
    """The checker records passwords, tokens, cookies, one-time tokens, client secrets and settings."""
    app = Identity(service)
    note_settings(planted, service.settings)
    page, api = browser(app), TestClient(app, base_url=ISSUER)
    page.post("/register", data=ANN)
    tokens = api.post("/v1/auth/login", json=ANN).json()
    api.get("/v1/users/me", headers={"authorization": f"Bearer {tokens['access_token']}"})
    service.outbox.flush()
    _, client_secret = service.clients.create("robot")
    for secret in (
        PASSWORD,
        SECRET,
        postbox.token(),
        client_secret,
        tokens["refresh_token"],
        tokens["access_token"].rpartition(".")[2],
        page.cookies["access_token"].rpartition(".")[2],
    ):
        assert secret in planted.secrets
    assert planted.report() == []
