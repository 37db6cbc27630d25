"""Find the key set of an issuer: OpenID Connect Discovery and RFC 8414."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from authguard._core.flow import FetchFailedError, Flow
from authguard._core.options import check_no_metadata_url, got
from authguard._core.remote.http import freshness
from authguard._core.remote.keys import RemoteKeys
from authguard.errors import ConfigurationError
from authguard.verifiers.http import Remote, check_remote
from authguard.verifiers.key_source import (
    KeySource,
    Location,
    Place,
    UnusableAnswerError,
    ask,
    read_document,
)
from authguard.verifiers.remote import RemoteKeySet

_ACCEPT = {"accept": "application/json"}
_TTL = 3600.0
MAX_TTL = 86400.0  # a longer remaining time only occurs if the clock was set back
MAX_ALGORITHMS = 100


@dataclass(frozen=True)
class IssuerKeySet(RemoteKeySet):
    """Describe the keys of an issuer whose metadata has their URL; `url` is the issuer."""

    def check(self) -> None:
        """Check the issuer (RFC 8414 section 2)."""
        check_remote(self.url, "issuer", self.http)
        check_no_metadata_url(self.url)
        if "?" in self.url:
            raise ConfigurationError(f"issuer must have no query (RFC 8414 section 2), got {got(self.url)}")

    def source(self, place: Place, remote: Remote, algorithms: frozenset[str]) -> KeySource:
        """Return the key source."""
        return IssuerKeySource(place, remote, algorithms)


class IssuerKeySource(KeySource):
    """Fetch the keys of an issuer, after discovering the URL of its key set."""

    def __init__(self, place: Place, remote: Remote, algorithms: frozenset[str]) -> None:
        super().__init__(place, remote, algorithms)
        self._issuer = place.url
        self._max_stale = place.max_stale
        self._location: Location | None = None
        self._fresh_until = self._over_at = float("-inf")

    @property
    def key_set_url(self) -> str | None:
        """Return the URL in the metadata."""
        return None if self._location is None else self._location.url

    def locate(self, state: RemoteKeys, now: float) -> Flow[Location]:
        """Return the location of the key set, from the metadata.

        The last valid metadata is used until newer metadata is available (RFC 8414 section 3.2).
        """
        if self._location is not None and now < self._fresh_until <= now + MAX_TTL:
            return self._location
        try:
            self._location, ttl = yield from self._discover(now)
        except (FetchFailedError, UnusableAnswerError):
            if self._location is None or now >= self._over_at:
                raise
        else:
            self._fresh_until = now + ttl
            self._over_at = self._fresh_until + self._max_stale
        return self._location

    def forget(self) -> None:
        """Discover the key set again, because its URL may have changed."""
        self._fresh_until = float("-inf")

    def _discover(self, now: float) -> Flow[tuple[Location, float]]:
        reasons: list[str] = []
        took = 0.0
        for url in metadata_urls(self._issuer):
            try:
                response = yield from ask(self.remote, url, _ACCEPT, now)
                took += response.took
                return self._read(read_document(response, static=True)), freshness(response.headers, _TTL)
            except UnusableAnswerError as error:
                took += error.took
                reasons.append(str(error))
        raise UnusableAnswerError("no usable metadata: " + "; ".join(reasons), took=took)

    def _read(self, document: dict[str, object]) -> Location:
        if document.get("issuer") != self._issuer:
            # Exactly equal, or one issuer could impersonate another (RFC 8414 section 3.3).
            raise UnusableAnswerError(_of_another_issuer(str(document.get("issuer"))[:200], self._issuer))
        if "jwks_uri" not in document:
            raise UnusableAnswerError("the metadata has no jwks_uri")
        try:
            url = self.remote.check_named(document["jwks_uri"], "jwks_uri")
        except ConfigurationError as error:
            raise UnusableAnswerError(str(error)) from error
        names = document.get("id_token_signing_alg_values_supported")
        listed = names[:MAX_ALGORITHMS] if isinstance(names, list) else []
        return Location(url, frozenset(name for name in listed if isinstance(name, str)))


def _of_another_issuer(issuer: str, expected: str) -> str:
    """Return the reason why metadata is refused; if only the slash at the end differs, with the spelling."""
    reason = f"the metadata is of issuer {issuer!r}, not {expected!r}"
    is_same = issuer.rstrip("/") == expected.rstrip("/")
    return f"{reason}: write the issuer as {issuer!r}, as its tokens have it" if is_same else reason


def metadata_urls(issuer: str) -> list[str]:
    """List the possible URLs of an issuer's metadata (OpenID Connect Discovery 4, RFC 8414 3.1 and 5).

    The last one, below the path, is that of a service that is mounted at this path.
    """
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = [
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/oauth-authorization-server",
    ]
    return list(dict.fromkeys(urls))
