"""The memory that a flood of requests leaves is bounded, and has no long texts."""

import asyncio
import gc
import logging
from collections.abc import Iterator

import pytest
from benchmarks.hostile_guards import ENTRANCES, GUARDS
from benchmarks.hostile_inputs import Hostile
from benchmarks.hostile_tokens import random_kids

from authguard._core.jose import claim_paths
from authguard._core.jose import compact as jose
from hostile.counting import bytes_kept
from sizes import size

MANY = size(200, 500)
KIB = 1024
# Verdicts are kept for short paths, and digests of refused API keys: 10,000 of each. The headers of refused
# tokens are kept if they are short: 1,024 of them.
KEPT_FOR_EACH = {"short paths": 4 * KIB, "odd paths": 4 * KIB, "API keys": KIB, "random kids": KIB}


def _long_paths() -> Iterator[Hostile]:
    for number in range(MANY):
        yield Hostile(f"/{number}" + "/a" * 5000)


def _short_paths() -> Iterator[Hostile]:
    for number in range(MANY):
        yield Hostile(f"/{number}" + "a" * 400)


def _odd_paths() -> Iterator[Hostile]:
    for number in range(MANY):
        yield Hostile(f"//{number};\\%25\ufdfa")


def _methods() -> Iterator[Hostile]:
    for number in range(MANY):
        yield Hostile(method=f"A{number}" + "A" * 5000)


def _mount_points() -> Iterator[Hostile]:
    for number in range(MANY):
        yield Hostile(root_path=f"/{number}" + "a" * 5000)


def _kids() -> Iterator[Hostile]:
    for token in random_kids(MANY):
        yield Hostile(fields=(("authorization", b"Bearer " + token.encode()),))


def _long_tokens() -> Iterator[Hostile]:
    for number in range(MANY):
        yield Hostile(fields=(("authorization", b"Bearer %d." % number + b"a" * 8000 + b".a"),))


def _keys() -> Iterator[Hostile]:
    for number in range(MANY):
        yield Hostile(fields=(("x-api-key", b"sk_live_%d" % number + b"a" * 8000),))


def _cookies() -> Iterator[Hostile]:
    for number in range(MANY):
        yield Hostile(fields=(("cookie", b"access_token=%d." % number + b"a" * 4000 + b".a"),))


def _proofs() -> Iterator[Hostile]:
    for number in range(MANY):
        token = b"DPoP %d." % number + b"a" * 4000 + b".a"
        yield Hostile(fields=(("authorization", token), ("dpop", b"a.%d." % number + b"a" * 4000)))


FLOODS = {
    "long paths": _long_paths, "short paths": _short_paths, "odd paths": _odd_paths, "methods": _methods,
    "mount points": _mount_points, "random kids": _kids, "long tokens": _long_tokens, "API keys": _keys,
    "cookies": _cookies, "proofs": _proofs,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("entrance", ["ASGI", "WSGI"])
@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_leaves_little_behind(flood: str, entrance: str) -> None:
    """A flood of requests leaves neither refused credentials nor long texts in memory."""
    logging.getLogger("authguard").addHandler(logging.NullHandler())
    guards = [GUARDS[name]() for name in ("everything together", "API keys by a function", "several issuers")]
    roots = (*guards, jose._headers, claim_paths._words, claim_paths._shared)
    gc.collect()
    before, sent = bytes_kept(*roots), 0
    with asyncio.Runner() as runner:
        for request in FLOODS[flood]():
            sent += request.size
            for guard in guards:
                ENTRANCES[entrance](guard, request)(runner)
    kept = bytes_kept(*roots) - before
    # A few long paths are remembered, because a request is decided in several steps.
    assert kept < 512 * KIB + MANY * KEPT_FOR_EACH.get(flood, 0), f"{kept} bytes of {sent}"
