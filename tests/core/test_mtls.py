"""Tokens bound to a certificate: RFC 8705 section 3."""

import base64
import datetime as dt
from functools import cache
from hashlib import sha256
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from authguard import ConfigurationError, MutualTLS
from authguard._core.model import Credential
from authguard.drivers import run
from authguard.errors import UnprovenTokenError
from support import NOW, FakeRequest, b64, ec_key

# the certificate and its thumbprint of RFC 8705 section 3.1 and appendix A
RFC_CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
"""
RFC_THUMBPRINT = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"


@cache
def certificate(name="client"):
    """Return a certificate in PEM, as servers give it."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    moment = dt.datetime.fromtimestamp(NOW, dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(ec_key().public_key())
        .serial_number(7)
        .not_valid_before(moment)
        .not_valid_after(moment + dt.timedelta(days=1))
        .sign(ec_key(), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def der(pem):
    return base64.b64decode("".join(pem.splitlines()[1:-1]))


def bound_to(pem):
    return b64(sha256(der(pem)).digest())


class TLSRequest(FakeRequest):
    """Be a request over TLS, with the verified certificate and the address of the connection."""

    shown = None
    connected = "10.0.0.1"

    @property
    def certificate(self):
        return self.shown

    @property
    def peer(self):
        return self.connected


def check(mutual_tls, *, shown=None, connected="10.0.0.1", headers=(), thumbprint=None):
    request = TLSRequest("/a", headers=headers)
    request.shown, request.connected = shown, connected
    expected = bound_to(certificate()) if thumbprint is None else thumbprint
    run(mutual_tls.check(request, Credential("a.b.c", "bearer"), expected, NOW))


def refused(mutual_tls, **options):
    with pytest.raises(UnprovenTokenError):
        check(mutual_tls, **options)


def test_the_example_of_the_rfc():
    """The certificate of the RFC has its thumbprint."""
    check(MutualTLS(), shown=RFC_CERTIFICATE, thumbprint=RFC_THUMBPRINT)


def test_the_certificate_that_the_server_says():
    """The certificate of the server's connection passes; another one, or none, is refused."""
    check(MutualTLS(), shown=certificate())
    refused(MutualTLS(), shown=certificate("other"))
    refused(MutualTLS(), shown=None)
    refused(MutualTLS(), shown="")


CHANGES = {
    "padding": lambda text: text + "=",
    "case": str.lower,
    "cut": lambda text: text[:-1],
    "empty": lambda text: "",
    "not ASCII": lambda text: "\xe9",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_thumbprint_is_compared_exactly(change):
    """A thumbprint with padding, in another case or cut is refused."""
    refused(MutualTLS(), shown=certificate(), thumbprint=change(bound_to(certificate())))


ESCAPED = quote(certificate(), safe="")
SEQUENCE = f":{base64.b64encode(der(certificate())).decode()}:"
BY_PROXY = {
    "pem": (MutualTLS(header="X-Client-Cert", proxies=["10.0.0.0/24"]), ("X-Client-Cert", ESCAPED)),
    "rfc9440": (
        MutualTLS(header="Client-Cert", encoding="rfc9440", proxies=["10.0.0.1", "fd00::/8"]),
        ("Client-Cert", SEQUENCE),
    ),
}
by_proxy = pytest.mark.parametrize(("mutual_tls", "field"), BY_PROXY.values(), ids=BY_PROXY)


@by_proxy
@pytest.mark.parametrize("address", ["10.0.0.1", "::ffff:10.0.0.1"])
def test_the_field_of_a_proxy(mutual_tls, field, address):
    """The field of a listed proxy passes, as nginx and RFC 9440 write it, from IPv4 written as IPv6 too."""
    check(mutual_tls, headers=[field], connected=address)


@by_proxy
@pytest.mark.parametrize(
    "address", ["10.0.1.1", "127.0.0.1", "::1", "", None, "unix:", "10.0.0.1:80", "proxy"]
)
def test_the_field_from_anybody_else(mutual_tls, field, address):
    """The field is ignored from any other address."""
    refused(mutual_tls, headers=[field], connected=address)


@by_proxy
def test_the_servers_own_certificate_is_not_the_callers_behind_a_proxy(mutual_tls, field):
    """The certificate of the connection is ignored behind a proxy, because it belongs to the proxy."""
    refused(mutual_tls, shown=certificate())


@by_proxy
def test_the_field_twice(mutual_tls, field):
    """Two fields, separate or joined, are refused."""
    refused(mutual_tls, headers=[field, field])
    refused(mutual_tls, headers=[(field[0], f"{field[1]},{field[1]}")])


@by_proxy
@given(value=st.binary(max_size=100) | st.text(st.characters(codec="ascii")).map(str.encode))
def test_no_field_makes_another_error(mutual_tls, field, value):
    """Any bytes in the field are a refusal, and no other exception."""
    refused(mutual_tls, headers=[(field[0], value)])


def test_a_field_has_a_maximum_length():
    """The field has a maximal length of 16 KB."""
    mutual_tls, (name, value) = BY_PROXY["pem"]
    spaces = " " * (16_384 - len(value))
    check(mutual_tls, headers=[(name, value.replace("-----END", f"{spaces}-----END"))])
    refused(mutual_tls, headers=[(name, value.replace("-----END", f" {spaces}-----END"))])


SEQUENCES = {
    "no colon before": SEQUENCE[1:],
    "no colon after": SEQUENCE[:-1],
    "a parameter": SEQUENCE + ";x=1",
    "no certificate": ":AA==:",
    "wrong base64": ":A:",
    "empty": "::",
}


@pytest.mark.parametrize("value", SEQUENCES.values(), ids=SEQUENCES)
def test_a_sequence_that_is_none(value):
    """A malformed sequence of RFC 9440 is refused, and not repaired."""
    refused(BY_PROXY["rfc9440"][0], headers=[("Client-Cert", value)])


@given(st.text(max_size=50))
def test_no_certificate_makes_another_error(text):
    """Any text of the server is a refusal, and no other exception."""
    refused(MutualTLS(), shown=text)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"header": "Client-Cert"}, "go together"),
        ({"proxies": ["10.0.0.1"]}, "go together"),
        ({"header": "Client Cert", "proxies": ["10.0.0.1"]}, "field name"),
        ({"header": "Client_Cert", "proxies": ["10.0.0.1"]}, "field name"),
        ({"header": "Client-Cert", "proxies": "10.0.0.1"}, "must be a list"),
        ({"header": "Client-Cert", "proxies": ["proxy"]}, "must be an address"),
        ({"header": "Client-Cert", "proxies": ["10.0.0.1/8"]}, "must be an address"),
        ({"header": "Client-Cert", "proxies": ["0.0.0.0/0"]}, "all addresses"),
        ({"header": "Client-Cert", "proxies": ["10.0.0.1"], "encoding": "der"}, "encoding"),
    ],
    ids=range(9),
)
def test_a_mistake_is_named_when_it_is_built(options, says):
    """Options that contradict each other or are out of range are refused, with the correction."""
    with pytest.raises(ConfigurationError, match=says):
        MutualTLS(**options)


def test_it_shows_what_it_trusts():
    """The repr shows the trusted proxies."""
    assert "10.0.0.0/24" in repr(BY_PROXY["pem"][0])
