"""The applications of docs/start.md and of the guides run as the pages say."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from starlette.testclient import TestClient, WebSocketDenialResponse

from authguard import ConfigurationError, Rule
from authguard.testing import issue_token
from docs.blocks import ROOT, Block, blocks, execute, pages, read
from remote.servers import answer, serving
from support import ec_key, jwk

SECRET = "gu1de-0nly-Secret-of-enough-bytes-7Qx"
BILLING_KEY = "sk_test_guide-0nly-Key-of-enough-bytes-9Zk"
FOLDER = "docs/guides/"
ISSUERS, KEYS, RULES, WEBSITE = (f"{FOLDER}{name}.md" for name in ("issuers", "api-keys", "rules", "website"))
BLOCKS = [
    block
    for page in ["docs/start.md", *(page for page in pages() if page.startswith(FOLDER))]
    for block in blocks(page, "python")
    if '"/dashboard"' in block.text
]
EACH_BLOCK = pytest.mark.parametrize("block", BLOCKS, ids=str)


def _run(
    block: Block, monkeypatch: pytest.MonkeyPatch, issuer: str = "https://auth.example.com"
) -> dict[str, Any]:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("BILLING_KEY", BILLING_KEY)
    monkeypatch.setenv("ISSUER", issuer)
    monkeypatch.setenv("CLIENT_SECRET", SECRET)
    namespace: dict[str, Any] = {"__name__": "guide"}
    execute(block, namespace)
    return namespace


def _block(page: str, heading: str = "") -> Block:
    return next(block for block in BLOCKS if block.page == page and heading in block.heading)


def _get(app: Any, path: str, headers: dict[str, str] | None = None) -> int:
    if isinstance(app, Flask):
        return app.test_client().get(path, headers=headers or {}).status_code
    with TestClient(app) as client:
        return client.get(path, headers=headers or {}, follow_redirects=False).status_code


def _bearer(**claims: Any) -> dict[str, str]:
    token = issue_token(SECRET, iss="https://auth.example.com", aud="https://api.example.com", **claims)
    return {"Authorization": f"Bearer {token}"}


def test_there_is_a_quick_start_for_each_framework() -> None:
    """Starlette, FastAPI and Flask each have a block in docs/start.md."""
    assert {"Starlette", "FastAPI", "Flask"} <= {block.heading for block in blocks("docs/start.md")}


@EACH_BLOCK
def test_block_refuses_nobody(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protected page of each block is a 401 without a credential."""
    app = _run(block, monkeypatch)["app"]
    assert _get(app, "/dashboard") == 401


@EACH_BLOCK
def test_block_refuses_a_forged_token(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protected page of each block is a 401 with a token that another secret has signed."""
    app = _run(block, monkeypatch)["app"]
    token = issue_token(SECRET[::-1], iss="https://auth.example.com", aud="https://api.example.com")
    assert _get(app, "/dashboard", {"Authorization": f"Bearer {token}"}) == 401


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.page != ISSUERS], ids=str)
def test_block_accepts_a_token(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protected page of each block is served with a valid token."""
    app = _run(block, monkeypatch)["app"]
    assert _get(app, "/dashboard", _bearer(scopes=["read", "reports"])) == 200


def test_remote_block_discovers_and_introspects(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block about remote verification accepts signed tokens, and opaque ones that are active."""
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
        app = _run(_block(ISSUERS), monkeypatch, issuer.url)["app"]
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


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": BILLING_KEY}, {"Authorization": f"Bearer {BILLING_KEY}"}],
    ids=["own field", "as Bearer"],
)
def test_api_key_is_accepted_both_ways(headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The block about API keys accepts its key in both fields."""
    app = _run(_block(KEYS), monkeypatch)["app"]
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
    """The block about scopes refuses a token without one with a 403."""
    app = _run(_block("docs/guides/protect-an-api.md", "Scopes"), monkeypatch)["app"]
    assert _get(app, path, _bearer(scopes=scopes)) == status


@pytest.mark.parametrize(("heading", "path"), [("Starlette", "/"), ("FastAPI", "/docs"), ("Flask", "/")])
def test_public_paths_are_open(heading: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The public path of a quick start requires no credential, whether it has a page or not."""
    app = _run(_block("docs/start.md", heading), monkeypatch)["app"]
    assert _get(app, path) in (200, 404)


def test_a_browser_is_sent_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Starlette block redirects a browser to its login page with `next`."""
    app = _run(_block("docs/start.md", "Starlette"), monkeypatch)["app"]
    with TestClient(app) as client:
        response = client.get("/dashboard", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/login?next=%2Fdashboard")


def test_cookie_signs_a_browser_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block about cookies sets a cookie that the guard accepts, and redirects to `next`."""
    app = _run(_block(WEBSITE), monkeypatch)["app"]
    token = _bearer()["Authorization"].removeprefix("Bearer ")
    with TestClient(app, base_url="https://testserver") as client:  # the cookie is Secure
        response = client.post("/login?next=/dashboard", data={"token": token})
    assert (response.status_code, response.text) == (200, "hello somebody")


@pytest.mark.parametrize(
    ("method", "path", "scopes", "status"),
    [
        ("GET", "/", None, 200),
        ("GET", "/static/logo.svg", None, 200),
        ("GET", "/blog/7", None, 200),
        ("GET", "/dashboard", None, 401),
        ("GET", "/dashboard", [], 200),
        ("GET", "/admin/users", [], 403),
        ("GET", "/admin/users", ["admin"], 200),
        ("GET", "/items", None, 401),
        ("GET", "/items", [], 200),
        ("POST", "/items", [], 403),
        ("POST", "/items", ["write"], 200),
    ],
)
def test_the_rules_of_the_first_block(
    method: str, path: str, scopes: list[str] | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each path has the requirement of the table; None is a request without a token."""
    app = _run(_block(RULES), monkeypatch)["app"]
    headers = {} if scopes is None else _bearer(scopes=scopes)
    with TestClient(app) as client:
        assert client.request(method, path, headers=headers).status_code == status


def test_the_websocket_of_the_first_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """The websocket is refused without a token, and has the caller with a token."""
    (block,) = blocks(f"{FOLDER}websockets.md", "python")
    client = TestClient(_run(block, monkeypatch)["app"])
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/echo"):
        pass
    assert refused.value.status_code == 401
    with client.websocket_connect("/echo", headers=_bearer(subject="ann")) as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "ann: hello"


def _foreign_patterns() -> list[tuple[str, str, bool]]:
    """Return the rows of the table for other frameworks: pattern, spelling here, and "covers more"."""
    table = read(RULES).partition("| framework | its pattern |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \| `([^`]+)`(, which covers more)? \|$", table, re.MULTILINE)
    return [(there, here, bool(wider)) for there, here, wider in rows]


def test_table_for_users_of_other_frameworks_is_read() -> None:
    """Each row of the table is read for the tests below."""
    table = read(RULES).partition("| framework | its pattern |")[2].partition("\n\n")[0]
    assert len(_foreign_patterns()) == table.count("\n") - 1 > 10


@pytest.mark.parametrize(("there", "here", "wider"), _foreign_patterns())
def test_pattern_of_another_framework_has_the_spelling_of_the_table(
    there: str, here: str, wider: bool
) -> None:
    """A pattern is accepted, or its error has the spelling of the table, and whether that covers more."""
    if there == here:
        assert Rule(there).path == here
        return
    with pytest.raises(ConfigurationError) as caught:
        Rule(there)
    assert f": write {here!r}" in str(caught.value)
    assert ("which covers more" in str(caught.value)) is wider


@pytest.mark.slow
def test_the_command_says_what_the_page_shows(tmp_path: Path) -> None:
    """`token inspect` for another audience writes the answer of docs/guides/refused.md."""
    (shown,) = blocks(f"{FOLDER}refused.md", "text")
    command, _, answer_of_page = shown.text.partition("\n")
    (tmp_path / "main.py").write_text(blocks("docs/start.md", "python")[0].text)
    (tmp_path / "token").write_text(issue_token(SECRET, iss="https://auth.example.com", aud="web"))
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        command.removeprefix("$ ").split(),
        cwd=tmp_path,
        env={**os.environ, "JWT_SECRET": SECRET, "PATH": os.pathsep.join(paths)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith(answer_of_page), done.stderr


def _log_lines() -> list[str]:
    """Return the constant parts of each log line of docs/guides/refused.md."""
    table = read(f"{FOLDER}refused.md").partition("| log line | cause to check |")[2].partition("\n\n")[0]
    lines = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    return [part for line in lines for part in re.split(r"…|^\w+ \(|[;)]", line) if len(part.strip()) > 2]


@pytest.mark.parametrize("text", _log_lines())
def test_a_log_line_of_the_page_is_in_the_source(text: str) -> None:
    """Each log line of the page is in the source."""
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py"))
    is_there = text.strip(" :") in re.sub(r'"\s+f?"', "", source)
    assert is_there, text


def test_roles_of_a_database_are_required_by_a_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dependency of the page reads the roles of the user, and a router requires its scope."""
    monkeypatch.setenv("JWT_SECRET", SECRET)
    namespace: dict[str, Any] = {"__name__": "guide"}
    applications = []
    for block in blocks(f"{FOLDER}protect-an-api.md", "python"):
        execute(block, namespace)
        applications.append(namespace["app"])
    reports = [_get(applications[1], "/reports/all", _bearer(scopes=each)) for each in ([], ["reports"])]
    jobs = [_get(applications[-1], "/jobs", _bearer(sub=name)) for name in ("ann", "bob", "eve")]
    assert (reports, jobs) == ([403, 200], [200, 403, 401])


MCP_FIELDS = {"Accept": "application/json, text/event-stream"}


def _call_tool(client: TestClient, **claims: Any) -> Any:
    """Call the tool of the page with a token for its resource."""
    resource = "https://api.example.com/mcp"
    token = issue_token(SECRET, iss="https://auth.example.com", aud=resource, **claims)
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "read_notes", "arguments": {}},
    }
    return client.post("/mcp", json=call, headers={**MCP_FIELDS, "Authorization": f"Bearer {token}"})


def test_the_mcp_server_of_the_page(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The MCP server of the page requires a token for the resource, and names its metadata in refusals."""
    (block,) = blocks(f"{FOLDER}mcp-server.md", "python")
    app = _run(block, monkeypatch)["app"]
    assert [line for line in caplog.messages if "audience" in line] == []
    with TestClient(app, base_url="https://api.example.com") as client:
        refused = client.post("/mcp", json={}, headers=_bearer())
        metadata = client.get(
            re.findall(r'resource_metadata="(.+?)"', refused.headers["www-authenticate"])[0]
        )
        notes = _call_tool(client, sub="ann", scopes=["notes:read"]).json()["result"]
        lacking = _call_tool(client, sub="ann").json()["result"]
    assert (refused.status_code, metadata.json()["resource"]) == (401, "https://api.example.com/mcp")
    assert (notes["isError"], notes["content"][0]["text"]) == (False, "the first note of ann")
    assert lacking["isError"] and "notes:read" in lacking["content"][0]["text"]


def test_own_middleware_that_is_added_before_the_guard_sees_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The middleware of protect-an-api.md, which is added before `install`, reads the caller."""
    page = f"{FOLDER}protect-an-api.md"
    names = _run(_block(page), monkeypatch)
    execute(next(each for each in blocks(page, "python") if each.heading == "Your own middleware"), names)
    names["app"].get("/mine")(lambda: "hello")
    with TestClient(names["app"]) as client:
        answer = client.get("/mine", headers=_bearer(sub="ann"))
    assert (answer.status_code, answer.headers["x-caller"]) == (200, "ann")


def test_a_loader_with_sqlalchemy_loads_the_user_and_its_team(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The `user_loader` of protect-an-api.md gives the route the user with its team; others are refused."""
    monkeypatch.chdir(tmp_path)
    page = f"{FOLDER}protect-an-api.md"
    names = _run(_block(page), monkeypatch)
    heading = "Users of a database with SQLAlchemy"
    execute(next(each for each in blocks(page, "python") if each.heading == heading), names)
    names["Base"].metadata.create_all(names["engine"])
    user, team = names["User"], names["Team"]
    with names["Session"](names["engine"]) as session:
        session.add(user(id="ann", team=team(name="blue")))
        session.add(user(id="bob", team=team(name="red"), is_active=False))
        session.commit()
    with TestClient(names["app"]) as client:
        answers = {name: client.get("/team", headers=_bearer(sub=name)) for name in ("ann", "bob", "eve")}
    names["engine"].dispose()
    assert answers["ann"].json() == {"team": "blue"}
    assert [answers[name].status_code for name in ("bob", "eve")] == [401, 401]
