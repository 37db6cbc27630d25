"""`authguard providers`: configured providers, missing settings and redirect URIs."""

import json

import pytest

from cli.support import ISSUER, invoke

GITHUB = {"AUTHGUARD_GITHUB_CLIENT_ID": "gh-1", "AUTHGUARD_GITHUB_CLIENT_SECRET": "gh-s3cret-1"}
GOOGLE = {"issuer": "https://accounts.google.com", "client_id": "goo-1", "client_secret": "goo-s3cret-1"}
NAMED = {"AUTHGUARD_OIDC_PROVIDERS": json.dumps({"google": GOOGLE})}
APP = "https://app.example.com/back"


def show(*options, **variables):
    """Run the command with an issuer."""
    return invoke("providers", *options, **{"AUTHGUARD_ISSUER": ISSUER} | variables)


def test_redirect_uris_are_shown():
    """Each provider has its redirect URIs of the pages, of the API and of applications."""
    result = show(**GITHUB, **NAMED, AUTHGUARD_REDIRECT_URIS=APP)
    assert result.exit_code == 0, result.stderr
    for name in ("github", "google"):
        for prefix in ("/api/v1", "/v1"):
            assert f"{ISSUER}{prefix}/auth/{name}/callback" in result.stdout
    assert APP in result.stdout
    assert "https://accounts.google.com" in result.stdout
    assert "gh-1" in result.stdout


def test_json():
    """The JSON has the same members as the table."""
    result = show("--json", **GITHUB, **NAMED, AUTHGUARD_REDIRECT_URIS=APP, AUTHGUARD_PREFIXES="/v1")
    assert json.loads(result.stdout) == [
        {
            "name": name,
            "issuer": issuer,
            "client_id": client_id,
            "redirect_uris": {
                "pages": [f"{ISSUER}/v1/auth/{name}/callback"],
                "api": [f"{ISSUER}/v1/auth/{name}/callback"],
                "applications": [APP],
            },
        }
        for name, issuer, client_id in (
            ("github", None, "gh-1"),
            ("google", "https://accounts.google.com", "goo-1"),
        )
    ]


def test_without_pages():
    """Without pages the list of their redirect URIs is empty."""
    (github,) = json.loads(show("--json", **GITHUB, AUTHGUARD_PAGES="false").stdout)
    assert github["redirect_uris"]["pages"] == []


def test_no_secret_is_shown():
    """Client secrets are not written."""
    for options in ((), ("--json",)):
        result = show(*options, **GITHUB, **NAMED)
        assert "s3cret" not in result.stdout + result.stderr


def test_what_is_not_configured_is_told():
    """A provider that is not configured is named with its settings."""
    result = show(**GITHUB)
    assert "linkedin is not configured: set AUTHGUARD_LINKEDIN_CLIENT_ID" in result.stderr
    assert "AUTHGUARD_OIDC_ISSUER" in result.stderr
    assert "github is not" not in result.stderr


def test_none_at_all():
    """Without a provider the command ends with 1."""
    result = show()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no provider is configured" in result.stderr


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AUTHGUARD_GITHUB_CLIENT_ID": "x"}, "github_client_secret must be given where github_client_id is"),
        ({"AUTHGUARD_GITHUB_CLIENT_ID": "x"}, "got nothing: set AUTHGUARD_GITHUB_CLIENT_SECRET, as a"),
        ({"AUTHGUARD_GITHUB_CLIENT_SECRET": "s3cret-x"}, "github_client_id must be given"),
        ({"AUTHGUARD_LINKEDIN_CLIENT_SECRET": "s3cret-x"}, "nothing: set AUTHGUARD_LINKEDIN_CLIENT_ID, as a"),
        (
            {"AUTHGUARD_OIDC_ISSUER": "https://op.example"},
            "set AUTHGUARD_OIDC_CLIENT_ID and AUTHGUARD_OIDC_CLIENT_SECRET, as a",
        ),
        (
            {"AUTHGUARD_OIDC_ISSUER": "https://op.example"},
            "oidc_client_id and oidc_client_secret must be given",
        ),
        ({"AUTHGUARD_OIDC_PROVIDERS": "google"}, "AUTHGUARD_OIDC_PROVIDERS must be a JSON object"),
        ({"AUTHGUARD_OIDC_PROVIDERS": '{"Google": {}}'}, "each name of AUTHGUARD_OIDC_PROVIDERS must be"),
        ({"AUTHGUARD_OIDC_PROVIDERS": '{"github": {}}'}, "must be another than github"),
        ({"AUTHGUARD_OIDC_PROVIDERS": '{"google": []}'}, "AUTHGUARD_OIDC_PROVIDERS.google must be a table"),
        (
            {"AUTHGUARD_OIDC_PROVIDERS": json.dumps({"google": {"issuer": "https://a.example"}})},
            "got no client_id, client_secret",
        ),
        (
            {"AUTHGUARD_OIDC_PROVIDERS": json.dumps({"google": GOOGLE | {"secret": "goo-s3cret-2"}})},
            "AUTHGUARD_OIDC_PROVIDERS.google must have only issuer",
        ),
        (
            {"AUTHGUARD_OIDC_PROVIDERS": json.dumps({"google": GOOGLE | {"issuer": "http://op.example"}})},
            "AUTHGUARD_OIDC_PROVIDERS.google.issuer must be https",
        ),
        (
            {"AUTHGUARD_OIDC_PROVIDERS": json.dumps({"google": GOOGLE | {"auth_method": "magic"}})},
            "google: auth_method must be",
        ),
        (
            {"AUTHGUARD_OIDC_PROVIDERS": json.dumps({"google": GOOGLE | {"allow_private": "yes"}})},
            "AUTHGUARD_OIDC_PROVIDERS.google.allow_private must be True or False",
        ),
        ({"AUTHGUARD_ISSUER": ""}, "AUTHGUARD_ISSUER must"),
    ],
)
def test_what_is_not_complete_is_refused(variables, words):
    """A provider with a missing setting ends the command with 2, and no secret is written."""
    result = show(**variables)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "s3cret" not in result.stderr


def test_settings_of_a_file(tmp_path):
    """A file has a table for each named provider."""
    file = tmp_path / "authguard.toml"
    file.write_text(
        f'issuer = "{ISSUER}"\n'
        '[oidc_providers.google]\nissuer = "https://accounts.google.com"\n'
        'client_id = "goo-1"\nclient_secret = "goo-s3cret-1"\n'
        '[oidc_providers.entra]\nissuer = "https://login.microsoftonline.com/t/v2.0"\n'
        'client_id = "ms-1"\nclient_secret = "ms-s3cret-1"\nscope = "openid email"\n'
    )
    result = invoke("providers", "--json", "--config", str(file))
    assert [entry["name"] for entry in json.loads(result.stdout)] == ["google", "entra"]
