"""Issue tokens for accounts of the service, and for tests of any API: `authguard token issue`."""

import secrets
from functools import partial
from typing import Any

import click

from authguard._core.jose.jwk import ASYMMETRIC, SYMMETRIC
from authguard.cli.configuration import read_settings, with_settings
from authguard.cli.output import MISUSED, Failure, check_separate, echo_json, write_options, write_scopes
from authguard.cli.service import find_user, open_service
from authguard.cli.tokens.inspect import inspect
from authguard.cli.tokens.private_keys import read_key_file, read_secret
from authguard.issuing.signing_key import SigningKey, read_secret_key, read_signing_key
from authguard.testing import issue_token

ALGORITHMS = sorted(SYMMETRIC | ASYMMETRIC)
_EXPIRES_IN = 300  # as in `authguard.testing.issue_token`


@click.group()
def token() -> None:
    """Issue tokens, and explain why a token is refused."""


token.add_command(inspect)


@token.command()
@click.option("--user", metavar="EMAIL", help="Start a session of this account of the service.")
@click.option(
    "--key",
    metavar="FILE",
    help="Sign with the private key (PEM or JWK) or the secret in this file.",
)
@click.option("--secret-env", metavar="NAME", help="Sign with the secret in this environment variable.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), help="The algorithm. Default: that of the key.")
@click.option("--kid", help="The kid in the header of the token. Default: that of the JWK.")
@click.option("--subject", metavar="SUB", help="The claim sub. Default: `somebody`.")
@click.option("--scope", multiple=True, help="A scope of the token. May be repeated.")
@click.option(
    "--role",
    multiple=True,
    help="A role in the claim roles, which JWTVerifier reads by default. May be repeated.",
)
@click.option("--issuer", metavar="ISS", help="The claim iss.")
@click.option("--audience", metavar="AUD", multiple=True, help="The claim aud. May be repeated, for a list.")
@click.option(
    "--expires-in",
    metavar="SECONDS",
    type=int,
    help=f"Seconds until the token expires; a negative number for an expired token. Default: {_EXPIRES_IN}.",
)
@click.option(
    "--auth-time",
    metavar="SECONDS",
    type=click.IntRange(min=0),
    help='The claim auth_time, in seconds since the epoch, for rules with max_age: "$(date +%s)" for now.',
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Write a token response as JSON, with --user with the refresh token.",
)
@with_settings
def issue(
    *,
    user: str | None,
    key: str | None,
    secret_env: str | None,
    as_json: bool,
    database: str | None,
    config: str | None,
    **contents: Any,
) -> None:
    """Write an access token to standard output.

    With --user, the token belongs to a new session of an account of the service, and needs the settings of
    the service. With --key or --secret-env, it is signed by the command itself, for tests of an API that
    verifies JWTs.
    """
    check_separate(contents["scope"], "each --scope must be one scope", write_scopes)
    check_separate(contents["role"], "each --role must be one role", partial(write_options, "--role"))
    _check_one_way(user, key, secret_env, service=(database, config), contents=tuple(contents.values()))
    if user is not None:
        document = _of_account(user, database, config)
    elif key is not None:
        document = _signed(read_signing_key(read_key_file(key), contents["algorithm"]), **contents)
    else:
        secret = read_secret(secret_env or "")
        document = _signed(read_secret_key(secret, contents["algorithm"]), **contents)
    if as_json:
        echo_json(document)
    else:
        click.echo(document["access_token"])


def _check_one_way(
    user: str | None,
    key: str | None,
    secret_env: str | None,
    *,
    service: tuple[Any, ...],
    contents: tuple[Any, ...],
) -> None:
    if [user, key, secret_env].count(None) != 2:
        raise Failure("give one of --user, --key and --secret-env", MISUSED)
    if user is not None and not all(value in (None, ()) for value in contents):
        raise Failure(
            "--user issues a token as the service does: options for its contents need --key or --secret-env",
            MISUSED,
        )
    if user is None and any(service):
        raise Failure("--database and --config are for the service: use them with --user", MISUSED)


def _of_account(email: str, database: str | None, config: str | None) -> dict[str, Any]:
    from authguard.identity import Caller
    from authguard.identity.api.documents import token_document

    with open_service(read_settings(config, database)) as service:
        # The name that the owner of the account sees in the list of sessions.
        caller = Caller(user_agent="authguard token issue")
        user = find_user(service, email)
        if user.disabled:
            raise Failure("the account is disabled: see `authguard users enable`")
        return dict(token_document(service.accounts.issue_tokens(user.id, caller)))


def _signed(
    key: SigningKey,
    *,
    kid: str | None,
    subject: str | None,
    scope: tuple[str, ...],
    role: tuple[str, ...],
    issuer: str | None,
    audience: tuple[str, ...],
    expires_in: int | None,
    auth_time: int | None,
    **_: Any,
) -> dict[str, Any]:
    seconds = _EXPIRES_IN if expires_in is None else expires_in
    key_id = kid or key.key_id
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience[0] if len(audience) == 1 else list(audience) or None,
        "roles": list(role) or None,
        "auth_time": auth_time,
        "jti": secrets.token_hex(16),
    }
    text = issue_token(
        key.key,
        algorithm=key.algorithm,
        subject="somebody" if subject is None else subject,
        scopes=scope,
        expires_in=seconds,
        headers={"kid": key_id} if key_id else None,
        **{name: value for name, value in claims.items() if value is not None},
    )
    return {"access_token": text, "token_type": "bearer", "expires_in": seconds}
