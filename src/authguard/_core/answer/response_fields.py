"""Make the fields that a decision adds to a response: what caches must know, and nonces."""

from collections.abc import Iterable
from typing import AnyStr, TypeAlias

from authguard._core.credential.extractor import Extractor

#: Names in lower case, and values.
ResponseFields: TypeAlias = tuple[tuple[bytes, bytes], ...]

_LENGTH = len("cache-control")  # nearly no other field has it: there is no call for each field


def vary_on(extractor: Extractor, method: str) -> str:
    """Return the request fields by which caches must tell apart the responses to a kind of credential.

    None for Authorization: shared caches do not keep those responses (RFC 9111 section 3.5).
    """
    fields = {"api_key": extractor.key_fields, "header": extractor.token_fields}.get(method)
    if fields is not None:
        return ", ".join(sorted(field.decode() for field in fields))
    return "Cookie" if method == "cookie" else ""


def response_fields(vary: str, nonce: str = "", *, no_store: bool = False) -> ResponseFields:
    """Return what to add to a response.

    Args:
        vary: request fields that the response depends on; empty for none.
        nonce: for the caller's next DPoP proofs (RFC 9449 section 8.2); empty for none.
        no_store: whether a browser may not even keep what depends on the request fields.
    """
    fields: ResponseFields = ()
    if nonce:
        fields += ((b"dpop-nonce", nonce.encode("ascii")),)
    if vary:
        fields += ((b"vary", vary.encode("ascii")),)
    if fields:
        # A browser may keep a private response, and would present the nonce again later.
        fields += ((b"cache-control", b"no-store" if nonce or no_store else b"private"),)
    return fields


def merged(
    headers: Iterable[tuple[AnyStr, AnyStr]], fields: Iterable[tuple[AnyStr, AnyStr]]
) -> list[tuple[AnyStr, AnyStr]]:
    """Return the fields of a response with those of a decision.

    The application's own Cache-Control stays as it is. Its own Vary stays, too: of several lines all
    hold (RFC 9110 section 5.3).
    """
    own = list(headers)
    for name, _ in own:
        if len(name) == _LENGTH and _is_cache_control(name):
            return own + [field for field in fields if not _is_cache_control(field[0])]
    return own + list(fields)


def _is_cache_control(name: str | bytes) -> bool:
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    return text.lower() == "cache-control"
