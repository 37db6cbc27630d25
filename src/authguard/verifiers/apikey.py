"""Verify API keys by their digests: from a mapping, a file, or a function of the application."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from cachetools import LRUCache

from authguard._core.callbacks import Callback, note_source
from authguard._core.credential.key_format import check_not_key
from authguard._core.flow import Call, Flow
from authguard._core.model import Credential, Principal, make_principal
from authguard._core.options import (
    Duration,
    Moment,
    check_arguments,
    check_flag,
    check_list,
    check_recent_moment,
    check_seconds,
    check_text,
    got,
    named_options,
    type_of,
    unusable_answer,
    unwrapped,
)
from authguard._core.policy.names import check_names
from authguard._core.policy.rules import SCOPE
from authguard._core.quota import Quota, check_quotas
from authguard._core.remote.http import RemoteHealth
from authguard._core.verifier import Verified, Verifier, check_key_field
from authguard.errors import Cause, ConfigurationError, InvalidAPIKeyError
from authguard.verifiers.secret_text import check_secret_text

_PREFIX = re.compile(r"[A-Za-z0-9._~-]{3,}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
MIN_KEY = 16  # characters; keys of 32 random bytes have 43
_MAKE_KEY = "python -c \"import secrets; print('sk_live_' + secrets.token_urlsafe(32))\""
_REFUSED_SECONDS = 10
_REFUSED_KEYS = 10_000


def digest_api_key(key: str) -> str:
    """Return the SHA-256 of a key in hexadecimal; store this digest instead of the key.

    A fast digest is sufficient for keys, unlike for passwords: 32 random bytes cannot be guessed, so a slow
    digest would only slow down every request. A key with a comma is refused in every request with status 400,
    because servers join two fields with a comma.

    Raises:
        ConfigurationError: if the key is empty, not text, or text that has no encoding: half of a pair of
            surrogates.
    """
    try:
        data = check_text(key, "key", secret=True).encode("utf-8")
    except UnicodeEncodeError:
        # Without the cause, which shows the key.
        raise ConfigurationError("key must be text that can be encoded, got half of a character") from None
    return sha256(data).hexdigest()


@named_options
@dataclass(frozen=True, slots=True)
class APIKey:
    """Describe the caller of an API key.

    Args:
        subject: the caller.
        scopes: the scopes of the caller.
        roles: roles of the caller.
        expires_at: seconds since the epoch, or a datetime with a time zone; None for never.
        disabled: whether the key is refused.
        key_id: its public name, which is in the log line of a refusal, and by which it is revoked:
            `revoke(key_id=…)`; None for the first twelve digits of its digest.
        tier: selects the quotas of `Guard(quotas={…})`; None for those of callers without a tier.
        quotas: quotas of this key, in addition to those of its tier.

    Raises:
        ConfigurationError: if the subject is empty, scopes or roles are not a list of names, or a date has no
            time zone.
    """

    subject: str
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    expires_at: float | None = None
    disabled: bool = False
    key_id: str | None = None
    tier: str | None = None
    quotas: tuple[Quota, ...] = ()

    if TYPE_CHECKING:
        # The constructor of the dataclass, with the types that `__post_init__` converts to the fields' own.
        def __init__(  # noqa: PLR0917 (the fields)
            self,
            subject: str,
            scopes: Iterable[str] = (),
            roles: Iterable[str] = (),
            expires_at: float | Moment | None = None,
            disabled: bool = False,
            key_id: str | None = None,
            tier: str | None = None,
            quotas: Iterable[Quota] = (),
        ) -> None: ...

    def __post_init__(self) -> None:
        check_text(self.subject, "subject of an API key")
        where = f"of the API key of {self.subject!r}"
        object.__setattr__(self, "scopes", check_names(self.scopes, f"scopes {where}", SCOPE))
        object.__setattr__(self, "roles", check_names(self.roles, f"roles {where}", None))
        check_flag(self.disabled, f"disabled {where}")
        if self.expires_at is not None:
            ending = check_recent_moment(self.expires_at, f"expires_at {where}", "time.time() + 3600")
            object.__setattr__(self, "expires_at", ending)
        if self.key_id is not None:
            check_text(self.key_id, f"key_id {where}", secret=True)
            check_not_key(self.key_id, f"key_id {where}")
        if self.tier is not None:
            check_text(self.tier, f"tier {where}")
        if self.quotas != ():
            object.__setattr__(self, "quotas", check_quotas(self.quotas, f"quotas {where}"))


class KeyStore(Protocol):
    """Look up keys in memory; `refresh` may block, and is called when it is due."""

    def is_due(self, now: float) -> bool:
        """Return whether the keys should be refreshed."""
        ...

    def refresh(self, now: float) -> None:
        """Load changed keys."""

    def find(self, digest: str, now: float) -> tuple[APIKey | None, float]:
        """Return the key with this digest, and the time until which the answer is valid."""
        ...


#: A function from the digest of a key to the key, or None for an unknown one.
Lookup: TypeAlias = Callable[[str], "APIKey | Awaitable[APIKey | None] | None"]


@named_options
class APIKeyVerifier(Verifier):
    """Verify API keys sent in their own field, or as `Bearer` and recognised by a prefix.

    Unknown, disabled and expired keys all get the same answer.

    Args:
        keys: a mapping from key text to `APIKey` (only digests of the keys are stored), an `APIKeyFile`, or a
            function from the digest of `digest_api_key` to an `APIKey` or None, `async` or not.
        header: the field that carries keys.
        prefixes: the prefixes of keys, by which `Authorization: Bearer sk_live_…` is recognised as a key.
        cache_ttl: seconds, or a timedelta, for which a result of the function is cached; a deleted key works
            for that long. 0 calls it for each request.

    Raises:
        ConfigurationError: if keys are weak or missing, or an option has the wrong type.
    """

    def __init__(
        self,
        keys: Mapping[str, APIKey] | KeyStore | Lookup,
        *,
        header: str = "X-API-Key",
        prefixes: Iterable[str] = ("sk_live_", "sk_test_"),
        cache_ttl: float | Duration = 30,
    ) -> None:
        self.header = check_key_field(header)
        self.prefixes = tuple(check_list(prefixes, "prefixes", '"sk_live_"'))
        for prefix in self.prefixes:
            must = "be at least three letters, digits or . _ ~ -"
            check_text(prefix, "each of prefixes", pattern=_PREFIX, must=must)
        self._cache_ttl = check_seconds(cache_ttl, "cache_ttl", 3600)
        self._store = _store(keys)
        known_keys: Callable[[], Iterable[APIKey]] = getattr(self._store, "known_keys", tuple)
        self.known_principals = [_principal(key, key.key_id or "") for key in known_keys()]
        self.gives_tiers = not isinstance(keys, Mapping) or any(each.tier for each in self.known_principals)
        # Others are looked up by their digests, which do not show prefixes.
        self.has_unprefixed_keys = isinstance(keys, Mapping) and not all(
            text.startswith(self.prefixes) for text in keys
        )
        # Recently unknown keys. Many random keys replace only each other.
        self._refused: LRUCache[str, float] = LRUCache(_REFUSED_KEYS)
        self._refused_lock = Lock()

    def accepts(self, credential: Credential) -> bool:
        """Return whether a credential is an API key: sent in the field, or with one of the prefixes."""
        return credential.method == "api_key" and self.carries(credential)

    def flow(self, credential: Credential, now: float) -> Flow[Verified]:
        """Look the key up by its digest."""
        digest = digest_api_key(credential.value)
        if isinstance(self._store, Callback):
            key, until = yield from self._ask(self._store, digest, now)
        else:
            try:
                if self._store.is_due(now):
                    yield from Call(self._store.refresh, now)
                key, until = self._store.find(digest, now)
            except Exception as error:
                note_source(error, "keys", type(self._store))
                raise
        if key is None:
            raise InvalidAPIKeyError("unknown API key")
        key_id = key.key_id or digest[:12]
        if key.disabled:
            raise InvalidAPIKeyError("disabled API key", key_id=key_id, cause=Cause.DISABLED)
        expires_at = key.expires_at
        if expires_at is not None:
            if now >= expires_at:
                raise InvalidAPIKeyError("expired API key", key_id=key_id, cause=Cause.EXPIRED)
            until = min(until, expires_at)
        return Verified(_principal(key, key_id), until)

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return the state of the file of keys; see `Guard.health`."""
        of_file: Callable[[float | None], RemoteHealth] | None = getattr(self._store, "health", None)
        return () if of_file is None else (of_file(now),)

    def _ask(
        self, lookup: Callback["APIKey | None"], digest: str, now: float
    ) -> Flow[tuple[APIKey | None, float]]:
        with self._refused_lock:
            if now < self._refused.get(digest, 0):
                return None, now
        key = yield from Call(lookup, digest)
        if key is None:
            with self._refused_lock:
                self._refused[digest] = now + min(_REFUSED_SECONDS, self._cache_ttl)
        elif not isinstance(key, APIKey):
            raise unusable_answer("the function for API keys", "an APIKey or None", key)
        return key, now + self._cache_ttl

    def __repr__(self) -> str:
        return f"APIKeyVerifier(header={self.header!r})"


def _principal(key: APIKey, key_id: str) -> Principal:
    # Created without the checks of its constructor, which the key has passed.
    return make_principal(
        subject=key.subject,
        scopes=key.scopes,
        roles=key.roles,
        claims={},
        issuer=None,
        client_id=None,
        token_id=None,
        key_id=key_id,
        expires_at=key.expires_at,
        method="api_key",
        tier=key.tier,
        quotas=key.quotas,
    )


class _Mapping:
    """Look up keys given in the program, by digest."""

    def __init__(self, keys: Mapping[str, APIKey]) -> None:
        if not keys:
            raise ConfigurationError("keys must name at least one API key, got an empty mapping")
        self._keys: dict[str, APIKey] = {}
        for text, key in keys.items():
            if not isinstance(text, str) or not text.isascii() or not text.isprintable() or " " in text:
                unset = ": is the variable set that it is read from?" if text is None else unwrapped(text)
                raise ConfigurationError(
                    f"each of keys must be visible ASCII text, got {got(text, secret=True)}{unset}"
                )
            if "," in text:
                raise ConfigurationError(
                    "each of keys must have no comma, because servers join two fields with one, got "
                    "one: make a new "
                    f"key, {_MAKE_KEY}"
                )
            check_secret_text(text, "each of keys", chosen_here=False)
            if len(text) < MIN_KEY:
                raise ConfigurationError(
                    f"each of keys must have at least {MIN_KEY} random characters, got {len(text)}: "
                    f"{_MAKE_KEY}"
                )
            if not isinstance(key, APIKey):
                shown = f"APIKey({key!r})" if isinstance(key, str) else "APIKey(…)"
                raise ConfigurationError(
                    f"keys must be a mapping of key text to APIKey, got {type_of(key)} in its place: write "
                    f"{shown}"
                )
            self._keys[digest_api_key(text)] = key

    def known_keys(self) -> Iterable[APIKey]:
        return self._keys.values()

    def is_due(self, now: float) -> bool:
        return False

    def refresh(self, now: float) -> None:
        """Do nothing: keys given in the program do not change."""

    def find(self, digest: str, now: float) -> tuple[APIKey | None, float]:
        return self._keys.get(digest), inf


def _store(keys: Any) -> "KeyStore | Callback[APIKey | None]":
    if isinstance(keys, Mapping):
        return _Mapping(keys)
    if callable(getattr(type(keys), "is_due", None)):  # a Mock has each method, but its class has not
        return cast("KeyStore", keys)
    if callable(keys):
        check_arguments(keys, "keys", "digest")
        return Callback(cast("Lookup", keys), "keys")
    raise ConfigurationError(
        "keys must be a mapping of key text to APIKey, an APIKeyFile, or a function, got "
        f"{type_of(keys)}: write {{key: APIKey(…)}}, or APIKeyFile(path) for a file"
    )


def parse_digest(digest: str) -> str:
    """Check a digest from a file.

    Raises:
        ConfigurationError: if it is not 64 lower-case hexadecimal digits.
    """
    if not _DIGEST.match(digest):
        raise ConfigurationError(
            "each digest must be the 64 lower-case hexadecimal digits of digest_api_key(), got "
            f"{got(digest, secret=True)}"
        )
    return digest
