"""Build the fields that a decision adds to a response: for caches, and DPoP nonces."""

from collections.abc import Iterable
from typing import AnyStr, TypeAlias

from authguard._core.credential.extractor import Extractor

#: Names in lower case, and values.
ResponseFields: TypeAlias = tuple[tuple[bytes, bytes], ...]

_LENGTH = len("cache-control")  # the length of the name; comparing it first avoids a call for most fields


def vary_on(extractor: Extractor, method: str) -> str:
    """Return the request fields by which caches must distinguish responses, for a kind of credential.

    Responses to requests with Authorization need no field, because shared caches do not store them (RFC 9111
    section 3.5).
    """
    fields = {"api_key": extractor.key_fields, "header": extractor.token_fields}.get(method)
    if fields is not None:
        return ", ".join(sorted(field.decode() for field in fields))
    return "Cookie" if method == "cookie" else ""


def response_fields(vary: str, nonce: str = "", *, no_store: bool = False) -> ResponseFields:
    """Return the fields to add to a response.

    Args:
        vary: request fields on which the response depends; empty for none.
        nonce: for the caller's next DPoP proofs (RFC 9449 section 8.2); empty for none.
        no_store: whether a browser must not store a response that depends on these fields.
    """
    fields: ResponseFields = ()
    if nonce:
        fields += ((b"dpop-nonce", nonce.encode("ascii")),)
    if vary:
        fields += ((b"vary", vary.encode("ascii")),)
    if fields:
        # A browser may store a private response, and would present its nonce again later.
        fields += ((b"cache-control", b"no-store" if nonce or no_store else b"private"),)
    return fields


def merged(
    headers: Iterable[tuple[AnyStr, AnyStr]], fields: Iterable[tuple[AnyStr, AnyStr]]
) -> list[tuple[AnyStr, AnyStr]]:
    """Return the fields of a response together with those of a decision.

    The application's own Cache-Control is not changed. Its own Vary is kept, too, because several lines are
    combined (RFC 9110 section 5.3).
    """
    own = list(headers)
    for name, _ in own:
        if len(name) == _LENGTH and _is_cache_control(name):
            return own + [field for field in fields if not _is_cache_control(field[0])]
    return own + list(fields)


def _is_cache_control(name: str | bytes) -> bool:
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    return text.lower() == "cache-control"
