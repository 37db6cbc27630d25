"""Check whether a password is in a breach, by a file or by a service that does not learn the password."""

import logging
import mmap
import random
import re
from array import array
from bisect import bisect_left
from datetime import timedelta
from hashlib import sha1
from os import PathLike, fspath
from pathlib import Path
from time import monotonic
from typing import Protocol

from authguard._core.flow import Fetch, FetchFailedError, Response
from authguard._core.options import check_flag, check_seconds, check_url, got
from authguard._core.remote.http import Breaker
from authguard.drivers.blocking import ask
from authguard.errors import ConfigurationError, VerificationUnavailableError
from authguard.identity.passwords.hashing import password_bytes
from authguard.verifiers.http import HTTPOptions, Remote

logger = logging.getLogger("authguard")

#: The service of "Have I Been Pwned".
PWNED_PASSWORDS = "https://api.pwnedpasswords.com/range/"
#: Bytes of the largest list of passwords that is kept in memory; a list of a million passwords has about nine
#: million bytes.
MAX_WORDS = 32 * 1024 * 1024
_LINE = re.compile(rb"[0-9A-Fa-f]{40}(?::[0-9]+)?\s*\Z")
_SUFFIX = re.compile(r"[0-9A-Fa-f]{35}(?::[0-9]+)?\Z")  # a pattern for a line of the service's answer
_PREFIX = 5  # hexadecimal digits that are sent to the service (k-anonymity)
_MAX_ANSWER = 1024 * 1024  # bytes; the service's answers have about 40,000
_CONNECT_SECONDS = 1.0
_MAX_LINE = 1024
_DIGEST_BYTES = 8  # bytes of a digest, with which no two of a million passwords are likely to be equal


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


class BreachedWords:
    """Search a list of passwords in clear, one per line, such as a list of common passwords.

    Upper and lower case are equal. The list is read once, in any order; eight bytes of each password stay in
    memory.

    Args:
        path: the file, in UTF-8, of at most 32 MiB. Empty lines are ignored.

    Raises:
        ConfigurationError: if it cannot be read, is empty, or is too long.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        if not isinstance(path, (str, PathLike)):
            raise ConfigurationError(f"path must be text or a Path, got {got(path)}")
        self._path = Path(fspath(path))
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_WORDS + 1)
        except OSError as error:
            raise ConfigurationError(
                f"path must be a list of breached passwords, got {str(self._path)!r}, which cannot be read"
            ) from error
        words = {word for line in data.splitlines() if (word := line.decode("utf-8", "replace").strip())}
        if len(data) > MAX_WORDS or not words:
            fault = "nothing in it" if not words else f"more than {MAX_WORDS // 1024 // 1024} MiB"
            raise ConfigurationError(
                f"path must be a list of breached passwords, got {str(self._path)!r} with {fault}"
            )
        self._numbers = array("Q", sorted(map(_number, words)))

    def is_breached(self, password: str) -> bool:
        """Return whether the list has the password."""
        number = _number(password.strip())
        place = bisect_left(self._numbers, number)
        return place < len(self._numbers) and self._numbers[place] == number

    def __repr__(self) -> str:
        return f"BreachedWords({str(self._path)!r})"


def _number(word: str) -> int:
    digest = sha1(password_bytes(word.casefold()), usedforsecurity=False).digest()
    return int.from_bytes(digest[:_DIGEST_BYTES], "big")


def is_digest_list(path: Path) -> bool:
    """Return whether the first line of a file is a SHA-1 in hexadecimal; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return _LINE.match(file.readline(_MAX_LINE)) is not None
    except OSError:
        return False


class BreachedService:
    """Ask a service that receives five digits of the SHA-1, and returns all digests that begin with them.

    "Have I Been Pwned" is such a service. It does not learn the password. Because the answer is padded
    (`Add-Padding`), its length does not disclose the five digits. After three failures in a row, it is not
    asked for some seconds, and then only one request asks it.

    Args:
        url: the URL to which the five digits are appended.
        timeout: seconds, or a timedelta, for a whole request, even if the service sends slowly.
        fail_open: the behaviour while the service is unreachable: True accepts the password, False refuses
            with 503. A WARNING is logged in both cases.

    Raises:
        ConfigurationError: if the URL is not https (except on loopback).
    """

    def __init__(
        self, url: str = PWNED_PASSWORDS, *, timeout: float | timedelta = 2.0, fail_open: bool = False
    ) -> None:
        reason = "parts of passwords are sent there"
        check_url(url, "url", example=PWNED_PASSWORDS, reason=reason)
        self._seconds = check_seconds(timeout, "timeout", 30, exclusive=True)
        self._url = url.rstrip("/") + "/"
        self._fail_open = check_flag(fail_open, "fail_open")
        self._channel = Remote(HTTPOptions(), self._seconds, url).channel
        self._breaker = Breaker(random.random)

    def is_breached(self, password: str) -> bool:
        """Return whether the service knows the password.

        Raises:
            VerificationUnavailableError: if it does not answer, and `fail_open` is False.
        """
        digest = _digest(password)
        try:
            answer = self._ask(digest[:_PREFIX])
        except (FetchFailedError, ValueError) as error:
            if self._fail_open:
                return False
            raise VerificationUnavailableError("the service of breached passwords is down") from error
        return any(
            suffix.strip().upper() == digest[_PREFIX:] and count.strip() != "0"  # 0 marks padding
            for suffix, _, count in (line.partition(":") for line in answer.splitlines())
        )

    def _ask(self, prefix: str) -> str:
        """Return the answer; a service that has failed is asked by one request at a time."""
        began = monotonic()
        if self._breaker.blocked(began, self._seconds):
            raise ValueError("it has just failed")
        try:
            text = self._fetch(prefix)
        except (FetchFailedError, ValueError) as error:
            self._breaker.failed(began, monotonic())
            logger.warning("the service of breached passwords cannot be asked: %s", _fault_of(error))
            raise
        self._breaker.succeeded()
        return text

    def _fetch(self, prefix: str) -> str:
        question = Fetch(
            self._channel,
            "GET",
            self._url + prefix,
            headers={"add-padding": "true"},
            timeout=self._seconds,
            connect_timeout=min(_CONNECT_SECONDS, self._seconds),
            max_bytes=_MAX_ANSWER,
        )
        response: Response = ask(question)
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        text = response.body.decode("ascii")
        # If a page is sent instead of a list, as at a wrong URL, no password may count as safe.
        if not all(map(_SUFFIX.match, text.split())):
            raise ValueError("its answer is not a list of digests")
        return text

    def close(self) -> None:
        """Close the connections; a later question opens new ones."""
        for opened in list(self._channel.opened.values()):
            opened.close()

    def __repr__(self) -> str:
        return f"BreachedService({self._url!r})"


def _fault_of(error: Exception) -> str:
    """Return a description of the fault for the log, without any part of an answer or a password."""
    if isinstance(error, FetchFailedError):
        return error.kind
    return "its answer is no text" if isinstance(error, UnicodeError) else str(error)
