"""Describe the keys of an issuer by URL: RFC 7517, fetched when needed and cached during outages."""

from dataclasses import dataclass
from typing import cast

from authguard._core.jose.jwk import ASYMMETRIC
from authguard._core.options import (
    Duration,
    check_key_set_url,
    check_seconds,
    got,
    named_options,
    shown_url,
)
from authguard._core.remote.keys_by_kid import PLACE, check_template
from authguard.errors import ConfigurationError
from authguard.verifiers.http import HTTPOptions, Remote, check_remote
from authguard.verifiers.key_source import KeySource, Place
from authguard.verifiers.key_source_by_kid import KeySourceByKid

_TIMEOUT = 3.0
MAX_TTL = 86400.0
MAX_STALE = 7 * 86400.0


@named_options
@dataclass(frozen=True)
class RemoteKeySet:
    """Describe the keys of an issuer by the URL of its key set (`jwks_uri`).

    Building this object fetches nothing. The keys are fetched for the first token, refreshed in the
    background before they expire, and still used while the issuer is unreachable. A token with an unknown
    `kid` causes another fetch: a few times at once, and then once in 30 seconds.

    Args:
        url: https, or http on loopback. With `{kid}` in its path or query, each key has its own URL, as AWS
            publishes those of its load balancers. Tokens must then name their key, in letters, digits, `-`,
            `_` and single dots.
        ttl: seconds, or a timedelta, for which keys are fresh, 1 to 86400; a withdrawn key is refused after
            that. `Cache-Control` of the answer takes precedence, between a minute and a day.
        max_stale: seconds, or a timedelta, for which the last valid keys are used in an outage, at most a
            week; 0 answers with 503 as soon as they are not fresh.
        http: the connection to the server.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
    """

    url: str
    ttl: float | Duration = 300
    max_stale: float | Duration = 86400
    http: HTTPOptions | None = None

    def __post_init__(self) -> None:
        self.check()
        object.__setattr__(self, "ttl", check_seconds(self.ttl, "ttl", MAX_TTL, least=1))
        object.__setattr__(self, "max_stale", check_seconds(self.max_stale, "max_stale", MAX_STALE))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown_url(self.url)!r})"

    def check(self) -> None:
        """Check the URL."""
        if isinstance(self.url, str) and ("{" in self.url or "}" in self.url):
            check_remote(self.url.replace(PLACE, "kid"), "url", self.http)
            check_template(self.url)
        else:
            check_remote(self.url, "url", self.http)
            check_key_set_url(self.url)

    def open(self, algorithms: frozenset[str]) -> KeySource:
        """Open the keys for one verifier, which shares neither keys nor connections with others."""
        if not algorithms <= ASYMMETRIC:
            raise ConfigurationError(
                f"algorithms must be for signatures with a RemoteKeySet, got {got(sorted(algorithms))}: HMAC "
                "secrets are never fetched"
            )
        place = Place(self.url, cast("float", self.ttl), cast("float", self.max_stale))
        return self.source(place, Remote(self.http, _TIMEOUT, self.url), algorithms)

    def source(self, place: Place, remote: Remote, algorithms: frozenset[str]) -> KeySource:
        """Return the key source."""
        return (KeySourceByKid if PLACE in self.url else KeySource)(place, remote, algorithms)
