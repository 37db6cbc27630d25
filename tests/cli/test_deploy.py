"""The examples of examples/deploy: proxies before the service, a unit and a container."""

import contextlib
import json
import os
import re
import shlex
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from authguard.cli.root import root
from cli.servers import served
from cli.support import PASSWORD, SECRET
from ports import free_port
from support import program

FOLDER = Path(__file__).parents[2] / "examples" / "deploy"
NAME = "auth.example.com"
FORGED = "203.0.113.9"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate for the name of the examples."""
    folder = tmp_path_factory.mktemp("certificate")
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return folder


def nginx_command(folder: Path, certificate: Path, upstream: int, port: int) -> list[str]:
    """Write the configuration with the ports and paths of the test; return the command that runs it."""
    text = (FOLDER / "nginx.conf").read_text()
    changes = {
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen 80": f"listen 127.0.0.1:{free_port()}",
        "/etc/ssl/auth.example.com.pem": f"{certificate}/cert.pem",
        "/etc/ssl/private/auth.example.com.key": f"{certificate}/key.pem",
        "/var/log/nginx/": f"{folder}/",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    whole = f"daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{ {temporary}\n{text}\n}}"
    (folder / "nginx.conf").write_text(whole)
    return [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy_command(folder: Path, certificate: Path, upstream: int, port: int) -> list[str]:
    """Write the configuration with the ports and paths of the test; return the command that runs it."""
    text = (FOLDER / "Caddyfile").read_text()
    site = f"{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate}/cert.pem {certificate}/key.pem"
    assert f"{NAME} {{" in text and "\n{\n" in text
    text = text.replace(f"{NAME} {{", site).replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    text = text.replace("\n{\n", "\n{\n\tadmin off\n\tauto_https disable_redirects\n", 1)
    (folder / "Caddyfile").write_text(text)
    return [program("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def clients(port: int, certificate: Path) -> httpx.Client:
    """Return a client that trusts the certificate, and sends requests to the port of the proxy."""
    context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))

    def reach(request: httpx.Request) -> None:
        request.extensions["sni_hostname"] = NAME
        request.headers["host"] = NAME

    return httpx.Client(
        base_url=f"https://127.0.0.1:{port}",
        verify=context,
        trust_env=False,
        timeout=20,
        event_hooks={"request": [reach]},
    )


def wait_for(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the proxy and the service behind it answer."""
    until = time.monotonic() + 60
    while True:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/healthz").status_code == 200:
                return
        assert process.poll() is None and time.monotonic() < until, "the proxy does not answer"
        time.sleep(0.1)


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxied(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate: Path
) -> Iterator[tuple[httpx.Client, Path]]:
    """Yield a client of the service behind a proxy, and the folder with the output of the proxy."""
    program(request.param)
    tmp_path = tmp_path_factory.mktemp(request.param)
    variables = {
        "AUTHGUARD_SECRET": SECRET,
        "AUTHGUARD_ISSUER": f"https://{NAME}",
        "AUTHGUARD_DATABASE": f"sqlite:///{tmp_path}/service.db",
    }
    folder = tmp_path / "proxy"
    folder.mkdir()
    with served("--dev", "--forwarded-allow-ips", "127.0.0.1", **variables) as server:
        port, upstream = free_port(), int(server.base.rpartition(":")[2])
        write = {"nginx": nginx_command, "caddy": caddy_command}[request.param]
        command = write(folder, certificate, upstream, port)
        home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": os.environ["PATH"]}
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=home)
        try:
            with clients(port, certificate) as client:
                wait_for(client, process)
                yield client, folder
        finally:
            process.terminate()
            process.wait(30)


def test_the_service_sees_the_address_of_the_caller(proxied: tuple[httpx.Client, Path]) -> None:
    """The service sees the caller's address, although the caller sends X-Forwarded-For."""
    client, _ = proxied
    body, forged = {"email": "ann@example.com", "password": PASSWORD}, {"X-Forwarded-For": FORGED}
    token = client.post("/v1/auth/register", json=body, headers=forged).json()["access_token"]
    fields = {"Authorization": f"Bearer {token}"}
    (session,) = client.get("/v1/users/me/sessions", headers=fields).json()
    assert session["ip_address"] == "127.0.0.1"


def test_pages_work_below_the_name(proxied: tuple[httpx.Client, Path]) -> None:
    """A form of the site gets a Secure cookie, and that of another site is refused."""
    client, _ = proxied
    form = {"email": "bob@example.com", "password": PASSWORD}
    answers = [
        client.post("/register", data=form, headers={"Origin": origin})
        for origin in ("https://evil.example", f"https://{NAME}")
    ]
    assert [answer.status_code for answer in answers] == [403, 303]
    assert all("Secure" in cookie for cookie in answers[1].headers.get_list("set-cookie"))
    assert "strict-transport-security" in answers[1].headers


def test_no_log_has_the_token_of_a_link(proxied: tuple[httpx.Client, Path]) -> None:
    """No log of the proxy has the token of a link, also if the request fails."""
    client, folder = proxied
    client.get("/verify-email?token=l1nk-t0ken-of-a-mail")
    client.get("/nothing?token=l1nk-t0ken-of-a-mail")
    client.post("/v1/auth/login?token=l1nk-t0ken-of-a-mail", content=b"x" * 200_000)
    for file in folder.rglob("*"):
        if file.is_file():
            assert "l1nk-t0ken" not in file.read_text(errors="replace"), file.name


def test_large_bodies_do_not_reach_the_service(proxied: tuple[httpx.Client, Path]) -> None:
    """A body of more than 64 KiB is a 413."""
    client, _ = proxied
    fields = {"Content-Type": "application/json"}
    assert client.post("/v1/auth/login", content=b" " * 200_000, headers=fields).status_code == 413


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """systemd accepts the unit."""
    text = (FOLDER / "authguard.service").read_text()
    path = tmp_path / "authguard.service"
    path.write_text(text.replace("/opt/authguard/bin/authguard", "/bin/true"))
    done = subprocess.run(
        [program("systemd-analyze"), "verify", path], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "authguard.service" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_user_of_the_unit_opens_only_its_own_files() -> None:
    """Each file that a variable of the unit names is a credential, or in the folder of the state."""
    text = (FOLDER / "authguard.service").read_text()
    passed = set(re.findall(r"^LoadCredential=(\w+):/etc/authguard/", text, re.MULTILINE))
    variables = re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE)
    assert {value.removeprefix("%d/") for _, value in variables if value.startswith("%d/")} == passed
    others = [value for _, value in variables if not value.startswith("%d/")]
    assert others == ["sqlite:////var/lib/authguard/authguard.db"]
    assert "AUTHGUARD_CONFIG" in dict(variables)


def commands() -> Iterator[list[str]]:
    """Yield the commands of the unit and of the container."""
    for line in re.findall(
        r"^Exec\w+=\S+/(authguard .*)$", (FOLDER / "authguard.service").read_text(), re.MULTILINE
    ):
        yield shlex.split(line)
    (words,) = re.findall(r"^CMD (\[.*\])$", (FOLDER / "Containerfile").read_text(), re.MULTILINE)
    yield json.loads(words)


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words[1:3]))
def test_commands_have_options_that_there_are(words: list[str]) -> None:
    """The commands of the unit and of the container have options that exist."""
    assert words[0] == "authguard"
    assert CliRunner().invoke(root, [*words[1:], "--help"]).exit_code == 0
    assert CliRunner().invoke(root, [*words[1:], "--unknown", "--help"]).exit_code == 2
