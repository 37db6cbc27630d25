"""Ask a function of the application whether an issuer is accepted, and cache its answers for a while."""

from authguard._core.callbacks import Callback
from authguard._core.flow import Call, Flow
from authguard._core.jose.issuers import IssuerCheck
from authguard._core.memory import Memory
from authguard._core.options import yes_or_no
from authguard.errors import InvalidIssuerError

#: Seconds for which an answer is cached; a removed tenant may be accepted for that long.
ACCEPTED_SECONDS = 30.0
REFUSED_SECONDS = 10.0
_MAX_ISSUERS = 10_000
_MAX_ISSUER = 2048  # characters; issuers are URLs


class IssuerChecker:
    """Check whether the issuers of verified tokens are accepted.

    Args:
        function: called with an issuer; it returns True or False, and may be `async`.
    """

    def __init__(self, function: IssuerCheck) -> None:
        self._function: Callback[object] = Callback(function, "issuer")
        self._answers: Memory[str, tuple[bool, float]] = Memory(_MAX_ISSUERS)

    def check(self, issuer: str, now: float) -> Flow[float]:
        """Return the time until which an issuer is accepted.

        Raises:
            InvalidIssuerError: if it is not.
            TypeError: if the function returns another value than True or False.
        """
        if len(issuer) > _MAX_ISSUER:
            raise InvalidIssuerError("the issuer is longer than any URL of an issuer")
        accepted, until = self._answers.get(issuer) or (False, now)
        if now >= until or until > now + ACCEPTED_SECONDS:  # the answer is too old, or the clock was set back
            answer = yield from Call(self._function, issuer)
            accepted = yes_or_no("the function of issuer=", answer)
            until = now + (ACCEPTED_SECONDS if accepted else REFUSED_SECONDS)
            self._answers.put(issuer, (accepted, until))
        if not accepted:
            raise InvalidIssuerError("an issuer that the function of issuer= does not accept")
        return until
