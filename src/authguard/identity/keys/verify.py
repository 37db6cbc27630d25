"""Verify the API keys of the identity service, in it and in other applications that use its database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from threading import Lock

from anyio import to_thread
from cachetools import LRUCache

from authguard._core.credential.key_format import KeyFormat, readable_id_of
from authguard._core.encoding import sha256_hex
from authguard._core.flow import Call, Channel, Flow
from authguard._core.model import Credential, Principal
from authguard._core.networks import Network, parse_network
from authguard._core.options import (
    Duration,
    check_flag,
    check_identifier,
    check_seconds,
    check_text_list,
    named_options,
)
from authguard._core.policy.names import check_names
from authguard._core.policy.rules import SCOPE
from authguard._core.terms import Count, Terms
from authguard._core.verifier import Verified, Verifier, check_key_field
from authguard.errors import Cause, InvalidAPIKeyError
from authguard.identity.keys.checks import end_of, refusal_of
from authguard.identity.keys.counters import UNKNOWN
from authguard.identity.keys.generations import MAX_REMEMBERED, begin_generation, generation_name
from authguard.identity.keys.grants import ADMIN, granted_roles, owner_scopes
from authguard.identity.keys.usage import UsageRecorder
from authguard.identity.settings import KEY_PREFIXES
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage.api_key_queries import KeyRow
from authguard.identity.storage.database import Database, check_database
from authguard.identity.storage.revocations import Spread

_REFUSED_SECONDS = 10
_REFUSED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class _Refused:
    """Hold a recent refusal of a key, and the time until which it is reused."""

    until: float
    key_id: str | None
    cause: Cause
    count: Count | None

    @property
    def error(self) -> InvalidAPIKeyError:
        """Return the refusal; a new object each time, because raising it adds a traceback."""
        error = InvalidAPIKeyError(
            "a key that was refused a moment ago", key_id=self.key_id, cause=self.cause
        )
        error.count = self.count
        return error


@named_options
class SQLAPIKeys(Verifier):
    """Verify the API keys of an identity service by its database: `Guard(SQLAPIKeys("postgresql://…"))`.

    A text that is not a key is refused without a query. A key costs one query, and is then cached. A revoked,
    disabled or expired key is refused within `cache_ttl`; with `Guard(revocations=…)` and a store on the same
    database, within the bound of the store.

    Args:
        database: the database of the identity service, or its URL.
        header: the field that carries keys.
        prefixes: the prefixes of keys; the default ones, and those of `Settings.api_key_prefixes`.
        check_secret: as `Settings.api_key_check_secret`.
        scopes: as `Settings.api_key_scopes`: a scope that is removed from it is no longer granted. None
            grants all scopes of the keys.
        admin_roles: as `Settings.admin_roles`: a key has `admin` while its owner has one of these.
        cache_ttl: seconds, or a timedelta, for which a key is cached; 0 queries for each request.
        issuer: as `Settings.issuer`. With it, quotas count the keys and the tokens of an owner together;
            without it, separately.
        count: whether to count requests, for `last_used_at`, `usage_count` and the usage of the owner.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
    """

    has_terms = True

    def __init__(
        self,
        database: Database | str,
        *,
        header: str = "X-API-Key",
        prefixes: Iterable[str] = KEY_PREFIXES,
        check_secret: str = "",
        scopes: Iterable[str] | None = None,
        admin_roles: Iterable[str] = ("ADMIN",),
        cache_ttl: float | Duration = 30,
        issuer: str | None = None,
        count: bool = True,
    ) -> None:
        self._format = KeyFormat(prefixes, check_secret=check_secret)
        self.header = check_key_field(header)
        self.prefixes = self._format.prefixes
        self._scopes = None if scopes is None else check_names(scopes, "scopes", SCOPE)
        self._admin_roles = check_text_list(admin_roles, "admin_roles", '"ADMIN"')
        check_names(self._admin_roles, "admin_roles", None)
        self._cache_ttl = check_seconds(cache_ttl, "cache_ttl", MAX_REMEMBERED)
        self._issuer = None if issuer is None else check_identifier(issuer, "issuer")
        check_database(database, 'SQLAPIKeys("postgresql://…")')
        self._owns_database = isinstance(database, str)
        if isinstance(database, str):
            database = Database(database, may_create=False)
            database.after_marks = Spread(database)
        self._database = database
        self.recorder = UsageRecorder(database) if check_flag(count, "count") else None
        # Recently refused keys that can never become valid. Many invalid keys replace only each other.
        self._refused: LRUCache[str, _Refused] = LRUCache(_REFUSED_KEYS)
        self._refused_lock = Lock()
        self._channel = Channel(opened={"keys": self})

    def accepts(self, credential: Credential) -> bool:
        """Return whether a credential is an API key: sent in the field, or with one of the prefixes."""
        return credential.method == "api_key" and self.carries(credential)

    def flow(self, credential: Credential, now: float) -> Flow[Verified]:
        """Look the key up by its digest, if the text has the form of a key."""
        if not self._format.is_well_formed(credential.value):
            raise InvalidAPIKeyError("no key of this form", cause=Cause.MALFORMED)
        digest = sha256_hex(credential.value)
        with self._refused_lock:
            refused = self._refused.get(digest)
        if refused is not None and now < refused.until:
            raise refused.error
        return self._look_up(digest, readable_id_of(credential.value), now)

    def _look_up(self, digest: str, readable_id: str, now: float) -> Flow[Verified]:
        row, key_id = yield from Call(self._find_or_name, digest, readable_id)
        error = refusal_of(row, now)
        if error is not None:
            if self.recorder is not None and key_id is not None:
                generation = UNKNOWN if row is None else row.secret.generation
                error.count = self.recorder.counter(key_id, generation).count
                error.key_id = key_id
            if error.cause != Cause.DISABLED:
                until = now + min(_REFUSED_SECONDS, self._cache_ttl)
                with self._refused_lock:
                    self._refused[digest] = _Refused(until, error.key_id, error.cause, error.count)
            raise error
        assert row is not None  # noqa: S101 (told by the refusal)
        return self._verified(row, now)

    def _find_or_name(self, digest: str, readable_id: str) -> tuple[KeyRow | None, str | None]:
        """Return the key with this secret digest, or otherwise the id of the key that a text names.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        with self._database.read() as connection:
            row = key_store.find_key_by_digest(connection, digest)
            if row is not None:
                return row, row.key.id
            if self.recorder is None:
                return None, None
            return None, key_store.find_id_by_readable_id(connection, readable_id)

    def find(self, digest: str) -> KeyRow | None:
        """Return the key with this secret digest, valid or not.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        with self._database.read() as connection:
            return key_store.find_key_by_digest(connection, digest)

    def _verified(self, row: KeyRow, now: float) -> Verified:
        key, secret = row.key, row.secret
        granted, ends_at = self.granted(row), end_of(row)
        roles = granted_roles(row.roles, granted, self._admin_roles)
        principal = Principal(
            subject=key.user_id,
            scopes=granted,
            roles=frozenset(roles),
            issuer=self._issuer,
            token_id=generation_name(key, secret),
            key_id=key.id,
            expires_at=ends_at,
            method="api_key",
            tier=key.tier,
        )
        is_new = secret.active_from is None
        counter = None if self.recorder is None else self.recorder.counter(key.id, secret.generation)
        terms = Terms(
            count=None if counter is None else counter.count,
            networks=_networks(key.networks),
            begin=partial(self.begin, row) if is_new else None,
            response_fields=() if secret.expires_at is None else expiry_fields(secret.expires_at),
        )
        # Until its first use ends the previous generation, each request queries it.
        return Verified(principal, now if is_new else min(now + self._cache_ttl, ends_at), terms)

    def granted(self, row: KeyRow) -> frozenset[str]:
        """Return the scopes of a key that its owner still has."""
        further = row.key.scopes - {ADMIN} if self._scopes is None else self._scopes
        return row.key.scopes & owner_scopes(row.roles, self._admin_roles, further)

    def begin(self, row: KeyRow, now: float) -> None:
        """Make a generation the valid one at its first use; of simultaneous uses, only one does so.

        Raises:
            InvalidAPIKeyError: if the key has ended, or another rotation has replaced this generation.
            StoreUnavailableError: if it could not be stored.
        """
        key_id, generation = row.key.id, row.secret.generation
        with self._database.write() as connection:
            key = key_store.find_key(connection, key_id, row.key.user_id, lock=True)
            secrets = {secret.generation: secret for secret in key_store.list_secrets(connection, key_id)}
            if key is None or not key.is_active(now) or generation not in secrets:
                raise InvalidAPIKeyError("an API key that has ended meanwhile", key_id=key_id)
            if secrets[generation].active_from is None:
                begin_generation(connection, key, secrets[generation], now)

    def channels(self) -> Sequence[Channel]:
        """Return a channel through which a guard closes this."""
        return (self._channel,)

    def close(self) -> None:
        """Write the counts, and close the connections; a later request opens new ones."""
        if self.recorder is not None:
            self.recorder.close()
        if self._owns_database:
            self._database.close()

    async def aclose(self) -> None:
        """Do the same as `close`, without blocking the event loop."""
        await to_thread.run_sync(self.close)

    def __repr__(self) -> str:
        return f"SQLAPIKeys(header={self.header!r})"


def expiry_fields(expires_at: float) -> tuple[tuple[bytes, bytes], ...]:
    """Return the response field with the end of the caller's key generation."""
    return ((b"api-key-expires", formatdate(expires_at, usegmt=True).encode("ascii")),)


def _networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of a key.

    Raises:
        ValueError: if a text is not a network; ignoring it would allow the key from more addresses, or from
            all.
    """
    networks = tuple(network for network in map(parse_network, texts) if network is not None)
    if len(networks) != len(texts):
        raise ValueError("the networks of an API key cannot be read")
    return networks
