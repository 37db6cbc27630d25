"""Read and write the parts of paged lists: `limit` and `cursor` in the query, and a Link field (RFC 8288)."""

from urllib.parse import urlencode

from starlette.requests import Request

from authguard.identity.errors import InvalidFieldsError
from authguard.identity.web.messages import query_of


def read_page(request: Request, *, default: int, max_limit: int) -> tuple[int, str | None]:
    """Return the limit and the cursor of a request; None for the first page.

    Args:
        request: the request.
        default: the limit of a request that names none.
        max_limit: the largest limit.

    Raises:
        InvalidFieldsError: if the limit is not a number from 1 to `max_limit`, or one of them is sent twice.
    """
    query = query_of(request)
    problems = {name: ["was sent twice"] for name in ("limit", "cursor") if len(query.getlist(name)) > 1}
    text = query.get("limit", str(default))
    # A number with more digits is not converted, because that takes long.
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(max_limit))
    if not is_number or not 1 <= int(text) <= max_limit:
        problems.setdefault("limit", []).append(f"must be a number from 1 to {max_limit}")
    if problems:
        raise InvalidFieldsError(problems)
    return int(text), query.get("cursor")


def link_next(limit: int, cursor: str) -> str:
    """Return the value of a Link field that leads to the next page.

    The link is relative to the URL of the request, so it is correct behind proxies that change paths.
    """
    return f'<?{urlencode({"limit": limit, "cursor": cursor})}>; rel="next"'
