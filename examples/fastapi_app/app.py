"""The application: its pages and its API. What is protected stands in `sign_in.build_guard`."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, HTTPException, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from authguard import Guard, MemoryRevocations
from authguard.fastapi import CurrentUser, install, requires
from authguard.starlette import current_principal

from . import pages
from .settings import Settings
from .sign_in import COOKIE, build_guard, issue_token, may_sign_in, revoke

# What was for one person must not come back from the browser's memory after signing out.
_NO_STORE = {"cache-control": "no-store"}


class NewNote(BaseModel):
    """What a client sends to write a note."""

    text: Annotated[str, Field(min_length=1, max_length=500)]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Put the application together; each call makes one of its own, with no state shared."""
    settings = settings or Settings()
    app = FastAPI(title="Notes", redoc_url=None)
    revocations = MemoryRevocations()
    guard = build_guard(settings, revocations)
    install(app, guard)
    notes: list[dict[str, str]] = []
    _add_pages(app, notes)
    _add_sign_in(app, settings, guard, revocations)
    _add_api(app, settings, notes)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    return app


def _add_pages(app: FastAPI, notes: list[dict[str, str]]) -> None:
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def home(request: Request) -> str:
        # On a public page nobody has to be somebody; whoever is, is known.
        return pages.home(current_principal(request).display_name)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/dashboard", include_in_schema=False)
    async def dashboard(user: CurrentUser) -> HTMLResponse:
        return HTMLResponse(pages.dashboard(user.display_name, user.scopes), headers=_NO_STORE)

    @app.get("/admin", include_in_schema=False)
    async def admin(user: CurrentUser) -> HTMLResponse:
        return HTMLResponse(pages.admin(user.display_name, len(notes)), headers=_NO_STORE)


def _add_sign_in(app: FastAPI, settings: Settings, guard: Guard, revocations: MemoryRevocations) -> None:
    @app.get("/login", response_class=HTMLResponse, include_in_schema=False)
    async def login_page(target: Annotated[str, Query(alias="next")] = "") -> str:
        return pages.login(target)

    @app.post("/login", include_in_schema=False)
    async def login(
        request: Request,
        email: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        target: Annotated[str, Form(alias="next")] = "",
    ) -> Response:
        if not may_sign_in(settings, email, password):
            page = pages.login(target, email=email, error="Email or password is wrong.")
            return HTMLResponse(page, 401)
        response = RedirectResponse(guard.safe_next(target, "/dashboard"), 303)
        token = issue_token(settings, email)
        field = COOKIE.issue(token, scheme=request.url.scheme, max_age=settings.session_seconds)
        response.headers.append("set-cookie", field)
        return response

    @app.post("/logout", include_in_schema=False)
    async def logout(request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        user = current_principal(request)
        # When another site sends the form, the guard knows nobody, and nobody is signed out.
        if user.is_authenticated:
            revoke(revocations, user)
            response.headers.append("set-cookie", COOKIE.clear(scheme=request.url.scheme))
        return response


def _add_api(app: FastAPI, settings: Settings, notes: list[dict[str, str]]) -> None:
    @app.get("/api/me")
    async def me(user: CurrentUser) -> dict[str, Any]:
        return {"subject": user.subject, "scopes": sorted(user.scopes), "method": user.method}

    @app.get("/api/notes")
    @requires("notes:read")
    async def read_notes() -> list[dict[str, str]]:
        return notes

    @app.post("/api/notes", status_code=201)
    @requires("notes:write")
    async def write_note(note: NewNote, user: CurrentUser) -> dict[str, str]:
        notes.append({"by": user.subject, "text": note.text})
        return notes[-1]

    @app.post("/api/upload")
    async def upload(request: Request) -> dict[str, Any]:
        # Chunk by chunk: the guard has not touched the body, and nothing holds all of it.
        size, digest = 0, sha256()
        async for chunk in request.stream():
            size += len(chunk)
            if size > settings.largest_upload:
                raise HTTPException(413, "the upload is too large")
            digest.update(chunk)
        return {"size": size, "sha256": digest.hexdigest()}

    @app.websocket("/ws/echo")
    async def echo(websocket: WebSocket, user: CurrentUser) -> None:
        await websocket.accept()
        try:
            while True:
                text = await websocket.receive_text()
                await websocket.send_text(f"{user.subject}: {text}")
        except WebSocketDisconnect:
            return
