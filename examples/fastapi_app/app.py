"""Build the application: its pages and its API. `guard.build_guard` has the protected paths."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from authguard.fastapi import CurrentUser, OptionalUser, install, requires
from authguard.identity import Identity

from . import pages
from .guard import build_guard, name_of
from .settings import IDENTITY_PATH, Settings

# The back button must not show the page of a user after signing out.
_NO_STORE = {"cache-control": "no-store"}


class NewNote(BaseModel):
    """Define the body of a request that writes a note."""

    text: Annotated[str, Field(min_length=1, max_length=500)]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build an application; applications share no state."""
    settings = settings or Settings()
    identity = Identity(settings.identity)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        identity.close()  # a mounted application gets no lifespan events

    app = FastAPI(title="Notes", redoc_url=None, lifespan=lifespan)
    app.state.identity = identity.service
    install(app, build_guard(settings, identity.service))
    notes: list[dict[str, str]] = []
    _add_pages(app, notes)
    _add_api(app, settings, notes)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.mount(IDENTITY_PATH, identity)
    return app


def _add_pages(app: FastAPI, notes: list[dict[str, str]]) -> None:
    @app.get("/", include_in_schema=False)
    async def home(user: OptionalUser) -> HTMLResponse:
        # On a public page the caller may be anonymous.
        return HTMLResponse(pages.home(name_of(user) if user else ""), headers=_NO_STORE)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/dashboard", include_in_schema=False)
    async def dashboard(user: CurrentUser) -> HTMLResponse:
        return HTMLResponse(pages.dashboard(name_of(user), user.roles), headers=_NO_STORE)

    @app.get("/admin", include_in_schema=False)
    async def admin(user: CurrentUser) -> HTMLResponse:
        return HTMLResponse(pages.admin(name_of(user), len(notes)), headers=_NO_STORE)


def _add_api(app: FastAPI, settings: Settings, notes: list[dict[str, str]]) -> None:
    @app.get("/api/me")
    async def me(user: CurrentUser) -> dict[str, Any]:
        return {"name": name_of(user), "roles": sorted(user.roles), "method": user.method}

    @app.get("/api/notes")
    async def read_notes() -> list[dict[str, str]]:
        return notes

    @app.post("/api/notes", status_code=201)
    @requires(roles=["USER", "ADMIN"])
    async def write_note(note: NewNote, user: CurrentUser) -> dict[str, str]:
        notes.append({"by": name_of(user), "text": note.text})
        return notes[-1]

    @app.post("/api/upload", responses={413: {"description": "The upload is too large."}})
    async def upload(request: Request) -> dict[str, Any]:
        # Chunk by chunk: neither the guard nor this handler has the whole body in memory.
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
                await websocket.send_text(f"{name_of(user)}: {text}")
        except WebSocketDisconnect:
            return
