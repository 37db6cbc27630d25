"""Turn the error of an import that an extra would satisfy into one that says how to install the extra."""

from types import TracebackType

from authguard.errors import ConfigurationError

# The packages of each extra, by the names by which Python misses them.
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


class MissingExtraError(ConfigurationError, ModuleNotFoundError):
    """Tell that a package is missing which an extra of authguard brings; `name` is the package's."""

    def __init__(self, extra: str, cause: ImportError) -> None:
        problem = str(cause).partition("\n")[0].rstrip(".")
        super().__init__(
            f'what authguard[{extra}] brings must be installed, got "{problem}": '
            f'pip install "authguard[{extra}]"'
        )
        self.name, self.path = cause.name, cause.path


class needs_extra:  # noqa: N801  # a context manager, read as a verb
    """Turn a missing package of an extra into an error that names the extra.

    It is a class, and not a generator, so that type checkers know that it swallows nothing.
    """

    def __init__(self, extra: str) -> None:
        self._extra = extra

    def __enter__(self) -> None:
        """Begin the imports."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the error that names the extra, if that is what is missing."""
        if isinstance(error, MissingExtraError) or not isinstance(error, ModuleNotFoundError):
            return
        if (error.name or "").partition(".")[0] in _PACKAGES[self._extra]:
            raise MissingExtraError(self._extra, error) from error
