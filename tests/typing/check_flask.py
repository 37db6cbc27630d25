"""Check the types of the public face with Flask; this module is never run."""

from datetime import timedelta
from typing import assert_type

from flask import Blueprint, Flask, Response
from flask.views import MethodView

from authguard import (
    AuthGuardError,
    ConfigurationError,
    Guard,
    InsufficientScopeError,
    JWTVerifier,
    MemoryRevocations,
    Principal,
    Refusal,
    RefusedError,
    TokenIssuer,
    VerificationUnavailableError,
)
from authguard.flask import (
    AuthGuardClient,
    BrowserSessions,
    RefusedHTTPException,
    current_principal,
    current_user,
    current_user_of,
    init_app,
    requires,
)
from authguard.wsgi import AuthGuardMiddleware

revocations = MemoryRevocations()
app = Flask(__name__)
guard = Guard(
    JWTVerifier({"keys": []}, algorithms=["RS256"], issuer="https://auth.example.com", audience="api"),
    revocations=revocations,
)
init_app(app, guard)
init_app(app, guard, error_handlers=True)
revocations.revoke(session="s1", until=1_900_000_000)
wrapped = AuthGuardMiddleware(app.wsgi_app, guard=guard, clock=lambda: 0.0)

assert_type(current_user, Principal)
assert_type(current_user.subject, str)
assert_type(current_user.roles, frozenset[str])
assert_type(current_principal, Principal)


class User:
    """Represent a user of the application."""

    name: str = ""


user = current_user_of(User)
assert_type(user, User)
assert_type(user.name, str)
user.nick  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] # noqa: B018
current_user_of("User")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@app.get("/me")
@requires("read", any_of=("a", "b"))
def me() -> dict[str, str]:
    """Check a view."""
    return {"subject": current_user.subject}


@app.get("/later/<int:number>")
@requires(roles=["editor"])
async def later(number: int) -> str:
    """Check an `async` view."""
    return str(number)


@requires()
class Items(MethodView):
    """Check a class-based view."""

    def get(self) -> str:
        """Check a method of the view."""
        return "items"


app.add_url_rule("/items", view_func=Items.as_view("items"))


@app.errorhandler(RefusedHTTPException)
def refused(error: RefusedHTTPException) -> tuple[str, int]:
    """Check a handler with the application's own answer."""
    assert_type(error.refusal, Refusal)
    return "no", error.refusal.status


tokens = TokenIssuer("secret", issuer="https://app.example.com", audience="app")
sessions = BrowserSessions(guard, tokens, remember=timedelta(days=7), home="/start")
assert_type(sessions.begin("ann", remember=True, scopes=["read"]), Response)
assert_type(sessions.resume(lambda subject: {"scopes": ["read"]} if subject else None), Response | None)
assert_type(sessions.end(), Response)
sessions.resume(lambda subject: subject)  # type: ignore[arg-type, return-value] # pyright: ignore
app.test_client_class = AuthGuardClient
app.test_client(user=Principal("ann"), token=None)


async def call() -> None:
    """Check that a decorated view keeps its return type."""
    assert_type(me(), dict[str, str])
    assert_type(await later(7), str)
    assert_type(Items().get(), str)


def errors(unavailable: VerificationUnavailableError, lacking: InsufficientScopeError) -> None:
    """Check the attributes of errors for handlers."""
    assert_type(unavailable.retry_after, int)
    assert_type(lacking.scopes, tuple[str, ...])
    assert_type(lacking.status_code, int)
    caught: RefusedError | AuthGuardError = unavailable
    value_error: ValueError = ConfigurationError("say what to change")
    del caught, value_error


@requires("read")
def decorated(number: int) -> str:
    return str(number)


assert_type(decorated(1), str)
Blueprint("reports", __name__).before_request(requires("read"))
