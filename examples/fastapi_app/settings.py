"""What differs from one installation to the next. Secrets come from the environment, never from code."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from tempfile import mkdtemp

from authguard.identity import Settings as IdentitySettings

#: Where the identity service is mounted: its pages, such as /id/login, and its API, /id/api/v1.
IDENTITY_PATH = "/id"


def _from_environment(name: str, prefix: str = "") -> str:
    """The variable, or a fresh secret: a demo that has a default secret gets deployed with it."""
    return os.environ.get(name) or prefix + token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings; tests pass their own."""

    url: str = "http://127.0.0.1:8000"
    #: Where the database is.
    directory: Path = field(default_factory=lambda: Path(mkdtemp(prefix="notes-")))
    secret: str = field(default_factory=lambda: _from_environment("DEMO_SECRET"), repr=False)
    api_key: str = field(default_factory=lambda: _from_environment("DEMO_API_KEY", "robot_"), repr=False)
    largest_upload: int = 64 * 1024 * 1024

    @property
    def identity(self) -> IdentitySettings:
        """The settings of the identity service."""
        return IdentitySettings(
            secret=self.secret,
            issuer=self.url + IDENTITY_PATH,
            database=f"sqlite:///{self.directory}/identity.db",
            dev=True,  # mails on the console, tables made at once; leave it out in production
        )
