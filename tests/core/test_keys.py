"""The choice of the key that a token must have been signed with."""

import json

import pytest

from authguard import AuthGuardError
from authguard._core.jose.compact import read_compact
from authguard._core.jose.keyset import ASYMMETRIC, SYMMETRIC, KeySet, parse_keys
from support import VECTORS, needs_vectors


def cases():
    """Return all cases of the signature vectors."""
    path = VECTORS / "jws_vectors.json"
    return json.loads(path.read_text(encoding="utf-8"))["vectors"] if path.is_file() else []


CASES = cases()


@needs_vectors
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_strict_verdict_on_signatures(case):
    """Each vector is accepted or refused as a strict reading of the standards demands."""
    algorithms = frozenset({case["key_alg"] or case["alg"]}) & (SYMMETRIC | ASYMMETRIC)
    try:
        KeySet(parse_keys(case["jwk"], algorithms)).verify(read_compact(case["jws"]))
        verdict = "valid"
    except AuthGuardError:
        verdict = "invalid"
    assert verdict == case["strict"]


@needs_vectors
def test_there_are_cases():
    """The vectors have valid and invalid cases."""
    assert {case["strict"] for case in CASES} == {"valid", "invalid"}
