"""Turn an import error that an extra would fix into one that names the extra."""

from types import TracebackType

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
