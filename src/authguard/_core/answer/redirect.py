"""Build redirects that cannot leave the site: to the login page, and to the page after it.

Law 6 for `next`: the target must be a path and a query on this site, and is refused if any program could read
it as another target. The result is built from the parsed parts, never copied from the input.
"""

import re
from collections.abc import Collection, Iterable
from urllib.parse import quote, unquote, urlencode

from authguard._core.answer.negotiation import is_htmx, reads_pages
from authguard._core.options import check_text_list, got, named_options
from authguard._core.policy.paths import is_canonical
from authguard._core.request import RequestView
from authguard.errors import ConfigurationError

MAX_TARGET = 2048
_PATH_SAFE = "/-._~!$&'()*+,=:@"
_QUERY_SAFE = "/-._~!$&'()*+,=:@;?%"
# Paths of signing in and out; redirecting there would loop, or sign out at once.
_SIGN_IN_PAGES = frozenset(
    f"{verb}{dash}{way}" for verb in ("log", "sign") for dash in ("", "-", "_") for way in ("in", "out")
) | {"callback"}


@named_options
def safe_next(target: str | None, default: str = "/", *, login_paths: Collection[str] = ()) -> str:
    """Return the local path for the redirect after signing in, from an untrusted `next` parameter.

    Args:
        target: the text that the client sent, decoded once, as a form or query parameter is. A client may
            send any value in JSON: one that is not text is unsafe.
        default: the path if the target is missing or unsafe; it is returned unchanged.
        login_paths: pages that are never a target; pages named like a login page are avoided anyway.

    Returns:
        A path and query on this site, percent-encoded, for a Location field: no WHATWG URL parser resolves it
        to another origin or scheme. It is kept only if its path is canonical, like a public path; a fragment
        is dropped.

    Raises:
        ConfigurationError: if `default` is not text, or `login_paths` is not a list of texts.
    """
    if not isinstance(default, str):
        raise ConfigurationError(f"default must be text, got {got(default)}")
    login_paths = _checked_paths(login_paths)
    if not isinstance(target, str) or not target or len(target) > MAX_TARGET:
        return default
    path, _, query = target.partition("#")[0].partition("?")
    path = unquote(path)
    if not is_canonical(path) or path in login_paths or _is_sign_in_page(path):
        return default
    # A lone surrogate, which a URL cannot contain, becomes a question mark.
    quoted = quote(query, safe=_QUERY_SAFE, errors="replace")
    return quote(path, safe=_PATH_SAFE) + (f"?{quoted}" if query else "")


def _checked_paths(login_paths: object) -> Collection[str]:
    if isinstance(login_paths, frozenset):  # those of a policy, which are checked already
        return login_paths
    return check_text_list(login_paths, "login_paths", '"/login"')


def _is_sign_in_page(path: str) -> bool:
    return path.rstrip("/").rpartition("/")[2].casefold() in _SIGN_IN_PAGES


def local_prefix(root_path: str) -> str | None:
    """Return a mount point, percent-encoded, as the beginning of a path in a Location field.

    Behind some proxies, callers influence it: by `X-Forwarded-Prefix`, or by a mount with a parameter. A URL
    parser reads `//host`, and text that it normalises to `//host`, as another origin.

    Args:
        root_path: the mount point; a trailing slash is ignored.

    Returns:
        None if it is not a canonical path on this site.
    """
    prefix = root_path.rstrip("/")
    if prefix and (len(prefix) > MAX_TARGET or not is_canonical(prefix)):
        return None
    return quote(prefix, safe=_PATH_SAFE)


def login_location(
    request: RequestView,
    login_path: str,
    login_paths: Collection[str],
    more: Iterable[tuple[str, str]] = (),
) -> str | None:
    """Return the URL of the login page with the requested page as `next`, and further parameters.

    It is relative to the site and built from configuration: neither Host nor a forwarded field is used (RFC
    9110 section 10.2.2). HTMX requests fragments, so `next` is the page of the fragment.

    Returns:
        None if the mount point is not a path on this site.
    """
    prefix = local_prefix(request.root_path)
    if prefix is None:
        return None
    root_path = request.root_path.rstrip("/")
    if is_htmx(request):
        current = (request.field(b"hx-current-url") or b"").decode("latin-1")
        next_path = re.sub(r"\Ahttps?://[^/]*", "", current)
    else:
        # A longer path is not a sensible target, and quoting it would cost more than refusing it.
        path = root_path + request.path
        next_path = quote(path, safe=_PATH_SAFE, errors="replace") if len(path) <= MAX_TARGET else ""
        next_path = f"{next_path}?{request.query}" if request.query else next_path
    own = frozenset(root_path + path for path in login_paths)
    next_path = safe_next(next_path, "", login_paths=own)
    parameters = [*([("next", next_path)] if next_path else []), *more]
    page = prefix + login_path
    return f"{page}?{urlencode(parameters)}" if parameters else page


def navigates(request: RequestView) -> bool:
    """Return whether a browser requests a page, so that a redirect to the login page is useful."""
    return request.method in {"GET", "HEAD"} and reads_pages(request)
