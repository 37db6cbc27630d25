"""Measure the cost of shared revocations in a request with a known credential.

The same guard without revocations is measured for comparison.

python benchmarks/revocation_warm.py
"""

import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from authguard import Guard, JWTVerifier  # noqa: E402
from authguard._core.answer.decision import Known  # noqa: E402
from authguard.stores.follower import Follower  # noqa: E402
from authguard.stores.revocations import SharedRevocations  # noqa: E402
from authguard.testing import issue_token  # noqa: E402
from benchmarks.pairing import Timer, clock, paired  # noqa: E402
from stores.fake_log import NOW, FakeLog, World  # noqa: E402

ROUNDS, REQUESTS = 300, 3000
SECRET = "b3nch-0nly-Secret-of-enough-bytes-4Xr"
PRESENTED = [(b"authorization", f"Bearer {issue_token(SECRET, now=NOW)}".encode())]
ASKED = ("GET", "/items/7", "")


def guard(revocations: SharedRevocations | None = None) -> Guard:
    """Build a guard that knows the caller."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    built = Guard(verifier, revocations=revocations)
    for _ in range(2):
        if not isinstance(built.recall(PRESENTED, ASKED, NOW), Known):
            raise AssertionError("the straight path does not know the caller")
    return built


def shared() -> SharedRevocations:
    """Return revocations whose log has been read, with the real clock."""
    log = FakeLog(World())
    follower = Follower(log, "store", bound=1.0)
    follower.trusted_until = math.inf
    return SharedRevocations(log, follower)


def timer(built: Guard) -> Timer:
    """Return a timer of the straight path, in microseconds for each request."""
    recall = built.recall

    def run() -> float:
        started = clock()
        for _ in range(REQUESTS):
            recall(PRESENTED, ASKED, NOW)
        return (clock() - started) / REQUESTS * 1e6

    return run


if __name__ == "__main__":
    measured = paired(timer(guard()), timer(guard(shared())), ROUNDS)
    print(
        f"without {measured.base_median:.3f} µs ({measured.base_least:.3f}), with {measured.median:.3f} µs"
        f" ({measured.least:.3f}): added {measured.added:.3f} µs ({measured.added_least:.3f})"
    )
