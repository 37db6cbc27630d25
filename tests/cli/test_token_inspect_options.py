"""`token inspect --app` names the option of each condition: tenants, clients, claims, keys and field."""

import base64
import json
from typing import Any

import pytest
from jwt.algorithms import ECAlgorithm

from cli.support import AUDIENCE, invoke
from support import ec_key, make_token, pem

TENANTS = "https://login.example.com/{tenantid}/v2.0"
FIELD = "X-Amzn-Oidc-Data"
APPLICATION = f"""
import httpx
from authguard import *

KEY = '''{pem(ec_key())}'''

def serve(request):
    if request.url.path == "/introspect":
        return httpx.Response(200, json={{"active": True, "sub": "ann", "client_id": "other"}})
    return httpx.Response(200, text=KEY) if request.url.path == "/known" else httpx.Response(404)

http = HTTPOptions(client=httpx.Client(transport=httpx.MockTransport(serve)))
guard = Guard(
    JWTVerifier(
        KEY, algorithms=["ES256"], issuer="{TENANTS}", tenants=["one"], audience="{AUDIENCE}",
        client_ids=["web"], claims={{"hd": "acme.example"}},
    ),
    JWTVerifier(
        RemoteKeySet("https://keys.example.com/{{kid}}", http=http), algorithms=["ES256"],
        issuer="https://pool.example.com", audience=None, header="{FIELD}", padding=True,
        header_claims={{"signer": "ours"}},
    ),
)
asking = Guard(IntrospectionVerifier(
    "https://auth.example.com/introspect", client_id="api", client_secret="a-secret-of-the-test",
    audience=None, client_ids=["web"], http=http,
))
moving = Guard(
    JWTVerifier(KEY, algorithms=["ES256"], issuer="https://new.example.com", audience="{AUDIENCE}"),
    JWTVerifier(KEY, algorithms=["ES256"], issuer=None, audience=None),
)
tiers = Guard(
    JWTVerifier(KEY, algorithms=["ES256"], issuer=None, audience="{AUDIENCE}", tier_claim="tier"),
    protected_paths=[Rule("/free", cost=0), Rule("/counted")], quotas={{"pro": [Quota(1, 60)], None: []}},
)
"""


def token(**changes: Any) -> str:
    """Return a token of a customer of the first verifier."""
    claims = {
        "iss": TENANTS.replace("{tenantid}", "one"),
        "aud": AUDIENCE,
        "sub": "ann",
        "exp": 4_000_000_000,
    }
    return make_token(
        {**claims, "azp": "web", "hd": "acme.example", **changes}, algorithm="ES256", key=ec_key()
    )


def balanced(**header: Any) -> str:
    """Return a token of the load balancer, whose parts are padded."""
    claims = {"iss": "https://pool.example.com", "sub": "ann", "exp": 4_000_000_000}
    plain = make_token(
        claims, algorithm="ES256", key=ec_key(), **{"kid": "known", "signer": "ours", **header}
    )
    head, body, _ = (part + "=" * (-len(part) % 4) for part in plain.split("."))
    signed = f"{head}.{body}"
    return f"{signed}.{_signature(signed)}"


def _signature(signed: str) -> str:
    return base64.urlsafe_b64encode(ECAlgorithm(ECAlgorithm.SHA256).sign(signed.encode(), ec_key())).decode()


@pytest.fixture(name="ask")
def _ask(tmp_path, monkeypatch):
    """Return a function that inspects a token, and returns the answer of the guard."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inspected_options.py").write_text(APPLICATION)

    def ask(text: str, *options: str, guard: str = "guard") -> dict[str, Any]:
        command = ("token", "inspect", "--app", f"inspected_options:{guard}", "--json", *options)
        return json.loads(invoke(*command, given=text).stdout)["guards"][0]

    return ask


@pytest.mark.parametrize(
    ("changes", "words", "option"),
    [
        ({"iss": TENANTS.replace("{tenantid}", "two")}, "/two/v2.0", "JWTVerifier(tenants=…)"),
        ({"iss": "https://sts.example.com/one/"}, "sts.example.com", "JWTVerifier(issuer=…)"),
        ({"azp": "app"}, 'it is "app"', "JWTVerifier(client_ids=…)"),
        ({"azp": None}, "names no client", "JWTVerifier(client_ids=…)"),
        ({"hd": "evil.example"}, 'it is "evil.example"', "JWTVerifier(claims=…)"),
        ({"sub": None}, "no sub", "JWTVerifier(required_claims=…)"),
        ({"sub": "client:web", "azp": "app"}, "client", "JWTVerifier(client_ids=…)"),
    ],
)
def test_the_option_of_a_claim(ask, changes, words, option):
    """Each condition has its own option, also beside a verifier with a field of its own."""
    answer = ask(token(**changes))
    assert (answer["status"], answer["option"]) == (401, option)
    assert words in answer["reason"]


@pytest.mark.parametrize(
    ("header", "code", "option"),
    [
        ({"signer": "theirs"}, "claim", "JWTVerifier(header_claims=…)"),
        ({"kid": "gone"}, "kid", "JWTVerifier(keys=…)"),
    ],
)
def test_the_option_of_a_parameter_of_a_padded_header(ask, header, code, option):
    """A refusal of a padded token has the option of its condition."""
    assert ask(balanced(), "--header", FIELD)["verdict"] == "accepted"
    answer = ask(balanced(**header), "--header", FIELD)
    assert (answer["code"], answer["option"]) == (code, option)


@pytest.mark.parametrize("text", [balanced(), "opaque-0123456789"], ids=["padded", "opaque"])
def test_the_field_is_named(ask, text):
    """The advice names the field of another verifier, unless `--header` is set."""
    assert "--header" in ask(text)["advice"]
    assert FIELD in ask(text)["advice"]
    assert "--header" not in (ask(text, "--header", FIELD)["advice"] or "")


@pytest.mark.parametrize("issuer", [None, "https://old.example.com"])
def test_a_token_of_no_named_issuer_is_explained_by_the_verifier_for_it(ask, issuer):
    """A token of another issuer, or of none, is explained by the verifier without an issuer."""
    assert ask(token(iss=issuer, aud=None), guard="moving")["verdict"] == "accepted"
    answer = ask(token(iss=issuer), guard="moving")
    assert (answer["verifier"], answer["option"]) == (
        "JWTVerifier(issuer=None, algorithms=['ES256'])",
        "JWTVerifier(audience=…)",
    )


def test_the_option_of_an_introspection(ask):
    """A refusal by introspection names the option of its verifier."""
    assert ask("opaque-0123456789", guard="asking")["option"] == "IntrospectionVerifier(client_ids=…)"


@pytest.mark.parametrize(
    ("tier", "path", "status"),
    [
        ("gold", (), 500),
        ("gold", ("--path", "/counted"), 500),
        ("gold", ("--path", "/free"), 200),
        ("gold", ("--path", "/open"), 200),
        ("pro", (), 200),
        (None, (), 200),
    ],
)
def test_a_tier_without_quotas_is_named(ask, tier, path, status):
    """A tier without quotas is a 500 on a path where requests are counted."""
    answer = ask(token(tier=tier), *path, guard="tiers")
    assert (answer["status"], answer["option"]) == (status, "Guard(quotas={…})" if status == 500 else None)
    assert status == 200 or "'gold'" in answer["reason"]


def test_the_place_of_a_missing_variable(tmp_path, monkeypatch):
    """A missing variable is an error with its name and the line of the application."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inspected_variable.py").write_text("import os\n\napp = os.environ['NO_SUCH_SECRET']\n")
    done = invoke("token", "inspect", "--app", "inspected_variable:app", given="x")
    assert done.exit_code == 2
    assert "KeyError: 'NO_SUCH_SECRET' (" in done.stderr
    assert "inspected_variable.py, line 3)" in done.stderr
