"""Choose the sizes of proofs: a sample by default, and the full size with `FULL=1`."""

import os

#: Set by `make test FULL=1` and `make slow FULL=1`.
FULL: bool = os.environ.get("FULL") == "1"


def size(sample: int, full: int) -> int:
    """Return the number of cases of a proof.

    Args:
        sample: enough to find a mistake in the rule.
        full: enough to find a mistake in a rare case, or the number that the documentation promises.
    """
    return full if FULL else sample
