"""Define the floor: the smallest cost of remembering tokens, in one function for one case.

It is no guard. It verifies signature, issuer, audience and expiry. It has no path rules, no check of other
header fields, and no strict parsing; the difference to authguard is the cost of these. It stores no token in
clear, except in the variant that shows the cost of the digest.
"""

import binascii
import json
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from starlette.applications import Starlette
from starlette.middleware import Middleware

from authguard._core.jose.signatures import checker
from benchmarks import apps
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class Floor:
    """Remember claims by the digest of the field.

    Args:
        app: the application.
        check: raises an error unless a signature matches some bytes.
        digest: returns the key by which a field is remembered.
    """

    def __init__(
        self, app: Any, check: Callable[[bytes, bytes], object], digest: Callable[[bytes], bytes]
    ) -> None:
        self.app = app
        self.check = check
        self.digest = digest
        self.known: dict[bytes, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        for name, value in scope["headers"]:  # noqa: B007 (which is used, below)
            if name == b"authorization":
                break
        digest = self.digest(value)
        claims = self.known.get(digest)
        if claims is None:
            claims = self.known[digest] = verified(value, self.check)
        if claims["exp"] <= time.time():
            raise ValueError("expired")
        inner = dict(scope)
        inner["user"] = inner["auth"] = claims
        inner["state"] = {**scope["state"], "user": claims}
        await self.app(inner, receive, send)


def verified(field: bytes, check: Callable[[bytes, bytes], object]) -> Any:
    """Return the claims of the token of an Authorization field."""
    signed, _, signature = field[7:].rpartition(b".")
    check(signed, decoded(signature))
    claims = json.loads(decoded(signed.partition(b".")[2]))
    if claims["iss"] != ISSUER or claims["aud"] != AUDIENCE:
        raise ValueError("not for us")
    return claims


def decoded(text: bytes) -> bytes:
    """Decode base64url, without strict checks."""
    return binascii.a2b_base64(text.translate(_TO_STANDARD) + b"==")


def starlette(issuer: Issuer) -> Starlette:
    """Return the application of `apps.starlette` with the floor in it."""
    return apps.starlette(Middleware(Floor, check=check(issuer), digest=lambda value: sha256(value).digest()))


def starlette_in_clear(issuer: Issuer) -> Starlette:
    """Return the same with tokens stored in clear, which no guard should do."""
    return apps.starlette(Middleware(Floor, check=check(issuer), digest=bytes))


def check(issuer: Issuer) -> Callable[[bytes, bytes], object]:
    """Raise an error unless the second bytes are the issuer's signature over the first."""
    key: Any = jwt.get_algorithm_by_name(issuer.algorithm).prepare_key(issuer.verification)
    verifies = checker("HS256", key) if issuer.algorithm == "HS256" else None
    digest, pkcs1, ecdsa = hashes.SHA256(), padding.PKCS1v15(), ec.ECDSA(hashes.SHA256())

    def hs256(signed: bytes, signature: bytes) -> None:
        if not verifies(signed, signature):
            raise ValueError("forged")

    def es256(signed: bytes, signature: bytes) -> None:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        key.verify(encode_dss_signature(r, s), signed, ecdsa)

    return {
        "HS256": hs256,
        "RS256": lambda signed, signature: key.verify(signature, signed, pkcs1, digest),
        "ES256": es256,
        "EdDSA": lambda signed, signature: key.verify(signature, signed),
    }[issuer.algorithm]
