"""Define the receipt of a revocation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """Report the time when a revocation takes effect.

    Attributes:
        sequence: the number of the revocation in the log.
        effective_by: the time, in seconds since the epoch by the clock of this process, at which it has
            reached every process.
    """

    sequence: int
    effective_by: float
