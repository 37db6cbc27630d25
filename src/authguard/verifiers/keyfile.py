"""Read a file of API keys, which may be edited while the application is running."""

import logging
import time
import tomllib
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from authguard._core.jose.secret import shown_path
from authguard._core.options import got, named_options, type_of
from authguard._core.remote.http import RemoteHealth
from authguard._core.strict_json import JSONError, parse_object
from authguard.errors import ConfigurationError, VerificationUnavailableError
from authguard.verifiers.apikey import APIKey, parse_digest
from authguard.verifiers.key_files import warn_if_open

logger = logging.getLogger("authguard")

_LOOK_SECONDS = 1.0  # seconds between two checks for a changed file
_GRACE_SECONDS = 60.0  # seconds for which the last valid content is used while the file is invalid
MAX_FILE = 16 * 1024 * 1024
_END = "# end"
_MEMBERS = frozenset({"subject", "scopes", "roles", "expires_at", "disabled", "key_id", "tier"})


@named_options
class APIKeyFile:
    """Load API keys by digest from JSON or TOML; changes of the file apply within a second.

        # keys.toml
        ["<digest_api_key(key)>"]
        subject = "billing"
        scopes = ["invoices:read"]
        expires_at = 2027-01-01T00:00:00Z
        # end

    JSON has one object of the same structure, with `expires_at` in ISO 8601 or seconds. A TOML file must end
    with the line `# end`, because half a TOML file may be valid TOML without, for example, a `disabled =
    true`. While the file is incomplete, invalid or missing, its last valid content is used for a minute; then
    requests are answered with 503. A WARNING and `Guard.health` name the fault at once.

    Args:
        path: the file, `*.json` or `*.toml`.

    Raises:
        ConfigurationError: if it cannot be read when this is built; the message names the fault and its
            place.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        if not isinstance(path, (str, PathLike)):
            raise ConfigurationError(f"path must be text or a Path, got {got(path)}")
        self._path = Path(fspath(path))
        if self._path.suffix not in (".json", ".toml"):
            raise ConfigurationError(f"path must end in .json or .toml, got {str(self._path)!r}")
        self._signature, keys = self._read()
        with suppress(OSError):  # as in KeyFiles
            warn_if_open(self._path, self._path.stat())
        self._look_at = 0.0
        # The keys, and the time until which they apply; both are read and replaced together, because other
        # threads look keys up while the file is read.
        self._content = keys, 0.0
        self._read_at: float | None = None
        self._broken_since: float | None = None
        self._failures, self._reason = 0, ""

    def known_keys(self) -> Collection[APIKey]:
        """Return the keys in the file now."""
        return self._content[0].values()

    def is_due(self, now: float) -> bool:
        """Return whether to check the file again, or the clock has jumped."""
        return not self._look_at - _LOOK_SECONDS <= now < self._look_at

    def refresh(self, now: float) -> None:
        """Check the file, and read it if it has changed; this blocks."""
        self._look_at = look_at = now + _LOOK_SECONDS
        keys = self._content[0]
        try:
            if self._stat() != self._signature or self._broken_since is not None:
                self._signature, keys = self._read()
                self._read_at = now
                logger.info("the API keys of %s were reloaded", self._path)
            self._broken_since = None
            self._failures, self._reason = 0, ""
        except ConfigurationError as error:
            if self._broken_since is None:
                self._broken_since = now
            if str(error) != self._reason:
                logger.warning(
                    "the file of API keys %s is invalid, and its previous keys are used for %d seconds: %s",
                    self._path, _GRACE_SECONDS, error,
                )  # fmt: skip
            self._failures, self._reason = self._failures + 1, str(error)
        self._content = keys, look_at

    def find(self, digest: str, now: float) -> tuple[APIKey | None, float]:
        """Return the key with this digest, and the time until which the answer is valid."""
        if self._broken_since is not None and now - self._broken_since >= _GRACE_SECONDS:
            raise VerificationUnavailableError(f"the file of API keys is invalid: {self._reason}")
        keys, until = self._content
        return keys.get(digest), until

    def health(self, now: float | None) -> RemoteHealth:
        """Return whether the file could be read at the last check; None for now."""
        since = self._broken_since
        age = 0.0 if since is None else (time.time() if now is None else now) - since
        state = "fresh" if since is None else "stale" if age < _GRACE_SECONDS else "failing"
        return RemoteHealth(str(self._path), state, self._failures, self._reason, self._read_at)  # type: ignore[arg-type]

    def _stat(self) -> tuple[int, int, int]:
        try:
            status = self._path.stat()
        except OSError as error:
            raise ConfigurationError(
                f"path must be a readable file, got {shown_path(self._path)}: {error.strerror}"
            ) from None  # its text has the path
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def _read(self) -> tuple[tuple[int, int, int], dict[str, APIKey]]:
        before = self._stat()
        if before[1] > MAX_FILE:
            raise ConfigurationError(f"{self._path} must have at most 16 MiB, got {before[1]} bytes")
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{self._path} must be readable UTF-8 text, got {type(error).__name__}"
            ) from error
        if self._stat() != before:
            raise ConfigurationError(f"{self._path} must not change while it is read, got a change")
        return before, self._parse(text)

    def _parse(self, text: str) -> dict[str, APIKey]:
        try:
            if self._path.suffix == ".json":
                document = parse_object(text)
            else:
                if text.rstrip().rpartition("\n")[2].strip() != _END:
                    raise ConfigurationError(
                        f"the last line of {self._path} must be {_END!r}, got another: it may be half written"
                    )
                document = tomllib.loads(text)
        except (JSONError, tomllib.TOMLDecodeError) as error:
            form = self._path.suffix[1:].upper()
            raise ConfigurationError(
                f"{self._path} must be strict {form}, got other text: {error}"
            ) from error
        keys: dict[str, APIKey] = {}
        for digest, members in document.items():
            try:
                keys[parse_digest(digest)] = _api_key(members)
            except ConfigurationError as error:
                # The digest is not a credential, and identifies the entry.
                raise ConfigurationError(f"{self._path}: {digest[:12]}…: {error}") from error
        return keys

    def __repr__(self) -> str:
        return f"APIKeyFile({str(self._path)!r})"


def _api_key(members: Any) -> APIKey:
    if not isinstance(members, dict):
        raise ConfigurationError(
            f"the entry must be an object with subject and scopes, got {type_of(members)}"
        )
    if unknown := members.keys() - _MEMBERS:
        raise ConfigurationError(
            f"members must be among {', '.join(sorted(_MEMBERS))}, got "
            f"{', '.join(map(repr, sorted(unknown)))}"
        )
    if isinstance(members.get("expires_at"), str):
        try:
            members = {**members, "expires_at": datetime.fromisoformat(members["expires_at"])}
        except ValueError as error:
            raise ConfigurationError(
                f"expires_at must be a date in ISO 8601, got {got(members['expires_at'])}"
            ) from error
    return APIKey(**{"subject": "", **members})
