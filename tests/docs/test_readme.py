"""The README runs: each Python block is a whole application, and every option is described."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from starlette.testclient import TestClient

import authguard
from authguard import (
    AccessCookie,
    APIKeyFile,
    APIKeyVerifier,
    ConfigurationError,
    DPoP,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryQuotas,
    MutualTLS,
    Quota,
    RemoteKeySet,
    ResourceMetadata,
    Rule,
)
from authguard.asgi import AuthGuardMiddleware
from authguard.backchannel import BackChannelLogout
from authguard.stores import (
    PostgresQuotas,
    PostgresStore,
    RedisQuotas,
    RedisStore,
    SQLiteQuotas,
    SQLiteStore,
)
from authguard.testing import issue_token
from remote.servers import answer, serving
from support import ec_key, jwk

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECRET = "r3adme-0nly-Secret-of-enough-bytes-7Qx"
BILLING_KEY = "sk_test_readme-0nly-Key-of-enough-bytes-9Zk"
BLOCKS = list(re.finditer(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))


def _heading(block: re.Match[str]) -> str:
    return re.findall(r"^#+ (.+)$", README[: block.start()], re.MULTILINE)[-1]


EACH_BLOCK = pytest.mark.parametrize("block", BLOCKS, ids=_heading)


def _run(
    block: re.Match[str], monkeypatch: pytest.MonkeyPatch, issuer: str = "https://auth.example.com"
) -> dict[str, Any]:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("BILLING_KEY", BILLING_KEY)
    monkeypatch.setenv("ISSUER", issuer)
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    line = README.count("\n", 0, block.start(1))
    namespace: dict[str, Any] = {"__name__": "readme"}
    exec(compile("\n" * line + block[1], "README.md", "exec"), namespace)
    return namespace


def _get(app: Any, path: str, headers: dict[str, str] | None = None) -> int:
    if isinstance(app, Flask):
        return app.test_client().get(path, headers=headers or {}).status_code
    with TestClient(app) as client:
        return client.get(path, headers=headers or {}, follow_redirects=False).status_code


def _bearer(**claims: Any) -> dict[str, str]:
    token = issue_token(SECRET, iss="https://auth.example.com", aud="https://api.example.com", **claims)
    return {"Authorization": f"Bearer {token}"}


def test_there_is_a_quick_start_for_each_framework() -> None:
    """Starlette, FastAPI and Flask each have a block of their own."""
    assert {"Starlette", "FastAPI", "Flask"} <= {_heading(block) for block in BLOCKS}


@EACH_BLOCK
def test_block_refuses_nobody(block: re.Match[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The protected page of each block answers 401 to a program without a credential."""
    app = _run(block, monkeypatch)["app"]
    assert _get(app, "/dashboard") == 401


@EACH_BLOCK
def test_block_refuses_a_forged_token(block: re.Match[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The protected page of each block answers 401 to a token that another secret has signed."""
    app = _run(block, monkeypatch)["app"]
    token = issue_token(SECRET[::-1], iss="https://auth.example.com", aud="https://api.example.com")
    assert _get(app, "/dashboard", {"Authorization": f"Bearer {token}"}) == 401


@pytest.mark.parametrize(
    "block", [one for one in BLOCKS if _heading(one) != "Remote verification"], ids=_heading
)
def test_block_accepts_a_token(block: re.Match[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The protected page of each block is served to a caller with a good token."""
    app = _run(block, monkeypatch)["app"]
    assert _get(app, "/dashboard", _bearer(scopes=["read", "reports"])) == 200


def test_remote_block_discovers_and_introspects(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block about remote verification accepts what its issuer signs or says is active."""
    with serving() as issuer:
        issuer.pages = {
            "/.well-known/openid-configuration": answer(
                {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}
            ),
            "/jwks": answer({"keys": [jwk(ec_key(), kid="a", alg="ES256")]}),
            "/introspect": lambda seen: answer(
                {"active": seen.form["token"] == ["opaque"], "sub": "ann", "aud": "https://api.example.com"}
            ),
        }
        app = _run(_named("Remote verification"), monkeypatch, issuer.url)["app"]
        signed = issue_token(
            ec_key(), algorithm="ES256", headers={"kid": "a"}, iss=issuer.url, aud="https://api.example.com"
        )
        with TestClient(app) as client:
            states = [list(client.get("/healthz").json().values())]
            statuses = [
                client.get("/dashboard", headers={"Authorization": f"Bearer {token}"}).status_code
                for token in (signed, "opaque", "another")
            ]
            states.append(list(client.get("/healthz").json().values()))
    assert statuses == [200, 200, 401]
    assert states == [["unused", "unused"], ["fresh", "fresh"]]


def _named(heading: str) -> re.Match[str]:
    return next(block for block in BLOCKS if _heading(block) == heading)


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": BILLING_KEY}, {"Authorization": f"Bearer {BILLING_KEY}"}],
    ids=["own field", "as Bearer"],
)
def test_api_key_is_accepted_both_ways(headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The block about API keys accepts its key in either field."""
    app = _run(_named("API keys"), monkeypatch)["app"]
    assert _get(app, "/dashboard", headers) == 200


@pytest.mark.parametrize(
    ("path", "scopes", "status"),
    [
        ("/dashboard", ["read"], 403),
        ("/dashboard", ["reports"], 403),
        ("/admin/jobs", ["read"], 403),
        ("/admin/jobs", ["admin"], 200),
    ],
)
def test_scopes_block_asks_for_its_scopes(
    path: str, scopes: list[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block about scopes refuses a caller who lacks one with 403."""
    app = _run(_named("Scopes and roles"), monkeypatch)["app"]
    assert _get(app, path, _bearer(scopes=scopes)) == status


@pytest.mark.parametrize(("heading", "path"), [("Starlette", "/"), ("FastAPI", "/docs"), ("Flask", "/")])
def test_public_paths_are_open(heading: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a quick start opens does not ask for a credential, be there a page or not."""
    app = _run(_named(heading), monkeypatch)["app"]
    assert _get(app, path) in (200, 404)


def test_a_browser_is_sent_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Starlette block sends a browser to its login page, and back afterwards."""
    app = _run(_named("Starlette"), monkeypatch)["app"]
    with TestClient(app) as client:
        response = client.get("/dashboard", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/login?next=%2Fdashboard")


def test_cookie_signs_a_browser_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block about cookies sets one that the guard takes, and goes to where the browser wanted to be."""
    app = _run(_named("Cookies for websites"), monkeypatch)["app"]
    token = _bearer()["Authorization"].removeprefix("Bearer ")
    with TestClient(app, base_url="https://testserver") as client:  # the cookie is Secure
        response = client.post("/login?next=/dashboard", data={"token": token})
    assert (response.status_code, response.text) == (200, "hello somebody")


def _foreign_patterns() -> list[tuple[str, str, bool]]:
    """The table for users of other frameworks: a pattern there, the one here, whether that covers more."""
    table = README.partition("| coming from |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \| `([^`]+)`(, which covers more)? \|$", table, re.MULTILINE)
    return [(there, here, bool(wider)) for there, here, wider in rows]


def test_table_for_users_of_other_frameworks_is_read() -> None:
    """Each row of the table is one of the tests below."""
    table = README.partition("| coming from |")[2].partition("\n\n")[0]
    assert len(_foreign_patterns()) == table.count("\n") - 1 > 10


@pytest.mark.parametrize(("there", "here", "wider"), _foreign_patterns())
def test_pattern_of_another_framework_has_the_spelling_of_the_table(
    there: str, here: str, wider: bool
) -> None:
    """A pattern works as it is, or its error names the spelling of the table, and whether it covers more."""
    if there == here:
        assert Rule(there).path == here
        return
    with pytest.raises(ConfigurationError) as caught:
        Rule(there)
    assert f": write {here!r}" in str(caught.value)
    assert ("which covers more" in str(caught.value)) is wider


def _documented() -> list[tuple[type, str]]:
    classes = (
        Guard,
        AuthGuardMiddleware,
        JWTVerifier,
        RemoteKeySet,
        IntrospectionVerifier,
        HTTPOptions,
        APIKeyVerifier,
        APIKeyFile,
        AccessCookie,
        DPoP,
        MutualTLS,
        RedisStore,
        PostgresStore,
        SQLiteStore,
        BackChannelLogout,
        ResourceMetadata,
        Rule,
        Quota,
        MemoryQuotas,
        SQLiteQuotas,
        PostgresQuotas,
        RedisQuotas,
    )
    return [(cls, name) for cls in classes for name in inspect.signature(cls).parameters]


def _section(cls: type) -> str:
    found = re.search(rf"^### `{cls.__name__}\(.*?(?=^##|\Z)", README, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section for {cls.__name__}"
    return found[0]


@pytest.mark.parametrize(("cls", "name"), _documented(), ids=lambda part: getattr(part, "__name__", part))
def test_option_is_documented(cls: type, name: str) -> None:
    """Each constructor parameter has a row in the table of its class."""
    assert f"\n| `{name}` |" in _section(cls)


@pytest.mark.parametrize("cls", dict.fromkeys(cls for cls, _ in _documented()), ids=lambda cls: cls.__name__)
def test_documented_options_exist(cls: type) -> None:
    """No table has a row for an option that the class does not have."""
    rows = re.findall(r"^\| `(\w+)` \|", _section(cls), re.MULTILINE)
    assert rows == list(inspect.signature(cls).parameters)


def test_links_lead_to_files() -> None:
    """Every relative link in the README names a file that exists."""
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_changelog_has_the_version() -> None:
    """The changelog has a section for the version that the package says it is."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(authguard.__version__)}\]", changelog, re.MULTILINE)
