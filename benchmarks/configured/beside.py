"""Define rows of other packages for the same configurations, if they support these."""

from collections.abc import Iterator

from benchmarks.configured.guards import SLOW
from benchmarks.configured.row import Row, Sent
from benchmarks.configured.world import USERS, World
from benchmarks.inprocess import KeyBackend
from benchmarks.rivals import fastapi_users_jwt, flask_login_view, starlette_users
from benchmarks.rivals.starlette_pyjwt import RIVAL as PYJWT
from benchmarks.rivals.starlette_pyjwt import guarded
from benchmarks.traffic import bearer

#: The answers to a bad token and to none: Starlette answers the first with 400, and the second with 403.
REFUSALS = (400, 401, 403)


def rows(world: World) -> Iterator[Row]:
    """Yield the rows of other packages."""
    issuer = world.issuer

    async def load(subject: str) -> object:
        return USERS.get(subject)

    login = flask_login_view.build()
    name, value = flask_login_view.cookie(login)
    spoilt = value[:-8] + value[-8:].swapcase()
    keys = [("x-api-key", world.key)], [("x-api-key", world.wrong_key)]
    tokens = [bearer(world.token)], [bearer(world.forged)]
    for title, face, app, (good, bad) in (
        ("Starlette by hand + PyJWT", "Starlette", PYJWT.build(issuer), tokens),
        ("Starlette by hand + PyJWT, async user", "Starlette", starlette_users.build(issuer, load), tokens),
        ("Starlette by hand + PyJWT, plain user in a thread", "Starlette", starlette_users.build_in_thread(issuer, USERS.get), tokens),
        ("Starlette by hand, API key by its digest", "Starlette", guarded(KeyBackend([world.key])), keys),
        ("fastapi-users current_user, users in memory", "FastAPI", fastapi_users_jwt.RIVAL.build(issuer), tokens),
        ("Flask-Login user_loader, session cookie", "Flask", login, ([(name, value)], [(name, spoilt)])),
    ):  # fmt: skip
        yield Row(title, face, app, _sent(good), _sent(bad), refusals=REFUSALS, batch=SLOW)


def _sent(fields: list[tuple[str, str]]) -> Sent:
    return lambda: list(fields)
