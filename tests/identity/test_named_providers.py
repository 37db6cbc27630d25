"""Several providers of OpenID Connect, each with a name: settings, paths, and the login page."""

import json

import pytest

from authguard import ConfigurationError
from authguard.identity import Identity, Settings
from authguard.identity.social.configured import providers_from
from identity.social_attempts import answering, back, both_kinds, id_token, start
from identity.support import ISSUER, SECRET, Page, browser, service_at, settings

pytestmark = pytest.mark.one_database  # settings and redirects do not depend on the database

GOOGLE = {"issuer": "https://accounts.google.com", "client_id": "g", "client_secret": "g-s3cret-1"}
ENTRA = {
    "issuer": "https://login.microsoftonline.com/t/v2.0",
    "client_id": "m",
    "client_secret": "m-s3cret-1",
}


def test_each_has_its_redirect_uris():
    """The callbacks of a provider have its name, so that no two are confused (RFC 9700 section 4.4)."""
    made = providers_from(settings("sqlite:///x.db", oidc_providers={"google": GOOGLE, "entra": ENTRA}))
    for provider in made:
        provider.close()
    assert [provider.name for provider in made] == ["google", "entra"]
    for provider in made:
        assert provider.redirect_uris == {
            f"{ISSUER}{prefix}/auth/{provider.name}/callback" for prefix in ("/api/v1", "/v1")
        }


def test_no_secret_is_in_a_repr():
    """The repr of settings and of a provider has no client secret."""
    given = settings("sqlite:///x.db", oidc_providers={"google": GOOGLE})
    assert "s3cret" not in repr(given) + repr(given.oidc_providers)


def test_variable():
    """The variable of the providers is a JSON object."""
    read = Settings.from_env(
        {
            "AUTHGUARD_SECRET": SECRET,
            "AUTHGUARD_ISSUER": ISSUER,
            "AUTHGUARD_OIDC_PROVIDERS": json.dumps({"google": GOOGLE | {"scope": "openid email"}}),
        }
    )
    assert read.oidc_providers["google"].scope == "openid email"


@pytest.mark.parametrize("text", ["google", "[]", '{"google": ', '{"google": "s3cret-1"}'])
def test_variable_that_is_none(text):
    """A variable that is no such JSON object is refused without its value."""
    with pytest.raises(ConfigurationError, match="AUTHGUARD_OIDC_PROVIDERS") as caught:
        Settings.from_env(
            {"AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": ISSUER, "AUTHGUARD_OIDC_PROVIDERS": text}
        )
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"github_client_id": "x"},
        {"github_client_secret": "x-s3cret"},
        {"linkedin_client_id": "x"},
        {"oidc_client_id": "x", "oidc_client_secret": "x-s3cret"},
        {"oidc_issuer": "https://op.example"},
    ],
    ids=str,
)
def test_half_a_provider_is_refused(given):
    """A provider with a missing setting is refused."""
    with pytest.raises(ConfigurationError, match="must be given where") as caught:
        providers_from(settings("sqlite:///x.db", **given))
    assert "s3cret" not in str(caught.value)


@pytest.mark.slow
def test_signing_in_with_two(url, clock):
    """The login page has a link to each provider, and each signs in its own users."""
    with answering() as first, answering() as two, both_kinds(first, clock), both_kinds(two, clock):
        named = {
            name: {"issuer": server.url, "client_id": "id", "client_secret": "an0ther-s3cret"}
            for name, server in (("google", first), ("entra", two))
        }
        with service_at(url, clock=clock, oidc_providers=named) as service:
            providers = providers_from(service.settings)
            for provider in providers:
                provider._clock = clock
            client = browser(Identity(service, providers=providers))
            words = Page(client.get("/login")).words
            assert "Continue with Google" in words
            assert "Continue with entra" in words
            for name, server in (("google", first), ("entra", two)):
                sent = start(client, name)
                id_token(server, clock, nonce=sent["nonce"], email=f"{name}@example.com")
                assert back(client, name, code="c0de", state=sent["state"]).status_code == 303
                assert client.get("/v1/users/me").json()["email"] == f"{name}@example.com"
            for provider in providers:
                provider.close()


@pytest.mark.parametrize("scope", ["email profile", "openid,email", "OPENID email", "openidx"])
def test_a_scope_without_openid_is_refused(scope):
    """A scope without openid is refused, because the provider would send no ID token."""
    given = settings("sqlite:///x.db", oidc_providers={"google": GOOGLE | {"scope": scope}})
    with pytest.raises(ConfigurationError, match="google: scope must name openid, got"):
        providers_from(given)
