"""Simulate a person who registers, signs in, reads mails and follows links, by pages and by the API."""

from typing import Any

import httpx2
from starlette.testclient import TestClient

from authguard.identity import Identity, IdentityService
from authguard.identity.mail.mailer import Mail
from identity.providers import code_for, come_back, hand_in
from identity.support import ANN, ISSUER, PASSWORD, Postbox, browser

EMAIL = ANN["email"]
NEW = "Another-Pass-456!"
#: The code for a provider that has not verified the address.
MALLORY = code_for(666, EMAIL, verified=False)
#: The code for a provider that has verified the address.
ANNS = code_for(1, EMAIL, verified=True)


class Person:
    """Represent a person with a browser, and with an application that uses the API."""

    def __init__(self, app: Identity, service: IdentityService, postbox: Postbox) -> None:
        self.browser = browser(app)
        self.api = TestClient(app, base_url=ISSUER)
        self._service, self._postbox = service, postbox

    def mail(self, subject: str = "Verify your e-mail address") -> Mail:
        """Return the newest mail with this subject."""
        assert self._service.outbox.flush()
        return next(mail for mail in reversed(self._postbox.mails) if mail.subject == subject)

    def token(self, subject: str = "Verify your e-mail address") -> str:
        """Return the one-time token in the newest mail with this subject."""
        return self.mail(subject).text.partition("token=")[2].split()[0]

    def register(self, face: str = "api") -> None:
        """Register with a password."""
        if face == "pages":
            assert self.browser.post("/register", data=ANN).status_code == 303
        else:
            self._keep(self.api.post("/v1/auth/register", json=ANN), 201)

    def login(self, password: str = PASSWORD) -> int:
        """Sign in with a password, and return the status."""
        answer = self.api.post("/v1/auth/login", json={"email": EMAIL, "password": password})
        if answer.status_code == 200:
            self._keep(answer, 200)
        return answer.status_code

    def sign_in(self, code: str, face: str = "pages", *, provider: str = "github") -> bool:
        """Return whether a sign-in with a provider succeeds, or is refused because of an existing account."""
        if face == "pages":
            answer = come_back(self.browser, code, provider=provider)
            assert answer.status_code in (303, 409), answer.text
            return answer.status_code == 303
        answer = hand_in(self.api, code, provider=provider)
        if answer.status_code == 200:
            self._keep(answer, 200)
        else:
            assert answer.json()["code"] == "link_refused"
        return answer.status_code == 200

    def _keep(self, answer: httpx2.Response, status: int) -> None:
        assert answer.status_code == status, answer.text
        self.api.headers["authorization"] = "Bearer " + answer.json()["access_token"]

    def is_in(self, face: str = "pages") -> bool:
        """Return whether the person has an active session."""
        if face == "pages":
            return self.browser.get("/account").status_code == 200
        return self.api.get("/v1/users/me").status_code == 200

    def me(self) -> dict[str, Any]:
        """Return the account, by the API."""
        document: dict[str, Any] = self.api.get("/v1/users/me").json()
        return document

    def verify_by_page(self, token: str | None = None, **fields: Any) -> httpx2.Response:
        """Follow the link of the mail, and send the form."""
        self.browser.get(f"/verify-email?token={token or self.token()}")
        return self.browser.post("/verify-email", data=fields)

    def verify_by_api(self, **fields: Any) -> None:
        """Send the token of the mail to the API."""
        answer = self.api.post("/v1/auth/verify-email", json={"token": self.token(), **fields})
        assert answer.status_code == 200, answer.text

    def ask_for_link(self) -> None:
        """Request the mail that verifies the address again."""
        answer = self.api.post("/v1/auth/verify-email/resend", json={"email": EMAIL})
        assert answer.status_code == 200

    def reset(self, face: str = "api") -> None:
        """Set a new password by the mailed link."""
        self.api.post("/v1/auth/forgot-password", json={"email": EMAIL})
        token = self.token("Set a new password")
        if face == "pages":
            self.browser.get(f"/reset-password?token={token}")
            answer = self.browser.post("/reset-password", data={"new_password": NEW})
            assert answer.status_code == 303, answer.text
        else:
            answer = self.api.post("/v1/auth/reset-password", json={"token": token, "new_password": NEW})
            assert answer.status_code == 200, answer.text

    def decline(self, face: str = "pages") -> httpx2.Response:
        """Report that another person has registered, and return the status."""
        if face == "pages":
            self.browser.get(f"/verify-email?token={self.token()}")
            return self.browser.post("/verify-email/decline")
        return self.api.post("/v1/auth/verify-email/decline", json={"token": self.token()})

    def providers(self) -> list[str]:
        """Return the names of the linked providers, by the API."""
        return [each["provider"] for each in self.api.get("/v1/users/me/identities").json()]


def unlink(person: Person, face: str, provider: str = "github") -> httpx2.Response:
    """Unlink a provider, and return the answer."""
    if face == "pages":
        return person.browser.post("/account/providers/unlink", data={"provider": provider})
    return person.api.delete(f"/v1/users/me/identities/{provider}")
