"""Give a receipt for a revocation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """Tell when a revocation holds.

    Attributes:
        sequence: the number of the revocation in the log.
        effective_by: seconds since the epoch, by the clock of this process, when it holds everywhere.
    """

    sequence: int
    effective_by: float
