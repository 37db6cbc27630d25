"""docs/comparison.md: the cells of the table are the answers of the packages."""

import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server

import jwt
import pytest

from frameworks.support import need

need("fastapi", "flask_jwt_extended", "fastapi_users", "authlib", "rest_framework_simplejwt")

pytestmark = pytest.mark.frameworks

import_module("frameworks.django_project")

from fastapi import FastAPI
from rest_framework_simplejwt.backends import TokenBackend
from starlette.testclient import TestClient

from authguard import ConfigurationError, Guard, JWTVerifier
from authguard.fastapi import CurrentUser, install
from authguard.testing import FakeIssuer
from migrations.support import PASSWORD, SECRET, run
from migrations.test_authlib import Quiet

TEXT = (Path(__file__).parents[2] / "docs" / "comparison.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("\n## Measured answers\n")[2].partition("\n## ")[0]
_, _, *LINES = [line for line in TABLE.splitlines() if line.startswith("|")]
ROWS = {
    name: cells for name, *cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in LINES)
}
SHORT = "sh0rt-7Q"
APP = "https://app.example.com"


class Contestant:
    """Be an application with one protected view, which can make a token for it."""

    path = "/me"
    claims: dict[str, Any]

    def send(self, path: str, fields: dict[str, str]) -> tuple[int, str]:
        """Return the status, and the scheme of the challenge."""
        answer = self.client.get(path, headers=fields)
        challenge = answer.headers.get("WWW-Authenticate", "")
        return answer.status_code, re.split(r"[ ,]", challenge)[0].capitalize() or "no challenge"

    client: Any

    def token(self, secret: str = SECRET, **changes: Any) -> str:
        """Return a token; None leaves a claim out."""
        claims = self.claims | {"exp": time.time() + 60} | changes
        return jwt.encode(
            {name: value for name, value in claims.items() if value is not None}, secret, "HS256"
        )

    def ask(self, token: str, scheme: str = "Bearer") -> str:
        """Return the status."""
        return str(self.send(self.path, {"Authorization": f"{scheme} {token}"})[0])

    def open_route(self) -> str:
        """Return the status of a route without a decorator."""
        return str(self.send("/forgotten", {})[0])

    def with_short_secret(self) -> str:
        """Return whether a secret of 8 bytes is accepted."""
        raise NotImplementedError


def forgotten() -> dict[str, int]:
    """Return rows, as a view without a decorator."""
    return {"rows": 0}


class ByHand(Contestant):
    """Use PyJWT in a dependency of FastAPI."""

    claims = {"sub": "1"}

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.app = run("pyjwt.md", "Before").app
        self.app.get("/forgotten")(forgotten)
        self.client = TestClient(self.app)

    def with_short_secret(self) -> str:
        self._patch.setenv("JWT_SECRET", SHORT)
        self.client = TestClient(run("pyjwt.md", "Before").app)
        return _accepted(self.ask(self.token(SHORT)))


class Extended(Contestant):
    """Use Flask-JWT-Extended."""

    claims = {"sub": "ann", "type": "access", "jti": "1", "iat": 0, "nbf": 0, "fresh": False}

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        app = run("flask-jwt-extended.md", "Before").app
        app.add_url_rule("/forgotten", "forgotten", forgotten)
        self.client = app.test_client()

    def with_short_secret(self) -> str:
        self._patch.setenv("JWT_SECRET", SHORT)
        self.client = run("flask-jwt-extended.md", "Before").app.test_client()
        return _accepted(self.ask(self.token(SHORT)))


class Users(Contestant):
    """Use fastapi-users."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._begin()

    def _begin(self) -> None:
        app = run("fastapi-users.md", "Before").app
        app.get("/forgotten")(forgotten)
        self.client = TestClient(app)
        account = {"email": "ann@example.com", "password": PASSWORD}
        user = self.client.post("/auth/register", json=account).json()
        self.claims = {"sub": user["id"], "aud": ["fastapi-users:auth"]}

    def with_short_secret(self) -> str:
        self._patch.setenv("JWT_SECRET", SHORT)
        self._begin()
        return _accepted(self.ask(self.token(SHORT)))


class Authlib(Contestant):
    """Use the ResourceProtector of Authlib, with an issuer on loopback."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = make_server("127.0.0.1", 0, None, handler_class=Quiet)
        self.issuer = FakeIssuer(
            f"http://127.0.0.1:{self.server.server_port}", audience="https://api.example.com"
        )
        self.server.set_app(self.issuer.wsgi)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        monkeypatch.setenv("ISSUER", self.issuer.url)
        app = run("authlib.md", "Before").app
        app.add_url_rule("/forgotten", "forgotten", forgotten)
        self.client = app.test_client()

    def token(self, secret: str = SECRET, **changes: Any) -> str:
        issuer = self.issuer
        if secret != SECRET:
            issuer = FakeIssuer(issuer.url, audience=issuer.audience)
        return issuer.issue("ann", scopes=["profile"], **{"client_id": "web"} | changes)

    def with_short_secret(self) -> str:
        return "–"


class Simple(Contestant):
    """Use Simple JWT."""

    path = "/api/me"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        simple = import_module("migrations.test_simplejwt")
        simple.call_command("migrate", verbosity=0)
        self._users = simple.get_user_model().objects
        user = self._users.create_user("ann", password=PASSWORD)
        views = run("simplejwt.md", "Before: views")
        views.urlpatterns.append(simple.path("forgotten", views.export))
        self._project = simple.project(views, "Before: settings")
        self.client = self._project.__enter__()
        self._secret = import_module("django.conf").settings.SECRET_KEY
        self.claims = {"user_id": str(user.pk), "token_type": "access", "jti": "1"}

    def close(self) -> None:
        self._project.__exit__(None, None, None)
        self._users.all().delete()

    def token(self, secret: str = SECRET, **changes: Any) -> str:
        return super().token(self._secret if secret == SECRET else secret, **_renamed(changes))

    def with_short_secret(self) -> str:
        backend = TokenBackend("HS256", SHORT)
        return _accepted("200" if backend.decode(backend.encode({"exp": time.time() + 60})) else "401")


def _renamed(changes: dict[str, Any]) -> dict[str, Any]:
    return {{"type": "token_type"}.get(name, name): value for name, value in changes.items()}


class Ours(Contestant):
    """Use authguard with FastAPI."""

    claims = {"sub": "1", "iss": APP, "aud": APP}

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        app = FastAPI()
        install(app, Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=APP, audience=APP)))

        @app.get("/me")
        def me(user: CurrentUser) -> dict[str, str]:
            return {"user": user.subject}

        app.get("/forgotten")(forgotten)
        self.client = TestClient(app)

    def with_short_secret(self) -> str:
        with pytest.raises(ConfigurationError):
            JWTVerifier(SHORT, algorithms=["HS256"], issuer=APP, audience=APP)
        return "refused"


def _accepted(status: str) -> str:
    return "accepted" if status == "200" else "refused"


CONTESTANTS: list[Callable[[pytest.MonkeyPatch], Contestant]] = [
    ByHand,
    Extended,
    Users,
    Authlib,
    Simple,
    Ours,
]
CASES: dict[str, Callable[[Contestant], str]] = {
    "a good token": lambda contestant: contestant.ask(contestant.token()),
    "a route without decorator or dependency": lambda contestant: contestant.open_route(),
    "no token": lambda contestant: "{}, {}".format(*contestant.send(contestant.path, {})),
    "a forged token": lambda contestant: contestant.ask(
        contestant.token("an0ther-Secret-of-enough-bytes-5Wd-9Lq")
    ),
    "a token that never expires": lambda contestant: contestant.ask(contestant.token(exp=None)),
    'a token with the claim `"type": "refresh"`': lambda contestant: contestant.ask(
        contestant.token(type="refresh")
    ),
    "`bearer` in lower case": lambda contestant: contestant.ask(contestant.token(), "bearer"),
    "an HMAC secret of 8 bytes": lambda contestant: contestant.with_short_secret(),
}


@pytest.fixture(
    name="contestant", params=range(len(CONTESTANTS)), ids=lambda index: CONTESTANTS[index].__name__
)
def _contestant(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[int, Contestant]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyJWT only warns of short secrets
        made = CONTESTANTS[request.param](monkeypatch)
        yield request.param, made
        if isinstance(made, Simple):
            made.close()
        if isinstance(made, Authlib):
            made.server.shutdown()
            made.thread.join(10)
            made.server.server_close()


def test_each_row_is_run() -> None:
    """Each row of the table is tested."""
    assert set(ROWS) == set(CASES)
    assert {len(cells) for cells in ROWS.values()} == {len(CONTESTANTS)}


@pytest.mark.parametrize("case", CASES)
def test_a_cell_is_what_was_seen(contestant: tuple[int, Contestant], case: str) -> None:
    """Each cell is the answer of the installed package."""
    index, application = contestant
    assert CASES[case](application) == ROWS[case][index]
