"""Write the contents of a token, but not the token, for people and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from authguard._core.jose.claims import read_claims
from authguard._core.jose.compact import Header, read_compact
from authguard._core.model import Principal
from authguard.cli.output import duration, moment, printable
from authguard.cli.tokens.explain import Finding, is_date, shown
from authguard.errors import MalformedTokenError

_REGISTERED = ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "acr")
_DATES = ("exp", "iat", "nbf", "auth_time")
_COLOURS = {"accepted": "green", "refused": "red"}


@dataclass(frozen=True, slots=True)
class TokenReport:
    """Hold the contents of a token that are shown.

    Attributes:
        header: its header; None if it cannot be read.
        claims: its claims, as far as they can be read.
        signed: whether the signature has been verified.
        all_claims: whether to show the values of claims that are not registered.
        principal: the principal of a valid token.
        unusable: remarks about claims that should grant scopes or roles, but cannot.
    """

    header: Header | None
    claims: Mapping[str, Any]
    signed: bool
    all_claims: bool
    principal: Principal | None = None
    unusable: Sequence[str] = ()

    @property
    def caller(self) -> dict[str, Any] | None:
        """Return the principal of a valid token and its grants; None for an invalid token."""
        principal = self.principal
        if principal is None:
            return None
        return {
            "subject": principal.subject,
            "client_id": principal.client_id,
            "scopes": sorted(principal.scopes),
            "roles": sorted(principal.roles),
        }

    @property
    def members(self) -> dict[str, str | None]:
        """Return the header as it is shown."""
        if self.header is None:
            return {}
        return {"alg": self.header.algorithm, "kid": self.header.key_id, "typ": self.header.type}

    @property
    def names(self) -> list[str]:
        """Return the claims with values that are shown."""
        others = [name for name in self.claims if name not in _REGISTERED] if self.all_claims else []
        return [name for name in _REGISTERED if name in self.claims] + others

    @property
    def hidden(self) -> list[str]:
        """Return the claims of which only names are shown."""
        return [name for name in self.claims if name not in self.names]


def contents_of(text: str) -> tuple[Header | None, dict[str, Any]]:
    """Return header and claims, as far as they can be parsed; they are not verified."""
    try:
        token = read_compact(text, padding=True)
    except MalformedTokenError:
        return None, {}
    try:
        return token.header, read_claims(token)[1]
    except MalformedTokenError:
        return token.header, {}


def _verdict(finding: Finding | None) -> str:
    if finding is None:
        return "accepted"
    return {"not_verified": "not verified", "unavailable": "unknown"}.get(finding.code, "refused")


def document_of(finding: Finding | None, report: TokenReport) -> dict[str, Any]:
    """Return a token's contents and finding, for JSON."""
    claims = report.claims
    return {
        "verdict": _verdict(finding),
        "code": None if finding is None else finding.code,
        "reason": None if finding is None else finding.reason,
        "advice": None if finding is None else finding.advice,
        "signature_verified": report.signed,
        "header": report.members,
        "caller": report.caller,
        "unusable_claims": list(report.unusable),
        "claims": {name: claims[name] for name in report.names},
        "times": {name: moment(claims[name]) for name in _DATES if is_date(claims.get(name))},
        "other_claims": report.hidden,
    }


def print_report(finding: Finding | None, report: TokenReport, now: float) -> None:
    """Write the finding about a token, and its contents."""
    verdict = _verdict(finding)
    word = click.style(verdict, fg=_COLOURS.get(verdict, "yellow"), bold=True)
    if finding is None:
        click.echo(word)
    else:
        click.echo(f"{word}: {printable(finding.reason)}")
        click.echo(f"  {printable(finding.advice)}")
    print_contents(report, now)


def print_contents(report: TokenReport, now: float) -> None:
    """Write the contents of a token."""
    _print_part("header", {name: text for name, text in report.members.items() if text is not None})
    _print_part("caller", {name: _joined(value) for name, value in (report.caller or {}).items() if value})
    for words in report.unusable:
        click.echo(f"  {printable(words)}: it grants no scopes or roles")
    title = "claims" if report.signed else "claims, not verified"
    _print_part(title, {name: _in_words(name, report.claims[name], now) for name in report.names})
    if report.hidden:
        click.echo(f"  and {printable(', '.join(report.hidden))} (--claims shows them)")


def _print_part(title: str, values: Mapping[str, str]) -> None:
    if values:
        click.echo(f"\n{click.style(title, bold=True)}")
    width = max(map(len, values), default=0)
    for name, text in values.items():
        click.echo(f"  {printable(name.ljust(width))}  {printable(text)}")


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _in_words(name: str, value: object, now: float) -> str:
    if name in _DATES and is_date(value):
        seconds = float(value)
        when = f"in {duration(seconds - now)}" if seconds > now else f"{duration(now - seconds)} ago"
        return f"{moment(seconds)} ({when})"
    return value if isinstance(value, str) else shown(value)
