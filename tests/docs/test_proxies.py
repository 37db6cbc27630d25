"""The configurations of docs/guides/proxies.md, in nginx, Caddy and Traefik before an application."""

import asyncio
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from authguard import Guard, JWTVerifier
from authguard.asgi import AuthGuardMiddleware
from authguard.testing import issue_token
from docs.blocks import blocks, read
from identity.support import serving
from ports import free_port
from stores.servers import wait_until
from support import AUDIENCE, ISSUER, SECRET, program

PAGE = "docs/guides/proxies.md"
NAME = "api.example.com"
#: The address of requests, which is not that of the proxies.
CLIENT = "127.0.0.2"
FORGED = "203.0.113.9"
FORGED_FIELDS = {
    "X-Forwarded-For": FORGED,
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": FORGED,
    "X-Forwarded-Port": "203",
    "X-Forwarded-Prefix": f"/{FORGED}",
    "X-Real-Ip": FORGED,
    "Forwarded": f"for={FORGED};proto=http;host={FORGED}",
}
#: Names that WSGI servers may read as those with hyphens.
FORGED_ALIASES = {name.replace("-", "_"): value for name, value in FORGED_FIELDS.items() if "-" in name}
FORGED_ALIASES["X_API_Key"] = FORGED


pytestmark = pytest.mark.slow  # three servers, each with a start of its own


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate for the name of the page."""
    folder = tmp_path_factory.mktemp("proxies")
    names = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    names += ["-addext", f"subjectAltName=DNS:{NAME}"]
    files = ["-keyout", str(folder / f"{NAME}.key"), "-out", str(folder / f"{NAME}.pem")]
    subprocess.run([program("openssl"), "req", *names, *files], check=True, capture_output=True, timeout=60)
    return folder


async def _caller(request: Request) -> JSONResponse:
    assert request.client
    seen = [request.user.subject, request.client.host, request.url.scheme]
    return JSONResponse({"seen": seen, "fields": list(request.headers.items())})


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.user.subject)
    await websocket.close()


@pytest.fixture(name="upstream", scope="module")
def _upstream() -> Iterator[str]:
    """Yield the host and port of a guarded application, served as the page says."""
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    app = Starlette(routes=[Route("/", _caller), WebSocketRoute("/socket", _echo)])
    guarded = AuthGuardMiddleware(app, guard=Guard(jwt))
    assert "--proxy-headers --forwarded-allow-ips 127.0.0.1" in read(PAGE)
    with serving(guarded, proxy_headers=True, forwarded_allow_ips="127.0.0.1") as url:
        yield url.removeprefix("http://")


def changed(language: str, changes: dict[str, str]) -> list[str]:
    """Return the blocks of the page in this language, with ports and paths of the test."""
    texts = [block.text for block in blocks(PAGE, language)]
    for old, new in changes.items():
        assert any(old in text for text in texts)
        texts = [text.replace(old, new) for text in texts]
    return texts


def nginx(folder: Path, upstream: str, port: int) -> list[str]:
    """Write the configuration of nginx; return the command that runs it."""
    changes = {
        "127.0.0.1:8000": upstream,
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/ssl/private/": f"{folder}/",
        "/etc/ssl/": f"{folder}/",
    }
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    head = f"daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\n"
    (block,) = changed("nginx", changes)
    (folder / "nginx.conf").write_text(f"{head}http {{ access_log off; {temporary}\n{block}\n}}")
    return [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, upstream: str, port: int) -> list[str]:
    """Write the configuration of Caddy; return the command that runs it."""
    tls = f"tls {folder}/{NAME}.pem {folder}/{NAME}.key"
    changes = {f"{NAME} {{": f"{NAME}:{port} {{\n\tbind 127.0.0.1\n\t{tls}", "127.0.0.1:8000": upstream}
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
    (block,) = changed("caddyfile", changes)
    (folder / "Caddyfile").write_text(options + block)
    return [program("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def traefik(folder: Path, upstream: str, port: int) -> list[str]:
    """Write the configurations of Traefik; return the command that runs it."""
    changes = {
        '":443"': f'"127.0.0.1:{port}"',
        "/etc/traefik/": f"{folder}/",
        "/etc/ssl/private/": f"{folder}/",
        "/etc/ssl/": f"{folder}/",
        "127.0.0.1:8000": upstream,
    }
    static, dynamic = changed("yaml", changes)
    (folder / "traefik.yml").write_text(f"{static}\nglobal:\n  checkNewVersion: false\n")
    (folder / "api.yml").write_text(dynamic)
    return [program("traefik"), "--configFile", str(folder / "traefik.yml")]


class Proxy(NamedTuple):
    """Have the port and the TLS settings of a running proxy."""

    port: int
    context: ssl.SSLContext

    def get(self, fields: dict[str, str]) -> httpx.Response:
        """Return the answer to a request for the name of the page."""
        transport = httpx.HTTPTransport(verify=self.context, local_address=CLIENT, trust_env=False)
        with httpx.Client(transport=transport) as client:
            url = f"https://127.0.0.1:{self.port}/"
            return client.get(url, headers={"Host": NAME, **fields}, extensions={"sni_hostname": NAME})


@pytest.fixture(name="proxy", params=[nginx, caddy, traefik], ids=lambda maker: maker.__name__)
def _proxy(
    request: pytest.FixtureRequest, folder: Path, upstream: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """Yield each of the proxies."""
    monkeypatch.setenv("HOME", str(folder))  # Caddy writes its data below HOME
    port = free_port()
    command: Callable[[Path, str, int], list[str]] = request.param
    context = ssl.create_default_context(cafile=str(folder / f"{NAME}.pem"))
    with subprocess.Popen(command(folder, upstream, port), stderr=subprocess.DEVNULL) as process:
        try:
            proxy = Proxy(port, context)
            wait_until(lambda: proxy.get({}).status_code == 401, "the proxy does not answer")
            yield proxy
        finally:
            process.terminate()


@pytest.fixture
def bearer() -> dict[str, str]:
    """Return the header field of a token."""
    return {"Authorization": f"Bearer {issue_token(SECRET, subject='ann', iss=ISSUER, aud=AUDIENCE)}"}


def test_the_guard_gets_the_credential(proxy: Proxy, bearer: dict[str, str]) -> None:
    """The guard gets the token, and the application the address and the scheme of the caller."""
    assert proxy.get({}).status_code == 401
    assert proxy.get(bearer).json()["seen"] == ["ann", CLIENT, "https"]


@pytest.mark.parametrize("forged", [FORGED_FIELDS, FORGED_ALIASES], ids=["fields", "aliases"])
def test_forwarded_fields_of_a_caller_are_replaced(
    proxy: Proxy, bearer: dict[str, str], forged: dict[str, str]
) -> None:
    """Forwarded fields of a caller are replaced, and none of its values reaches the application."""
    answer = proxy.get(bearer | forged).json()
    assert answer["seen"] == ["ann", CLIENT, "https"]
    values = set(forged.values())
    assert [(name, value) for name, value in answer["fields"] if value in values or FORGED in value] == []


def test_a_caller_cannot_remove_the_fields_of_the_proxy(proxy: Proxy, bearer: dict[str, str]) -> None:
    """A proxy sets its fields after it has removed those that `Connection` names."""
    answer = proxy.get(bearer | {"Connection": "close, X-Forwarded-For, X-Forwarded-Proto"}).json()
    assert answer["seen"] == ["ann", CLIENT, "https"]


def test_a_websocket_is_passed_on(proxy: Proxy, bearer: dict[str, str]) -> None:
    """A websocket is passed on with its credential."""

    async def first_message() -> Any:
        url = f"wss://{NAME}:{proxy.port}/socket"
        where = {"host": "127.0.0.1", "port": proxy.port, "ssl": proxy.context, "proxy": None}
        async with connect(url, additional_headers=bearer, **where) as websocket:
            return await websocket.recv()

    assert asyncio.run(first_message()) == "ann"
