"""Parse the compact form of a signed token, as strictly as RFC 7515 and RFC 8725 require.

The token is not trusted here: the result is not verified. Algorithm, key and claims are checked by `keyset`
and `claims`.
"""

import binascii
from dataclasses import dataclass

from authguard._core.encoding.fast import find_base64_decoder
from authguard._core.memory import Memory
from authguard._core.strict_json import JSONError, parse_object_bytes
from authguard.errors import MalformedTokenError

# Translates base64url without padding (RFC 7515 section 2) to the alphabet of `binascii`. Characters of the
# other alphabet become a character that no alphabet has.
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"", b"==", b"=")
# The last character carries 4 or 2 bits that are not part of any byte: they must be zero, or one
# token would have several spellings (RFC 4648 section 3.5).
_NONE: frozenset[int] = frozenset()
_LAST = (_NONE, _NONE, frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))
_REMEMBERED_HEADERS = 1024
_MAX_REMEMBERED_HEADER = 512
_decode_fast = find_base64_decoder()


@dataclass(frozen=True, slots=True)
class Header:
    """Hold the parts of the protected header that select a key or forbid the token.

    Attributes:
        algorithm: the `alg`.
        key_id: the `kid`.
        type: the `typ`, as `media_type` returns it.
        key_set_url: the `jku`; it is compared, and never fetched.
    """

    algorithm: str
    key_id: str | None
    type: str | None
    key_set_url: str | None = None


@dataclass(slots=True)  # not frozen, which would cost each first-seen credential more
class Token:
    """Hold a parsed token; nothing of it is verified yet."""

    header: Header
    signed: bytes
    payload: bytes
    signature: bytes


def base64url(text: bytes) -> bytes:
    """Decode base64url without padding, in its one canonical spelling.

    Raises:
        MalformedTokenError: if the length is impossible, the last bits are not zero, or a character
            is of another alphabet.
    """
    over = len(text) % 4
    if over and text[-1] not in _LAST[over]:
        raise MalformedTokenError("not canonical base64url")
    padded = text.translate(_TO_STANDARD) + _PADDING[over]
    try:
        if _decode_fast is not None:
            return _decode_fast(padded)
        return binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error:
        raise MalformedTokenError("not base64url") from None


_headers: Memory[bytes, Header] = Memory(_REMEMBERED_HEADERS)


def read_compact(text: str, *, padding: bool = False) -> Token:
    """Parse a compact JWS.

    Args:
        text: the token.
        padding: whether its parts may end in `=`, as no JWS does (RFC 7515 section 2). If so, all parts must
            have their padding, so that one token has one spelling.

    Raises:
        MalformedTokenError: if it is malformed, or its header forbids using it as a JWT.
    """
    data = text.encode("ascii", "replace")
    if data.count(b".") != 2:
        raise MalformedTokenError("not a compact JWS")
    signed, _, signature = data.rpartition(b".")
    head, _, payload = signed.partition(b".")
    if padding and b"=" in data:
        head, payload, signature = map(_without_padding, (head, payload, signature))
    if not signature:
        raise MalformedTokenError("no signature")
    # Cached, because all tokens of an issuer share their header.
    header = _headers.get(head)
    if header is None:
        header = _read_header(base64url(head))
        if len(head) <= _MAX_REMEMBERED_HEADER:
            _headers.put(head, header)
    return Token(header, signed, base64url(payload), base64url(signature))


def _without_padding(part: bytes) -> bytes:
    text = part.rstrip(b"=")
    if len(part) - len(text) != -len(text) % 4:
        raise MalformedTokenError("a part without its padding, or with too much of it")
    return text


def _read_header(data: bytes) -> Header:
    try:
        members = parse_object_bytes(data)
    except JSONError as error:
        raise MalformedTokenError("the header is not a strict JSON object") from error
    for name in ("alg", "kid", "typ", "jku"):
        if not isinstance(members.get(name, ""), str):
            raise MalformedTokenError(f"{name} is not text")
    # The guard supports no critical extension (RFC 7515 section 4.1.11), and `b64` is never used in a JWT
    # (RFC 7797 section 7).
    if "crit" in members or "b64" in members:
        raise MalformedTokenError("crit or b64 in the header")
    # A token must not contain its key, or the URL of one (RFC 8725 section 3.10). Certificates (`x5c`) and
    # thumbprints (`x5t`), which well-known issuers send beside a `kid`, are ignored.
    if "jwk" in members or "x5u" in members:
        raise MalformedTokenError("a key or the URL of one in the header (jwk or x5u)")
    content = members.get("cty")
    if content is not None and (not isinstance(content, str) or media_type(content) == "jwt"):
        raise MalformedTokenError("a nested token")
    kind = members.get("typ")
    kind = None if kind is None else media_type(kind)
    return Header(members.get("alg", ""), members.get("kid"), kind, members.get("jku"))


def media_type(kind: str) -> str:
    """Return a `typ` as it is compared: any case, `application/` left out (RFC 7515 section 4.1.9)."""
    return kind.lower().removeprefix("application/")
