"""Run an HTTPS proxy on loopback that answers for each provider, with a certificate."""

import contextlib
import datetime as dt
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

START, END = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2076, 1, 1, tzinfo=dt.UTC)

_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True)
class ProviderRequest:
    """Hold a request to a provider."""

    headers: Mapping[str, str]
    form: Mapping[str, str]


class Internet:
    """Hold the pages of all providers, by URL, and the addresses of the proxy and of its authority."""

    def __init__(self, proxy: str, authority: Path) -> None:
        self.proxy = proxy
        self.authority = authority
        self.pages: dict[str, Any] = {}

    def answer(self, url: str, question: ProviderRequest) -> tuple[int, str, bytes]:
        """Return status, media type and body for a request."""
        page = self.pages.get(url)
        if callable(page):
            page = page(question)
        if page is None:
            return 404, "text/plain", b"not here"
        if isinstance(page, str):
            return 200, "text/plain", page.encode()
        return 200, "application/json", json.dumps(page).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    disable_nagle_algorithm = True  # otherwise each answer waits 40 ms for an acknowledgement
    server: "_Proxy"
    host = ""

    def do_CONNECT(self) -> None:
        """Open a tunnel, and serve at its end."""
        self.host = self.path.removesuffix(":443")
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.server.tls(self.host.partition(":")[0]).wrap_socket(
                self.connection, server_side=True
            )
        except (OSError, ssl.SSLError):
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def _answer(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
        headers = {name.lower(): value for name, value in self.headers.items()}
        question = ProviderRequest(headers, {name: values[0] for name, values in form.items()})
        status, kind, body = self.server.internet.answer(f"https://{self.host}{self.path}", question)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def finish(self) -> None:
        """Close the tunnel as well as the connection."""
        super().finish()
        with contextlib.suppress(OSError):
            self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    internet: Internet
    tls: Callable[[str], ssl.SSLContext]

    def handle_error(self, *_: Any) -> None:
        """Ignore errors of clients that hang up."""


class Authority:
    """Issue certificates for any host, as a test authority."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        builder = x509.CertificateBuilder(self._name, self._name, self._key.public_key(), 1, START, END)
        usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign": True}
        extended = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        )
        self.path = folder / "authority.pem"
        self.path.write_bytes(extended.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def tls(self, host: str) -> ssl.SSLContext:
        """Return the TLS context for the server of a host."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._certified(host)
            return self._contexts[host]

    def _certified(self, host: str) -> ssl.SSLContext:
        name: x509.GeneralName = x509.DNSName(host)
        with contextlib.suppress(ValueError):
            name = x509.IPAddress(ipaddress.ip_address(host))
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateBuilder(
            self._name, x509.Name([]), key.public_key(), x509.random_serial_number(), START, END
        )
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=True)
        builder = builder.add_extension(by, critical=False)
        path = self._folder / f"{host}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        path.write_bytes(private + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@contextmanager
def connected(folder: Path) -> Iterator[Internet]:
    """Run the proxy in a thread, on a free port of loopback."""
    authority = Authority(folder)
    proxy = _Proxy(("127.0.0.1", 0), _Handler)
    proxy.internet = internet = Internet(f"http://127.0.0.1:{proxy.server_address[1]}", authority.path)
    proxy.tls = authority.tls
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield internet
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join(5)
