"""Use Starlette's AuthenticationMiddleware with joserfc in the backend."""

from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from benchmarks.apps import ALL, Contestant, starlette
from benchmarks.rivals.starlette_pyjwt import Backend, guarded
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer

KINDS = {"HS256": OctKey, "RS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}


class JoserfcBackend(Backend):
    def __init__(self, issuer: Issuer) -> None:
        self.algorithms = [issuer.algorithm]
        self.key = KINDS[issuer.algorithm].import_key(issuer.verification)
        self.registry = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
        )

    def decode(self, token: str) -> dict[str, Any]:
        decoded = jwt.decode(token, self.key, algorithms=self.algorithms)
        self.registry.validate(decoded.claims)
        return decoded.claims


RIVAL = Contestant(
    "Starlette AuthenticationMiddleware + joserfc", "joserfc", starlette,
    lambda issuer: guarded(JoserfcBackend(issuer)), algorithms=ALL,
)  # fmt: skip
