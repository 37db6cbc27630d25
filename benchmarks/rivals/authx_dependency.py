"""Use authx: `access_token_required` as a dependency."""

from authx import AuthX, AuthXConfig
from fastapi import Depends, FastAPI

from benchmarks.apps import Contestant, fastapi
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


def build(issuer: Issuer) -> FastAPI:
    auth = AuthX(
        config=AuthXConfig(
            JWT_ALGORITHM=issuer.algorithm,
            JWT_SECRET_KEY=issuer.verification if issuer.algorithm == "HS256" else None,
            JWT_PUBLIC_KEY=issuer.verification if issuer.algorithm != "HS256" else None,
            JWT_DECODE_AUDIENCE=AUDIENCE,
            JWT_DECODE_ISSUER=ISSUER,
            JWT_TOKEN_LOCATION=["headers"],
        )
    )
    app = FastAPI(openapi_url=None)
    auth.handle_errors(app)

    @app.get("/p", dependencies=[Depends(auth.access_token_required)])
    async def operation() -> dict[str, bool]:
        return {"ok": True}

    return app


RIVAL = Contestant("authx access_token_required", "authx", fastapi, build, algorithms=("HS256", "RS256"))
