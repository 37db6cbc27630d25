"""Decide about refresh tokens that are not the newest: a lost answer, or a copy of the token.

Answers get lost, tabs refresh at the same time, and a client may sleep for hours before it retries. So the
previous token gets the newest one again, a *repeat*. This is safe while the newest has not been used. The
generations show this: after its use, the other token is two generations behind.

If two clients hold tokens of one session, every generation has a repeat: the client that refreshes second
repeats it, or is two generations behind. A generation without a repeat proves that only one client holds its
token. So repeats are counted over consecutive generations, and a second client is detected sooner or later,
whether it is the owner's or an attacker's.
"""

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

from authguard.identity.model import Caller, Session
from authguard.identity.settings import Settings

Step = Literal["advance", "repeat", "lost", "reuse", "refuse"]

#: Generations that a database may have lost. SQLite may lose half a minute of refreshes in a power cut, and
#: an access token lasts for longer. A restored backup must not make replaced tokens valid again.
MAX_LOST_GENERATIONS = 1
#: The greatest sum of the repeats of consecutive generations: five times `DISTANT`.
MAX_REPEATS = 1_000
#: A repeat within `Settings.refresh_grace` from the same network and agent: tabs that refresh together.
NEAR = 1
#: Any other repeat. A client loses five answers in a row less often than a token is copied.
DISTANT = 200

MAX_AGENT = 200
_IPV4_BITS = 24  # bits of an IPv4 network that the servers and proxies of one site share
_IPV6_BITS = 48  # bits of the largest IPv6 network that one customer has (RFC 6177)


def decide_refresh(generation: int, session: Session, caller: Caller, now: float, settings: Settings) -> Step:
    """Decide about a refresh token of an active session.

    Args:
        generation: of the token.
        session: as it is stored.
        caller: the origin of the request.
        now: seconds since the epoch.
        settings: `refresh_grace` and `lost_answer_lifetime`; without a grace, a token is valid once.

    Returns:
        `advance` for a token that starts the next generation, `repeat` for one that gets the newest token
        again, `reuse` for a copy, which ends the session, `refuse` for an impossible generation.
    """
    ahead = generation - session.generation
    if ahead >= 0:
        # A later generation than the stored one: this service has issued it, but the database has lost the
        # last transactions.
        return "advance" if ahead <= MAX_LOST_GENERATIONS else "refuse"
    if ahead < -1 or not settings.refresh_grace:
        return "reuse"
    until = session.refreshed_at + max(settings.refresh_grace, settings.lost_answer_lifetime)
    if now >= until or not (_is_same_network(session, caller) or _is_same_agent(session, caller)):
        return "reuse"
    counted = session.repeats + _weight(session, caller, now, settings)
    return "repeat" if counted <= MAX_REPEATS else "reuse"


def after_advance(
    generation: int, session: Session, caller: Caller, now: float, settings: Settings
) -> Session:
    """Return the session after a token of this generation has started the next one.

    Args:
        generation: of the token.
        session: as it is stored.
        caller: the origin of the request; repeats are compared with it.
        now: seconds since the epoch.
        settings: `refresh_lifetime`.
    """
    return replace(
        session,
        generation=generation + 1,
        refreshed_at=now,
        expires_at=min(now + settings.refresh_lifetime, session.ends_at),
        refreshed_network=network_of(caller),
        refreshed_agent=agent_of(caller),
        repeats=session.repeats + session.repeated if session.repeated else 0,
        repeated=0,
    )


def after_repeat(session: Session, caller: Caller, now: float, settings: Settings) -> Session:
    """Return the session after a repeat; each generation is counted once, by its most distant repeat.

    Args:
        session: as it is stored.
        caller: the origin of the request.
        now: seconds since the epoch.
        settings: `refresh_grace`.
    """
    return replace(session, repeated=_weight(session, caller, now, settings))


def network_of(caller: Caller) -> str:
    """Return the network of an address: 24 bits of IPv4, 48 of IPv6; other text as it is."""
    try:
        address = ip_address(caller.address)
    except ValueError:
        return caller.address[:64]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(IPv6Network((int(address), _IPV6_BITS), strict=False))
        address = address.ipv4_mapped
    return str(IPv4Network((int(address), _IPV4_BITS), strict=False))


def agent_of(caller: Caller) -> str:
    """Return the User-Agent field as it is stored."""
    return "".join(char for char in caller.user_agent if char.isprintable())[:MAX_AGENT]


def _weight(session: Session, caller: Caller, now: float, settings: Settings) -> int:
    is_near = (
        now < session.refreshed_at + settings.refresh_grace
        and _is_same_network(session, caller)
        and _is_same_agent(session, caller)
    )
    return max(session.repeated, NEAR if is_near else DISTANT)


# A session that was last refreshed before these columns existed has no values to compare with.
def _is_same_network(session: Session, caller: Caller) -> bool:
    return session.refreshed_network in (None, network_of(caller))


def _is_same_agent(session: Session, caller: Caller) -> bool:
    return session.refreshed_agent in (None, agent_of(caller))
