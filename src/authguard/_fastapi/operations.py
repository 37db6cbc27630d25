"""Describe an operation in OpenAPI: its requirements, and its possible refusals."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from authguard._core.guard import Guard
from authguard._core.policy.needs import needs_of
from authguard._core.policy.policy import Verdict
from authguard._core.policy.rules import Requirement
from authguard._fastapi.schemes import BEARER, Schemes

PROBLEM = "AuthGuardProblem"
PROBLEM_SCHEMA = {
    "title": PROBLEM,
    "description": "A problem document (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "violated-policies": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The exceeded quotas, if the status is 429.",
        },
    },
}
_CHALLENGE = {"WWW-Authenticate": "The challenge (RFC 6750)."}
_RETRY = {"Retry-After": "Seconds after which to repeat the request."}
_LIMIT_FIELDS = {
    **_RETRY,
    "RateLimit-Policy": "The quotas, as in draft-ietf-httpapi-ratelimit-headers.",
    "RateLimit": "The remaining amounts of the quotas.",
}
_SAFE_METHODS = ("get", "head", "options")


@dataclass(frozen=True)
class OfRoute:
    """Hold the requirements of a route itself.

    Attributes:
        requirements: those of its decorators and dependencies.
        takes_optional_user: whether a dependency passes it the caller, if any.
    """

    requirements: tuple[Requirement, ...] = ()
    takes_optional_user: bool = False


class Operation:
    """Describe an operation.

    Args:
        guard: the guard.
        verdict: the verdict of the rules.
        of_route: the requirements of the route itself.
        method: in lower case.
        path: a path of the operation, below the guard.
    """

    def __init__(self, guard: Guard, verdict: Verdict, of_route: OfRoute, method: str, path: str) -> None:
        own = of_route.requirements
        self._guard = guard
        self._protected = verdict.protected or bool(own)
        self._optional = verdict.optional if not own else None
        self._lets_anonymous_in = self._optional is not None or not self._protected
        self._takes_callers = self._protected or of_route.takes_optional_user
        rules = verdict.requirements if verdict.protected else ()
        self._requirements = tuple(dict.fromkeys(filter(None, (*rules, *own))))
        self._needs = needs_of(self._requirements)
        self._may_exceed = guard.quotas is not None and guard.quotas.may_refuse(verdict)
        self._is_login_page = guard.policy.is_login_page(path)
        self._is_safe = method in _SAFE_METHODS
        has_page = (verdict.login_path or guard.login_path) is not None and not self._is_login_page
        is_of_use = verdict.login_redirect and self._needs.takes("cookie")
        self._may_redirect = has_page and is_of_use and method in ("get", "head")

    def secure(self, operation: dict[str, Any], schemes: Schemes) -> None:
        """Add the schemes by which callers authenticate, and keep the application's own schemes.

        A scheme of the application for an accepted credential, such as `OAuth2PasswordBearer`, is one way to
        authenticate. Any other scheme is required in addition to the guard's.
        """
        if not self._takes_callers:
            return
        stated = operation.get("security") or []
        # The guard of a mounted application has already described the operation in more detail.
        by_mounted = (scope for each in stated for name in schemes.components for scope in each.get(name, ()))
        names = sorted({*self._names(), *by_mounted})
        known = {*schemes.components, BEARER}  # the scheme that `current_user` has added
        own = [each for each in stated if each and each.keys().isdisjoint(known)]
        ways = [each for each in own if schemes.are_credentials(each, self._needs)]
        beside = [each for each in own if each not in ways]
        if not ways or any(not each.keys().isdisjoint(known) for each in stated):
            scopes = self._scopes().union(
                scope for each in stated for name in each if schemes.is_openid(name) for scope in each[name]
            )
            ways = [*schemes.alternatives(names, scopes, self._needs), *ways]
        if self._lets_anonymous_in:
            ways.insert(0, {})
        operation["security"] = [{**way, **more} for way in ways for more in beside or [{}]]

    def _scopes(self) -> set[str]:
        """Return the scopes that each caller must have; the answer describes alternatives."""
        choices = (r.any_of for r in self._requirements if len(r.any_of) == 1)
        return set().union(*choices, *(r.scopes for r in self._requirements))

    def _names(self) -> set[str]:
        """Return the scopes and roles that each caller must have."""
        return self._scopes().union(*(r.roles for r in self._requirements if len(r.roles) == 1))

    def answer(self, operation: dict[str, Any]) -> bool:
        """Add the possible refusals; return False if the operation has none.

        The application's own descriptions stay.
        """
        answers = dict(self._answers())
        responses = operation.setdefault("responses", {}) if answers else {}
        for status, response in answers.items():
            responses.setdefault(status, response)
        return bool(answers)

    def _answers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if not self._protected:
            if self._is_login_page and self._has_cross_site:
                yield "403", self._response(_CROSS_SITE)
            return
        if self._optional != "lenient":
            yield from self._unauthenticated()
            if forbidden := " ".join(self._forbidden()):
                fields = _CHALLENGE if any(self._granted) else None
                yield "403", self._response(forbidden, fields)
        if self._may_exceed:
            yield "429", self._response("The caller has sent too many requests.", _LIMIT_FIELDS)
        if self._optional != "lenient" or self._may_exceed:
            yield "503", self._response("The caller cannot be checked at the moment.", _RETRY)

    def _unauthenticated(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._may_redirect:
            location = _fields({"Location": "The login page."})
            yield "303", {"description": "A redirect to the login page, for browsers.", "headers": location}
        yield "400", self._response("The credential is malformed, or several were sent.", _CHALLENGE)
        signing_in = [
            Requirement(acr=requirement.acr or None, max_age=requirement.max_age)
            for requirement in self._requirements
            if requirement.signing_in
        ]
        unauthenticated = "The credential is missing, invalid, expired or revoked."
        if signing_in:
            unauthenticated = f"No user is signed in, or not in the required way: {_words(signing_in)}."
        yield "401", self._response(unauthenticated, _CHALLENGE)

    @property
    def _granted(self) -> list[Requirement]:
        return [Requirement(each.scopes, each.any_of, each.roles) for each in self._requirements]

    def _forbidden(self) -> Iterator[str]:
        if any(self._granted):
            yield f"The caller lacks a required scope or role: {_words(filter(None, self._granted))}."
        if self._has_cross_site:
            yield _CROSS_SITE
        if any(verifier.has_terms for verifier in self._guard.verifiers):
            yield "The API key was used from an address outside its networks."

    @property
    def _has_cross_site(self) -> bool:
        return self._guard.cookie is not None and not self._is_safe

    def _response(self, description: str, fields: dict[str, str] | None = None) -> dict[str, Any]:
        response: dict[str, Any] = {"description": description}
        if self._guard.on_error is None:  # a handler of the application may send any response
            response["content"] = {
                "application/problem+json": {"schema": {"$ref": f"#/components/schemas/{PROBLEM}"}},
                "text/html": {"schema": {"type": "string"}},  # browsers may display the answer as a page
            }
        if fields:
            response["headers"] = _fields(fields)
        return response


_CROSS_SITE = "A request with a cookie came from another site."


def _fields(fields: dict[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in fields.items()}


def _words(requirements: Iterable[Requirement]) -> str:
    return " and ".join(dict.fromkeys(map(str, requirements)))
