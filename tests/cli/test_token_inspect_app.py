"""`token inspect --app`: the answers of an application's guards, with verifier, reason and option."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from authguard.testing import issue_token
from cli.support import AUDIENCE, ISSUER, SECRET, invoke
from support import ec_key, make_token, pem

KEY = "sk_live_0123456789abcdef"
OTHER_ISSUER = "https://other.example.com"
GUARDS = f"""
from authguard import *
from authguard.errors import *

PEM = '''{pem(ec_key())}'''
REVOKED = MemoryRevocations()
REVOKED.revoke(token_id="revoked", issuer="{ISSUER}", until=4_000_000_000)

def load(principal):
    if principal.subject == "bug":
        raise LookupError("M4RKER")
    return None if principal.subject == "gone" else principal

class Own:
    def accepts(self, credential):
        return credential.value.startswith("own-")

    def verify(self, credential):
        if credential.value.startswith("own-down"):
            raise ConnectionError
        raise InvalidTokenError("no such session: " + credential.value)

guard = Guard(
    JWTVerifier("{SECRET}", algorithms=["HS256"], issuer="{ISSUER}", audience="{AUDIENCE}"),
    JWTVerifier(PEM, algorithms=["ES256"], issuer="{OTHER_ISSUER}", audience="{AUDIENCE}"),
    APIKeyVerifier({{
        "{KEY}": APIKey("kay"),
        "plain-0123456789": APIKey("plain"),
        "sk_live_disabled-0123": APIKey("off", disabled=True),
    }}),
    Own(),
    protected_paths=["/", Rule("/admin", scopes=["admin"]), Rule("/hooks", credentials=["api_key"])],
    public_paths=["/open"],
    revocations=REVOKED,
    user_loader=load,
)
"""
STARLETTE = (
    GUARDS
    + """
from authguard.asgi import AuthGuardMiddleware
from starlette.applications import Starlette
app = Starlette()
app.add_middleware(AuthGuardMiddleware, guard=guard)
wrapped = AuthGuardMiddleware(Starlette(), guard=guard)

async def bare(scope, receive, send):
    raise AssertionError("never run")

unknown = AuthGuardMiddleware(bare, guard=guard)
unguarded = Starlette()

def make():
    return app
"""
)
FASTAPI = (
    GUARDS
    + """
from fastapi import FastAPI
from authguard.fastapi import install
app = FastAPI()
install(app, guard)
"""
)
FLASK = (
    GUARDS
    + """
from flask import Flask
from authguard.flask import init_app
app = Flask(__name__)
init_app(app, guard)
"""
)
MOUNTED = (
    GUARDS
    + """
from authguard.asgi import AuthGuardMiddleware
from starlette.applications import Starlette
from starlette.routing import Mount
inner_guard = Guard(JWTVerifier(PEM, algorithms=["ES256"], issuer="{}", audience=None))
inner = Starlette()
inner.add_middleware(AuthGuardMiddleware, guard=inner_guard)
app = Starlette(routes=[Mount("/inner", app=inner)])
app.add_middleware(AuthGuardMiddleware, guard=guard)
""".replace('"{}"', f'"{OTHER_ISSUER}"')
)
FIELDS = f"""
from authguard import *

def hs256(issuer, **options):
    return JWTVerifier("{SECRET}", algorithms=["HS256"], issuer=issuer, audience="{AUDIENCE}", **options)

def accepts(issuer):
    return issuer == "https://tenant.example"

guard = Guard(
    hs256("https://one.example", header="X-Token"),
    hs256("https://two.example", header="X-Token", padding=True),
    hs256("{ISSUER}"),
    hs256(accepts),
)
"""
_names = iter(range(10_000))


def token(**changes: Any) -> str:
    """Return a token of the first issuer."""
    given = {"iss": ISSUER, "aud": AUDIENCE, "subject": "ann"} | changes
    return issue_token(given.pop("key", SECRET), **given)


def of_other(**changes: Any) -> str:
    """Return a token of the second issuer."""
    claims = {"iss": OTHER_ISSUER, "aud": AUDIENCE, "sub": "bob", "exp": 4_000_000_000, **changes}
    return make_token(claims, algorithm="ES256", key=ec_key())


@pytest.fixture(name="ask")
def _ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that inspects a credential, and returns the status, the JSON and the text."""
    monkeypatch.chdir(tmp_path)

    def ask(source: str, credential: str, *options: str, app: str = "app") -> tuple[int, dict[str, Any], str]:
        module = f"inspected_{next(_names)}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        command = ("token", "inspect", "--app", f"{module}:{app}", *options)
        done, plain = invoke(*command, "--json", given=credential), invoke(*command, given=credential)
        assert (plain.exit_code, done.stderr, plain.stderr) == (done.exit_code, "", "")
        for part in (*credential.split("."), SECRET, "M4RKER"):
            assert len(part) < 9 or part not in done.stdout + plain.stdout
        return done.exit_code, json.loads(done.stdout), plain.stdout

    return ask


@pytest.mark.parametrize(
    ("source", "app", "options"),
    [
        (STARLETTE, "app", ()),
        (STARLETTE, "wrapped", ()),
        (STARLETTE, "unknown", ()),
        (STARLETTE, "guard", ()),
        (STARLETTE, "make", ("--factory",)),
        (FASTAPI, "app", ()),
        (FLASK, "app", ()),
    ],
    ids=["starlette", "wrapped", "another framework", "guard", "factory", "fastapi", "flask"],
)
def test_the_guard_is_found(ask: Any, source: str, app: str, options: tuple[str, ...]) -> None:
    """The guard of each kind of application is found, and its verifier accepts a valid token."""
    status, result, plain = ask(source, token(), *options, app=app)
    assert (status, result["verdict"], result["guards"][0]["status"]) == (0, "accepted", 200)
    assert result["guards"][0]["verifier"] == f"JWTVerifier(issuer='{ISSUER}', algorithms=['HS256'])"
    assert plain.startswith("accepted by JWTVerifier(issuer=")


@pytest.mark.parametrize(
    ("credential", "code", "words", "option"),
    [
        (lambda: token(expires_in=-3600), "expired", "1 hour ago", "JWTVerifier(leeway=…)"),
        (lambda: token(aud="a"), "audience", 'has "a", expected', "JWTVerifier(audience=…)"),
        (
            lambda: token(iss="https://third.example"),
            "issuer",
            f'or "{OTHER_ISSUER}" with ES256',
            "JWTVerifier(issuer=…)",
        ),
        (
            lambda: of_other(iss=ISSUER),
            "algorithm",
            "no verifier for this issuer",
            "JWTVerifier(algorithms=…)",
        ),
        (lambda: of_other(aud="b"), "audience", 'has "b", expected', "JWTVerifier(audience=…)"),
        (lambda: token(key=SECRET[::-1]), "signature", "another key", "JWTVerifier(keys=…)"),
        (lambda: token(sub=None), "claim", "no sub", "JWTVerifier(required_claims=…)"),
        (lambda: token(headers={"typ": "secevent+jwt"}), "kind", "secevent", "JWTVerifier(token_types=…)"),
        (lambda: token(token_use="refresh"), "kind", "token_use", None),
        (lambda: token(cnf={"jkt": "x"}), "unproven", "bound by a cnf", "Guard(proofs=[DPoP(…)])"),
        (lambda: token(jti="revoked"), "revoked", "revoked", "Guard(revocations=…)"),
        (lambda: token(subject="gone"), "user", "the user no longer exists", "Guard(user_loader=…)"),
        (lambda: token(subject="bug"), "error", "LookupError", None),
        (lambda: "sk_live_unknown-0123456", "unknown_api_key", "unknown API key", "APIKeyVerifier(keys)"),
        (lambda: "sk_live_disabled-0123", "disabled", "disabled", "APIKeyVerifier(keys)"),
        (lambda: "opaque-0123456789", "no_verifier", "no verifier accepts", "Guard(verifiers)"),
        (lambda: "own-0123456789abcdef", "invalid", "no such session: [redacted]", None),
        (lambda: "own-down-0123456789", "unavailable", "ConnectionError", None),
    ],
)
def test_each_reason_and_the_option(
    ask: Any, credential: Any, code: str, words: str, option: str | None
) -> None:
    """A refusal has the reason of the guard, and the option that decides it."""
    status, result, plain = ask(STARLETTE, credential())
    assert (status, result["verdict"] in ("refused", "unknown"), result["code"]) == (1, True, code)
    assert words in result["reason"]
    assert result["guards"][0]["option"] == option
    assert words in plain
    assert option is None or f"Option: {option}" in plain


@pytest.mark.parametrize(
    ("credential", "status"), [(lambda: token(aud="a"), 401), (lambda: token(subject="bug"), 500),
    (lambda: "own-down-0123456789", 503), (lambda: "a=b", 400)],
)  # fmt: skip
def test_the_status_of_the_answer(ask: Any, credential: Any, status: int) -> None:
    """The status is the one that a request would get."""
    _, result, plain = ask(STARLETTE, credential())
    assert result["guards"][0]["status"] == status
    assert f"refused with {status}" in plain


def test_an_api_key_is_accepted(ask: Any) -> None:
    """An API key is accepted by its verifier, and has no claims."""
    status, result, plain = ask(STARLETTE, KEY)
    assert (status, result["claims"]) == (0, {})
    assert plain.startswith("accepted by APIKeyVerifier(header='X-API-Key')")


def test_the_field_of_a_key(ask: Any) -> None:
    """A key without a prefix is recognised by its field alone."""
    assert ask(STARLETTE, "plain-0123456789")[1]["code"] == "no_verifier"
    status, result, _ = ask(STARLETTE, "plain-0123456789", "--header", "X-API-Key")
    assert (status, result["guards"][0]["verifier"]) == (0, "APIKeyVerifier(header='X-API-Key')")
    _, result, _ = ask(STARLETTE, "unknown-0123456789", "--header", "x-api-key")
    assert (result["code"], result["guards"][0]["verifier"]) == (
        "unknown_api_key",
        "APIKeyVerifier(header='X-API-Key')",
    )


@pytest.mark.parametrize(
    ("issuer", "options", "verifier"),
    [
        ("https://one.example", ("--header", "X-Token"), "https://one.example"),
        ("https://two.example", ("--header", "x-token"), "https://two.example"),
        (ISSUER, (), ISSUER),
        (ISSUER, ("--header", "Authorization"), ISSUER),
        ("https://tenant.example", (), "accepts"),
        ("https://one.example", (), "accepts"),  # the verifier of this issuer does not read this field
    ],
)
def test_the_verifier_that_is_named_is_the_one_that_decides(
    ask: Any, issuer: str, options: tuple[str, ...], verifier: str
) -> None:
    """The named verifier is that of the issuer for this field."""
    _, result, _ = ask(FIELDS, token(iss=issuer, aud="another"), *options, app="guard")
    shown = f"JWTVerifier(issuer={verifier!r}, algorithms=['HS256'])"
    assert (result["code"], result["guards"][0]["verifier"]) == ("audience", shown)


def test_the_rule_of_a_path(ask: Any) -> None:
    """With `--path` the rule of the path counts, and on a public path an invalid token passes."""
    status, result, _ = ask(STARLETTE, token(), "--path", "/admin/users")
    assert (status, result["code"], result["guards"][0]["status"]) == (1, "insufficient_scope", 403)
    assert result["guards"][0]["option"] == "Rule(scopes=…, roles=…)"
    assert ask(STARLETTE, token(scope="admin"), "--path", "/admin/users")[0] == 0
    status, _, plain = ask(STARLETTE, token(), "--path", "/other")
    assert (status, "@requires of its route was not asked" in plain) == (0, True)
    status, result, _ = ask(STARLETTE, token(), "--path", "/hooks")
    assert (status, result["code"], result["guards"][0]["status"]) == (1, "unaccepted_credential", 401)
    assert result["guards"][0]["option"] == "Rule(credentials=…)"
    _, result, plain = ask(STARLETTE, token(aud="a"), "--path", "/open")
    assert result["guards"][0]["status"] == 200
    assert "the path is open" in plain


def test_several_guards(ask: Any) -> None:
    """Each guard is asked with its mount point, and a path only of the guards around it."""
    status, result, plain = ask(MOUNTED, token())
    assert [(each["mount"], each["verdict"]) for each in result["guards"]] == [
        ("/", "accepted"),
        ("/inner", "refused"),
    ]
    assert status == 1
    assert "guard of /: accepted" in plain
    assert "guard of /inner: refused with 401" in plain
    assert len(ask(MOUNTED, token(), "--path", "/x")[1]["guards"]) == 1
    assert len(ask(MOUNTED, token(), "--path", "/inner/x")[1]["guards"]) == 2


def test_nothing_is_counted_or_remembered(ask: Any) -> None:
    """An inspection counts no use of a key, and starts no rotation."""
    source = """
    from authguard import *
    from authguard._core.terms import Terms
    from authguard._core.verifier import Verified, Verifier

    class Telling(Verifier):
        has_terms = True
        takes_any_token = True

        def accepts(self, credential):
            return True

        def flow(self, credential, now):
            return Verified(Principal("ann"), now + 60, Terms(self.fail, begin=self.fail))

        def fail(self, *arguments):
            raise AssertionError("told")

    guard = Guard(Telling())
    """
    assert ask(source, "opaque-0123456789", app="guard")[0] == 0


def test_an_async_client_and_an_async_loader(ask: Any) -> None:
    """An async client and an async user loader are awaited."""
    source = f"""
    import httpx
    from authguard import *

    def answer(request):
        return httpx.Response(200, json={{"active": True, "sub": "ann"}})

    async def load(principal):
        return principal

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    verifier = IntrospectionVerifier(
        "https://issuer.example/introspect",
        client_id="api",
        client_secret="{SECRET}",
        audience=None,
        http=HTTPOptions(client=client),
    )
    guard = Guard(verifier, user_loader=load)
    """
    assert ask(source, "opaque-0123456789", app="guard")[0] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--app", "mod:unguarded"), "no guard is around mod:unguarded"),
        (("--app", "mod:nothing"), "mod has no nothing"),
        (("--app", "nomod:app"), "cannot import nomod"),
        (("--app", "mod"), "must be module:app"),
        (("--app", "mod:make"), "add --factory"),
        (("--app", "mod:app", "--key", "k"), "the guards of --app have their own keys"),
        (("--app", "mod:app", "--audience", "a"), "the guards of --app have their own keys"),
        (("--app", "mod:app", "--path", "a?b"), "--path begins with a slash"),
        (("--app", "mod:app", "--path", "/a?b"), "--path begins with a slash, and has no query"),
        (("--app", "mod:guard", "--header", "X-Other"), "header must be a field that the guard reads"),
        (("--path", "/a"), "go with --app"),
        (("--factory",), "go with --app"),
    ],
)
def test_what_cannot_be_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], words: str
) -> None:
    """An application that cannot be loaded ends the command with 2 and one line."""
    import sys

    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mod", raising=False)
    (tmp_path / "mod.py").write_text(STARLETTE)
    done = invoke("token", "inspect", *options, given=token())
    monkeypatch.delitem(sys.modules, "mod", raising=False)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert words in done.stderr


def test_no_token(ask: Any, tmp_path: Path) -> None:
    """A missing token ends the command with 2."""
    (tmp_path / "mod2.py").write_text(STARLETTE)
    done = invoke("token", "inspect", "--app", "mod2:app", given=" \n")
    assert (done.exit_code, "no token was given" in done.stderr) == (2, True)
