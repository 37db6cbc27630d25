"""Remember used DPoP proofs that processes share."""

from collections.abc import Callable

from authguard.errors import VerificationUnavailableError
from authguard.stores.log import StoreDownError


class Replays:
    """Remember used proofs in a store, for `DPoP(replays=…)`.

    Args:
        use: given a digest and seconds, keeps the digest and returns False if it was kept already.
    """

    def __init__(self, use: Callable[[str, int], bool]) -> None:
        self._use = use

    def __call__(self, digest: str, seconds: int) -> bool:
        """Return True if the proof has not been used, and note that it is.

        Raises:
            VerificationUnavailableError: if the store does not answer.
        """
        try:
            return self._use(digest, seconds)
        except StoreDownError as error:
            raise VerificationUnavailableError(str(error), retry_after=1) from error
