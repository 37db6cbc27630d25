"""Tokens bound to a certificate, over real TLS.

Two servers pass on the certificate that TLS has verified: Werkzeug on WSGI, and nonecorn on ASGI, which has
the TLS extension. uvicorn 0.54, hypercorn 0.18, granian 2.8 and daphne 4.2 have no such extension.
"""

import asyncio
import datetime as dt
import socket
import ssl
import threading
from contextlib import contextmanager

import httpx
import hypercorn.asyncio
import hypercorn.config
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.serving import WSGIRequestHandler, make_server

from authguard import Guard, JWTVerifier, MutualTLS
from authguard.asgi import AuthGuardMiddleware
from authguard.flask import current_user, init_app
from authguard.testing import issue_token
from support import SECRET, b64


class Authority:
    """Sign the certificates of one test run."""

    def __init__(self, folder):
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("authority", self.key.public_key(), ca=True)
        self.path = folder / "authority.pem"
        self.path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(self, name):
        """Return the path of a new certificate with its key, and its thumbprint."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), ca=False)
        path = self.folder / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        return path, b64(certificate.fingerprint(SHA256()))

    def _sign(self, name, public, *, ca):
        now = dt.datetime.now(dt.UTC)
        own = self.key.public_key()
        names = [x509.DNSName("localhost")]
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(_usage(ca=ca), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
            .sign(self.key, SHA256())
        )


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, ca):
    return x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


class _Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


@pytest.fixture(scope="module", name="authority")
def _authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def _guard():
    jwt = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    return Guard(jwt, proofs=[MutualTLS()])


@contextmanager
def _werkzeug(authority):
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: current_user.subject, endpoint="page")
    init_app(app, _guard())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("localhost")[0])
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = make_server("127.0.0.1", 0, app, ssl_context=context, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def _nonecorn(authority):
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse(request.user.subject))])
    app.add_middleware(AuthGuardMiddleware, guard=_guard())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = hypercorn.config.Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.certfile = config.keyfile = str(authority.issue("localhost")[0])
        config.cert_pem = None  # hypercorn reads it, and sets it only by Config.from_*
        config.ca_certs, config.verify_mode = str(authority.path), ssl.CERT_OPTIONAL
    ended = threading.Event()

    async def ending():
        while not ended.is_set():
            await asyncio.sleep(0.02)

    serving = hypercorn.asyncio.serve(app, config, shutdown_trigger=ending)
    thread = threading.Thread(target=lambda: asyncio.run(serving))
    thread.start()
    yield port
    ended.set()
    thread.join()


@pytest.fixture(scope="module", name="url", params=[_werkzeug, _nonecorn], ids=["werkzeug", "nonecorn"])
def _url(authority, request):
    with request.param(authority) as port:
        yield f"https://localhost:{port}/"


def get(url, authority, token, shown=None):
    context = ssl.create_default_context(cafile=authority.path)
    if shown is not None:
        context.load_cert_chain(shown)
    with httpx.Client(verify=context, trust_env=False, timeout=5) as client:
        return client.get(url, headers={"authorization": f"Bearer {token}"})


def test_only_the_holder_of_the_certificate_can_use_the_token(url, authority):
    """A token passes with its certificate, and is refused with another one or without one."""
    mine, thumbprint = authority.issue("ann")
    theirs, _ = authority.issue("eve")
    token = issue_token(SECRET, subject="ann", cnf={"x5t#S256": thumbprint})
    answer = get(url, authority, token, mine)
    assert (answer.status_code, answer.text) == (200, "ann")
    for shown in (theirs, None):
        refused = get(url, authority, token, shown)
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert get(url, authority, token, mine).status_code == 200


def test_a_certificate_in_a_field_is_not_looked_at(url, authority):
    """A certificate in a field of the request is ignored."""
    _, thumbprint = authority.issue("bob")
    token = issue_token(SECRET, cnf={"x5t#S256": thumbprint})
    text = (authority.folder / "bob.pem").read_text().partition("-----BEGIN CERTIFICATE")
    pem = (text[1] + text[2]).strip().replace("\n", " ")
    context = ssl.create_default_context(cafile=authority.path)
    with httpx.Client(verify=context, trust_env=False, timeout=5) as client:
        for name in ("SSL_CLIENT_CERT", "SSL-Client-Cert", "Client-Cert"):
            fields = {"authorization": f"Bearer {token}", name: pem}
            assert client.get(url, headers=fields).status_code == 401


def test_plain_tokens_need_no_certificate(url, authority):
    """A token without a binding passes without a certificate and with any."""
    token = issue_token(SECRET, subject="ann")
    assert get(url, authority, token).text == "ann"
    assert get(url, authority, token, authority.issue("eve")[0]).text == "ann"
