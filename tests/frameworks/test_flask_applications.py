"""Flask applications with a database, in an ASGI application, and with CORS."""

import asyncio
import secrets
from typing import Any

import pytest

from frameworks.support import need

need("flask_sqlalchemy", "flask_cors", "a2wsgi", "fastapi")

pytestmark = pytest.mark.frameworks

import a2wsgi
import fastapi
import flask
from flask_cors import CORS, cross_origin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from adapters.faces import ask_asgi, ask_wsgi
from authguard import APIKey, APIKeyVerifier, Guard, JWTVerifier, Quota, digest_api_key
from authguard.asgi import AuthGuardMiddleware
from authguard.flask import current_principal, current_user, current_user_of, init_app, requires
from authguard.testing import issue_token

SECRET = secrets.token_urlsafe(40)
KEY = "sk_test_" + "d4tabase" * 6
SPA = "https://spa.example"


def bearer(subject: str = "ann", **claims: Any) -> tuple[str, bytes]:
    token = issue_token(SECRET, subject=subject, expires_in=3600, **claims)
    return ("Authorization", f"Bearer {token}".encode())


def verifier() -> JWTVerifier:
    return JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)


# Flask-SQLAlchemy


class Base(DeclarativeBase):
    """Be the base of the models."""


db = SQLAlchemy(model_class=Base)


class User(db.Model):  # type: ignore[name-defined, misc]
    """Have the name, the notes, the API key and the revocation of a user."""

    __tablename__ = "user"
    name: Mapped[str] = mapped_column(primary_key=True)
    api_key: Mapped[str | None]
    is_signed_out: Mapped[bool] = mapped_column(default=False)
    notes: Mapped[list["Note"]] = relationship()


class Note(db.Model):  # type: ignore[name-defined, misc]
    """Have a note of a user, which is loaded lazily."""

    __tablename__ = "note"
    number: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(db.ForeignKey("user.name"))
    text: Mapped[str]


user = current_user_of(User)


class Revocations:
    def is_revoked(self, principal: Any) -> bool:
        return bool(db.session.scalar(db.select(User.is_signed_out).filter_by(name=principal.subject)))


def find_key(digest: str) -> APIKey | None:
    owner = db.session.scalar(db.select(User).filter_by(api_key=digest))
    return owner and APIKey(owner.name)


def notes_of(request: Any, refusal: Any) -> Any:
    return refusal.with_header(
        "x-users", str(db.session.scalar(db.select(db.func.count()).select_from(User)))
    )


@pytest.fixture(name="site")
def _site(tmp_path: Any) -> Any:
    """Return an application whose callbacks all use the database."""
    app = flask.Flask("site")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/site.db"
    db.init_app(app)
    with app.app_context():
        db.create_all()
        db.session.add(User(name="ann", notes=[Note(text="one")], api_key=digest_api_key(KEY)))
        db.session.add(User(name="bob", is_signed_out=True))
        db.session.commit()

    @app.get("/notes")
    def _notes() -> list[str]:
        return [note.text for note in user.notes]

    @app.post("/notes")
    def _add() -> tuple[str, int]:
        user.notes.append(Note(text="two"))
        db.session.commit()
        return current_principal.subject, 201

    guard = Guard(
        verifier(),
        APIKeyVerifier(find_key),
        user_loader=lambda principal: db.session.get(User, principal.subject),
        revocations=Revocations(),
        on_error=notes_of,
    )
    init_app(app, guard)
    yield app
    with app.app_context():
        db.engine.dispose()


def test_the_user_of_the_database_is_attached(site: flask.Flask) -> None:
    """The loaded user is attached to the session, so that its notes can be read and changed."""
    assert ask_wsgi(site, "GET", "/notes", [bearer()]).body == b'["one"]\n'
    assert ask_wsgi(site, "POST", "/notes", [bearer()]).body == b"ann"
    assert ask_wsgi(site, "GET", "/notes", [bearer()]).body == b'["one","two"]\n'
    assert ask_wsgi(site, "GET", "/notes", [("X-API-Key", KEY.encode())]).body == b'["one","two"]\n'


def test_the_other_functions_ask_the_database(site: flask.Flask) -> None:
    """The revocations, the loader and `on_error` use the database for each refusal."""
    for fields in ([], [bearer("bob")], [bearer("eve")]):
        answer = ask_wsgi(site, "GET", "/notes", fields)
        assert (answer.status, answer.headers["x-users"]) == (401, "2")


def test_no_session_outlives_its_request(site: flask.Flask) -> None:
    """Each request returns its connection to the pool, also after a refusal."""
    for fields in ([bearer()], [], [bearer("bob")], [bearer("eve")]) * 4:
        ask_wsgi(site, "GET", "/notes", fields)
    with site.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert not flask.has_app_context()


# In an ASGI application


def mounted(*, with_bridge: Any = a2wsgi.WSGIMiddleware, **options: Any) -> fastapi.FastAPI:
    """Return a Flask application in FastAPI, with a guard around both."""
    inner = flask.Flask("inner")

    @inner.get("/who")
    def _who() -> str:
        return f"{current_user.subject} {current_principal.is_authenticated}"

    @inner.get("/admin")
    @requires("admin")
    def _admin() -> str:
        return current_user.subject

    inner.testing = True
    app = fastapi.FastAPI()
    app.mount("/old", with_bridge(inner))
    app.add_middleware(AuthGuardMiddleware, guard=Guard(verifier(), **options))
    return app


def test_the_caller_is_there_in_a_mounted_application() -> None:
    """A mounted Flask application has the caller, and its decorators work."""
    app = mounted(public_paths=["/old/who"])
    assert ask_asgi(app, "GET", "/old/who", [bearer()]).body == b"ann True"
    assert ask_asgi(app, "GET", "/old/who").body == b" False"
    assert ask_asgi(app, "GET", "/old/admin", [bearer()]).status == 403
    refused = ask_asgi(app, "GET", "/old/admin", [bearer()])
    assert 'scope="admin"' in refused.headers["www-authenticate"]
    assert ask_asgi(app, "GET", "/old/admin", [bearer(scope="admin")]).body == b"ann"


def test_its_decorators_take_from_the_quotas() -> None:
    """A decorator of the mounted application takes from the quotas of the outer guard."""
    app = mounted(public_paths=["/old/**"], quotas=[Quota(1, 60)])
    assert ask_asgi(app, "GET", "/old/admin", [bearer(scope="admin")]).status == 200
    assert ask_asgi(app, "GET", "/old/admin", [bearer(scope="admin")]).status == 429


@pytest.mark.parametrize("shares_guard", [True, False], ids=["the same guard", "no other guard"])
def test_a_bridge_that_has_read_the_application_before_its_guard(shares_guard: bool) -> None:
    """A bridge made from `wsgi_app` before `init_app` serves nothing, unless the same guard is around it."""
    inner = flask.Flask("inner")
    inner.add_url_rule("/who", "who", lambda: current_user.subject)
    app, rules = fastapi.FastAPI(), Guard(verifier(), public_paths=["/open"])
    app.mount("/old", a2wsgi.WSGIMiddleware(inner.wsgi_app))
    app.mount("/new", a2wsgi.WSGIMiddleware(inner))
    init_app(inner, rules)
    if shares_guard:
        app.add_middleware(AuthGuardMiddleware, guard=rules)
    assert ask_asgi(app, "GET", "/old/who", [bearer()]).status == (200 if shares_guard else 500)
    assert ask_asgi(app, "GET", "/old/who").status == (401 if shares_guard else 500)
    assert ask_asgi(app, "GET", "/new/who", [bearer()]).body == b"ann"
    assert ask_asgi(app, "GET", "/new/who").status == 401


def test_another_bridge_gives_the_right_advice() -> None:
    """A bridge that does not pass the scope on raises an error that names a2wsgi."""

    def bridge(inner: Any) -> Any:
        def without_scope(environ: dict[str, Any], start_response: Any) -> Any:
            del environ["asgi.scope"]
            return inner(environ, start_response)

        return a2wsgi.WSGIMiddleware(without_scope)

    with pytest.raises(RuntimeError, match="WSGIMiddleware of a2wsgi"):
        ask_asgi(mounted(with_bridge=bridge), "GET", "/old/who", [bearer()])


def test_an_own_guard_of_the_mounted_application_comes_first() -> None:
    """The guard of the mounted application sets its caller."""
    inner = flask.Flask("inner")
    inner.add_url_rule("/who", view_func=lambda: str(current_user))
    init_app(inner, Guard(verifier(), user_loader=lambda principal: f"user {principal.subject}"))
    app = fastapi.FastAPI()
    app.mount("/old", a2wsgi.WSGIMiddleware(inner))
    app.add_middleware(AuthGuardMiddleware, guard=Guard(verifier()))
    assert ask_asgi(app, "GET", "/old/who", [bearer()]).body == b"user ann"


def test_concurrent_requests_have_a_caller_each() -> None:
    """Concurrent requests in the threads of the bridge each have their own caller."""
    app = mounted()

    async def ask(subject: str) -> bytes:
        return await asyncio.to_thread(lambda: ask_asgi_alone(app, "/old/who", bearer(subject)))

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*(ask(f"user{number}") for number in range(8)))

    assert asyncio.run(all_of_them()) == [f"user{number} True".encode() for number in range(8)]


def ask_asgi_alone(app: Any, path: str, field: tuple[str, bytes]) -> bytes:
    """Send a request in an event loop of its own."""
    import httpx

    async def ask() -> bytes:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://site.example") as client:
            return (await client.get(path, headers={field[0]: field[1].decode()})).content

    return asyncio.run(ask())


# CORS


def _app(app: flask.Flask) -> None:
    CORS(app, origins=[SPA], expose_headers=["WWW-Authenticate", "Retry-After"])


def _blueprint(app: flask.Flask) -> None:
    CORS(app.blueprints["api"], origins=[SPA])


def _nothing(app: flask.Flask) -> None: ...


SET_UPS = {
    "CORS(app)": _app,
    "CORS(blueprint)": _blueprint,
    "@cross_origin": _nothing,
    "@cross_origin above": _nothing,
}


def down(principal: Any) -> Any:
    if principal.subject == "down":
        raise ConnectionError("down")
    if principal.subject == "broken":
        raise ValueError("broken")
    return principal


def api(name: str, *, guard_first: bool, handler: bool = False) -> flask.Flask:
    app = flask.Flask("api")
    blueprint = flask.Blueprint("api", "api", url_prefix="/api")

    def page() -> str:
        return "in"

    decorated, plain = requires("admin")(page), page
    if name == "@cross_origin":
        decorated, plain = cross_origin(origins=[SPA])(decorated), cross_origin(origins=[SPA])(plain)
    elif name == "@cross_origin above":
        decorated, plain = (
            requires("admin")(cross_origin(origins=[SPA])(page)),
            cross_origin(origins=[SPA])(page),
        )
    blueprint.add_url_rule("/admin", "admin", decorated)
    blueprint.add_url_rule("/page", "page", plain)
    guard = Guard(verifier(), user_loader=down, quotas=[Quota(1, 60)])
    if guard_first:
        init_app(app, guard)
    if name == "CORS(blueprint)":
        CORS(blueprint, origins=[SPA])
    app.register_blueprint(blueprint)
    if name == "CORS(app)":
        _app(app)
    if not guard_first:
        init_app(app, guard)
    if handler:
        app.register_error_handler(401, lambda error: ("own", 401))
    # Another function before the request must not stop CORS.
    app.after_request(lambda response: response.headers.update({"X-Time": flask.g.started}) or response)
    app.before_request(lambda: setattr(flask.g, "started", "0"))
    return app


@pytest.mark.parametrize("guard_first", [True, False], ids=["guard first", "CORS first"])
@pytest.mark.parametrize("name", SET_UPS)
@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/api/page", [], 401),
        ("/api/page", [("Authorization", b"Bearer")], 400),
        ("/api/page", [("Authorization", b"Bearer bad")], 401),
        ("/api/admin", [bearer()], 403),
        ("/api/page", [bearer("down")], 503),
        ("/api/page", [bearer("broken")], 500),
    ],
    ids=["401", "400", "a bad token", "403", "503", "500"],
)
def test_another_origin_may_read_a_refusal(
    name: str, guard_first: bool, path: str, fields: Any, status: int
) -> None:
    """Another origin may read a refusal of a rule or a decorator, in both orders, if it is allowed."""
    app = api(name, guard_first=guard_first)
    answer = ask_wsgi(app, "GET", path, [*fields, ("Origin", SPA.encode())])
    assert (answer.status, answer.headers.get("access-control-allow-origin")) == (status, SPA)
    other = ask_wsgi(app, "GET", path, [*fields, ("Origin", b"https://evil.example")])
    assert other.status == status
    assert other.headers.get("access-control-allow-origin") != "https://evil.example"


@pytest.mark.parametrize("name", SET_UPS)
def test_another_origin_may_read_that_its_quota_is_used_up(name: str) -> None:
    """Another origin may read a 429 with its Retry-After."""
    app = api(name, guard_first=True)
    fields = [bearer(), ("Origin", SPA.encode())]
    first, second = (ask_wsgi(app, "GET", "/api/page", fields) for _ in range(2))
    assert (first.status, second.status) == (200, 429)
    assert second.headers["access-control-allow-origin"] == SPA
    assert "retry-after" in second.headers


@pytest.mark.parametrize("name", SET_UPS)
def test_another_origin_may_read_what_a_handler_answers(name: str) -> None:
    """Another origin may read the answer of an error handler."""
    app = api(name, guard_first=True, handler=True)
    answer = ask_wsgi(app, "GET", "/api/page", [("Origin", SPA.encode())])
    assert (answer.body, answer.headers["access-control-allow-origin"]) == (b"own", SPA)
