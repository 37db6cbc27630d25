"""The functions that check signatures, by algorithm and key."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from authguard._core.jose.signatures import checker

# RFC 4231 section 4: key, data, and the codes of SHA-256, SHA-384 and SHA-512.
RFC_4231 = {
    "a key of 20 bytes": (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        (
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
            "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
        ),
    ),
    "a key that is shorter than a digest": (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        (
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        ),
    ),
    "a key that is longer than a block": (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
        (
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
            "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"
        ),
    ),
}
DIGESTS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@pytest.mark.parametrize("case", RFC_4231)
@pytest.mark.parametrize("algorithm", DIGESTS)
def test_vectors_of_hmac(case, algorithm):
    """The codes of RFC 4231 are accepted, and changed ones are refused."""
    key, data, *codes = RFC_4231[case]
    code = bytes.fromhex(codes[list(DIGESTS).index(algorithm)])
    verifies = checker(algorithm, key)
    assert verifies(data, code)
    assert not verifies(data + b"x", code)
    assert not verifies(data, code[:-1])
    assert not verifies(data, code[:-1] + bytes([code[-1] ^ 1]))


@pytest.mark.parametrize("size", [1, 63, 64, 65, 127, 128, 129, 1000])
@pytest.mark.parametrize("algorithm", DIGESTS)
def test_keys_of_every_size(algorithm, size):
    """A key of any size, also around the size of a block, has the codes of Python's `hmac`."""
    key, digest = bytes(range(256)) * 4, DIGESTS[algorithm]
    key = key[:size]
    for data in (b"", b"a.b", b"c" * 5000):
        code = hmac.digest(key, data, digest)
        assert checker(algorithm, key)(data, code)
        assert not checker(algorithm, key + b"\1")(data, code)


def test_checks_do_not_disturb_one_another():
    """A check does not change the state of a key for later checks."""
    verifies = checker("HS256", b"k" * 32)
    for number in range(3):
        data = b"%d" % number
        assert verifies(data, hmac.digest(b"k" * 32, data, "sha256"))
        assert not verifies(data, b"x" * 32)


@pytest.mark.parametrize("length", [0, 63, 65, 72])
def test_an_ecdsa_signature_of_another_length_is_refused(length):
    """An ECDSA signature of a length other than 64 bytes is refused, such as one in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    assert not checker("ES256", key.public_key())(b"signed", bytes(length))
