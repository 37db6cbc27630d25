"""Check DPoP (RFC 9449): a proof, signed for one request, that the token belongs to the sender."""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import sha256
from hmac import compare_digest
from math import inf
from typing import Any, ClassVar, TypeAlias

from authguard._core.callbacks import Callback
from authguard._core.encoding import sha256_base64url, sha256_hex
from authguard._core.flow import Call, Flow
from authguard._core.jose.compact import base64url, media_type
from authguard._core.jose.jwk import ALIASES, SYMMETRIC, VerificationKey, from_jwk
from authguard._core.jose.keyset import check_algorithms
from authguard._core.memory import Memory
from authguard._core.model import Credential
from authguard._core.options import (
    Duration,
    check_function,
    check_text_list,
    check_text_or_list,
    check_whole,
    check_whole_seconds,
    got,
    is_numeric_date,
    named_options,
    yes_or_no,
)
from authguard._core.options.pickles import NeverPickled
from authguard._core.proofs.nonces import Nonces
from authguard._core.proofs.proof import Proof
from authguard._core.proofs.replays import UsedProofs
from authguard._core.proofs.uris import is_safe_origin, parse_uri
from authguard._core.request import WEBSOCKET, RequestView
from authguard._core.strict_json import JSONError, parse_object_bytes
from authguard.errors import (
    ConfigurationError,
    InvalidProofError,
    MalformedTokenError,
    NonceRequiredError,
    UnprovenTokenError,
)

Replays: TypeAlias = Callable[[str, int], bool | Awaitable[bool]]

_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\Z")
_MAX_PROOF = 8192  # characters; a proof with an RSA key of 8192 bits and a long URI has about 6,000
_MAX_TOKEN_ID = 512
_MAX_WINDOW = 300
#: Characters of an RSA key in base64url: a modulus of 8192 bits, and an exponent of 64. Callers choose their
#: keys, and with an exponent as long as the modulus, verifying a signature takes as long as making one.
MAX_RSA_MEMBERS = {"n": 1366, "e": 11}
_REMEMBERED_KEYS = 1024
_THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


@named_options
class DPoP(NeverPickled, Proof):
    """Accept tokens that are bound to a key of the caller, with the scheme `DPoP`.

    Each request has a field `DPoP` with a proof: a recent JWT that is signed with that key, for this method,
    URI and token, and used once. Nested guards that share this object, or its `replays`, accept one proof for
    one request.

    Args:
        origin: scheme and host of the application's URL, such as `https://api.example.com`, or several. It is
            never taken from the request, because an attacker with a proof for another site would send that
            site's name.
        algorithms: the accepted algorithms of proofs, best first; public keys only. RSA keys have at most
            8192 bits, and an exponent of at most 64.
        window: seconds, or a timedelta, by which the `iat` of a proof may lie before or after now,
            1 to 300.
        nonce_secret: at least 32 random bytes, the same for all processes; proofs must then have a recent
            nonce of this server. None requires no nonce.
        proofs_per_key: the greatest number of live proofs of one key; above it, its requests are answered
            with 503.
        replays: a store shared by several processes: a function, `async` or not, of the digest of a proof and
            the seconds to keep it, which returns True if the digest is new. None stores 100,000 proofs in the
            memory of this process.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
    """

    member: ClassVar[str] = "jkt"

    def __init__(
        self,
        origin: str | Iterable[str],
        *,
        algorithms: Iterable[str] = ("ES256", "PS256", "EdDSA"),
        window: int | Duration = 30,
        nonce_secret: str | bytes | None = None,
        proofs_per_key: int = 1_000,
        replays: Replays | None = None,
    ) -> None:
        self._origins = frozenset(
            map(_origin, check_text_or_list(origin, "origin", '"https://api.example.com"'))
        )
        names = check_text_list(algorithms, "algorithms", '"ES256"')
        self._algorithms = check_algorithms(names)
        if self._algorithms & SYMMETRIC:
            raise ConfigurationError(
                f"algorithms must be for private keys, never for a secret (HMAC), got {got(names)}"
            )
        self.algorithms = tuple(names)
        self._window = check_whole_seconds(window, "window", _MAX_WINDOW, least=1)
        check_whole(proofs_per_key, "proofs_per_key")
        write = "replays=store.replays" if hasattr(replays, "replays") else ""
        check_function(replays, "replays", write, takes="digest, seconds")
        self._nonces = None if nonce_secret is None else Nonces(nonce_secret)
        self._replays = None if replays is None else Callback(replays, "replays")
        self.in_memory = replays is None
        self._used = UsedProofs(proofs_per_key, 2 * self._window)
        self._memory: object = self._used if replays is None else replays
        self._keys: Memory[bytes, tuple[str, VerificationKey]] = Memory(_REMEMBERED_KEYS)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Return the algorithms of proofs."""
        return {"dpop_signing_alg_values_supported": list(self.algorithms)}

    def check(self, request: RequestView, credential: Credential, bound_to: str, now: float) -> Flow[str]:
        """Check the request's proof: RFC 9449 section 4.3, and section 11.1 last.

        Returns:
            the next nonce, if the current one will soon be refused (section 8.2); otherwise an empty text.

        Raises:
            UnprovenTokenError: if the token was sent with another scheme.
            InvalidProofError: if the proof is not valid for this request.
            NonceRequiredError: if it lacks only a nonce.
            VerificationUnavailableError: if the memory of used proofs is full.
        """
        if credential.method != "dpop":
            raise UnprovenTokenError("a token for DPoP, sent in another way", scheme="DPoP")
        fields = request.fields(b"dpop")
        if len(fields) != 1:
            raise InvalidProofError("no DPoP field, or several")
        claims = self._verify(fields[0], bound_to)
        self._check_request(claims, request)
        if not _same(claims.get("ath"), sha256_base64url(credential.value)):
            raise InvalidProofError("ath is not the digest of this token")
        issued, token_id = _check_time(claims, self._window, now), _token_id(claims)
        if self._nonces is not None and not self._nonces.accepts(claims.get("nonce"), bound_to, now):
            raise NonceRequiredError("no nonce of this server", nonce=self._nonces.issue(bound_to, now))
        memory, digest = self._memory, sha256(fields[0]).digest()
        if (memory, digest) in request.noted_proofs:
            # an outer guard has noted the proof for this request, in the memory that this guard uses
            return ""
        yield from self._use(bound_to, token_id, issued + self._window, now)
        request.note_proof(memory, digest)
        if self._nonces is not None and self._nonces.is_last(claims.get("nonce"), bound_to, now):
            return self._nonces.issue(bound_to, now)
        return ""

    def _verify(self, proof: bytes, thumbprint: str) -> dict[str, Any]:
        """Return the claims of a proof that the key with this thumbprint has signed."""
        parts = _COMPACT.match(proof) if len(proof) <= _MAX_PROOF else None
        if parts is None:
            raise InvalidProofError("not one compact JWS, or too long")
        head, payload, signature = parts.groups()
        try:
            # Cached, because a client uses the same key, and so the same header, many times.
            bound_key = self._keys.get(head)
            if bound_key is None or not _same(bound_key[0], thumbprint):
                bound_key = (thumbprint, self._read_header(base64url(head), thumbprint))
                self._keys.put(head, bound_key)
            if not bound_key[1].verifies(head + b"." + payload, base64url(signature)):
                raise InvalidProofError("the signature of the proof does not verify")
            return parse_object_bytes(base64url(payload))
        except (JSONError, MalformedTokenError) as error:
            raise InvalidProofError("the proof cannot be read") from error

    def _read_header(self, data: bytes, thumbprint: str) -> VerificationKey:
        header = parse_object_bytes(data)
        kind, algorithm, jwk = header.get("typ"), header.get("alg"), header.get("jwk")
        if not isinstance(kind, str) or media_type(kind) != "dpop+jwt":
            raise InvalidProofError("typ is not dpop+jwt")
        if "crit" in header or "b64" in header:
            raise InvalidProofError("crit or b64 in the header")
        if not isinstance(algorithm, str) or ALIASES.get(algorithm, algorithm) not in self._algorithms:
            raise InvalidProofError("alg is not among the algorithms")
        if not isinstance(jwk, dict) or "k" in jwk:
            raise InvalidProofError("no public jwk in the header")
        if _is_too_large(jwk):
            raise InvalidProofError("the RSA key in jwk is too large")
        # The thumbprint is compared before the key is used, so that only keys known to an issuer cost time.
        if not _same(thumbprint_of(jwk), thumbprint):
            raise InvalidProofError("not the key that the token is bound to")
        try:
            return from_jwk(jwk, frozenset({ALIASES.get(algorithm, algorithm)}))
        except ConfigurationError as error:
            raise InvalidProofError("jwk is not a sound public key for alg") from error

    def _check_request(self, claims: Mapping[str, Any], request: RequestView) -> None:
        method = "GET" if request.method == WEBSOCKET else request.method
        if claims.get("htm") != method:
            raise InvalidProofError("htm is not the method of the request")
        target = claims.get("htu")
        try:
            uri = parse_uri(target if isinstance(target, str) else "")
        except ValueError as error:
            raise InvalidProofError("htu is not an absolute http URI") from error
        if uri.origin not in self._origins or uri.path != request.external_path:
            raise InvalidProofError("htu is not the URI of the request")

    def _use(self, thumbprint: str, token_id: str, until: float, now: float) -> Flow[None]:
        """Note that the proof is used; this is the last check, so that only valid proofs need memory."""
        if self._replays is None:
            first = self._used.use(thumbprint, token_id, until, now)
        else:
            digest = sha256_hex(f"{thumbprint}\n{token_id}")
            answer = yield from Call(self._replays, digest, int(until - now) + 1)
            # Redis answers None to `SET … NX` if the digest exists.
            first = answer is not None and yes_or_no("replays", answer)
        if not first:
            raise InvalidProofError("the proof has been used before")

    def __repr__(self) -> str:
        return f"DPoP({sorted(self._origins)}, algorithms={list(self.algorithms)})"


def _is_too_large(jwk: Mapping[str, Any]) -> bool:
    """Return whether using an RSA key would take too long."""
    lengths = {name: len(text) for name in MAX_RSA_MEMBERS if isinstance(text := jwk.get(name), str)}
    return any(length > MAX_RSA_MEMBERS[name] for name, length in lengths.items())


def thumbprint_of(jwk: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 thumbprint of a public key (RFC 7638); None if a required member is missing."""
    kind = jwk.get("kty")
    names = _THUMBPRINT_MEMBERS.get(kind) if isinstance(kind, str) else None
    if names is None or not all(isinstance(jwk.get(name), str) for name in names):
        return None
    text = json.dumps({name: jwk[name] for name in names}, separators=(",", ":"), ensure_ascii=False)
    return sha256_base64url(text)


def _check_time(claims: Mapping[str, Any], window: float, now: float) -> float:
    """Return the `iat` of a proof that is neither too old nor too new; check `exp` and `nbf` if present."""
    times = {name: claims[name] for name in ("iat", "nbf", "exp") if name in claims}
    # An int of JSON may be too large for a float, but it can still be compared with one.
    if not all(is_numeric_date(time) and -inf < time < inf for time in times.values()):
        raise InvalidProofError("an invalid date")
    issued: float | None = times.get("iat")
    if issued is None or not now - window <= issued <= now + window:
        raise InvalidProofError("iat is missing, or too far from the current time")
    if times.get("nbf", now) > now + window or times.get("exp", now) < now - window:
        raise InvalidProofError("not valid yet, or expired")
    return issued


def _token_id(claims: Mapping[str, Any]) -> str:
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not 0 < len(token_id) <= _MAX_TOKEN_ID:
        raise InvalidProofError("jti is missing, empty or too long")
    return token_id


def _same(value: object, expected: str) -> bool:
    return isinstance(value, str) and compare_digest(value.encode(), expected.encode())


def _origin(text: str) -> str:
    try:
        uri = parse_uri(text)
    except ValueError:
        raise ConfigurationError(
            f"origin must be scheme and host, as in 'https://api.example.com', got {got(text)}"
        ) from None
    if uri.path != "/" or "?" in text or "#" in text:
        raise ConfigurationError(
            f"origin must end with the host, got {got(text)}: leave out the path and query"
        )
    if not is_safe_origin(uri.origin):
        raise ConfigurationError(f"origin must be https, or http on loopback, got {got(text)}")
    return uri.origin
