"""Show the contents of a token and why it is refused, but not the token: `authguard token inspect`."""

import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from authguard._core.credential.extractor import MAX_CREDENTIAL
from authguard.cli.configuration import raw_settings, with_settings
from authguard.cli.output import MISUSED, Failure, echo_json, printable
from authguard.cli.tokens.application import Answer, answers_of, application_guards
from authguard.cli.tokens.checker import (
    CheckOptions,
    TokenChecker,
    checker_by_keys,
    checker_by_service,
    fault_of_form,
)
from authguard.cli.tokens.explain import Finding, explain_text
from authguard.cli.tokens.report import TokenReport, contents_of, document_of, print_contents, print_report

_FIELD = re.compile(r"(?:Authorization\s*:\s*)?(?:Bearer\s*:?\s+)?", re.IGNORECASE)
_NO_KEYS = Finding(
    "not_verified",
    "no key was given, so only the form was checked: the claims may be forged",
    "Give --key, --secret-env or --discover, or the settings of the service.",
)
# Codes of findings that are made before the signature is verified.
_UNSIGNED_CODES = ("not_verified", "unavailable", "algorithm", "kid", "signature")


@click.command(context_settings={"allow_extra_args": True})
@click.option(
    "--file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Read the token from this file. Default: standard input, or a hidden prompt.",
)
@click.option(
    "--app",
    "application",
    metavar="MODULE:APP",
    help="Check with the guards of this application, or with this Guard, such as main:guard.",
)
@click.option(
    "--factory", is_flag=True, help="APP is a function without arguments that returns the application."
)
@click.option(
    "--path",
    metavar="PATH",
    help="With --app: check the rule of this path, too. Default: no rule is checked.",
)
@click.option(
    "--method", metavar="METHOD", default="GET", help="With --path: the method of the request. Default: GET."
)
@click.option(
    "--header",
    "field",
    metavar="NAME",
    help="With --app: the field that has the token, such as X-API-Key. Default: Authorization.",
)
@click.option(
    "--key",
    "--keys",
    "key",
    metavar="FILE|URL",
    help="A file with public keys (PEM, JWK or JWK set) or a secret, or the https URL of a JWK set.",
)
@click.option("--secret-env", metavar="NAME", help="The environment variable with the secret.")
@click.option(
    "--discover",
    metavar="ISSUER",
    help="Find the keys of this issuer through its metadata. This issuer is then the expected one.",
)
@click.option("--issuer", metavar="ISS", help="The expected iss. Default: any.")
@click.option(
    "--audience",
    metavar="AUD",
    multiple=True,
    help="An accepted aud. May be repeated. Default: only a token without aud is accepted.",
)
@click.option(
    "--algorithm",
    metavar="ALG",
    multiple=True,
    help="An allowed algorithm. May be repeated. Default: those of the keys; HS256 for a secret. "
    "Required for an RSA key in PEM.",
)
@click.option(
    "--tenant",
    metavar="NAME",
    multiple=True,
    help="An allowed value of {tenantid} in --issuer. May be repeated.",
)
@click.option(
    "--client-id",
    metavar="ID",
    multiple=True,
    help="An accepted client, as client_ids of JWTVerifier. May be repeated.",
)
@click.option(
    "--expect-claim",
    metavar="NAME=TEXT",
    multiple=True,
    help="A required claim, as claims of JWTVerifier. NAME:=JSON is for numbers, true and false. May "
    "be repeated; several values of one name are alternatives.",
)
@click.option(
    "--expect-header",
    metavar="NAME=TEXT",
    multiple=True,
    help="A required parameter of the header, as header_claims of JWTVerifier, in the same form.",
)
@click.option(
    "--subject-claim",
    metavar="NAME",
    multiple=True,
    help="The claim of the subject. May be repeated. Default: sub.",
)
@click.option(
    "--scope-claim",
    metavar="NAME",
    multiple=True,
    help="The claim of the scopes. May be repeated. Default: scope.",
)
@click.option(
    "--role-claim",
    metavar="NAME",
    multiple=True,
    help="The claim of the roles. May be repeated. Default: roles.",
)
@click.option("--padding", is_flag=True, help="Accept parts that end in =, as AWS load balancers write them.")
@click.option(
    "--claims",
    "all_claims",
    is_flag=True,
    help="Show the values of all claims. Default: those of iss, sub, aud, exp, iat, nbf, jti, "
    "auth_time and acr, and the names of the others.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the result as JSON.")
@with_settings
def inspect(
    *,
    file: str | None,
    application: str | None,
    factory: bool,
    path: str | None,
    method: str,
    field: str | None,
    all_claims: bool,
    as_json: bool,
    database: str | None,
    config: str | None,
    **options: Any,
) -> None:
    """Check whether a token is accepted. If not, show the reason and the remedy.

    The token is never an argument, and never shown. The options name the keys. Without them, the command
    uses the keys of the service if it has its settings, and also checks the session and the account. With
    --app, the guards of an application check the token, API key or opaque token: the output names the
    verifier that decides, the reason, and the option to change. Exit status: 0 only if the token was verified
    and accepted by all guards; 1 if it is refused or cannot be checked now; 2 without a key to verify it.
    """
    context = click.get_current_context()
    if context.args:  # click would repeat it
        raise Failure(
            "the token must not be an argument, because other users see arguments: use standard input "
            "or --file",
            MISUSED,
        )
    question = _Question(factory, method, path, field)
    if application is not None:
        _check_app_alone(options, database, config)
        _inspect_by(application, question, file, all_claims=all_claims, as_json=as_json)
        return
    if question != _Question():
        raise Failure("--factory, --path, --method and --header go with --app", MISUSED)
    with _checker(CheckOptions(**options), database, config) as checker:
        text = _read(file)
        now = time.time()
        header, claims = contents_of(text)
        finding, principal, signed = explain_text(text), None, False
        finding = finding or fault_of_form(text, padding=options["padding"])
        if finding is None:
            finding, principal = (_NO_KEYS, None) if checker is None else checker.find(text, claims, now)
            signed = finding is None or finding.code not in _UNSIGNED_CODES
        unusable = [] if checker is None or principal is None else checker.unusable(claims)
    report = TokenReport(header, claims, signed, all_claims, principal, unusable)
    if as_json:
        echo_json(document_of(finding, report))
    else:
        print_report(finding, report, now)
    if finding is not None:
        context.exit(MISUSED if finding is _NO_KEYS else 1)


@contextmanager
def _checker(
    options: CheckOptions, database: str | None, config: str | None
) -> Iterator[TokenChecker | None]:
    """Build the checker for the options; None if they give no key."""
    ways = [options.key, options.secret_env, options.discover]
    if len(ways) - ways.count(None) > 1:
        raise Failure("give one of --key, --secret-env and --discover", MISUSED)
    if options.discover is not None and options.issuer is not None:
        raise Failure("--discover already names the issuer: leave out --issuer", MISUSED)
    if ways != [None, None, None]:
        if database is not None or config is not None:
            raise Failure("--database and --config are for the service, which has its own keys", MISUSED)
        with checker_by_keys(options) as checker:
            yield checker
        return
    if options != CheckOptions(None, None, None, None, (), ()):
        raise Failure(
            "--issuer, --audience, --algorithm and options of claims go with a key: --key, --secret-env",
            MISUSED,
        )
    if database is None and config is None and "secret" not in raw_settings(None):
        yield None
        return
    with checker_by_service(database, config) as checker:
        yield checker


def _read(file: str | None) -> str:
    """Read the token, without the scheme of a copied header field."""
    if file is not None:
        try:
            with Path(file).open("rb") as opened:
                data = opened.read(2 * MAX_CREDENTIAL)
        except OSError as error:
            raise Failure(f"cannot read {file}: {error.strerror}", MISUSED) from None
    elif sys.stdin.isatty():
        data = click.prompt("Token", hide_input=True, err=True).encode()
    else:
        data = sys.stdin.buffer.read(2 * MAX_CREDENTIAL)
    text = data.decode("ascii", "replace").strip()
    return _FIELD.sub("", text, count=1)


class _Question(NamedTuple):
    """Hold the question for an application."""

    factory: bool = False
    method: str = "GET"
    path: str | None = None
    field: str | None = None


def _check_app_alone(options: Mapping[str, Any], database: str | None, config: str | None) -> None:
    if any(value not in (None, (), False) for value in (*options.values(), database, config)):
        raise Failure(
            "the guards of --app have their own keys and expectations: leave out the other options", MISUSED
        )


def _inspect_by(
    application: str, question: _Question, file: str | None, *, all_claims: bool, as_json: bool
) -> None:
    """Show the answers of the guards of an application."""
    if question.path is not None and (not question.path.startswith("/") or "?" in question.path):
        raise Failure("--path begins with a slash, and has no query", MISUSED)
    with application_guards(application, factory=question.factory) as guards:
        text = _read(file)
        if not text:
            raise Failure("no token was given: write it to standard input, or use --file", MISUSED)
        now = time.time()
        header, claims = contents_of(text)
        place = None if question.path is None else (question.method, question.path)
        answers = answers_of(guards, text, claims, now, place=place, field=question.field)
    if not answers:
        raise Failure(f"no guard of {application} covers that path", MISUSED)
    refusing = next((answer for answer in answers if answer.finding is not None), None)
    finding = None if refusing is None else refusing.finding
    signed = all(answer.finding is None or answer.finding.code not in _UNSIGNED_CODES for answer in answers)
    report = TokenReport(header, claims, signed, all_claims)
    if as_json:
        echo_json({**document_of(finding, report), "guards": [answer.document() for answer in answers]})
    else:
        for answer in answers:
            _print_answer(answer, named=len(answers) > 1)
        if place is not None and finding is None:
            click.echo("  The rules of the path are satisfied; @requires of its route was not asked.")
        print_contents(report, now)
    if finding is not None:
        click.get_current_context().exit(1)


def _print_answer(answer: Answer, *, named: bool) -> None:
    """Write the answer of one guard."""
    where = f"guard of {answer.mount or '/'}: " if named else ""
    by = f" by {answer.verifier}" if answer.verifier else ""
    finding = answer.finding
    if finding is None:
        click.echo(f"{printable(where)}{click.style('accepted', fg='green', bold=True)}{printable(by)}")
        return
    word = click.style("refused", fg="red", bold=True)
    click.echo(f"{printable(where)}{word} with {answer.status}{printable(by)}: {printable(finding.reason)}")
    click.echo(f"  {printable(finding.advice)}")
    if answer.option is not None:
        click.echo(f"  Option: {answer.option}")
