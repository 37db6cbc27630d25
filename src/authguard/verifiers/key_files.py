"""Read keys from files, which may be replaced while the application is running."""

import logging
import os
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from authguard._core.flow import Call, Channel, Flow, Shared
from authguard._core.jose.compact import Token
from authguard._core.jose.jwk import VerificationKey
from authguard._core.jose.keyset import KeySet
from authguard._core.jose.secret import shown_path
from authguard._core.remote.http import RemoteHealth
from authguard.errors import ConfigurationError, InvalidSignatureError, VerificationUnavailableError

logger = logging.getLogger("authguard")

LOOK_SECONDS = 1.0  # seconds between two checks for changed files
KNOWN_SECONDS = 30.0  # seconds for which a verified token is remembered, so that a removed key stops working
MAX_STALE = 86400.0  # seconds for which the last valid keys are used while a file is invalid or missing
MAX_FILE = 1024 * 1024
_RETRY_SECONDS = 30

_Signature: TypeAlias = tuple[tuple[int, int, int], ...]


class KeyFiles:
    """Load the keys of files, and reload them when they have changed.

    The files are checked once a second, and when a token does not verify, so a new key works at once. While a
    file is incomplete, invalid or missing, the last valid keys are used for a day; after that the answer is
    503.

    Args:
        paths: the files.
        read: reads all keys, including those of the files.

    Raises:
        ConfigurationError: if the files contain no usable key when this is built.
    """

    key_set_url = None

    def __init__(self, paths: Sequence[Path], read: Callable[[], KeySet]) -> None:
        # A pipe can be read only once, so only regular files are checked again. Unlike Path.is_file, this
        # accepts a name that is too long for a file.
        self._paths = tuple(path for path in paths if os.path.isfile(path))  # noqa: PTH113
        self._name = ", ".join(map(str, paths))
        self._read_keys = read
        self._channel = Channel()
        self._lock = Lock()
        self._signature, self._keys = self._read()
        for path in self._paths:
            with suppress(OSError):  # removed since it was read; the next check reports that
                warn_if_open(path, path.stat())
        self._look_at = float("-inf")
        self._read_at: float | None = None
        self._broken_since: float | None = None
        self._broken: _Signature | None = None  # the files that could not be read as keys
        self._failures = 0
        self._reason = ""

    def verify(self, token: Token, now: float) -> Flow[tuple[VerificationKey, float]]:
        """Return the key that signed the token, and the time until which it may be remembered.

        Raises:
            InvalidSignatureError: if no key in the files signed it.
            VerificationUnavailableError: if a file has been invalid for too long.
        """
        # the check is due, or the clock has jumped
        if not self._look_at - LOOK_SECONDS <= now < self._look_at:
            yield from Shared(self._channel, self._name, lambda: self._refresh(now))
        self._check_age(now)
        keys = self._keys
        try:
            key = keys.verify(token)
        except InvalidSignatureError:
            # A check that other requests began may have missed a change made before this token arrived.
            yield from Call(self.refresh, now)
            if self._keys is keys:
                self._check_known(token)
                raise
            key = self._keys.verify(token)
        return key, self._known_until(now)

    def _refresh(self, now: float) -> Flow[None]:
        yield from Call(self.refresh, now)
        self._look_at = now + LOOK_SECONDS

    def refresh(self, now: float) -> None:
        """Reload the files if they have changed; this blocks."""
        with self._lock:
            look: _Signature | None = None
            try:
                look = self._look()
                if look == self._broken and now < self._look_at:
                    return  # otherwise each invalid token would cause another read of an invalid file
                if look != self._signature:
                    self._signature, self._keys = self._read()
                    self._read_at = now
                    logger.info("the keys of %s were reloaded", self._name)
                self._broken = self._broken_since = None
                self._failures, self._reason = 0, ""
            except ConfigurationError as error:
                self._broken = look
                self._failures += 1
                self._reason = str(error)
                if self._broken_since is None:
                    self._broken_since = now
                    logger.warning(
                        "the keys of %s cannot be read, the previous keys are used: %s", self._name, error
                    )

    def channels(self) -> Sequence[Channel]:
        """Return the channel through which requests share a check of the files; no server is asked."""
        return (self._channel,)

    def health(self, now: float | None) -> RemoteHealth:
        """Return whether the files could be read at the last check; None for now."""
        now = time.time() if now is None else now
        since = self._broken_since
        state = "fresh" if since is None else "stale" if now < since + MAX_STALE else "failing"
        return RemoteHealth(self._name, state, self._failures, self._reason, self._read_at)  # type: ignore[arg-type]

    def _check_age(self, now: float) -> None:
        if self._broken_since is not None and now >= self._broken_since + MAX_STALE:
            raise self._unavailable()

    def _check_known(self, token: Token) -> None:
        """Check that a token does not name a key that may be in an unreadable file."""
        if self._broken_since is not None and not self._keys.has(token.header.key_id):
            raise self._unavailable()

    def _unavailable(self) -> VerificationUnavailableError:
        return VerificationUnavailableError(
            f"the keys of {self._name} cannot be read: {self._reason}", retry_after=_RETRY_SECONDS
        )

    def _known_until(self, now: float) -> float:
        if self._broken_since is None:
            return now + KNOWN_SECONDS
        return min(now + KNOWN_SECONDS, self._broken_since + MAX_STALE)

    def _look(self) -> _Signature:
        """Return a fingerprint of the files; a changed symbolic link also changes it."""
        return tuple(map(_signature_of, self._paths))

    def _read(self) -> tuple[_Signature, KeySet]:
        before = self._look()
        keys = self._read_keys()
        if self._look() != before:
            raise ConfigurationError(f"{self._name} must not change while it is read, got a change")
        return before, keys

    def __repr__(self) -> str:
        return f"KeyFiles({self._name!r})"


def _signature_of(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, error) from None  # its text has the path
    if status.st_size > MAX_FILE:
        raise ConfigurationError(f"{path} must have at most 1 MiB, got {status.st_size} bytes")
    return status.st_mtime_ns, status.st_size, status.st_ino


def warn_if_open(path: str | Path, status: os.stat_result) -> None:
    """Log a WARNING if every user can change a file of keys or settings.

    Every user may read it: containers have their secrets in files with the mode 0444.
    """
    if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IWOTH:
        logger.warning("%s is open to every user of this machine: chmod 600 %s", path, path)


def unreadable(path: Path, error: Exception) -> ConfigurationError:
    """Return the error for a file that cannot be read."""
    advice = "; ~ is not expanded: Path(…).expanduser()" if str(path).startswith("~") else ""
    return ConfigurationError(
        f"keys must be in a readable file, got {shown_path(path)}: {type(error).__name__}{advice}"
    )
