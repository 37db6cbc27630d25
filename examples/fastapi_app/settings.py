"""Hold the settings of an installation. Secrets come from the environment, never from code."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from tempfile import mkdtemp

from authguard.identity import Settings as IdentitySettings

#: The mount point of the identity service: its pages, such as /id/login, and its API, /id/api/v1.
IDENTITY_PATH = "/id"


def _from_environment(name: str, prefix: str = "") -> str:
    """Return the variable, or a random secret: a default secret might be used in production."""
    return os.environ.get(name) or prefix + token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hold the settings; tests pass their own."""

    url: str = "http://127.0.0.1:8000"
    #: The folder of the database.
    directory: Path = field(default_factory=lambda: Path(mkdtemp(prefix="notes-")))
    secret: str = field(default_factory=lambda: _from_environment("DEMO_SECRET"), repr=False)
    api_key: str = field(default_factory=lambda: _from_environment("DEMO_API_KEY", "robot_"), repr=False)
    largest_upload: int = 64 * 1024 * 1024

    @property
    def identity(self) -> IdentitySettings:
        """Return the settings of the identity service."""
        return IdentitySettings(
            secret=self.secret,
            issuer=self.url + IDENTITY_PATH,
            database=f"sqlite:///{self.directory}/identity.db",
            dev=True,  # mails on the console, tables made at once; not for production
        )
