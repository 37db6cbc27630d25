"""What differs from one installation to the next. Secrets come from the environment, never from code."""

import os
from dataclasses import dataclass, field
from secrets import token_urlsafe

from authguard import AccessCookie


def _from_environment(name: str, prefix: str = "") -> str:
    """The variable, or a fresh secret: a demo that has a default password gets deployed with it."""
    return os.environ.get(name) or prefix + token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings; tests pass their own."""

    secret: str = field(default_factory=lambda: _from_environment("DEMO_SECRET"), repr=False)
    api_key: str = field(default_factory=lambda: _from_environment("DEMO_API_KEY", "sk_test_"), repr=False)
    password: str = field(default_factory=lambda: _from_environment("DEMO_PASSWORD"), repr=False)
    email: str = "ada@example.com"
    scopes: tuple[str, ...] = ("notes:read", "notes:write", "admin")
    robot_scopes: tuple[str, ...] = ("notes:read",)
    issuer: str = "https://demo.example"
    audience: str = "notes"
    session_seconds: int = 8 * 3600
    largest_upload: int = 64 * 1024 * 1024
    #: False for development over plain http on your own machine; a site under https leaves it on.
    secure_cookie: bool = True

    @property
    def cookie(self) -> AccessCookie:
        """The cookie that carries the token of a browser."""
        return AccessCookie("session", secure=self.secure_cookie)
