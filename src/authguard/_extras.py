"""Turn import errors into ones that name the extra, or the module that has the name."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

from authguard.errors import ConfigurationError

# The packages of each extra, by the names in Python's import errors.
_PACKAGES = {
    "starlette": ("starlette",),
    "fastapi": ("fastapi", "starlette", "typing_extensions"),
    "flask": ("flask", "werkzeug"),
    "django": ("django",),
    "identity": (
        "alembic",
        "argon2",
        "email_validator",
        "jinja2",
        "limits",
        "pydantic",
        "sqlalchemy",
        "starlette",
        "typing_extensions",
    ),
    "bcrypt": ("bcrypt",),
    "redis": ("redis",),
    "postgres": ("psycopg",),
    "cli": ("click", "uvicorn"),
}

_FACES = ("fastapi", "starlette", "flask")
#: The modules that have a name, the most usual one first.
MODULES: dict[str, tuple[str, ...]] = {
    "requires": (*_FACES, "django"),
    "current_user": _FACES,
    "current_principal": (*_FACES, "django"),
    "optional_user": ("fastapi", "starlette"),
    **dict.fromkeys(("CurrentUser", "OptionalUser", "CurrentPrincipal", "install"), ("fastapi",)),
    **dict.fromkeys(("init_app", "current_user_of", "BrowserSessions"), ("flask",)),
    "AuthGuardMiddleware": ("asgi", "wsgi", "django"),
    "RefusedHTTPException": (*_FACES, "django"),
    "BackChannelLogout": ("backchannel",),
    **dict.fromkeys(("RedisStore", "PostgresStore", "SQLiteStore"), ("stores",)),
    **dict.fromkeys(("RedisQuotas", "PostgresQuotas", "SQLiteQuotas"), ("stores",)),
    **dict.fromkeys(("override", "FakeIssuer", "issue_token"), ("testing",)),
    **dict.fromkeys(("BearerAuth", "APIKeyAuth"), ("client",)),
    **dict.fromkeys(("Settings", "Identity", "IdentityService", "create_app", "SQLAPIKeys"), ("identity",)),
    **dict.fromkeys(("SQLRevocations", "tier_quotas"), ("identity",)),
    **dict.fromkeys(("InvalidRequestError", "InvalidAPIKeyError", "RevokedTokenError"), ("errors",)),
}
#: The names in the modules of frameworks that do the same as those of another framework.
SAME: dict[tuple[str, str], str] = {
    ("fastapi", "init_app"): "install",
    ("starlette", "install"): "AuthGuardMiddleware",
    ("starlette", "init_app"): "AuthGuardMiddleware",
    ("starlette", "CurrentUser"): "current_user",
    ("starlette", "OptionalUser"): "optional_user",
    ("starlette", "CurrentPrincipal"): "current_principal",
    ("flask", "install"): "init_app",
    ("flask", "CurrentUser"): "current_user",
    ("flask", "CurrentPrincipal"): "current_principal",
    ("django", "current_user"): "current_principal",
    ("fastapi", "get_current_user"): "CurrentUser",
    ("flask", "jwt_required"): "requires",
    ("flask", "login_required"): "requires",
    ("flask", "login_user"): "BrowserSessions",
}


class MissingExtraError(ConfigurationError, ModuleNotFoundError):
    """Report a missing package that an extra of authguard installs; `name` is the name of the package."""

    def __init__(self, extra: str, cause: ImportError) -> None:
        problem = str(cause).partition("\n")[0].rstrip(".")
        super().__init__(
            f'the packages of authguard[{extra}] must be installed, got "{problem}": '
            f'pip install "authguard[{extra}]"'
        )
        self.name, self.path = cause.name, cause.path


class needs_extra:  # noqa: N801  # a context manager, read as a verb
    """Turn the import error of a missing package into one that names its extra.

    A class and not a generator, so that type checkers know that it suppresses no exceptions.
    """

    def __init__(self, extra: str) -> None:
        self._extra = extra

    def __enter__(self) -> None:
        """Enter the block of imports."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the error that names the extra, if one of its packages is missing."""
        if isinstance(error, MissingExtraError) or not isinstance(error, ModuleNotFoundError):
            return
        if (error.name or "").partition(".")[0] in _PACKAGES[self._extra]:
            raise MissingExtraError(self._extra, error) from error


def elsewhere(module: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module, which names the module to import a name from.

    Type checkers must not see it: they would accept any name.

    Args:
        module: the name of the module.
    """
    face = module.rpartition(".")[2]

    def find(name: str) -> NoReturn:
        same = SAME.get((face, name))
        if same is not None:
            raise ImportError(f"{name} must be {same} in {module}: write from {module} import {same}")
        modules = MODULES.get(name)
        if modules is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        first, *others = (f"authguard.{each}" for each in modules)
        also = f", or import it from {' or '.join(others)}" if others else ""
        # An ImportError, because `from … import` replaces the text of an AttributeError.
        raise ImportError(
            f"{name} must be imported from its module, got {module}: write from {first} import {name}{also}"
        )

    return find
