"""Use Litestar's JWTAuth."""

from typing import Any

from litestar import Litestar, get
from litestar.security.jwt import JWTAuth

from benchmarks.apps import Contestant
from benchmarks.tokens import AUDIENCE, ISSUER, Issuer


@get("/p", media_type="text/plain")
async def page() -> str:
    return "ok"


async def user_of(token: Any, connection: Any) -> dict[str, Any]:
    return {"id": token.sub}


def build(issuer: Issuer) -> Litestar:
    auth = JWTAuth[dict[str, Any]](
        retrieve_user_handler=user_of,
        token_secret=issuer.verification,
        algorithm=issuer.algorithm,
        accepted_audiences=[AUDIENCE],
        accepted_issuers=[ISSUER],
    )
    return Litestar([page], on_app_init=[auth.on_app_init], openapi_config=None)


RIVAL = Contestant("Litestar JWTAuth", "litestar", lambda: Litestar([page], openapi_config=None), build)
