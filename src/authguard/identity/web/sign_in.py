"""Sign in with a password, for the API, the OAuth endpoints and the pages."""

from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from authguard.identity.errors import StoreUnavailableError
from authguard.identity.limits.taken import Taken, noting
from authguard.identity.mail.addresses import canonical_key
from authguard.identity.model import Caller, Tokens
from authguard.identity.usecases.grace import network_of
from authguard.identity.web.parts import Web

#: With these parameters a guard requests a new sign-in of a signed-in caller (RFC 9470 section 4).
REAUTHENTICATION_PARAMETERS = frozenset({"acr_values", "max_age"})
#: Characters of the path of the redirect after signing in: pages contain it several times, encoded twice, and
#: it must fit into the cookie of a sign-in with a provider.
MAX_NEXT = 2048


async def sign_in(
    web: Web, email: str, password: str, caller: Caller, *, client_id: str | None = None
) -> Tokens:
    """Sign in with a password, and delay the answer while the account is under attack.

    A few attempts for one account are checked at a time. Attempts from a network in which its owner has
    signed in before have a separate queue, so that third parties do not block the owner.
    """
    service, workers = web.service, web.workers
    delay, taken = await workers.count(_count, web, email, caller)
    try:
        async with _turn(web, email, caller):
            try:
                return await workers.hash(
                    service.accounts.login, email, password, caller, client_id=client_id
                )
            finally:
                await sleep(delay)
    except StoreUnavailableError:
        await workers.count(taken.give_back)
        raise


def _count(web: Web, email: str, caller: Caller) -> tuple[float, Taken]:
    """Count an attempt; return the delay of its answer, and its counts."""
    with noting() as taken:
        return web.service.accounts.count_sign_in(email, caller), taken


@asynccontextmanager
async def _turn(web: Web, email: str, caller: Caller) -> AsyncIterator[None]:
    """Wait for a turn among the attempts for one account."""
    workers = web.workers
    key: tuple[str, ...] = (canonical_key(email),)
    network = network_of(caller)
    if workers.turns.is_full(key) and await workers.read(web.service.sessions.knows_network, email, caller):
        key = (*key, network)
    async with workers.turns.take(key, network):
        yield
