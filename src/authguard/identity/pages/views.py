"""Build the responses of pages: templates, headers, and static files."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from authguard._core.answer.decision import Deny
from authguard._core.answer.refusal import Challenges, refuse
from authguard._logs import log_refusal
from authguard._refused import as_response
from authguard.asgi import handled_by_guard
from authguard.errors import RefusedError, UnexpectedError
from authguard.identity.brand import Brand, parse_brand
from authguard.identity.pages.agents import describe_agent
from authguard.identity.pages.forms import LABELS, is_known_address, refusal_heading, refusal_text
from authguard.identity.settings import Settings
from authguard.identity.web.messages import REALM, page_path, query_of, see_other

#: Scripts, frames, external resources and caching are forbidden; forms are sent only to this site. The
#: Referrer-Policy leaves out paths. `no-referrer` would make browsers send `Origin: null`.
HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "strict-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_IMMUTABLE = "public, max-age=31536000, immutable"  # the name changes with the content
_TYPES = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}

#: The notices of pages after a redirect; links cannot contain other texts. `{email}` is the address of the
#: visitor.
NOTICES: Mapping[str, str] = {
    "address-changed": "Your e-mail address was changed. All other sessions were ended.",
    "closed": "The account was closed. No account has your address now.",
    "check-mail": "Check your mail: a link in it finishes the registration.",
    "deleted": "Your account was deleted.",
    "ended": "The session was ended.",
    "provider-cancelled": "The sign-in at the provider was cancelled. Nothing has changed.",
    "key-disabled": "The key was disabled. It is refused until you enable it.",
    "key-enabled": "The key was enabled. It is accepted again.",
    "key-revoked": "The key was revoked. It is refused from now on.",
    "logged-out": "You are signed out.",
    "logged-out-everywhere": "You are signed out everywhere.",
    "other-account": (
        "Nothing was done: that page was about another account. This browser is signed in as {email} now."
    ),
    "new-address": "A mail is on its way to the new address: follow the link in it.",
    "password-changed": "Your password was changed. All other sessions were ended.",
    "password-reset": "Your password was changed. Sign in with the new one.",
    "sent": "If there is an account with this address, a mail is on its way.",
    "unlinked": "The provider was unlinked. All other sessions were ended.",
    "verified-password": "Your e-mail address is verified. Sign in with the new password.",
    "verified": "Your e-mail address is verified.",
    "welcome": "Welcome! Your account is ready.",
}
#: The effects of a link, for visitors with a session of another account; `{email}` is the address of the
#: account of the link.
NOTICES_OF_OTHERS: Mapping[str, str] = {
    "address-changed": "The address of the other account is {email} now. Its other sessions were ended.",
    "closed": "The account of {email} was closed. No account has this address now.",
    "password-reset": "The password of {email} was changed. Its sessions were ended.",
    "verified-password": "The address {email} is verified, and the password of its account was changed.",
    "verified": "The address {email} of another account is verified.",
}


class Views:
    """Build the responses.

    Args:
        settings: the paths of the pages, and the name of the site.
    """

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.pages_path
        brand = parse_brand(settings.brand)
        contents = {name: _read(name) for name in ("style.css", "icon.svg")}
        if brand.style:
            contents["brand.css"] = brand.style.encode()
        self._assets = {_name_of(name, data): (name, data) for name, data in contents.items()}
        self._headers = headers_for(brand)
        self._templates = Environment(
            loader=PackageLoader("authguard.identity.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {
            "site": settings.product_name or urlsplit(settings.issuer).netloc,
            "brand": brand,
            "labels": LABELS,
            "asset": {name: file for file, (name, _) in self._assets.items()},
        }
        self._templates.tests["known_address"] = is_known_address
        self._templates.filters |= {
            "agent": describe_agent,
            "heading": refusal_heading,
            "isoformat": _isoformat,
            "date": _date,
            "text": refusal_text,
        }

    @property
    def asset_paths(self) -> list[str]:
        """Return the paths of the static files."""
        return [f"{self._prefix}/assets/{file}" for file in self._assets]

    def routes(self) -> list[Route]:
        """Return the routes of the static files."""
        return [Route(path, self.asset, methods=["GET"]) for path in self.asset_paths]

    async def asset(self, request: Request) -> Response:
        """Serve a static file; its name contains a digest of its content."""
        name, data = self._assets[request.url.path.rpartition("/")[2]]
        headers = {"cache-control": _IMMUTABLE, "x-content-type-options": "nosniff"}
        return Response(data, 200, headers, _TYPES[name.rpartition(".")[2]])

    def path(self, request: Request, path: str) -> str:
        """Return the path of a page, including the mount point of the application."""
        return page_path(request, self._prefix, path)

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """Show a page.

        Args:
            request: the request; `notice` in its query is shown if it is one of `NOTICES`.
            template: the name of the page, without `.html`.
            status: the HTTP status.
            values: the variables of the template.
        """
        return self.html(self._render(request, template, **values), status)

    def html(self, content: str | bytes, status: int = 200) -> Response:
        """Show a page that is rendered already.

        Args:
            content: its HTML.
            status: the HTTP status.
        """
        return HTMLResponse(content, status, self._headers)

    def refusal(
        self, request: Request, error: RefusedError, template: str = "error", **values: Any
    ) -> Response:
        """Show a page about a refusal, with the status and fields of the API's answer."""
        html = self._render(request, template, **{"error": error} | values)
        refusal = refuse(error, Challenges(REALM)).with_body(html, "text/html; charset=utf-8")
        if not isinstance(error, UnexpectedError):  # the server logs this error
            log_refusal(handled_by_guard(request.scope).request, Deny(error, refusal))
        response = as_response(refusal)
        response.headers.update(self._headers)
        return response

    def see_other(self, location: str) -> Response:
        """Redirect a browser, with GET."""
        return see_other(location, {"x-content-type-options": "nosniff"})

    def redirect_with_notice(self, request: Request, path: str, notice: str, **query: str) -> Response:
        """Redirect a browser to a page that shows one of `NOTICES`."""
        return self.see_other(self.path(request, f"{path}?{urlencode({'notice': notice, **query})}"))

    def _render(self, request: Request, template: str, **values: Any) -> str:
        def url(path: str) -> str:
            return self.path(request, path)

        notice, visitor = NOTICES.get(query_of(request).get("notice", ""), ""), values.get("visitor")
        if "{email}" in notice:
            notice = "" if visitor is None else notice.format(email=visitor.user.email)
        defaults: dict[str, Any] = {"url": url, "notice": notice, "visitor": None, "error": None}
        return self._templates.get_template(f"{template}.html").render(defaults | values)


def headers_for(brand: Brand) -> dict[str, str]:
    """Return the fields of pages; from another host, pages may load only the logo."""
    policy = HEADERS["content-security-policy"]
    if brand.logo_source:
        policy = policy.replace("img-src 'self'", f"img-src 'self' {brand.logo_source}")
    return {**HEADERS, "content-security-policy": policy}


def _read(name: str) -> bytes:
    return files("authguard.identity.pages").joinpath("assets", name).read_bytes()


def _name_of(name: str, data: bytes) -> str:
    stem, _, kind = name.partition(".")
    return f"{stem}-{sha256(data).hexdigest()[:16]}.{kind}"


def _date(seconds: float) -> str:
    date = datetime.fromtimestamp(seconds, UTC)
    return f"{date.day} {date:%B %Y, %H:%M} UTC"


def _isoformat(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()
