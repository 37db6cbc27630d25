"""Remember which proofs have been used: bounded, in memory, without a lock and without a clock."""

from collections import Counter
from hashlib import sha256

from authguard.errors import VerificationUnavailableError

_MAX_PROOFS = 100_000  # about 15 MB
_SLOTS = 8  # the number of slots in the longest lifetime of a proof; a whole slot is deleted at once
# bytes of a digest; only the holder of a key could search for collisions, and would only refuse its own
# requests
_DIGEST_BYTES = 16


class _Slot:
    """Hold proofs that expire at about the same time."""

    __slots__ = ("by_key", "proofs")

    def __init__(self) -> None:
        self.proofs: dict[bytes, bytes] = {}
        self.by_key: Counter[str] = Counter()


class UsedProofs:
    """Remember each proof until it has expired, and refuse when full.

    If a proof were dropped early, it could be used again, so no proof is evicted. Each step is one dictionary
    operation, as in `Memory`: of two threads with the same proof, one succeeds.

    Args:
        per_key: the greatest number of live proofs of one key, so that no caller can fill the memory for all
            others.
        longest: the longest lifetime of a proof, in seconds.
    """

    def __init__(self, per_key: int, longest: float) -> None:
        self._per_key = per_key
        self._width = longest / _SLOTS
        self._slots: dict[int, _Slot] = {}

    def use(self, thumbprint: str, token_id: str, until: float, now: float) -> bool:
        """Note that the proof is used; False if it has been used before.

        Args:
            thumbprint: of the key that signed it.
            token_id: its `jti`.
            until: the time when it expires, in seconds since the epoch.
            now: seconds since the epoch.

        Raises:
            VerificationUnavailableError: if the memory is full.
        """
        self._forget(now)
        digest = sha256(f"{thumbprint}\n{token_id}".encode()).digest()[:_DIGEST_BYTES]
        slot = self._slots.setdefault(int(until / self._width), _Slot())
        slots = list(self._slots.values())
        if any(digest in other.proofs for other in slots if other is not slot):
            return False
        if sum(slot.by_key[thumbprint] for slot in slots) >= self._per_key:
            raise VerificationUnavailableError("a key has too many live DPoP proofs", retry_after=1)
        if len(self) >= _MAX_PROOFS:
            raise VerificationUnavailableError("too many live DPoP proofs", retry_after=1)
        # The same proof always has the same slot, so only one of two threads succeeds here.
        if slot.proofs.setdefault(digest, digest) is not digest:
            return False
        slot.by_key[thumbprint] += 1
        return True

    def _forget(self, now: float) -> None:
        current = int(now / self._width)
        for number in [number for number in list(self._slots) if number < current]:
            self._slots.pop(number, None)

    def __len__(self) -> int:
        return sum(len(slot.proofs) for slot in list(self._slots.values()))
