"""Authenticate at the introspection endpoint: RFC 6749 section 2.3, RFC 6750, RFC 7523, RFC 8705."""

import base64
import re
import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import jwt

from authguard._core.jose.jwk import ASYMMETRIC
from authguard._core.options import check_choice, check_flag, check_text, got, named_options, type_of
from authguard._core.options.pickles import NeverPickled
from authguard.errors import ConfigurationError
from authguard.verifiers.http import HTTPOptions
from authguard.verifiers.secret_text import check_secret_text

_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]+\Z")
_ASSERTION_SECONDS = 60
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientProof(NamedTuple):
    """Hold the parts of a request that authenticate it: header fields, and form parameters."""

    headers: dict[str, str]
    form: list[tuple[str, str]]


class ClientAuth(NeverPickled, ABC):
    """Authenticate at the introspection endpoint; created by the static methods.

    Attributes:
        client_id: the client id of the application there; None if a token identifies it.
    """

    client_id: str | None

    @abstractmethod
    def proof(self, audience: str, now: float) -> ClientProof:
        """Return the fields and parameters that authenticate the application.

        Args:
            audience: the endpoint or its issuer.
            now: seconds since the epoch.
        """

    def check(self, endpoint: str, http: HTTPOptions | None) -> None:
        """Check that the connection to the endpoint is suitable for this method.

        Raises:
            ConfigurationError: if it is not.
        """

    @staticmethod
    @named_options
    def basic(client_id: str, client_secret: str, *, raw: bool = False) -> "ClientAuth":
        """Use `client_secret_basic`: client id and secret in the Authorization field.

        Args:
            client_id: the client id.
            client_secret: the client secret.
            raw: whether to send them unencoded; RFC 6749 section 2.3.1 requires form-urlencoding, which some
                servers do not decode.
        """
        name, secret = _text(client_id, "client_id"), _secret(client_secret, "client_secret")
        if check_flag(raw, "raw") and ":" in name:
            raise ConfigurationError(f"client_id must have no colon to be sent raw, got {got(name)}")
        return _Basic(name, secret, raw)

    @staticmethod
    @named_options
    def post(client_id: str, client_secret: str) -> "ClientAuth":
        """Use `client_secret_post`: client id and secret in the form."""
        return _Post(_text(client_id, "client_id"), _secret(client_secret, "client_secret"))

    @staticmethod
    @named_options
    def bearer(token: str, *, client_id: str | None = None) -> "ClientAuth":
        """Use an access token of the application in the Authorization field (RFC 7662 section 2.1)."""
        return _Bearer(_text_or_none(client_id, "client_id"), _secret(token, "token"))

    @staticmethod
    @named_options
    def private_key_jwt(
        client_id: str, private_key: Any, *, algorithm: str, key_id: str | None = None
    ) -> "ClientAuth":
        """Use `private_key_jwt`: an assertion signed by the application (RFC 7523 section 2.2).

        Args:
            client_id: the client id of the application.
            private_key: the key in PEM, or as an object of `cryptography`.
            algorithm: the signature algorithm, such as `ES256`.
            key_id: the `kid` of the key.
        """
        name, kid = _text(client_id, "client_id"), _text_or_none(key_id, "key_id")
        check_choice(algorithm, "algorithm", sorted(ASYMMETRIC))
        try:
            key = jwt.get_algorithm_by_name(algorithm).prepare_key(private_key)
            jwt.encode({}, key, algorithm)
        except Exception:  # noqa: BLE001 (the text of any error may show the key)
            shown = "other text" if isinstance(private_key, str) else type_of(private_key)
            raise ConfigurationError(
                f"private_key must be a private key for {algorithm}, got {shown}: give an object, or the PEM "
                'text of a file, such as Path("key.pem").read_text()'
            ) from None
        return _PrivateKey(name, key, algorithm, kid)

    @staticmethod
    @named_options
    def tls(client_id: str) -> "ClientAuth":
        """Use `tls_client_auth` or `self_signed_tls_client_auth`: a client certificate (RFC 8705 section 2).

        The certificate is configured in the client of `HTTPOptions(client=…)`, which sends it when it
        connects.

        Args:
            client_id: the client id of the application.
        """
        return _TLS(_text(client_id, "client_id"))


@dataclass(frozen=True)
class _Basic(ClientAuth):
    client_id: str | None
    _secret: str = field(repr=False)
    _raw: bool

    def proof(self, audience: str, now: float) -> ClientProof:
        pair = (self.client_id or "", self._secret)
        # A space as %20 and not as a plus, so that servers that decode only percent-encoding read it, too.
        text = ":".join(pair if self._raw else [quote(part, safe="") for part in pair])
        return ClientProof({"authorization": "Basic " + base64.b64encode(text.encode()).decode()}, [])


@dataclass(frozen=True)
class _Post(ClientAuth):
    client_id: str | None
    _secret: str = field(repr=False)

    def proof(self, audience: str, now: float) -> ClientProof:
        return ClientProof({}, [("client_id", self.client_id or ""), ("client_secret", self._secret)])


@dataclass(frozen=True)
class _Bearer(ClientAuth):
    client_id: str | None
    _token: str = field(repr=False)

    def proof(self, audience: str, now: float) -> ClientProof:
        return ClientProof({"authorization": f"Bearer {self._token}"}, [])


@dataclass(frozen=True)
class _PrivateKey(ClientAuth):
    client_id: str | None
    _key: Any = field(repr=False)
    _algorithm: str
    _key_id: str | None

    def proof(self, audience: str, now: float) -> ClientProof:
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(16),
            "iat": int(now),
            "exp": int(now) + _ASSERTION_SECONDS,
        }
        headers = {"kid": self._key_id} if self._key_id else None
        assertion = jwt.encode(claims, self._key, self._algorithm, headers=headers)
        return ClientProof(
            {},
            [
                ("client_id", self.client_id or ""),
                ("client_assertion_type", _JWT_BEARER),
                ("client_assertion", assertion),
            ],
        )


@dataclass(frozen=True)
class _TLS(ClientAuth):
    client_id: str | None

    def check(self, endpoint: str, http: HTTPOptions | None) -> None:
        if http is None or http.client is None:
            raise ConfigurationError(
                "http must have a client with our certificate for ClientAuth.tls, got none: write "
                "HTTPOptions(client=httpx.Client(verify=context)), or AsyncClient with an event loop, "
                'after context.load_cert_chain("client.pem", "client.key")'
            )
        if not endpoint.lower().startswith("https:"):
            raise ConfigurationError(
                f"endpoint must be https for ClientAuth.tls, got {got(endpoint)}, which gets no certificate"
            )

    def proof(self, audience: str, now: float) -> ClientProof:
        return ClientProof({}, [("client_id", self.client_id or "")])


def _text(value: object, option: str, *, secret: bool = False) -> str:
    return check_text(
        value, option, pattern=_PRINTABLE, must="be printable text that is not empty", secret=secret
    )


def _text_or_none(value: object, option: str) -> str | None:
    return None if value is None else _text(value, option)


def _secret(value: object, option: str) -> str:
    """Check a secret that another party has issued: it may be weak, but must not be a placeholder or path."""
    text = _text(value, option, secret=True)
    check_secret_text(text, option, chosen_here=False)
    return text
