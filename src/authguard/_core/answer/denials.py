"""Build the answer to an error: a login redirect or a page for a browser, otherwise a problem document."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from authguard._core.answer.decision import Deny, Prepared
from authguard._core.answer.negotiation import VARY, is_htmx, reads_pages
from authguard._core.answer.outages import describe_outage, find_outage
from authguard._core.answer.redirect import local_prefix, login_location, navigates
from authguard._core.answer.refusal import Challenges, Parameters, Refusal, refuse, see_other
from authguard._core.answer.step_up import RedirectLoopDetector
from authguard._core.callbacks import source_name, source_of
from authguard._core.credential.extractor import Extractor
from authguard._core.flow import Call, Flow
from authguard._core.model import Auth, api_key_id
from authguard._core.options import check_function, unusable_answer
from authguard._core.policy.needs import NO_NEEDS, Needs, needs_of
from authguard._core.policy.policy import Policy, Verdict
from authguard._core.policy.rules import Requirement
from authguard._core.request import HANDSHAKE, WEBSOCKET, RequestKey, RequestView
from authguard.errors import (
    ConfigurationError,
    InsufficientUserAuthenticationError,
    MissingCredentialsError,
    RefusedError,
    UnacceptedCredentialError,
    UnexpectedError,
    VerificationUnavailableError,
)

OnError: TypeAlias = Callable[[RequestView, Refusal], Refusal | Awaitable[Refusal]]


class Denials:
    """Build the answers of one guard.

    Args:
        policy: knows the login pages.
        login_path: the login page, unless a rule names its own; None for no login page.
        challenges: the contents of challenges.
        extractor: finds the scheme of a request, and the cookie.
        on_error: changes a refusal before it is sent.
    """

    def __init__(
        self,
        policy: Policy,
        login_path: str | None,
        challenges: Challenges,
        extractor: Extractor,
        on_error: OnError | None,
    ) -> None:
        check_function(on_error, "on_error", takes="request, refusal")
        self._policy = policy
        self.login_path = login_path
        self._challenges = challenges
        self._extractor = extractor
        self._loops = None if extractor.cookie is None else RedirectLoopDetector(extractor.cookie)
        self.on_error = on_error
        self._missing: Prepared | None = None
        if on_error is None and not policy.login_paths:
            self._missing = self._prepare(MissingCredentialsError("no credential"))

    def missing_at_once(self, verdict: Verdict, request_key: RequestKey) -> Prepared | None:
        """Return the answer to a request without a credential; None if another answer is possible."""
        if self._missing is None or _may_pass(verdict, request_key):
            return None
        if not verdict.requirements:
            return self._missing
        return self._prepare(self._missing.error, needs_of(verdict.requirements))

    def at_once(self, error: RefusedError, verdict: Verdict, request_key: RequestKey) -> Prepared | None:
        """Return the answer to an invalid credential in its own header field, which is not a redirect.

        Args:
            error: why it is invalid.
            verdict: about the request.
            request_key: as in `Policy.find_for_http`.

        Returns:
            None if another part of the request may change more than the format of the answer.
        """
        if self.on_error or self._challenges.algorithms or _may_pass(verdict, request_key):
            return None
        return self._prepare(error, needs_of(verdict.requirements))

    def _prepare(self, error: RefusedError, needs: Needs = NO_NEEDS) -> Prepared:
        return Prepared(error, refuse(error, self._challenges, needs=needs, vary=VARY))

    def present(self, request: RequestView, prepared: Prepared) -> Deny:
        """Return the answer in the format that the client can read."""
        error, refusal = prepared.error, prepared.refusal
        if reads_pages(request):
            refusal = self._as_page(request, refusal, error, self._needs(request, error, None))
        return Deny(error, refusal)

    def deny(
        self,
        request: RequestView,
        error: RefusedError,
        requirement: Requirement | None = None,
        *,
        redirects: bool = True,
    ) -> Flow[Deny]:
        """Return the answer to an error: a login redirect or page for a browser, else a problem document.

        Args:
            request: the request.
            error: why the request is refused.
            requirement: the requirement of the route in addition to the rules.
            redirects: whether a browser may be redirected to the login page.
        """
        needs = self._needs(request, error, requirement)
        redirect = self._redirect(request, error, needs) if redirects else None
        refusal = redirect or self._refuse(request, error, needs)
        if self.on_error is not None and refusal.error is not None:
            try:
                replaced = yield from Call(self.on_error, request, refusal)
                if not isinstance(replaced, Refusal):
                    raise unusable_answer("on_error", "a Refusal", replaced)
                refusal = replaced
            except Exception as raised:
                error = as_refused(raised, source_name("on_error", self.on_error))
                refusal = self._refuse(request, error, needs)
        return Deny(error, refusal)

    def _needs(self, request: RequestView, error: RefusedError, requirement: Requirement | None) -> Needs:
        """Return the needs of the place, if the answer names them."""
        if error.status_code not in {400, 401, 403}:
            return NO_NEEDS
        verdict = self._policy.find_for(request.request_key)
        rules = verdict.requirements if verdict.protected else ()
        return needs_of(rules if requirement is None else (*rules, requirement))

    def _refuse(self, request: RequestView, error: RefusedError, needs: Needs) -> Refusal:
        scheme = "DPoP" if self._extractor.uses_dpop(request) else "Bearer"
        vary = "" if request.method == WEBSOCKET else VARY
        refusal = refuse(error, self._challenges, scheme, needs, vary=vary)
        return self._as_page(request, refusal, error, needs) if reads_pages(request) else refusal

    def _as_page(self, request: RequestView, refusal: Refusal, error: RefusedError, needs: Needs) -> Refusal:
        return refusal.with_page(self._sign_in_link(request, error, needs))

    def _sign_in_link(self, request: RequestView, error: RefusedError, needs: Needs) -> str | None:
        """Return the sign-in link for the page; None if signing in would not help."""
        login_path = self._login_path_for(request)
        if login_path is None or error.status_code != 401 or not _is_of_use(error, needs):
            return None
        if request.method in {"GET", "HEAD"}:
            return login_location(request, login_path, self._policy.login_paths, _parameters(error))
        prefix = local_prefix(request.root_path)  # a link cannot repeat the sent form
        return None if prefix is None else prefix + login_path

    def _login_path_for(self, request: RequestView) -> str | None:
        if not self._policy.login_paths or self._policy.is_login_page(request.path):
            return None
        return self._policy.find_for(request.request_key).login_path or self.login_path

    def _redirect(self, request: RequestView, error: RefusedError, needs: Needs) -> Refusal | None:
        # An old cookie is a reason to sign in again; an invalid header field is a program's mistake.
        if error.status_code != 401 or any(name != b"cookie" for name, _ in request.presented):
            return None
        if not _is_of_use(error, needs) or (login_path := self._login_path_for(request)) is None:
            return None
        htmx = is_htmx(request)
        if not (htmx or navigates(request)):
            return None
        if not self._policy.find_for(request.request_key).login_redirect:
            return None
        # The login page receives the requirements of the sign-in, with the names of RFC 9470 section 4.
        parameters = _parameters(error)
        location = login_location(request, login_path, self._policy.login_paths, parameters)
        loops = self._loops if parameters else None
        if location is None or (loops and loops.is_loop(request, location)):
            return None
        if htmx:
            refusal = self._refuse(request, error, needs).with_header("hx-redirect", location)
        else:
            refusal = see_other(location)
        return loops.mark(refusal, location) if loops else refusal


def _may_pass(verdict: Verdict, request_key: RequestKey) -> bool:
    """Return whether a request may pass without a valid credential, or gets another answer; see `decide`."""
    is_other = request_key[0] == "OPTIONS" or request_key[0] is HANDSHAKE
    return not verdict.protected or verdict.optional is not None or is_other


def _is_of_use(error: RefusedError, needs: Needs) -> bool:
    """Return whether signing in helps; False for a place that does not accept the cookie of a sign-in."""
    return needs.takes("cookie") and not isinstance(error, UnacceptedCredentialError)


def _parameters(error: RefusedError) -> Parameters:
    return error.parameters if isinstance(error, InsufficientUserAuthenticationError) else ()


def as_refused(error: Exception, source: str | None = None) -> RefusedError:
    """Return the refusal for an exception: 503 for an outage, 500 for any other.

    Args:
        error: the exception; a `RefusedError` is returned unchanged.
        source: the callback that raised it, for the log; None for the callback that is noted on the
            exception.
    """
    if isinstance(error, RefusedError):
        return error
    source = source or source_of(error) or "a callback or verifier"
    outage = find_outage(error)
    wrong_option = isinstance(error, ConfigurationError)
    refused: RefusedError = UnexpectedError(str(error) if wrong_option else f"{source} raised")
    if outage is not None:
        refused = VerificationUnavailableError(f"{source} raised {describe_outage(error, outage)}")
    refused.__cause__ = error
    return refused


def refused_for(error: Exception, auth: Auth | None) -> RefusedError:
    """Return the refusal for an exception, with the name of the caller's API key for the log."""
    refused = as_refused(error)
    if auth is not None:
        refused.key_id = api_key_id(auth.principal) or refused.key_id
    return refused
