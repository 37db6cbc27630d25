"""Store the attempts of a browser to sign in with providers, each encrypted in its own cookie.

So several tabs can sign in at the same time. The state of an attempt begins with the name of its cookie; the
rest is compared.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping

from cryptography.fernet import InvalidToken, MultiFernet
from starlette.requests import Request

from authguard._core.credential.cookies import AccessCookie
from authguard.asgi import handled_by_guard
from authguard.identity.settings import Settings
from authguard.identity.tokens.derive import derive_fernet
from authguard.identity.usecases.social.sign_in import ATTEMPT_SECONDS

#: The greatest number of attempts of one browser; a new one replaces the oldest.
MAX_ATTEMPTS = 5
#: Bytes of the cookies of all attempts, because servers limit the fields of a request.
MAX_BYTES = 6_000
_MAX_CLEARED = 20  # the greatest number of cookies that one answer deletes
_NAME = "authguard-social-"
_STATE = re.compile(r"([0-9a-f]{16})\.[A-Za-z0-9_-]{43}\Z")


class AttemptCookies:
    """Begin attempts, and find each again once.

    Args:
        settings: the names of the cookies, and the secrets that encrypt them.
        clock: seconds since the epoch.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._secure = settings.is_https
        self._fernet = MultiFernet([derive_fernet(secret, "social sign-in") for secret in settings.secrets])
        prefix = ("__Host-" if self._secure else "") + _NAME
        self._find = re.compile(rb"(?:\A|;)[ \t]*" + prefix.encode() + rb"([0-9a-f]{16})=([^;]*)").findall

    def new_state(self) -> str:
        """Return the state of a new attempt; states sort by the time of their attempts."""
        return f"{int(self._clock()):08x}{secrets.token_hex(4)}.{secrets.token_urlsafe(32)}"

    def begin(self, request: Request, state: str, attempt: Mapping[str, str]) -> list[str]:
        """Return the Set-Cookie fields that store an attempt, and end the oldest of too many attempts.

        Args:
            request: of the browser.
            state: of the attempt.
            attempt: the data to store.
        """
        sealed = self._fernet.encrypt_at_time(
            json.dumps({**attempt, "state": state}).encode(), int(self._clock())
        ).decode()
        others = sorted(self._cookies(request))
        size = len(sealed) + sum(len(value) for _, value in others)
        fields: list[str] = []
        while others and (len(others) >= MAX_ATTEMPTS or size > MAX_BYTES) and len(fields) < _MAX_CLEARED:
            name, value = others.pop(0)
            size -= len(value)
            fields.append(self._cookie(name).clear())
        # SameSite is Lax, because the browser returns from another site.
        return [*fields, self._cookie(_name_of(state)).issue(sealed, max_age=ATTEMPT_SECONDS)]

    def take(self, request: Request, state: str) -> dict[str, str] | None:
        """Return the stored data of an attempt; None if this browser has none, or it is too old."""
        name = _name_of(state)
        values = [value for cookie_name, value in self._cookies(request) if cookie_name == name]
        if len(values) != 1:  # of two cookies, another site may have set one
            return None
        try:
            opened = self._fernet.decrypt_at_time(values[0], ATTEMPT_SECONDS, int(self._clock()))
        except InvalidToken:
            return None
        attempt: dict[str, str] = json.loads(opened)
        return attempt if secrets.compare_digest(attempt["state"].encode(), state.encode()) else None

    def end(self, state: str) -> list[str]:
        """Return the Set-Cookie fields that delete an attempt from the browser."""
        name = _name_of(state)
        return [self._cookie(name).clear()] if name else []

    def _cookie(self, name: str) -> AccessCookie:
        return AccessCookie(_NAME + name, secure=self._secure)

    def _cookies(self, request: Request) -> list[tuple[str, bytes]]:
        """Return the names of the attempts of a browser, each with its encrypted data."""
        return [
            (name.decode(), value.rstrip(b" \t"))
            for field, text in handled_by_guard(request.scope).request.presented
            if field == b"cookie"
            for name, value in self._find(text)
        ]


def _name_of(state: str) -> str:
    """Return the end of the name of the cookie of an attempt; empty if the text is not a state."""
    match = _STATE.match(state)
    return match[1] if match else ""
