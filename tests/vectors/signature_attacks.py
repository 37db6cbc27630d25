"""Make invalid signatures: RSA paddings, numbers out of range, other encodings and other hashes.

They are made with the private keys, and each breaks one rule of RFC 8017, RFC 7518, RFC 8032 or FIPS 186-5.
Each token has valid claims, and the header for its key.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from support import SECRET, b64, claims, ec_key, ed25519_key, make_token, rsa_key

SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
SHA512_INFO = bytes.fromhex("3051300d060960864801650304020305000440")
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
SIZE = 256


@cache
def signed_part(algorithm: str, key: object) -> str:
    """Return header and claims of a valid token."""
    return make_token(claims(), algorithm=algorithm, key=key).rpartition(".")[0]


def raw_rsa(message: bytes) -> bytes:
    """Apply the private RSA key to a padded message with any padding."""
    numbers = rsa_key().private_numbers()
    value = int.from_bytes(message, "big") % (numbers.p * numbers.q)
    low, high = pow(value, numbers.dmq1, numbers.q), pow(value, numbers.dmp1, numbers.p)
    result = low + numbers.q * (numbers.iqmp * (high - low) % numbers.p)
    return result.to_bytes(SIZE, "big")


def _padded(info: bytes, digest: bytes, *, start: bytes = b"\0\1", end: bytes = b"") -> bytes:
    tail = b"\0" + info + digest + end
    return start + b"\xff" * (SIZE - len(start) - len(tail)) + tail


def _rsa_bytes() -> Iterator[bytes]:
    """Change each byte of the padded message except the hash, then the bytes of the hash."""
    digest = hashlib.sha256(signed_part("RS256", rsa_key()).encode()).digest()
    good = _padded(SHA256_INFO, digest)
    for place in range(1, SIZE):  # the first byte is zero in each number below the modulus
        yield raw_rsa(bytes([*good[:place], good[place] ^ 1, *good[place + 1 :]]))


def _rsa_structures() -> Iterator[bytes]:
    data = signed_part("RS256", rsa_key()).encode()
    digest = hashlib.sha256(data).digest()
    messages = [
        _padded(SHA256_INFO[:13] + SHA256_INFO[15:], digest),  # without the NULL of the algorithm
        _padded(SHA256_INFO, digest[:-1]), _padded(SHA256_INFO, digest[:16]), _padded(SHA256_INFO, b""),
        _padded(SHA1_INFO, hashlib.sha1(data).digest()), _padded(SHA1_INFO, digest[:20]),
        _padded(SHA512_INFO, hashlib.sha512(data).digest()), _padded(b"", digest), _padded(b"", data[:100]),
        _padded(SHA256_INFO, digest, start=b"\0\0"), _padded(SHA256_INFO, digest, start=b"\0\2"),
        (b"\0\1" + b"\xff" * 8 + b"\0" + SHA256_INFO + digest).ljust(SIZE, b"\0"),
        (b"\0\1\0" + SHA256_INFO + digest).ljust(SIZE, b"\xff"),
        _padded(SHA256_INFO, digest, end=b"\0"), _padded(SHA256_INFO, digest, end=b"\5\0"),
        _padded(SHA256_INFO.replace(b"\x30\x31", b"\x30\x81\x31", 1), digest),
        _padded(SHA256_INFO.replace(b"\x04\x20", b"\x04\x81\x20", 1), digest),
        _padded(SHA256_INFO, digest[::-1]), _padded(SHA256_INFO[::-1], digest), bytes(SIZE), b"\xff" * SIZE,
    ]  # fmt: skip
    yield from map(raw_rsa, messages)
    modulus, good = rsa_key().public_key().public_numbers().n, raw_rsa(_padded(SHA256_INFO, digest))
    value = int.from_bytes(good, "big")
    for wrong in (0, 1, modulus - 1, modulus, modulus - value, value >> 1):
        yield wrong.to_bytes(SIZE, "big")
    yield (value + modulus).to_bytes(SIZE + 1, "big")
    yield from (
        good[:-1],
        good[1:],
        good + b"\0",
        b"\0" + good,
        good[::-1],
        good * 2,
        _padded(SHA256_INFO, digest),
        b"\0",
    )


def _pss() -> Iterator[bytes]:
    data, key = signed_part("PS256", rsa_key()).encode(), rsa_key()
    for salt in (0, 1, 20, 31, 33, 48, 64, 222):
        yield key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
    for mask in (hashes.SHA1(), hashes.SHA384(), hashes.SHA512()):
        yield key.sign(data, padding.PSS(padding.MGF1(mask), 32), hashes.SHA256())
    for digest in (hashes.SHA1(), hashes.SHA384(), hashes.SHA512()):
        yield key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    yield key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    good = key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    numbers = key.public_key().public_numbers()
    message = pow(int.from_bytes(good, "big"), numbers.e, numbers.n).to_bytes(SIZE, "big")
    for place in (0, 1, 2, 100, 190, 200, 221, 222, 223, 224, 230, 240, 250, 254, 255):
        yield raw_rsa(bytes([*message[:place], message[place] ^ 0x40, *message[place + 1 :]]))
    yield from (good[:-1], good[1:], b"\0" + good, good + b"\0", bytes(SIZE), numbers.n.to_bytes(SIZE, "big"))


def _ecdsa() -> Iterator[bytes]:
    data = signed_part("ES256", ec_key()).encode()
    der = ec_key().sign(data, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    pairs = [
        (first, two) for first in (0, 1, P256_ORDER, 2**256 - 1) for two in (0, 1, P256_ORDER, 2**256 - 1)
    ]
    pairs += [
        (r, 0),
        (0, s),
        (s, r),
        (r, P256_ORDER),
        (r ^ 1, s),
        (r, s ^ 1),
        (P256_ORDER - r, s),
        (r, 1),
        (1, s),
    ]
    yield from (first.to_bytes(32, "big") + two.to_bytes(32, "big") for first, two in pairs)
    good = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    yield from (der, good[:-1], good[1:], good + b"\0", b"\0" + good, good[:32], good * 2, b"\0", good[::-1])
    yield good[:32] + b"\0" + good[32:]
    yield from (
        b"\0".join((b"", good[:32], good[32:])),
        good[:32][::-1] + good[32:][::-1],
        bytes(96),
        bytes(132),
    )
    for digest in (hashes.SHA1(), hashes.SHA384(), hashes.SHA512()):
        other = decode_dss_signature(ec_key().sign(data, ec.ECDSA(digest)))
        yield b"".join(part.to_bytes(32, "big") for part in other)
    for place in range(0, 64, 4):
        yield bytes([*good[:place], good[place] ^ 0x10, *good[place + 1 :]])


def _ed25519() -> Iterator[bytes]:
    good = ed25519_key().sign(signed_part("EdDSA", ed25519_key()).encode())
    s = int.from_bytes(good[32:], "little")
    yield good[:32] + (s + ED25519_ORDER).to_bytes(32, "little")
    for point in (bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"):  # points of small order
        yield from (point + bytes(32), point + good[32:])
    yield from (
        good[:-1],
        good[1:],
        good + b"\0",
        b"\0" + good,
        good[::-1],
        bytes(64),
        b"\xff" * 64,
        good[:32],
    )
    yield ed25519_key().sign(hashlib.sha512(signed_part("EdDSA", ed25519_key()).encode()).digest())
    for place in range(0, 64, 4):
        yield bytes([*good[:place], good[place] ^ 1, *good[place + 1 :]])


def _hmac() -> Iterator[bytes]:
    data, secret = signed_part("HS256", SECRET).encode(), SECRET.encode()
    good = hmac.digest(secret, data, "sha256")
    yield from (good[:length] for length in (1, 4, 8, 10, 16, 20, 24, 28, 31))
    yield from (good + b"\0", good * 2, good[::-1], bytes(32), b"\0", good.hex().encode(), b64(good).encode())
    yield from (
        hmac.digest(secret, data, name) for name in ("sha1", "sha224", "sha384", "sha512", "sha3_256", "md5")
    )
    for other in (
        b"",
        b"\0",
        b"secret",
        secret[:-1],
        secret + b"x",
        secret.upper(),
        b64(secret).encode(),
        data,
    ):
        yield hmac.digest(other, data, "sha256")
    yield from (
        hashlib.sha256(secret + data).digest(),
        hashlib.sha256(data).digest(),
        hashlib.sha256(data + secret).digest(),
    )
    for place in range(0, 32, 4):
        yield bytes([*good[:place], good[place] ^ 1, *good[place + 1 :]])


#: Families: the algorithm, the function for its key, and the function for its signatures.
FAMILIES: dict[str, tuple[str, Callable[[], Any], Callable[[], Iterator[bytes]]]] = {
    "RSA bytes": ("RS256", rsa_key, _rsa_bytes), "RSA structures": ("RS256", rsa_key, _rsa_structures),
    "PSS": ("PS256", rsa_key, _pss), "ECDSA": ("ES256", ec_key, _ecdsa),
    "Ed25519": ("EdDSA", ed25519_key, _ed25519),
    "HMAC": ("HS256", lambda: SECRET, _hmac),
}  # fmt: skip


@cache
def tokens(family: str) -> list[str]:
    """Return the tokens of a family, each with another wrong signature."""
    algorithm, key, make = FAMILIES[family]
    return [f"{signed_part(algorithm, key())}.{b64(signature)}" for signature in make()]
