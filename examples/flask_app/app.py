"""The application: its pages and its API. What is protected stands in `sign_in.build_guard`."""

from hashlib import sha256
from typing import Any

from flask import Flask, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from authguard import Guard, MemoryRevocations
from authguard.flask import current_user, init_app, requires

from . import pages
from .settings import Settings
from .sign_in import build_guard, issue_token, may_sign_in, revoke

# What was for one person must not come back from the browser's memory after signing out.
_NO_STORE = {"cache-control": "no-store"}
_CHUNK = 64 * 1024
_LONGEST_NOTE = 500


def create_app(settings: Settings | None = None) -> Flask:
    """Put the application together; each call makes one of its own, with no state shared."""
    settings = settings or Settings()
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.largest_upload
    revocations = MemoryRevocations()
    guard = build_guard(settings, revocations)
    init_app(app, guard)
    notes: list[dict[str, str]] = []
    _add_pages(app, notes)
    _add_sign_in(app, settings, guard, revocations)
    _add_api(app, notes)
    return app


def _add_pages(app: Flask, notes: list[dict[str, str]]) -> None:
    @app.get("/")
    def home() -> str:
        # On a public page nobody has to be somebody; whoever is, is known.
        return pages.home(current_user.display_name)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/dashboard")
    def dashboard() -> Response:
        page = pages.dashboard(current_user.display_name, current_user.scopes)
        return Response(page, mimetype="text/html", headers=_NO_STORE)

    @app.get("/admin")
    def admin() -> Response:
        page = pages.admin(current_user.display_name, len(notes))
        return Response(page, mimetype="text/html", headers=_NO_STORE)


def _add_sign_in(app: Flask, settings: Settings, guard: Guard, revocations: MemoryRevocations) -> None:
    @app.get("/login")
    def login_page() -> str:
        return pages.login(request.args.get("next", ""))

    @app.post("/login")
    def login() -> AnyResponse:
        email, target = request.form.get("email", ""), request.form.get("next", "")
        if not may_sign_in(settings, email, request.form.get("password", "")):
            page = pages.login(target, email=email, error="Email or password is wrong.")
            return Response(page, 401, mimetype="text/html")
        response = redirect(guard.safe_next(target, "/dashboard"), 303)
        token = issue_token(settings, email)
        field = settings.cookie.issue(token, max_age=settings.session_seconds)
        response.headers.add("set-cookie", field)
        return response

    @app.post("/logout")
    def logout() -> AnyResponse:
        response = redirect("/login", 303)
        # When another site sends the form, the guard knows nobody, and nobody is signed out.
        if current_user.is_authenticated:
            revoke(revocations, current_user)
            response.headers.add("set-cookie", settings.cookie.clear())
        return response


def _add_api(app: Flask, notes: list[dict[str, str]]) -> None:
    @app.get("/api/me")
    def me() -> dict[str, Any]:
        user = current_user
        return {"subject": user.subject, "scopes": sorted(user.scopes), "method": user.method}

    @app.get("/api/notes")
    @requires("notes:read")
    def read_notes() -> list[dict[str, str]]:
        return notes

    @app.post("/api/notes")
    @requires("notes:write")
    def write_note() -> tuple[dict[str, str], int]:
        note = request.get_json()
        text = note.get("text") if isinstance(note, dict) else None
        if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_NOTE:
            abort(422, f"text: 1 to {_LONGEST_NOTE} characters")
        notes.append({"by": current_user.subject, "text": text})
        return notes[-1], 201

    @app.post("/api/upload")
    def upload() -> dict[str, Any]:
        # Chunk by chunk: the guard has not touched the body, and nothing holds all of it.
        size, digest = 0, sha256()
        while chunk := request.stream.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
        return {"size": size, "sha256": digest.hexdigest()}
