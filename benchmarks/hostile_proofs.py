"""List tokens that are bound to a caller's key or certificate, with proofs that cause much work."""

import base64
import datetime as dt
import hashlib
import json
import math
from functools import cache
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from benchmarks.hostile_tokens import NOW, b64, claims, ec_jwk, number, rsa_jwk, sign, token

ORIGIN = "https://api.example"
#: The rest of the longest proof that the guard reads (8 KiB), besides the required claims.
_LONGEST = 5000
_THUMBPRINT = ("crv", "e", "kty", "n", "x", "y")


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _bound(jwk: dict[str, Any]) -> str:
    """Return a valid token for the holder of a key."""
    members = {name: jwk[name] for name in _THUMBPRINT if name in jwk}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return token(claims(cnf={"jkt": b64(hashlib.sha256(text.encode()).digest())}))


def _proof(
    access: str,
    *,
    jwk: Any = None,
    key: Any = None,
    algorithm: str = "ES256",
    header: Any = None,
    payload: Any = None,
    signature: bytes | None = None,
    **more: Any,
) -> str:
    """Return a proof; without changes, it is valid."""
    head = {"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk or ec_jwk(_key()), **(header or {})}
    good = {
        "jti": "j", "htm": "GET", "htu": f"{ORIGIN}/private", "iat": NOW,
        "ath": b64(hashlib.sha256(access.encode()).digest()), **more,
    }  # fmt: skip
    signed = ".".join(b64(_json(part)) for part in (head, good if payload is None else payload)).encode()
    if signature is None:
        signature = sign(algorithm, signed, key or _key())
    return f"{signed.decode()}.{b64(signature)}"


def _json(value: Any) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()


def dpop() -> dict[str, tuple[str, list[str]]]:
    """Return a token and the proofs for it, by name."""
    access = _bound(ec_jwk(_key()))
    changes: dict[str, dict[str, Any]] = {
        "an htu of 4 KiB": {"htu": f"{ORIGIN}/" + "a" * 4096}, "an htu of dot segments": {"htu": f"{ORIGIN}/" + "../" * 1300},
        "an htu of percent signs": {"htu": f"{ORIGIN}/" + "%25" * 1300}, "an htu of slashes": {"htu": f"{ORIGIN}/" + "/" * 4096},
        "an htu of at signs": {"htu": "https://" + "@" * 4096}, "an htu of digits": {"htu": "https://a:" + "9" * 4096},
        "an htu that is no UTF-8": {"htu": f"{ORIGIN}/" + "%ff" * 1300}, "an htu of colons": {"htu": "https://[" + ":" * 4000},
        "an htm of 4 KiB": {"htm": "G" * 4096}, "a jti of 4 KiB": {"jti": "j" * 4096}, "an ath of 4 KiB": {"ath": "a" * 4096},
        "a nonce of 4 KiB": {"nonce": "n" * 4096}, "a nonce of other characters": {"nonce": "\u00e9"}, "a nonce of no text": {"nonce": [[]]},
        "an iat of 4,000 digits": {"iat": 10**4000}, "an exp of 4,000 digits": {"exp": 10**4000}, "an nbf of 400 digits": {"nbf": -(10**400)},
        "an iat of 1e308": {"iat": 1e308}, "an iat that is true": {"iat": True}, "an iat that is infinite": {"iat": math.inf},
        "a fraction of a second": {"iat": NOW + 0.5}, "a good proof": {},
    }  # fmt: skip
    proofs = {name: (access, [_proof(access, **change)]) for name, change in changes.items()}
    payloads = {
        "arrays in arrays": "[" * _LONGEST, "a number of 5,000 digits": '{"iat":' + "9" * _LONGEST + "}",
        "members of one name": "{" + ",".join(['"a":1'] * 800) + "}", "nothing": "", "objects": '{"a":' * 900,
        "thousands of members": "{" + ",".join(f'"{n}":1' for n in range(550)) + "}",
    }  # fmt: skip
    proofs |= {f"claims: {name}": (access, [_proof(access, payload=text)]) for name, text in payloads.items()}
    headers: dict[str, dict[str, Any]] = {
        "a jwk of thousands of members": {"jwk": {**ec_jwk(_key()), **{f"{n}": 1 for n in range(500)}}},
        "a jwk of arrays": {"jwk": [[[]]]}, "a jwk of another type": {"jwk": {"kty": []}}, "no jwk": {"jwk": None},
        "a jwk with a secret": {"jwk": {"kty": "oct", "k": "A" * 4000}}, "a kid of 4 KiB": {"kid": "a" * 4096},
        "a typ of 4 KiB": {"typ": "d" * 4096}, "an alg of 4 KiB": {"alg": "E" * 4096}, "an alg of no text": {"alg": []},
        "a crit of hundreds": {"crit": [f"c{n}" for n in range(500)]}, "certificates": {"x5c": ["A" * 4000]},
        "a jwk of 4 KiB of x": {"jwk": {"kty": "EC", "crv": "P-256", "x": "A" * 4096, "y": "A" * 40}},
    }  # fmt: skip
    proofs |= {
        f"header: {name}": (access, [_proof(access, header=change)]) for name, change in headers.items()
    }
    good = _proof(access)
    proofs |= {
        "1,000 proofs": (access, [good] * 1000), "a proof of 64 KiB": (access, ["a" * 65_000]), "a proof of dots": (access, ["." * 8000]),
        "a proof of 16 KiB in three parts": (access, [f"{'A' * 8000}.{'A' * 4000}.{'A' * 4000}"]), "an empty proof": (access, [""]),
        "a proof with a signature of 4 KiB": (access, [_proof(access, signature=b"\1" * 3000)]),
        "a proof with a signature of zeros": (access, [_proof(access, signature=b"\0" * 64)]),
    }  # fmt: skip
    return proofs | _with_rsa_keys()


def _with_rsa_keys() -> dict[str, tuple[str, list[str]]]:
    """Yield keys that were chosen so that verification takes long; an issuer binds tokens to any key."""
    proofs = {}
    for bits in (2048, 3072, 4096, 8192, 16_384):
        modulus = (1 << bits) - 159  # not a real key, but an odd number of the same length
        for what, exponent in (
            ("65537", 65_537),
            ("64 bits", (1 << 64) - 59),
            ("256 bits", (1 << 256) - 189),
            ("its own length", modulus - 2),
        ):
            jwk = rsa_jwk(rsa.RSAPublicNumbers(exponent, modulus))
            access = _bound(jwk)
            proof = _proof(access, jwk=jwk, algorithm="PS256", signature=b"\1" * (bits // 8))
            proofs[f"an RSA key of {bits} bits, its exponent {what}"] = (access, [proof])
    huge = {"kty": "RSA", "n": number((1 << 32_768) - 1), "e": "AQAB"}
    proofs["an RSA key of 32,768 bits"] = (
        _bound(huge),
        [_proof(_bound(huge), jwk=huge, algorithm="PS256", signature=b"\1" * 4096)],
    )
    return proofs


@cache
def _certificate(bits: int, names: int) -> x509.Certificate:
    """Return a certificate that the caller has made."""
    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    day = dt.datetime.fromtimestamp(NOW, dt.UTC)
    alternative = x509.SubjectAlternativeName([x509.DNSName(f"h{n}.example") for n in range(names)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + dt.timedelta(days=1))
    return builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())


def certificates() -> dict[str, tuple[str, bytes]]:
    """Return a token and the value of the field with the certificate, by name."""
    access = token(claims(cnf={"x5t#S256": "a" * 43}))
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    many = _certificate(2048, 500).public_bytes(Encoding.PEM).decode()
    nested = base64.b64encode(b"\x30\x82\x20\x00" * 2000).decode()
    texts = {
        "a good one of another": quote(_certificate(2048, 1).public_bytes(Encoding.PEM).decode()),
        "500 names": quote(many, safe="/+="), "letters": "A" * 65_536, "percent signs": "%" * 16_000, "encoded letters": "%41" * 5400,
        "encoded letters of 64 KiB": "%41" * 21_800, "spaces": "%20" * 5000, "spaces and a beginning": "%20" * 5000 + begin,
        "nothing but beginnings": begin * 600, "no end": begin + "A" * 16_000, "a body of spaces": begin + " " * 16_000 + end,
        "a body of letters": begin + "A" * 16_000 + end, "sequences in sequences": begin + nested[:16_000] + end,
        "bytes above ASCII": "\xff" * 16_000, "another's, twice": quote(many[:400] + many[:400]),
    }  # fmt: skip
    return {name: (access, text.encode("latin-1")) for name, text in texts.items()}
