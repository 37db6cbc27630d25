"""Check whether a password is in a breach, by a file or by a service that does not learn the password."""

import mmap
import re
from datetime import timedelta
from hashlib import sha1
from os import PathLike, fspath
from pathlib import Path
from typing import Protocol

import httpx

from authguard._cookiejar import NoCookies
from authguard._core.options import check_flag, check_seconds, check_url, got
from authguard.errors import ConfigurationError, VerificationUnavailableError
from authguard.identity.passwords.hashing import password_bytes

_LINE = re.compile(rb"[0-9A-Fa-f]{40}(?::[0-9]+)?\s*\Z")
_PREFIX = 5  # hexadecimal digits that are sent to the service (k-anonymity)
_MAX_ANSWER = 1024 * 1024  # bytes; the service's answers have about 40,000


class BreachedPasswords(Protocol):
    """Define a source of breached passwords."""

    def is_breached(self, password: str) -> bool:
        """Return whether the password is known."""
        ...


def _digest(password: str) -> str:
    """Return the SHA-1 that the lists use; it protects nothing here."""
    return sha1(password_bytes(password), usedforsecurity=False).hexdigest().upper()


class BreachedFile:
    """Search a sorted file of SHA-1 digests, one per line, with or without `:count`.

    "Have I Been Pwned" publishes its list in this format. A look-up is a binary search in the file, which
    stays on disk; it takes a few microseconds.

    Args:
        path: the file.

    Raises:
        ConfigurationError: if it is not such a list.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        if not isinstance(path, (str, PathLike)):
            raise ConfigurationError(f"path must be text or a Path, got {got(path)}")
        self._path = Path(fspath(path))
        try:
            with self._path.open("rb") as file:
                self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: the file is empty
            raise ConfigurationError(
                f"path must be a list of breached passwords, got {str(self._path)!r}, which cannot be read"
            ) from error
        first, last = self._line(0), self._line(len(self._lines) - 2)
        if not _LINE.match(first) or not _LINE.match(last) or first[:40].upper() > last[:40].upper():
            raise ConfigurationError(
                f"path must have a SHA-1 in hexadecimal on each line, sorted, got {str(self._path)!r}"
            )

    def is_breached(self, password: str) -> bool:
        """Return whether the list has the password."""
        digest = _digest(password).encode()
        low, high = 0, len(self._lines)
        while low < high:
            line = self._line(middle := (low + high) // 2)
            current = line[:40].upper()
            if current == digest:
                return True
            start = self._start(middle)
            if current < digest:
                low = start + len(line) + 1
            else:
                high = start
        return False

    def _start(self, position: int) -> int:
        return self._lines.rfind(b"\n", 0, position) + 1

    def _line(self, position: int) -> bytes:
        """Return the line at this position, without its end."""
        end = self._lines.find(b"\n", max(position, 0))
        return self._lines[self._start(max(position, 0)) : len(self._lines) if end < 0 else end]

    def __repr__(self) -> str:
        return f"BreachedFile({str(self._path)!r})"


class BreachedService:
    """Ask a service that receives five digits of the SHA-1, and returns all digests that begin with them.

    "Have I Been Pwned" is one. It learns neither the password nor, since the answer is padded
    (`Add-Padding`), by the length of the answer which five digits were asked for.

    Args:
        url: what the five digits are put after.
        timeout: seconds, or a timedelta, in all for connecting, and for each read.
        fail_open: what to do while the service cannot be reached: True takes the password for
            unknown, False refuses with 503 until it is back.

    Raises:
        ConfigurationError: if the URL is not https (except on loopback).
    """

    def __init__(
        self,
        url: str = "https://api.pwnedpasswords.com/range/",
        *,
        timeout: float | timedelta = 2.0,
        fail_open: bool = False,
    ) -> None:
        reason = "parts of passwords are sent there"
        check_url(url, "url", example="https://api.pwnedpasswords.com/range/", reason=reason)
        seconds = check_seconds(timeout, "timeout", 30, exclusive=True)
        self._url = url.rstrip("/") + "/"
        self._fail_open = check_flag(fail_open, "fail_open")
        self._client = httpx.Client(
            timeout=seconds,
            follow_redirects=False,
            cookies=NoCookies(),
            headers={"Add-Padding": "true", "User-Agent": "authguard"},
        )

    def is_breached(self, password: str) -> bool:
        """Return whether the service knows the password.

        Raises:
            VerificationUnavailableError: if it does not answer, and `fail_open` is False.
        """
        digest = _digest(password)
        try:
            answer = self._ask(digest[:_PREFIX])
        except (httpx.HTTPError, ValueError) as error:
            if self._fail_open:
                return False
            raise VerificationUnavailableError("the service of breached passwords is down") from error
        return any(
            suffix.strip().upper() == digest[_PREFIX:] and count.strip() != "0"  # 0 marks padding
            for suffix, _, count in (line.partition(":") for line in answer.splitlines())
        )

    def _ask(self, prefix: str) -> str:
        with self._client.stream("GET", self._url + prefix) as response:
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MAX_ANSWER:
                    raise ValueError("the answer is too large")
        return body.decode("ascii")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
