"""Remember in a browser the account of a sign-in with a provider until its address is verified.

The link of the mail proves the mailbox, and this cookie proves that the link is opened in the browser of the
sign-in. Together they prove the same as a session and the link, so that the provider stays linked.
"""

from uuid import uuid4

from cryptography.fernet import InvalidToken, MultiFernet
from starlette.requests import Request
from starlette.responses import Response

from authguard._core.credential.cookies import AccessCookie
from authguard.asgi import handled_by_guard
from authguard.errors import InvalidRequestError
from authguard.identity.service import IdentityService
from authguard.identity.tokens.derive import derive_fernet


class PendingOwner:
    """Store the account in an encrypted cookie, as long as the link in a mail is valid.

    Args:
        service: has the names and the key of the cookie, and the clock.
    """

    def __init__(self, service: IdentityService) -> None:
        settings = service.settings
        self._clock, self._seconds = service.clock, settings.link_lifetime
        self._cookie = AccessCookie("authguard-pending", secure=settings.is_https)
        self._fernet = MultiFernet([derive_fernet(secret, "pending owner") for secret in settings.secrets])

    def store(self, response: Response, user_id: str | None) -> None:
        """Store the account in a browser, or a decoy, for answers that must not differ."""
        sealed = self._fernet.encrypt_at_time((user_id or str(uuid4())).encode(), int(self._clock()))
        response.headers.append("set-cookie", self._cookie.issue(sealed.decode(), max_age=self._seconds))

    def read(self, request: Request) -> str | None:
        """Return the id of the account; None without one."""
        try:
            sealed = self._cookie.read(handled_by_guard(request.scope).request) or ""
            return self._fernet.decrypt_at_time(sealed.encode(), self._seconds, int(self._clock())).decode()
        except (InvalidToken, InvalidRequestError):
            return None

    def clear(self, request: Request, response: Response) -> None:
        """Delete the account from a browser that has one."""
        if self.read(request) is not None:
            response.headers.append("set-cookie", self._cookie.clear())
