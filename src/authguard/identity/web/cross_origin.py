"""Let pages of other origins call the API with a token, and read the public documents.

Cookies are not accepted from them: the answers never allow credentials, so that no page of another origin
acts for a signed-in user. Other origins cannot read the pages of this service at all.
"""

from collections.abc import Collection, Iterable

from starlette.middleware.cors import CORSMiddleware

from authguard.asgi import ASGIApp, Receive, Scope, Send

_MAX_AGE = 600  # seconds for which a browser keeps the answer to a preflight
#: Fields that pages may send, besides the CORS-safelisted ones.
ALLOWED_FIELDS = ("Authorization", "Content-Type", "X-API-Key")
#: Fields of an answer that pages may read.
EXPOSED_FIELDS = (
    "WWW-Authenticate",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "Link",
    "API-Key-Expires",
)


class CrossOrigin:
    """Add the fields of CORS to the documents, and to all answers except pages, including refusals.

    Args:
        app: the application.
        origins: the origins whose pages may call the API.
        methods: of the API.
        pages: the paths of the pages, which no other origin may read.
        documents: the paths of the documents that pages of each origin may read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Collection[str],
        methods: Iterable[str],
        pages: Iterable[str],
        documents: Iterable[str],
    ) -> None:
        self._app = self._api = app
        if origins:
            self._api = CORSMiddleware(
                app,
                allow_origins=origins,
                allow_methods=sorted(methods),
                allow_headers=ALLOWED_FIELDS,
                expose_headers=EXPOSED_FIELDS,
                max_age=_MAX_AGE,
            )
        # Clients of the documents send fields of their own, such as the version of their protocol.
        self._public = CORSMiddleware(
            app, allow_origins=["*"], allow_methods=["GET"], allow_headers=["*"], max_age=_MAX_AGE
        )
        self._pages, self._documents = frozenset(pages), frozenset(documents)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Handle one request; `path` is below the mount point."""
        app = self._api
        if path in self._documents:
            app = self._public
        elif path in self._pages:
            app = self._app
        await app(scope, receive, send)
