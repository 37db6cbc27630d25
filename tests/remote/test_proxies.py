"""Proxies and certificates of an option and of the environment, which httpx could not use."""

import asyncio
import logging
import sys

import httpx
import pytest

from authguard import (
    ConfigurationError,
    Credential,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    RemoteKeySet,
    VerificationUnavailableError,
)
from authguard.client import BearerAuth
from authguard.drivers import run
from authguard.drivers.asynchronous import run as run_async
from remote.servers import answer
from support import AUDIENCE, ISSUER, NOW, claims, ec_key, jwk, make_token

PASSWORD = "s3cretpw"
TOKEN = make_token(claims(exp=NOW + 86400), algorithm="ES256", key=ec_key(), kid="a")
KEYS = {"keys": [jwk(ec_key(), kid="a", alg="ES256")]}

UNUSABLE = [
    (f"u:{PASSWORD}@proxy.corp:3128", "http:// before the host"),
    ("proxy.corp:3128", "http:// before the host"),
    ("10.1.2.3:3128", "http:// before the host"),
    (f"{PASSWORD}", "http://proxy:3128"),
    ("x", "http://proxy:3128"),
    (" ", "white space"),
    ("", "http://proxy:3128"),
    (f"//u:{PASSWORD}@proxy:3128", "http://proxy:3128"),
    (f"ftp://u:{PASSWORD}@proxy:21", "ftp://"),
    (f"socks4://u:{PASSWORD}@proxy:1080", "socks4://"),
    (f"socks://u:{PASSWORD}@proxy:1080", "socks://"),
    (f"http://u:{PASSWORD}@", "host and port"),
    (f"http://u:{PASSWORD}@:3128", "host and port"),
    ("http://", "host and port"),
    ("http:/proxy:3128", "http://proxy:3128"),
    (f"http://u:{PASSWORD}@proxy:99999", "host and port"),
    (f"http://u:{PASSWORD}@proxy:0", "host and port"),
    (f"http://u:{PASSWORD}@proxy:abc", "host and port"),
    (f"http://u:{PASSWORD}@prox y:3128", "host and port"),
    (f"http://u:{PASSWORD}@[::1:3128", "host and port"),
    (f"http://u:{PASSWORD}@a..b:3128", "host and port"),
    (f"http://u:{PASSWORD}@xn--zz--:3128", "host and port"),
    (f"http://u:{PASSWORD}@\u2100:3128", "host and port"),
    (f"http://u:1/{PASSWORD}@proxy:3128", "%2F"),
    (f"http://u:a/{PASSWORD}@proxy:3128", "%2F"),
    (f"http://u:a?{PASSWORD}@proxy:3128", "%3F"),
    (f"http://u:a#{PASSWORD}@proxy:3128", "%23"),
    (f"http://u:{PASSWORD}@proxy:3128\n", "white space"),
    (f" http://u:{PASSWORD}@proxy:3128", "white space"),
    (f"http://u:{PASSWORD}\x00@proxy:3128", "control characters"),
    (f"'http://u:{PASSWORD}@proxy:3128'", "in quotes"),
    (f'"http://u:{PASSWORD}@proxy:3128"', "in quotes"),
]
USABLE = [
    "http://proxy:3128",
    "HTTP://proxy:3128/",
    "http://proxy",
    "https://proxy.corp:3128",
    "http://127.0.0.1:3128",
    "http://[::1]:3128",
    f"http://u:{PASSWORD}@proxy.corp:3128",
    "http://u:p%2Fw%40@proxy.corp:3128",
    "http://u:p@w[x]\u2100 y@proxy.corp:3128",  # httpx reads all of these
    "http://b\xfccher.example:3128",
    "http://my_proxy:3128",
]


@pytest.mark.parametrize(("proxy", "remedy"), UNUSABLE)
def test_an_unusable_proxy_is_refused_without_its_password(proxy, remedy):
    """The URL of a proxy that httpx cannot use is an error with the spelling that works."""
    with pytest.raises(ConfigurationError, match="proxy must be the URL of a proxy") as caught:
        HTTPOptions(proxy=proxy)
    assert remedy in str(caught.value)
    assert PASSWORD not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("proxy", [3128, b"http://proxy:3128", ["http://proxy:3128"], {}, True])
def test_a_proxy_of_another_type_is_refused(proxy):
    """An object that is no text is refused with its type."""
    with pytest.raises(ConfigurationError, match=type(proxy).__name__):
        HTTPOptions(proxy=proxy)


@pytest.mark.parametrize("proxy", USABLE)
def test_a_usable_proxy_is_accepted(proxy):
    """httpx opens a client with each proxy that is accepted, and no representation shows the password."""
    options = HTTPOptions(proxy=proxy)
    httpx.Client(proxy=options.proxy).close()
    verifier = keys_at("https://keys.example.com", options)
    assert PASSWORD not in repr(options) + repr(verifier)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "SOCKS5"])
def test_a_socks_proxy_needs_its_package(scheme, monkeypatch, tmp_path):
    """Without socksio the package is named; with it the proxy is accepted."""
    proxy = f"{scheme}://u:{PASSWORD}@proxy:1080"
    with pytest.raises(ConfigurationError, match=r"httpx\[socks\]") as caught:
        HTTPOptions(proxy=proxy)
    assert PASSWORD not in str(caught.value)
    (tmp_path / "socksio.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    HTTPOptions(proxy=proxy)
    sys.modules.pop("socksio", None)


@pytest.fixture
def environment(monkeypatch):
    """Remove the proxies of the environment, and return a function that sets a variable."""
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)
    return monkeypatch.setenv


def keys_at(url, http=None):
    """Return a verifier with the keys of a URL."""
    return JWTVerifier(
        RemoteKeySet(f"{url}/page", http=http), algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE
    )


def discovery_at(url, http=None):
    """Return a verifier for an issuer."""
    return JWTVerifier.from_issuer(url, audience=AUDIENCE, http=http)


def introspection_at(url, http=None):
    """Return a verifier that asks the issuer."""
    return IntrospectionVerifier(
        f"{url}/page", client_id="a", client_secret="s", audience=AUDIENCE, http=http
    )


each = pytest.mark.parametrize("at", [keys_at, discovery_at, introspection_at])
VARIABLES = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]


@each
@pytest.mark.parametrize("variable", VARIABLES)
def test_an_unusable_proxy_of_the_environment_names_its_variable(at, variable, environment):
    """A verifier is not built with a variable that httpx cannot use."""
    environment(variable, f"ftp://u:{PASSWORD}@proxy:21")
    with pytest.raises(
        ConfigurationError, match=f"the variable {variable} must be the URL of a proxy"
    ) as caught:
        at("https://keys.example.com")
    assert PASSWORD not in repr(caught.value)


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(("proxy", "remedy"), UNUSABLE)
def test_each_fault_of_the_environment_is_one_without_password(variable, proxy, remedy, environment):
    """A variable that httpx refuses is refused when the verifier is built."""
    try:
        environment(variable, proxy)
    except ValueError:
        pytest.skip("a variable cannot have this character")
    try:
        httpx.Client().close()
        httpx_refuses = False
    except Exception:
        httpx_refuses = True
    try:
        keys_at("https://keys.example.com")
    except ConfigurationError as error:
        assert variable in str(error)
        assert PASSWORD not in repr(error)
    else:
        assert not httpx_refuses


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("proxy", ["", "proxy:3128", "u:pw@proxy:3128", "http://u:pw@proxy:3128", "proxy"])
def test_a_usable_proxy_of_the_environment_is_accepted(variable, proxy, environment):
    """A variable may leave out the scheme, as httpx allows."""
    environment(variable, proxy)
    keys_at("https://keys.example.com")


def test_proxies_that_are_switched_off_are_not_checked(environment):
    """NO_PROXY=* switches all of them off, and an own client or proxy does not use them."""
    environment("HTTPS_PROXY", "ftp://proxy:21")
    keys_at("https://keys.example.com", HTTPOptions(proxy="http://proxy:3128"))
    keys_at("https://keys.example.com", HTTPOptions(client=httpx.Client(trust_env=False)))
    environment("NO_PROXY", "localhost, *")
    keys_at("https://keys.example.com")


@pytest.mark.parametrize("hosts", ["[::", "a:b", "\u2100"])
def test_unusable_exceptions_name_their_variable(hosts, environment):
    """Hosts in NO_PROXY that httpx cannot read are an error that names the variable."""
    environment("NO_PROXY", hosts)
    with pytest.raises(ConfigurationError, match="the variable NO_PROXY must be hosts"):
        keys_at("https://keys.example.com")


def test_usable_exceptions_are_accepted(environment):
    """The hosts that httpx reads are accepted."""
    environment("NO_PROXY", "localhost,127.0.0.1,::1,.internal,10.0.0.0/8,http://a.example, b.example")
    keys_at("https://keys.example.com")


def blocking(verifier):
    """Verify a token without an event loop."""
    try:
        return run(verifier.flow(Credential(TOKEN, "bearer"), NOW)).principal.subject
    finally:
        Guard(verifier).close()


def in_loop(verifier):
    """Verify a token in an event loop."""

    async def main():
        return (await run_async(verifier.flow(Credential(TOKEN, "bearer"), NOW))).principal.subject

    return asyncio.run(main())


@each
@pytest.mark.parametrize("verify", [blocking, in_loop])
def test_a_proxy_that_becomes_unusable_is_an_outage(at, verify, environment, server, caplog):
    """A variable that changes before the first request is an outage that names it, not a bug."""
    server.pages["/page"] = answer(KEYS)
    verifier = at(server.url)
    environment("ALL_PROXY", f"socks4://u:{PASSWORD}@proxy:1080")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(VerificationUnavailableError, match="ALL_PROXY") as caught:
        verify(verifier)
    assert PASSWORD not in str(caught.value) + caplog.text


@each
@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_unusable_certificates_of_the_environment_name_the_variable(at, content, environment, tmp_path):
    """A file of SSL_CERT_FILE that is missing or no PEM is an error that names the variable."""
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    environment("SSL_CERT_FILE", str(path))
    with pytest.raises(ConfigurationError, match="the variable SSL_CERT_FILE must be a file of certificates"):
        at("https://keys.example.com")


def test_a_missing_folder_of_certificates_names_the_variable(environment, monkeypatch, tmp_path):
    """SSL_CERT_DIR must be a folder; several may be listed."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    environment("SSL_CERT_DIR", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="the variable SSL_CERT_DIR must be a folder"):
        keys_at("https://keys.example.com")
    environment("SSL_CERT_DIR", f"{tmp_path / 'missing'}:{tmp_path}")
    keys_at("https://keys.example.com")


def test_the_client_of_the_service_refuses_an_unusable_environment(environment):
    """BearerAuth raises the same error, in place of one of httpx with the password."""
    auth = BearerAuth("https://auth.example.com", "ann@example.com", "correct horse")
    environment("HTTPS_PROXY", f"ftp://u:{PASSWORD}@proxy:21")
    client = httpx.Client(auth=auth, transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    with client, pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        client.get("https://auth.example.com/orders")
    assert PASSWORD not in str(caught.value)
