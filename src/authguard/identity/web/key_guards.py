"""Guard the paths that accept API keys as well as access tokens."""

from authguard._core.guard import Guard
from authguard._core.model import Principal
from authguard.identity.keys.verify import SQLAPIKeys
from authguard.identity.model import User
from authguard.identity.tiers import tier_quotas
from authguard.identity.web.interactive import PeopleOnly
from authguard.identity.web.messages import REALM
from authguard.identity.web.parts import Web


class KeyGuards:
    """Build guards that accept API keys.

    Args:
        web: the service and its threads.
    """

    def __init__(self, web: Web) -> None:
        self._web = web
        self._people = PeopleOnly(web.workers.batch_reads(web.service.sessions.authenticate_all).ask)

    def build(self, verifier: SQLAPIKeys, *, counted: bool) -> Guard:
        """Build a guard whose paths are all protected.

        Args:
            verifier: of keys.
            counted: whether requests take from the limits of a key's tier.
        """
        service = self._web.service
        return Guard(
            service.own_tokens.alone,
            verifier,
            cookie=service.settings.access_cookie,
            # Replaces `revocations`, because keys and sessions are looked up for each request.
            user_loader=self._load_owner,
            quotas=tier_quotas(service.settings.api_key_tiers) if counted else None,
            quota_store=service.key_quotas if counted else None,
            realm=REALM,
        )

    async def _load_owner(self, principal: Principal) -> User | None:
        """Return the account of a token or a key; None if it no longer exists, or the session has ended."""
        if principal.method != "api_key":
            return await self._people.load(principal)
        return await self._web.workers.read(self._web.service.accounts.find_by_id, principal.subject)
