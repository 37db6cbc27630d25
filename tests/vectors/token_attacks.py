"""Make tokens that break rules of RFC 7515, 7519, 7797, 8259 and 8725, but try to pass as valid.

If a family is about the form or the claims, the HMAC signature is valid, so that only the form or the claims
can be the reason of the refusal.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization

from support import (
    AUDIENCE,
    ISSUER,
    SECRET,
    b64,
    claims,
    ec_key,
    jwk,
    make_token,
    make_token_of_parts,
    pem,
    rsa_key,
)
from vectors.claim_attacks import hostile_claims

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEADER, CLAIMS = '{"alg":"HS256"}', json.dumps(claims())
GOOD = make_token_of_parts(b64(HEADER.encode()), b64(CLAIMS.encode()))
WORDS = (
    "none",
    "None",
    "NONE",
    "nOnE",
    "noNe",
    "none ",
    " none",
    "none\0",
    "non\u0435",
    "\uff4eone",
    "",
    "null",
    "no\tne",
)
ALGORITHMS = (
    "hs256", "Hs256", "HS256 ", " HS256", "HS256\0", "HS256,none", "HS-256", "HS384", "HS512", "HS1", "RS256",
    "ES256", "PS256", "EdDSA", "Ed25519", "ES256K", "dir", "A256GCM", "RSA-OAEP", "HMAC", "SHA256",
    "\uff28S256",
)  # fmt: skip
ODD: tuple[Any, ...] = (None, True, False, 0, 1, 1.5, [], {}, ["HS256"], {"HS256": 1}, [["HS256"]])


def _none() -> Iterator[str]:
    for word in WORDS:
        parts = f"{b64(json.dumps({'alg': word}).encode())}.{b64(CLAIMS.encode())}"
        yield from (f"{parts}.", f"{parts}.AA", parts, f"{parts}.{GOOD.rpartition('.')[2]}")
        yield make_token(header={"alg": word}, signed_with="HS256")


def _algorithms() -> Iterator[str]:
    for name in (*ALGORITHMS, *ODD):
        yield make_token(header={"alg": name}, signed_with="HS256")
    yield from (
        make_token(header={"typ": "JWT"}, signed_with="HS256"),
        make_token(header={"ALG": "HS256"}, signed_with="HS256"),
    )


def _headers() -> Iterator[str]:
    members: list[dict[str, Any]] = []
    for crit in (
        *ODD,
        "exp",
        ["exp"],
        ["alg"],
        ["b64"],
        ["kid"],
        ["x"],
        ["x", "x"],
        [""],
        ["http://a.example"],
        ["\u0000"],
    ):
        members += [{"crit": crit}, {"crit": crit, "x": 1, "exp": 1}]
    members += [{"b64": value} for value in (*ODD, "true", "false", "")]
    members += [{"b64": False, "crit": ["b64"]}, {"b64": True, "crit": ["b64"]}]
    members += (
        [{"kid": value} for value in ODD]
        + [{"typ": value} for value in ODD]
        + [{"cty": value} for value in ODD[1:]]
    )
    kinds = (
        "id",
        "refresh",
        "logout",
        "dpop",
        "secevent",
        "token-introspection",
        "at",
        "oauth-authz-req",
        "kb",
        "x",
    )
    members += [{"typ": f"{kind}+jwt"} for kind in kinds if kind != "at"]
    members += [
        {"typ": kind}
        for kind in ("JOSE", "JWE", "jwt ", " jwt", "jwt\0", "", "text/jwt", "application/", "JWT;a=b")
    ]
    members += [{"cty": kind} for kind in ("JWT", "jwt", "application/jwt", "APPLICATION/JWT")]
    yield from (make_token(**member) for member in members)


def _embedded() -> Iterator[str]:
    own = jwk(ec_key())
    for algorithm, key in (("ES256", ec_key()), ("HS256", SECRET), ("HS256", "x" * 40)):
        values: tuple[Any, ...] = (
            own, {}, None, "x", [], {"kty": "oct", "k": b64(b"x" * 40)}, {"keys": [own]}, 7,
        )  # fmt: skip
        for value in values:
            yield make_token(algorithm=algorithm, key=key, jwk=value)
        for url in (
            f"{ISSUER}/jwks",
            "http://127.0.0.1/k",
            "file:///dev/null",
            "",
            "//evil.example",
            "data:,{}",
        ):
            yield from (make_token(algorithm=algorithm, key=key, **{name: url}) for name in ("jku", "x5u"))
    for kid in (
        "../../dev/null",
        "/dev/null",
        "' OR 1=1--",
        "$(id)",
        "http://evil.example",
        "\0",
        "x" * 3000,
        "{}",
    ):
        yield make_token(key="", kid=kid)
        yield make_token(key="x", kid=kid, x5c=["MIIB"])


def _duplicates() -> Iterator[str]:
    for first, second in (("none", "HS256"), ("HS256", "HS256"), ("HS256", "none"), ("RS256", "HS256")):
        yield _form(f'{{"alg":"{first}","alg":"{second}"}}', CLAIMS)
        yield _form(f'{{"\\u0061lg":"{first}","alg":"{second}"}}', CLAIMS)
        yield _form(f'{{"alg":"{first}","al\\u0067":"{second}"}}', CLAIMS)
    yield _form('{"alg":"HS256","kid":"a","kid":"b"}', CLAIMS)
    yield _form('{"alg":"HS256","x":{"a":1,"a":2}}', CLAIMS)
    for name, value in claims().items():
        again = f"{json.dumps(name)}:{json.dumps(value)}"
        yield _form(HEADER, f"{CLAIMS[:-1]},{again}}}")
        yield _form(HEADER, f'{CLAIMS[:-1]},"\\u{ord(name[0]):04x}{name[1:]}":0}}')
    yield _form(HEADER, f'{CLAIMS[:-1]},"x":[{{"a":1,"a":1}}]}}')


def _encodings() -> Iterator[str]:
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-8-sig", "cp037"):
        yield from (_form(HEADER.encode(name), CLAIMS), _form(HEADER, CLAIMS.encode(name)))
    broken = (
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\x80",
        b"\xc3",
        b"\0",
        b"\n",
        b"\x1f",
    )
    for mark in broken:
        yield from (
            _form(HEADER, CLAIMS[:-1].encode() + b',"x":"' + mark + b'"}'),
            _form(b'{"alg":"HS256","x":"' + mark + b'"}', CLAIMS),
        )
    for text in ("\\ud800", "\\udc00", "\\ud800\\ud800", "\\udc00\\ud800", "\\u12", "\\x41", "\\'"):
        yield from (
            _form(HEADER, f'{CLAIMS[:-1]},"x":"{text}"}}'),
            _form(f'{{"alg":"HS256","x":"{text}"}}', CLAIMS),
        )


def _json() -> Iterator[str]:
    texts = [
        "",
        " ",
        "null",
        "true",
        "1",
        '"a"',
        "[]",
        "[{}]",
        "{",
        "}",
        "{}{}",
        "{},",
        "{'a':1}",
        "{a:1}",
        "NaN",
        "\ufeff{}",
    ]
    for text in texts:
        yield from (_form(text, CLAIMS), _form(HEADER, text))
    for value in (
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "1.",
        ".5",
        "+1",
        "0x1",
        "1_0",
        "undefined",
        "9" * 5000,
        "[" * 5000,
        "1e999999",
    ):
        yield _form(HEADER, f'{CLAIMS[:-1]},"exp":{value}}}')
        yield _form(HEADER, f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"a","exp":{value}}}')
    for end in (",}", "}}", "} x", "}\0", "}//", "}/**/", "}#"):
        yield from (_form(HEADER, CLAIMS[:-1] + end), _form(HEADER[:-1] + end, CLAIMS))


def _spellings() -> Iterator[str]:
    """Yield tokens with another spelling of base64url in one part, signed as sent if possible."""
    head, body, signature = GOOD.split(".")
    for mark in (
        "=",
        "==",
        "\n",
        " ",
        "\t",
        "\r\n",
        "+",
        "/",
        "%3D",
        "\0",
        "~",
        ":",
        ",",
        "\u00e4",
        "'",
        '"',
        "{",
        "@",
        "A",
    ):
        yield from (
            make_token_of_parts(head + mark, body),
            make_token_of_parts(head[:4] + mark + head[4:], body),
        )
        yield from (make_token_of_parts(head, body + mark), make_token_of_parts(head, mark + body))
        yield from (f"{head}.{body}.{mark}{signature}", f"{head}.{body}.{signature[:9]}{mark}{signature[9:]}")
        if mark not in (" ", "\t"):  # at the end of a field, they are not part of its value
            yield f"{GOOD}{mark}"
    last = ALPHABET.index(signature[-1])
    yield from (f"{head}.{body}.{signature[:-1]}{letter}" for letter in _neighbours(last))


def _neighbours(place: int) -> list[str]:
    """Return the characters with the four bits of the last one of a signature, and other padding bits."""
    return [ALPHABET[place // 4 * 4 + more] for more in range(1, 4)]


def _parts() -> Iterator[str]:
    head, body, signature = GOOD.split(".")
    yield from (
        "",
        ".",
        "..",
        "...",
        "....",
        head,
        f"{head}.",
        f"{head}.{body}",
        f"{head}.{body}.",
        f".{body}.{signature}",
    )
    yield from (
        f"{head}..{signature}",
        f".{GOOD}",
        f"{GOOD}.",
        f"{GOOD}.{signature}",
        f"{GOOD}..",
        f"{head}.{body}..{signature}",
    )
    yield from (
        f"{head}.{body}.{signature}.{body}.{signature}",
        f"{body}.{head}.{signature}",
        f"{GOOD},{GOOD}",
        f"{GOOD} {GOOD}",
    )
    flat = {"payload": body, "protected": head, "signature": signature}
    for form in (flat, {"payload": body, "signatures": [flat]}, {**flat, "header": {"alg": "HS256"}}):
        yield from (json.dumps(form), json.dumps(form, separators=(",", ":")), b64(json.dumps(form).encode()))


def _form(head: str | bytes, body: str | bytes) -> str:
    parts = [part if isinstance(part, bytes) else part.encode() for part in (head, body)]
    return make_token_of_parts(*map(b64, parts))


#: Families of tokens for a verifier with `SECRET` and HS256.
HMAC_FAMILIES = {
    "none": _none, "algorithms": _algorithms, "headers": _headers, "embedded": _embedded,
    "duplicates": _duplicates, "encodings": _encodings, "json": _json, "spellings": _spellings,
    "parts": _parts, "claims": hostile_claims,
}  # fmt: skip


@cache
def confusions() -> list[str]:
    """Return tokens signed by HMAC with forms of the public RSA key."""
    public = rsa_key().public_key()
    text, numbers = pem(rsa_key()), public.public_numbers()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    old = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
    ssh = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    known = [
        text.encode(),
        text.strip().encode(),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "").encode(),
        der,
        old,
        ssh,
    ]
    known += [
        b64(der).encode(),
        json.dumps(jwk(rsa_key())).encode(),
        json.dumps({"keys": [jwk(rsa_key())]}).encode(),
        b"",
        b"\0",
    ]
    known += [
        numbers.n.to_bytes(256, "big"),
        str(numbers.n).encode(),
        hex(numbers.n).encode(),
        b"65537",
        b"AQAB",
        b"".join(text.encode().splitlines()[1:-1]),
    ]
    names = ("HS256", "HS384", "HS512")
    forged = [make_token(algorithm=name, key=key) for name in names for key in known]
    forged += [
        make_token(algorithm=name, signed_with="HS256", key=text)
        for name in ("RS256", "PS256", "none", "hs256")
    ]
    return [
        *forged,
        *(
            make_token(algorithm=name, key=rsa_key())
            for name in ("RS384", "RS512", "PS256", "PS384", "PS512")
        ),
    ]


@cache
def tokens(family: str) -> list[str]:
    """Return the tokens of a family once each."""
    return list(dict.fromkeys(HMAC_FAMILIES[family]()))
