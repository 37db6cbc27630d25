"""Who may go where, in one place."""

from authguard import APIKey, APIKeyVerifier, Guard, Principal, Rule
from authguard.identity import IdentityService

from .settings import IDENTITY_PATH, Settings


def build_guard(settings: Settings, service: IdentityService) -> Guard:
    """The guard around the application; the identity service inside has a guard of its own.

    An application in another process would write `JWTVerifier(secret, …)`, `SQLAPIKeys(database)` and
    `SQLRevocations(database)` in place of what it gets from the service here.
    """
    robot = APIKey("robot", roles=["ROBOT"])
    return Guard(
        service.own_tokens,
        # Keys of accounts, which their owners make; and a key of the configuration.
        service.api_key_verifier,
        APIKeyVerifier({settings.api_key: robot}, prefixes=["robot_"]),
        protected_paths=["/dashboard", "/api", Rule("/admin", roles=["ADMIN"]), "/ws"],
        public_paths=["/", "/healthz", "/static", "/docs", "/openapi.json", IDENTITY_PATH],
        login_path=f"{IDENTITY_PATH}/login",
        cookie=service.settings.access_cookie,
        # Asked for each request, so that signing out holds at once.
        revocations=service.revocations,
    )


def name_of(caller: Principal) -> str:
    """What to call somebody on a page; accounts are told apart by `subject`, and not by this."""
    return str(caller.claims.get("email", caller.subject))
