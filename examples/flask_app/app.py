"""Serve a website with its own login page, remembered browsers and an API; users are in a dictionary."""

from secrets import token_urlsafe
from typing import Any

from flask import Flask, abort, flash, render_template, request
from werkzeug.security import check_password_hash, generate_password_hash

from authguard import AccessCookie, APIKey, APIKeyVerifier, Guard, MemoryRevocations, Rule, TokenIssuer
from authguard.flask import BrowserSessions, current_user, init_app, requires

SITE = "https://demo.example"
ROBOT = APIKey("robot", scopes=["notes:read"])


def create_app(**config: Any) -> Flask:
    """Build an application. SECRET_KEY, PASSWORD and API_KEY may be in the environment, as DEMO_…"""
    app = Flask(__name__)
    app.config.update(SECRET_KEY=token_urlsafe(32), PASSWORD=token_urlsafe(12), SECURE=True)
    app.config.update(API_KEY=f"sk_test_{token_urlsafe(32)}", SESSION_COOKIE_SAMESITE="Lax")
    app.config.from_prefixed_env("DEMO", loads=str)
    app.config.update(config)
    notes: list[dict[str, str]] = []
    # Users by primary key, because addresses change. The passwords are scrypt hashes.
    ada = {"email": "ada@example.com", "password": generate_password_hash(app.config["PASSWORD"])}
    users = {"1": {**ada, "scopes": ["notes:read", "notes:write", "admin"]}}
    numbers = {user["email"]: number for number, user in users.items()}
    # the check takes as long for an unknown address
    nobody = {"password": generate_password_hash(token_urlsafe())}

    tokens = TokenIssuer(app.config["SECRET_KEY"], issuer=SITE, audience=SITE, ttl=8 * 3600)
    guard = Guard(
        tokens.verifier(),
        APIKeyVerifier({app.config["API_KEY"]: ROBOT}),
        protected_paths=["/dashboard", "/api", Rule("/admin", scopes=["admin"])],
        public_paths=["/", "/healthz", "/static", "/logout"],
        login_path="/login",
        cookie=AccessCookie("access", secure=app.config["SECURE"], no_store=True),
        revocations=MemoryRevocations(),
    )
    init_app(app, guard)
    sessions = BrowserSessions(guard, tokens, home="/dashboard")

    def grants(number: str) -> dict[str, Any] | None:
        return {"scopes": users[number]["scopes"]} if number in users else None

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if request.method == "GET":
            return sessions.resume(grants) or render_template("login.html")
        number = numbers.get(request.form.get("email", ""), "")
        if not check_password_hash(users.get(number, nobody)["password"], request.form.get("password", "")):
            flash("Email or password is wrong.")
            return render_template("login.html"), 401
        flash("You are signed in.")
        return sessions.begin(number, remember="remember" in request.form, **(grants(number) or {}))

    @app.post("/logout")
    def logout() -> Any:
        response = sessions.end()
        flash("You are signed out.")
        return response

    @app.get("/api/notes")
    @requires("notes:read")
    def read_notes() -> Any:
        return notes

    @app.post("/api/notes")
    @requires("notes:write")
    def write_note() -> Any:
        text = (request.get_json() or {}).get("text") or abort(422, "text is missing")
        notes.append({"by": current_user.subject, "text": str(text)[:500]})
        return notes[-1], 201

    for path, page in (("/", "home"), ("/dashboard", "dashboard"), ("/admin", "admin")):
        app.add_url_rule(path, page, lambda page=page: render_template(f"{page}.html", notes=notes))
    app.add_url_rule("/healthz", "healthz", lambda: {"status": "ok"})
    return app
