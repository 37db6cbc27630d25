"""Revocations in the memory of one process."""

import time
from collections.abc import Callable

from authguard._core.model import Principal
from authguard._core.options import Moment, check_function
from authguard.stores.marks import Mark, Marks, make_mark
from authguard.stores.receipt import Receipt


class MemoryRevocations:
    """Keeps revocations for an application that runs as one process.

    Several processes need a shared store, such as `authguard.stores.RedisStore`: here, a logout that reached
    one worker is unknown to the next.

    Args:
        clock: seconds since the epoch.
    """

    in_memory = True

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        check_function(clock, "clock", "clock=time.time", or_none=False)
        self._clock = clock
        self._marks = Marks()
        #: The number of revocations so far.
        self.sequence = 0

    def revoke(
        self,
        *,
        token_id: str | None = None,
        key_id: str | None = None,
        subject: str | None = None,
        session: str | None = None,
        issuer: str | None = None,
        issued_before: float | Moment | None = None,
        until: float | Moment,
    ) -> Receipt:
        """Refuse a token, an API key, a session, the tokens of a subject, or all tokens.

        Args:
            token_id: the `jti` of the token, which is `Principal.token_id`.
            key_id: the public name of an API key, which is `Principal.key_id`; tokens, whose `key_id` is the
                `kid` of their issuer's key, are not affected.
            subject: whose tokens.
            session: the `sid` claim of the tokens of one session.
            issuer: the issuer of any of these; None for all issuers.
            issued_before: seconds since the epoch; tokens of the subject that were issued (`iat`) later are
                not affected. None is now. Without a subject: all tokens.
            until: seconds since the epoch, or a datetime with a time zone, when what is revoked has expired
                anyway, leeway included; forgotten then. `math.inf` for an API key that does not expire.

        Raises:
            ConfigurationError: if the arguments name several things or none.
        """
        mark = make_mark(
            token_id=token_id,
            key_id=key_id,
            session=session,
            subject=subject,
            issuer=issuer,
            issued_before=issued_before,
            until=until,
        )
        now = self._clock()
        if mark.issued_before is None:
            mark = Mark(mark.kind, mark.issuer, mark.name, now, mark.until)
        self._marks.put(mark, now)
        self.sequence += 1
        return Receipt(self.sequence, now)

    def is_revoked(self, principal: Principal) -> bool:
        """Return whether the principal's token, API key, session or subject has been revoked."""
        return self._marks.is_revoked(principal, self._clock())
