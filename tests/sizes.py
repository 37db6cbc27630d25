"""Sizes of proofs: a sample by default, and all of it with `FULL=1`, which is read here alone."""

import os

#: Set by `make test FULL=1` and `make slow FULL=1`.
FULL: bool = os.environ.get("FULL") == "1"


def size(sample: int, full: int) -> int:
    """Return how many cases a proof looks at.

    Args:
        sample: enough to see a mistake in the rule.
        full: enough to see a mistake in a rare case, or what it promises in numbers.
    """
    return full if FULL else sample
