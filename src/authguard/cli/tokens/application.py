"""Ask an application's own guards about a token: `authguard token inspect --app`."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from authguard._core.guard import Guard
from authguard._core.jose.compact import Token, read_compact
from authguard._core.jose.jwk import ALIASES, ASYMMETRIC, SYMMETRIC
from authguard._core.model import Credential, Method, Principal
from authguard._core.policy.mounts import below
from authguard._core.verifier import Verifier
from authguard._preflight.layers import has_base
from authguard.cli.output import MISUSED, Failure
from authguard.cli.routes.importing import find_application
from authguard.cli.routes.walk import guards_of
from authguard.cli.tokens.explain import COMPARE_ISSUER, Expected, Finding, explain, shown
from authguard.cli.tokens.remedies import OTHERS, option_of
from authguard.drivers import asynchronous
from authguard.errors import (
    Cause,
    ConfigurationError,
    InvalidAPIKeyError,
    InvalidIssuerError,
    InvalidTokenError,
    MalformedTokenError,
    RefusedError,
    UnexpectedError,
    VerificationUnavailableError,
)
from authguard.verifiers.jwt import JWTVerifier

_ALGORITHMS = SYMMETRIC | ASYMMETRIC
_MIN_SECRET = 8  # length from which a part of the token is removed from errors
_REASONS = {"no verifier accepts this kind of credential": "no_verifier", "the user no longer exists": "user"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold the answer of one guard.

    Attributes:
        mount: the mount point of the guarded application.
        verifier: the verifier that was asked; empty if none was.
        finding: the fault of the token; None if it is accepted.
        status: the status of the response; 200 if the guard lets the request pass.
        option: the option that could be changed, if any.
    """

    mount: str
    verifier: str
    finding: Finding | None
    status: int
    option: str | None

    def document(self) -> dict[str, Any]:
        """Return the answer as JSON."""
        finding = self.finding
        return {
            "mount": self.mount or "/",
            "verifier": self.verifier or None,
            "verdict": "accepted" if finding is None else "refused",
            "status": self.status,
            "code": None if finding is None else finding.code,
            "reason": None if finding is None else finding.reason,
            "advice": None if finding is None else finding.advice,
            "option": self.option,
        }


class _Credential(NamedTuple):
    """Hold a token or API key.

    Attributes:
        text: the credential.
        claims: its claims, if it is a JWT; not verified.
        field: the header field that carries it; None for Authorization.
    """

    text: str
    claims: Mapping[str, Any]
    field: str | None


@contextmanager
def application_guards(name: str, *, factory: bool) -> Iterator[Sequence[tuple[Guard, str]]]:
    """Yield the guards of an application, and close their resources at the end.

    Raises:
        Failure: if the application cannot be imported, or has no guard.
    """
    # The command itself reports warnings of a verifier once.
    logging.getLogger("authguard").addHandler(logging.NullHandler())
    app = find_application(name, factory=factory)
    guards = guards_of(app) or _guards_of_django(app)
    if not guards:
        raise Failure(f"no guard is around {name} or in it: add the middleware, or name the guard", MISUSED)
    try:
        yield guards
    finally:
        for guard, _ in guards:
            guard.close()


def _guards_of_django(app: Any) -> list[tuple[Guard, str]]:
    """Return the guard of a Django project, which is in its settings."""
    if not has_base(type(app), "django.core.handlers.base", "BaseHandler"):
        return []
    from authguard.django import AuthGuardMiddleware, get_guard
    from authguard.django.configuration import has_middleware

    return [(get_guard(), "")] if has_middleware(AuthGuardMiddleware) else []


def answers_of(
    guards: Sequence[tuple[Guard, str]],
    text: str,
    claims: Mapping[str, Any],
    now: float,
    *,
    place: tuple[str, str] | None,
    field: str | None = None,
) -> list[Answer]:
    """Return the answer of each guard; with a path, only of the guards around it.

    Args:
        guards: those of an application, with their mount points.
        text: the token or API key.
        claims: its claims, for the explanation.
        now: seconds since the epoch.
        place: method and full path of a request; None for a request that only needs a caller.
        field: the header field that carries it; None for Authorization.
    """
    return asyncio.run(_answers(guards, _Credential(text, claims, field), now, place))


async def _answers(
    guards: Sequence[tuple[Guard, str]],
    credential: _Credential,
    now: float,
    place: tuple[str, str] | None,
) -> list[Answer]:
    """Ask in one event loop, because a verifier may have an async client; blocking calls run in a thread."""
    return [
        await _answer((guard, mount), credential, now, place)
        for guard, mount in guards
        if place is None or not mount or below(mount, place[1]) != place[1]
    ]


async def _answer(
    guarding: tuple[Guard, str],
    credential: _Credential,
    now: float,
    place: tuple[str, str] | None,
) -> Answer:
    (guard, mount), (text, claims, field) = guarding, credential
    verifier = _verifier_of(guard, credential)
    name = "" if verifier is None else repr(verifier)
    verdict = None if place is None else guard.explain(place[0], below(mount, place[1]) or "/", mount)
    is_open = verdict is not None and (not verdict.protected or verdict.optional == "lenient")
    try:
        principal = await asynchronous.run(guard.examine(text, now, header=field))
        if verdict is not None and verdict.protected:
            verdict.check(principal, now)
    except RefusedError as error:
        finding = _explained(error, credential, guard, now)
        if is_open:
            reason = f"{finding.reason}; but the path is open, and the caller is treated as anonymous"
            return Answer(
                mount, name, finding._replace(reason=reason), 200, option_of(finding, claims, verifier)
            )
        return Answer(mount, name, finding, error.status_code, option_of(finding, claims, verifier))
    counts = verdict is None or (verdict.protected and verdict.cost > 0)
    wrong = _without_quotas(guard, principal) if counts else None
    if wrong is None:
        return Answer(mount, name, None, 200, None)
    finding = Finding("tier", _without(text, wrong), "Change it at the issuer, or add it to the option.")
    return Answer(mount, name, finding, 500, "Guard(quotas={…})")


def _without_quotas(guard: Guard, principal: Principal) -> str | None:
    """Return the reason why the quotas of a caller cannot be determined (a 500); None if they can."""
    try:
        if guard.quotas is not None:
            guard.quotas.check_known(principal)
    except ConfigurationError as error:
        return str(error)
    return None


def _verifier_of(guard: Guard, credential: _Credential) -> Verifier | None:
    """Return the verifier that a guard asks about a token; of several for JWTs, that of its issuer."""
    text, claims, field = credential
    if field is None or field.lower() == "authorization":
        candidates = [each for each in guard.verifiers if not each.token_header and _accepts(each, text)]
    else:
        candidates = [each for each in guard.verifiers if _reads(each, field, text)]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    issuer, algorithm = claims.get("iss"), _algorithm_of(text)
    if not (issuer is None or isinstance(issuer, str)) or algorithm is None:
        by_issuer: list[Verifier] = []
    elif any((issuer, each) in verifier.jwts for verifier in candidates for each in _ALGORITHMS):
        by_issuer = [each for each in candidates if (issuer, algorithm) in each.jwts]
    else:  # tokens of unlisted issuers, or without one, go to the verifier with an open issuer
        by_issuer = [each for each in candidates if (None, algorithm) in each.jwts]
    last = [each for each in candidates if each.takes_any_token]
    return next(iter((*by_issuer, *last)), None)


def _reads(verifier: Verifier, field: str, text: str) -> bool:
    """Return whether a verifier reads a field, and, if several read it, recognises this key."""
    names = (verifier.header, verifier.token_header)
    if field.lower() not in [name.lower() for name in names if name]:
        return False
    return not verifier.prefixes or verifier.has_unprefixed_keys or text.startswith(tuple(verifier.prefixes))


def _accepts(verifier: Verifier, text: str) -> bool:
    is_key = text.startswith(tuple(verifier.prefixes)) if verifier.prefixes else False
    way: Method = "api_key" if is_key else "bearer"
    return verifier.accepts(Credential(text, way, "authorization"))


def _algorithm_of(text: str) -> str | None:
    token = _parts_of(text)
    return None if token is None else ALIASES.get(token.header.algorithm, token.header.algorithm)


def _parts_of(text: str) -> Token | None:
    try:
        return read_compact(text, padding=True)
    except MalformedTokenError:
        return None


def _explained(error: RefusedError, credential: _Credential, guard: Guard, now: float) -> Finding:
    (text, claims, field), verifier = credential, _verifier_of(guard, credential)
    code = _REASONS.get(error.reason) or _code_of(error)
    is_elsewhere = field is None and code in ("no_verifier", "invalid_request")
    fields = _named_fields(guard) if is_elsewhere else ""
    if code in OTHERS:
        reason = error.reason
        if isinstance(error, UnexpectedError) and error.__cause__ is not None:
            reason = f"{reason}: {type(error.__cause__).__qualname__}"
        advice = OTHERS[code][0] if error.hint is None else _sentence(error.hint)
        return Finding(code, _without(text, reason), f"{advice}{fields}")
    if isinstance(error, InvalidIssuerError) and verifier is None:
        return _of_no_issuer(text, claims, guard)
    if isinstance(verifier, JWTVerifier):
        expectations = verifier.expectations
        expected = Expected(
            verifier.algorithms, verifier.issuer, tuple(sorted(expectations.audience)), expectations.leeway
        )
        finding = explain(error, _parts_of(text), claims, expected, now)
        return finding._replace(advice=finding.advice.replace(" (--audience)", "") + fields)
    compare = f"Compare the token with the options of the verifier.{fields}"
    return Finding(code, _without(text, error.reason), compare)


def _sentence(hint: str) -> str:
    return f"{hint[0].upper()}{hint[1:]}."


def _of_no_issuer(text: str, claims: Mapping[str, Any], guard: Guard) -> Finding:
    """Explain that no verifier of a guard accepts the issuer of a token, or its algorithm."""
    verifiers = [
        each for each in guard.verifiers if isinstance(each, JWTVerifier) and each.token_header is None
    ]
    issuer, algorithm = claims.get("iss"), _algorithm_of(text)
    there = " or ".join(
        f"{shown(each.issuer)} with {', '.join(sorted(each.algorithms))}" for each in verifiers
    )
    reason = (
        f"no verifier for this issuer and algorithm: the token has {shown(issuer)} and {shown(algorithm)}, "
        f"expected {there}"
    )
    if any(name == issuer for each in verifiers for name, _ in each.jwts):
        return Finding(
            "algorithm", reason, "Change the algorithm of the issuer, or allow the one that it uses."
        )
    return Finding("issuer", reason, COMPARE_ISSUER)


def _named_fields(guard: Guard) -> str:
    """Return the advice to give the field, if tokens are sent in a field of their own."""
    fields = sorted({each.token_header for each in guard.verifiers if each.token_header})
    return f" If it comes in {' or '.join(fields)}, add --header." if fields else ""


def _code_of(error: RefusedError) -> str:
    if isinstance(error, VerificationUnavailableError):
        return "unavailable"
    if isinstance(error, UnexpectedError):
        return "error"
    if isinstance(error, InvalidAPIKeyError) and error.cause == Cause.EXPIRED:
        return "disabled"
    return error.cause.value if isinstance(error, InvalidTokenError) else error.code


def _without(text: str, reason: str) -> str:
    """Return a reason without the token and its parts, which a custom verifier may have included."""
    for part in sorted({text, *text.split(".")}, key=len, reverse=True):
        if len(part) >= _MIN_SECRET:
            reason = reason.replace(part, "[redacted]")
    return reason
