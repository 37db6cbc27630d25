"""Remember used DPoP proofs in a store that processes share."""

import time
from collections.abc import Callable

from authguard.errors import VerificationUnavailableError
from authguard.stores.log import StoreDownError


class Replays:
    """Remember used proofs in a store, for `DPoP(replays=…)`.

    While the store is down, one caller at a time asks it. The others are refused at once, because each of
    them would block a thread until the timeout.

    Args:
        use: a function that stores a digest for some seconds, and returns False if it was stored before.
        name: of the store, for log lines.
        pause: seconds after which a failed store is asked again.
        monotonic: a clock that never goes back.
    """

    def __init__(
        self,
        use: Callable[[str, int], bool],
        name: str,
        *,
        pause: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._use = use
        self._name = name
        self._pause = pause
        self._monotonic = monotonic
        self._reason = ""  # set at the beginning of an outage
        self._retry_at = 0.0

    def __call__(self, digest: str, seconds: int) -> bool:
        """Return True if the proof has not been used, and note that it is used now.

        Raises:
            VerificationUnavailableError: if the store does not answer.
        """
        if self._reason:
            if self._monotonic() < self._retry_at:
                raise VerificationUnavailableError(self._reason, retry_after=1)
            self._retry_at = self._monotonic() + self._pause
        try:
            is_new = self._use(digest, seconds)
        except StoreDownError as error:
            self._retry_at = self._monotonic() + self._pause
            self._reason = f"{self._name}: {error}"
            raise VerificationUnavailableError(self._reason, retry_after=1) from error
        self._reason = ""
        return is_new
