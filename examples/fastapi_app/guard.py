"""Build the guard: the requirements of all paths."""

from authguard import APIKey, APIKeyVerifier, Guard, Principal, Rule
from authguard.identity import IdentityService

from .settings import IDENTITY_PATH, Settings


def build_guard(settings: Settings, service: IdentityService) -> Guard:
    """Return the guard around the application; the identity service inside has a guard of its own.

    An application in another process would write `JWTVerifier(secret, …)`, `SQLAPIKeys(database)` and
    `SQLRevocations(database)` instead of the objects of the service here.
    """
    robot = APIKey("robot", roles=["ROBOT"])
    return Guard(
        service.own_tokens,
        # The keys of accounts, and a key of the configuration.
        service.api_key_verifier,
        APIKeyVerifier({settings.api_key: robot}, prefixes=["robot_"]),
        protected_paths=["/dashboard", "/api", Rule("/admin", roles=["ADMIN"]), "/ws"],
        public_paths=["/", "/healthz", "/static", "/docs", "/openapi.json", IDENTITY_PATH],
        login_path=f"{IDENTITY_PATH}/login",
        cookie=service.settings.access_cookie,
        # Checked for each request, so that signing out takes effect at once.
        revocations=service.revocations,
    )


def name_of(caller: Principal) -> str:
    """Return a name for pages; identify accounts by `subject`, and never by this name."""
    return str(caller.claims.get("email", caller.subject))
