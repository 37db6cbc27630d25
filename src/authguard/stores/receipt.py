"""Define the receipt of a revocation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """Tell when a revocation takes effect.

    Attributes:
        sequence: the number of the revocation in the log.
        effective_by: seconds since the epoch, by the clock of this process, when it has reached every
            process.
    """

    sequence: int
    effective_by: float
