"""List hostile tokens: forged ones of every bad form, and signed ones of an issuer that signs anything."""

import base64
import hmac
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

NOW = 1_800_000_000.0
SECRET = "h0stile-0nly-Secret-of-enough-bytes-4Kq"
ISSUER, AUDIENCE, KID = "https://issuer.example", "https://api.example", "a"
#: The longest credential that the guard reads, and the rest of it for the claims.
LONGEST_TOKEN = 16 * 1024
_LONGEST_CLAIMS = 11_800


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    """Return a number in the form of JWKs."""
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def ec_jwk(key: ec.EllipticCurvePrivateKey, **members: str) -> dict[str, str]:
    """Return the public half of a key on P-256 as a JWK."""
    point = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": b64(point.x.to_bytes(32, "big")),
        "y": b64(point.y.to_bytes(32, "big")),
        **members,
    }


def rsa_jwk(numbers: rsa.RSAPublicNumbers, **members: str) -> dict[str, str]:
    """Return an RSA key as a JWK."""
    return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **members}


def sign(algorithm: str, data: bytes, key: Any = None) -> bytes:
    """Return a signature by the issuer's key for the algorithm, or by another key."""
    if algorithm == "HS256":
        return hmac.digest(SECRET.encode(), data, "sha256")
    if algorithm == "RS256":
        return (key or rsa_key()).sign(data, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature((key or ec_key()).sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def claims(**more: Any) -> dict[str, Any]:
    """Return claims that a guard accepts, with changes."""
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": NOW, "exp": NOW + 600, **more}


def token(
    payload: Any = None, header: Any = None, *, algorithm: str = "HS256", signature: bytes | str | None = None
) -> str:
    """Return a compact JWS; bytes and text are used unchanged.

    Args:
        payload: claims, or the text of them.
        header: members of the header beside `alg`, or the text of all.
        algorithm: how to sign.
        signature: replaces the issuer's signature.
    """
    head = header if isinstance(header, (bytes, str)) else {"alg": algorithm, **(header or {})}
    signed = ".".join(b64(_json(part)) for part in (head, claims() if payload is None else payload))
    if signature is None:
        signature = sign(algorithm, signed.encode())
    return f"{signed}.{signature if isinstance(signature, str) else b64(signature)}"


def _json(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()


def of_size(size: int) -> str:
    """Return a token with many claims of a given size, signed by no key."""
    members = {f"m{number}": number for number in range(size // 14)}
    return token(claims(**members), signature=b"x" * 32)


def _payloads() -> dict[str, Any]:
    most = _LONGEST_CLAIMS
    wide = most // 2

    def beside(text: str) -> str:
        """Return the claims of a valid token, and one more member."""
        return json.dumps(claims(), separators=(",", ":"))[:-1] + "," + text + "}"

    return {
        "nothing": "", "no JSON": "x" * most, "spaces": " " * most, "bytes that are no UTF-8": b"\xff" * most,
        "a byte order mark": b"\xef\xbb\xbf{}", "an array": "[" + "1," * wide + "1]",
        "arrays in arrays, not closed": "[" * most, "arrays in arrays": beside('"a":' + "[" * wide + "]" * wide),
        "arrays in arrays, 900 deep": beside('"a":' + "[" * 900 + "]" * 900),
        "objects in objects": '{"a":' * (most // 6) + "1" + "}" * (most // 6),
        "objects in objects, not closed": '{"a":' * (most // 5),
        "arrays in objects in arrays": beside('"a":' + '[{"a":' * (most // 9) + "1" + "}]" * (most // 9)),
        "a number of 11,000 digits": beside('"a":' + "9" * 11_000),
        "an exp of 11,000 digits": '{"exp":' + "9" * 11_000 + "}",
        "numbers of 4,300 digits": beside('"a":[' + ",".join(["9" * 4299] * 2) + "]"),
        "an exp of 4,000 digits": beside('"exp":' + "9" * 4000).replace('"exp":1800000600.0,', ""),
        "an iat of 4,000 digits": beside('"iat":' + "9" * 4000).replace('"iat":1800000000.0,', ""),
        "an nbf of 4,000 digits": beside('"nbf":' + "9" * 4000),
        "a fraction of 11,000 digits": beside('"a":0.' + "9" * 11_000),
        "an exp that is infinite": beside('"a":1e400').replace("1800000600.0", "1e400"),
        "an exp of 1e308": beside('"a":1').replace("1800000600.0", "1e308"),
        "an exp that is NaN": beside('"a":1').replace("1800000600.0", "NaN"),
        "an exponent of 11,000 digits": beside('"a":1e' + "9" * 11_000),
        "numbers with exponents": beside('"a":[' + ",".join(["1e308"] * (most // 7)) + "]"),
        "a member twice": beside('"sub":"bob"'), "members of one name": "{" + ",".join(['"a":1'] * (most // 6)) + "}",
        "thousands of members": beside(",".join(f'"{n}":1' for n in range(1600))),
        "an audience of thousands": claims(aud=[f"a{n}" for n in range(1400)]),
        "an audience of one name": claims(aud=["a"] * 2800),
        "an audience of objects": claims(aud=[{}] * 3500),
        "a scope of thousands of words": claims(scope=" ".join(f"{n:x}" for n in range(2800))),
        "a scope of spaces": claims(scope=" " * most), "a scope of a list": claims(scope=[f"{n:x}" for n in range(1600)]),
        "roles of a list of lists": claims(roles=[[]] * 3500),
        "escapes": beside('"a":"' + "\\u00e9" * (most // 6) + '"'), "escaped names": beside('"\\u0061":1,"a":2'),
        "surrogates in pairs": beside('"a":"' + "\\ud83d\\ude00" * (most // 12) + '"'),
        "a lone surrogate": beside('"a":"\\ud800"'), "lone surrogates": beside('"a":"' + "\\ud800" * (most // 6) + '"'),
        "backslashes": beside('"a":"' + "\\\\" * wide + '"'), "backslashes, not closed": beside('"a":"' + "\\" * (most - 1)),
        "a subject of 11,000 characters": claims(sub="a" * 11_500), "an issuer of 11,000 characters": claims(iss="a" * 11_500),
        "an issuer of another type": claims(iss=[]), "a jti of 11,000 characters": claims(jti="a" * 11_500),
        "an exp that is true": claims(exp=True), "an exp of text": claims(exp="9" * 5000),
        "a confirmation of thousands": claims(cnf={f"{n}": "a" for n in range(1200)}),
        "a confirmation of another type": claims(cnf=[[]]), "a confirmation of no text": claims(cnf={"jkt": []}),
        "a confirmation of 11,000 characters": claims(cnf={"jkt": "a" * 11_000}),
        "a kind of 11,000 characters": claims(token_use="a" * 11_000),
    }  # fmt: skip


def _headers() -> dict[str, Any]:
    key = ec_jwk(ec_key())
    return {
        "a kid of 8 KiB": {"kid": "a" * 8192}, "a kid of other characters": {"kid": "\ufdfa" * 2000},
        "a kid of no text": {"kid": []}, "a kid with a path": {"kid": "../" * 2000},
        "an alg of 8 KiB": '{"alg":"' + "a" * 8192 + '"}', "an alg of no text": '{"alg":[]}', "alg none": '{"alg":"none"}',
        "no alg": "{}", "a typ of 8 KiB": {"typ": "a" * 8192}, "a typ of letters that grow": {"typ": "İ" * 3000},
        "a cty of 8 KiB": {"cty": "a" * 8192}, "a nested token": {"cty": "JWT"},
        "a crit of thousands": {"crit": [f"c{n}" for n in range(1200)]}, "a crit of one name": {"crit": ["b64"]},
        "a payload that is not encoded": {"b64": False, "crit": ["b64"]},
        "a key in it": {"jwk": key}, "a URL of keys in it": {"jku": "https://evil.example/" + "a" * 8000},
        "certificates in it": {"x5c": ["A" * 4000] * 2}, "thousands of members": {f"{n}": 1 for n in range(1200)},
        "members of one name": "{" + ",".join(['"a":1'] * 1900) + "}", "spaces": '{"alg":"HS256"' + " " * 11_000 + "}",
        "arrays in arrays": '{"alg":"HS256","a":' + "[" * 5000 + "]" * 5000 + "}",
        "a number of 11,000 digits": '{"alg":"HS256","a":' + "9" * 11_000 + "}", "nothing": "", "no object": "[]",
        "bytes that are no UTF-8": b"\xff" * 8192,
    }  # fmt: skip


def tokens() -> dict[str, str]:
    """Return all tokens, by name; those with bad claims once forged and once signed."""
    tokens: dict[str, str] = {}
    for name, payload in _payloads().items():
        tokens[f"claims: {name}"] = token(payload, signature=b"x" * 32)
        for algorithm in ("HS256", "ES256"):
            head = {"kid": KID} if algorithm == "ES256" else None
            tokens[f"claims, signed with {algorithm}: {name}"] = token(payload, head, algorithm=algorithm)
    for name, header in _headers().items():
        tokens[f"header: {name}"] = token(None, header)
    # For each algorithm, signatures of every size, and signatures that are out of range.
    for algorithm in ("HS256", "RS256", "ES256"):
        for size in (0, 1, 32, 63, 64, 65, 256, 257, 8000):
            for what, byte in (("zeros", b"\0"), ("ones", b"\xff")):
                tokens[f"{algorithm} signature of {size} bytes: {what}"] = token(
                    None,
                    {"kid": KID} if algorithm != "HS256" else None,
                    algorithm=algorithm,
                    signature=byte * size,
                )
    good = token()
    dots = {"16 KiB of dots": "." * (LONGEST_TOKEN - 1), "dots and letters": "a." * (LONGEST_TOKEN // 2 - 1)}
    odd = {
        "odd length": good + "A",
        "padding": good + "==",
        "another alphabet": good.replace("-", "+").replace("_", "/") + "+",
    }
    empty = {"three empty parts": "..", "an empty header": "." + good.partition(".")[2]}
    long = {"16 KiB of one part": f"{'A' * 16_000}.A.A", "16 KiB of signature": f"{good}{'A' * 15_000}"}
    encrypted = {"five parts": f"{good}.a.a"}
    return {**tokens, **dots, **odd, **empty, **long, **encrypted}


def random_kids(count: int) -> list[str]:
    """Return forged tokens that name a key each."""
    return [
        token(None, {"kid": f"{number:08x}"}, algorithm="ES256", signature=b"\1" * 64)
        for number in range(count)
    ]
