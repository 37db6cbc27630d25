"""Build tokens of providers as data, which are signed when they are sent, and the keys for them."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from authguard import Guard
from support import NOW, b64, jwk, make_token, pem, sign

Field: TypeAlias = tuple[str, bytes]
#: Faults that a configuration must refuse, for any provider.
Fault: TypeAlias = Literal["audience", "tenant", "client", "kind", "signer", "expired"]
FAULTS: tuple[Fault, ...] = ("audience", "tenant", "client", "kind", "signer", "expired")

ISSUED = int(NOW) - 10
EXPIRES = int(NOW) + 600
EXPIRED = int(NOW) - 600
#: The dates of a valid token.
DATES = {"iat": ISSUED, "exp": EXPIRES}


@cache
def private_key(family: str, owner: str) -> Any:
    """Return the key of an owner; RSA keys are created once, because creating them takes long."""
    if family == "ES":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)


@dataclass(frozen=True)
class Signer:
    """Sign tokens with a key.

    Args:
        algorithm: its signature algorithm.
        kid: its name in the header; None leaves it out.
        secret: for HMAC.
        owner: the owner of the key; a stranger's key may have the same `kid`.
        public: a key pair whose public half, as PEM, is the secret.
    """

    algorithm: str
    kid: str | None = None
    secret: str = ""
    owner: str = "provider"
    public: "Signer | None" = None

    @property
    def private(self) -> Any:
        """Return the private key, or the secret."""
        if self.public is not None:
            return self.public.pem()
        return self.secret or private_key(self.algorithm[:2], self.owner)

    def jwk(self, **members: Any) -> dict[str, Any]:
        """Return the public key as a member of a key set."""
        return jwk(self.private, **{} if self.kid is None else {"kid": self.kid}, **members)

    def pem(self) -> str:
        """Return the public key as PEM."""
        return pem(self.private)

    def certificate(self) -> str:
        """Return a certificate of the key, as PEM."""
        return _certificate(self)

    def x5c(self) -> list[str]:
        """Return the certificate in the form of a JWK (RFC 7517 section 4.7)."""
        return ["".join(self.certificate().splitlines()[1:-1])]

    def x5t(self) -> str:
        """Return the thumbprint of the certificate (RFC 7517 section 4.8)."""
        certificate = x509.load_pem_x509_certificate(self.certificate().encode())
        return b64(certificate.fingerprint(hashes.SHA1()))  # noqa: S303

    def strange(self) -> "Signer":
        """Return a stranger's key with the same name."""
        return replace(self, owner="stranger", secret=self.secret and f"{self.secret[::-1]}-of-a-stranger")

    def confused(self) -> "Signer":
        """Return a signer by HMAC with the public key, which is not secret, as the secret."""
        return Signer("HS256", self.kid, public=self)


@cache
def _certificate(signer: Signer) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer.example")])
    start, end = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2036, 1, 1, tzinfo=dt.UTC)
    key = signer.private
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, end)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@dataclass(frozen=True)
class Token:
    """Hold a token as data; `text` signs it.

    Args:
        claims: its claims.
        signer: the key.
        header: the members of the header besides `alg` and `kid`.
        padded: whether its parts end in `=`, against RFC 7515.
    """

    claims: Mapping[str, Any]
    signer: Signer
    header: Mapping[str, Any] = field(default_factory=dict)
    padded: bool = False

    def having(self, *more: Mapping[str, Any], **claims: Any) -> "Token":
        """Return the token with other claims; `...` leaves one out."""
        changed = dict(self.claims)
        for each in (*more, claims):
            changed |= each
        return replace(self, claims={name: value for name, value in changed.items() if value is not ...})

    def headed(self, **header: Any) -> "Token":
        """Return the token with other parameters in its header; `...` leaves one out."""
        changed = {**self.header, **header}
        return replace(self, header={name: value for name, value in changed.items() if value is not ...})

    def signed(self, signer: Signer) -> "Token":
        """Return the token, signed by another key."""
        return replace(self, signer=signer)

    def strange(self) -> "Token":
        """Return the token, signed by a stranger in the provider's name."""
        return self.signed(self.signer.strange())

    def expired(self) -> "Token":
        """Return the token as issued and expired in the past."""
        dates = {"iat": EXPIRED - 600, "nbf": EXPIRED - 600, "exp": EXPIRED}
        return self.having({name: date for name, date in dates.items() if name in self.claims})

    def text(self) -> str:
        """Return the token as it is sent."""
        kid = {} if self.signer.kid is None else {"kid": self.signer.kid}
        header = {"alg": self.signer.algorithm, **kid, **self.header}
        key = self.signer.private
        text = make_token(dict(self.claims), header=header, key=key, signed_with=self.signer.algorithm)
        if not self.padded:
            return text
        *parts, _ = [part + "=" * (-len(part) % 4) for part in text.split(".")]
        signature = b64(sign(".".join(parts).encode(), self.signer.algorithm, key))
        return ".".join([*parts, signature + "=" * (-len(signature) % 4)])


@dataclass(frozen=True)
class Opaque:
    """Hold a credential that only its issuer can read, or an invalid text."""

    value: str

    def text(self) -> str:
        """Return it as it is sent."""
        return self.value


@dataclass(frozen=True)
class Caller:
    """Describe the caller that the guard finds in a token."""

    subject: str
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    client_id: str | None = None


def caller(
    subject: str, *, scopes: str = "", roles: Sequence[str] = (), client_id: str | None = None
) -> Caller:
    """Return a caller; scopes are separated by spaces."""
    return Caller(subject, frozenset(scopes.split()), frozenset(roles), client_id)


def bearer(token: str) -> list[Field]:
    """Return the fields of a program."""
    return [("Authorization", f"Bearer {token}".encode())]


def in_field(name: str) -> Callable[[str], list[Field]]:
    """Return a function for the fields of a proxy that passes tokens on in a field of its own."""
    return lambda token: [(name, token.encode())]


def in_cookie(name: str) -> Callable[[str], list[Field]]:
    """Return a function for the fields of browsers, which send tokens in a cookie."""
    return lambda token: [("Cookie", f"theme=dark; {name}={token}".encode())]


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Describe a provider: its pages, its tokens, and the outcome of a guard.

    Args:
        guard: builds the guard that users of the provider would write.
        pages: the published pages, by URL: a JSON document, text, or a function of a request.
        taken: valid credentials, and the callers that they name.
        refused: for each fault, credentials that have only this fault, by name.
        cannot: for each fault that no token of the provider can have, the reason.
        send: the fields that a credential comes in.
        environ: variables of the environment that the configuration reads.
    """

    guard: Callable[[], Guard]
    pages: Callable[[], Mapping[str, Any]] = dict
    taken: Mapping[str, tuple[Token | Opaque, Caller]]
    refused: Mapping[Fault, Mapping[str, Token | Opaque]]
    cannot: Mapping[Fault, str] = field(default_factory=dict)
    send: Callable[[str], list[Field]] = bearer
    environ: Mapping[str, str] = field(default_factory=dict)


def discovery(issuer: str, key_set_url: str, *keys: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    """Return the pages of a provider that is found by OpenID Connect Discovery.

    Args:
        issuer: its name.
        key_set_url: the `jwks_uri`.
        keys: the members of its key set.
        members: the other members of its metadata.
    """
    metadata = {
        "issuer": issuer,
        "jwks_uri": key_set_url,
        "response_types_supported": ["code", "id_token", "token id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        **members,
    }
    url = f"{issuer.removesuffix('/')}/.well-known/openid-configuration"
    return {url: metadata, key_set_url: {"keys": list(keys)}}
