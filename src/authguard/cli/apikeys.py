"""Create, list, disable, revoke and rotate API keys of accounts: `authguard apikeys`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from authguard._core.credential.key_format import looks_like_key
from authguard.cli.configuration import raw_settings, read_settings_without_secret, with_settings
from authguard.cli.output import (
    MISUSED,
    Failure,
    check_separate,
    echo_json,
    echo_table,
    moment,
    note,
    printable,
    showing_secret,
    write_scopes,
)
from authguard.cli.service import find_user, open_service
from authguard.errors import InsufficientScopeError

if TYPE_CHECKING:
    from authguard.identity import IdentityService, NewAPIKey, StoredAPIKey
    from authguard.identity.api.answers import FullKey
    from authguard.identity.model import Operator
    from authguard.identity.storage.usage_series import Period


_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%SZ"])
_DAY = 86_400
#: The default number of periods for each length, in seconds.
_SHOWN = {"minute": 3_600, "hour": _DAY, "day": 30 * _DAY, "month": 365 * _DAY}


@click.group()
def apikeys() -> None:
    """Manage the API keys of accounts. Use the same settings as the service.

    create and rotate write the text of a key to standard output. It is never shown again.
    """


@apikeys.command()
@click.argument("email")
@click.option("--name", default="Default Key", show_default=True, help="The name of the key.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="A scope, such as read, which the account must have. May be repeated. Default: read and write.",
)
@click.option(
    "--kind",
    default="sk_live",
    show_default=True,
    help="The prefix of the key: sk_live, sk_test, claw, ak, or one of api_key_prefixes without its last _.",
)
@click.option(
    "--expires-in-days",
    type=int,
    metavar="DAYS",
    help="Days until the key expires, 1 to 3650. Default: from the settings.",
)
@click.option("--tier", help="The tier, which sets the limits of the key. Default: from the settings.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    help="An address or network from which the key may be used. May be repeated. Default: all.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the key as JSON.")
@with_settings
def create(
    *,
    email: str,
    scopes: tuple[str, ...],
    as_json: bool,
    database: str | None,
    config: str | None,
    **wishes: Any,
) -> None:
    """Create a key for an account. It cannot have more scopes than its owner."""
    from authguard.identity import APIKeyRequest, Caller
    from authguard.identity.model import Operator

    check_separate(scopes, "each --scope must be one scope", write_scopes)
    with _open(database, config) as service:
        wish = APIKeyRequest(scopes=scopes or ("read", "write"), **wishes)
        owner = Operator(find_user(service, email).id)
        _echo_new(service.api_keys.create(owner, wish, Caller()), as_json=as_json)


@apikeys.command("list")
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="Write the keys as JSON.")
@with_settings
def list_keys(*, email: str, as_json: bool, database: str | None, config: str | None) -> None:
    """List the keys of an account, the newest first. Their texts are not stored."""
    from authguard.identity.model import Operator

    with _open(database, config) as service:
        keys = service.api_keys.list(Operator(find_user(service, email).id))
        now = service.clock()
    if as_json:
        echo_json([_document(key, now) for key in keys])
    else:
        _echo_keys(keys, now)


@apikeys.command()
@click.argument("key_id")
@with_settings
def revoke(key_id: str, database: str | None, config: str | None) -> None:
    """Revoke a key by its id. The key and its tokens are refused at once."""
    from authguard.identity import Caller

    with _open(database, config) as service:
        service.api_keys.revoke(_owner_of(service, key_id), key_id, Caller())
    click.echo("The key is revoked.")


@apikeys.command()
@click.argument("key_id")
@with_settings
def disable(key_id: str, database: str | None, config: str | None) -> None:
    """Disable a key by its id, and its tokens. The owner of the key cannot enable it."""
    from authguard.identity import Caller

    with _open(database, config) as service, _saying_what_ended():
        service.api_keys.disable(_owner_of(service, key_id), key_id, Caller())
    click.echo("The key is disabled.")


@apikeys.command()
@click.argument("key_id")
@with_settings
def enable(key_id: str, database: str | None, config: str | None) -> None:
    """Enable a key by its id, even if its owner or another operator disabled it."""
    from authguard.identity import Caller

    with _open(database, config) as service, _saying_what_ended():
        service.api_keys.enable(_owner_of(service, key_id), key_id, Caller())
    click.echo("The key is enabled.")


@apikeys.command("set-tier")
@click.argument("key_id")
@click.argument("tier")
@with_settings
def set_tier(key_id: str, tier: str, database: str | None, config: str | None) -> None:
    """Give a key another tier, which sets its limits. Guards apply it after 30 seconds at most."""
    from authguard.identity import Caller

    with _open(database, config) as service, _saying_what_ended():
        service.api_keys.set_tier(_owner_of(service, key_id), key_id, tier, Caller())
    click.echo("The key has this tier.")


@contextmanager
def _saying_what_ended() -> Iterator[None]:
    """Turn the error about an ended key into a failure.

    Raises:
        Failure: if the key has ended.
    """
    from authguard.identity.errors import KeyNotActiveError

    try:
        yield
    except KeyNotActiveError:
        raise Failure("the key has expired or was revoked; neither can be undone") from None


@apikeys.command()
@with_settings
def notify(database: str | None, config: str | None) -> None:
    """Note which keys expire, and send the mails that are due; for cron.

    The running service does this itself, unless api_key_notice_interval is 0. Several processes may do so at
    once.
    """
    if "issuer" not in raw_settings(config):
        raise Failure(
            "set AUTHGUARD_ISSUER to the issuer of the service: links in mails begin with it", MISUSED
        )
    with _open(database, config, sends_mails=True) as service:
        service.key_notices.step()
        is_done = service.mails.run()
    click.echo(f"Expiring keys noted: {service.key_notices.noted}. Mails sent: {service.mails.sent}.")
    if not is_done:
        raise Failure("the mail server did not accept some mails; they are retried")


@apikeys.command()
@click.argument("key_id")
@click.option(
    "--activate",
    type=click.Choice(["now", "first_use"]),
    default="now",
    show_default=True,
    help="The time from which the new secret is used.",
)
@click.option(
    "--grace",
    type=int,
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="The time for which the old secret stays valid from then on, up to 30 days.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the key as JSON.")
@with_settings
def rotate(
    *, key_id: str, activate: str, grace: int, as_json: bool, database: str | None, config: str | None
) -> None:
    """Give a key a new secret. Its id, usage and limits stay the same."""
    from authguard.identity import Caller

    when: Any = activate
    with _open(database, config) as service:
        owner = _owner_of(service, key_id)
        new = service.api_keys.rotate(owner, key_id, Caller(), activate=when, grace_seconds=grace)
        _echo_new(new, as_json=as_json)


@apikeys.command()
@click.argument("key_id")
@click.option(
    "--from",
    "begin",
    type=_MOMENT,
    metavar="DATE",
    help="The first period in UTC, such as 2026-11-01 or 2026-11-01T08:00. Default: an hour, a day, 30"
    " days or a year before --to.",
)
@click.option("--to", "end", type=_MOMENT, metavar="DATE", help="The last period, in UTC. Default: now.")
@click.option(
    "--by",
    "period",
    type=click.Choice(list(_SHOWN)),
    default="day",
    show_default=True,
    help="The length of a period. By default, minutes are stored for 2 days, and hours for 90.",
)
@click.option("--json", "as_json", is_flag=True, help="Write rules, outcomes and generations as JSON.")
@with_settings
def usage(
    *,
    key_id: str,
    begin: datetime | None,
    end: datetime | None,
    period: str,
    as_json: bool,
    database: str | None,
    config: str | None,
) -> None:
    """Show the outcomes of the requests with a key over time, in UTC.

    Requests of the last minute may be missing.
    """
    from authguard.identity.storage.usage_levels import LEVELS

    level = next(each for each in LEVELS if each.name == period)
    with _open(database, config) as service:
        now = service.clock()
        last = now if end is None else min(_seconds(end), now + _DAY)
        first = max(0.0, last - _SHOWN[period] if begin is None else _seconds(begin))
        if first > last:
            raise Failure("--from must be before --to and not in the future, got a later moment", MISUSED)
        until = level.end_of(level.start_of(last))
        owner = _owner_of(service, key_id)
        periods = service.api_keys.usage_of(owner, key_id, level, begin=first, end=until)
    if as_json:
        echo_json([each._asdict() | {"start": _as_text(each.start)} for each in periods])
    else:
        _echo_usage(periods)
        if not periods:
            note("no requests were counted in these periods; requests of the last minute may be missing")


@apikeys.command()
@with_settings
def pattern(database: str | None, config: str | None) -> None:
    """Write a regular expression that matches all keys and client secrets, for secret scanners."""
    from authguard.identity.keys.texts import secret_pattern

    click.echo(secret_pattern(read_settings_without_secret(config, database)))


@contextmanager
def _open(
    database: str | None, config: str | None, *, sends_mails: bool = False
) -> "Iterator[IdentityService]":
    """Open the service, and turn refusals into failures.

    Raises:
        Failure: if API keys are switched off, the account may not give a scope, or a tier is unknown.
    """
    from authguard.identity.errors import InvalidFieldsError

    settings = read_settings_without_secret(config, database)
    if not settings.api_keys:
        raise Failure("API keys are switched off: the setting api_keys is false")
    try:
        with open_service(settings, sends_mails=sends_mails) as service:
            yield service
    except InsufficientScopeError as error:
        raise Failure(
            f"the account may not give these scopes to its keys: {printable(' '.join(error.scopes))}. "
            "See api_key_scopes and admin_roles of the settings"
        ) from None
    except InvalidFieldsError as error:
        if list(error.fields) != ["tier"]:
            raise
        raise Failure(
            f"tier: {error.fields['tier'][0]}. For another tier, set AUTHGUARD_API_KEY_TIERS as the service "
            "has it"
        ) from None


def _owner_of(service: "IdentityService", key_id: str) -> "Operator":
    from authguard.identity.errors import NotFoundError

    if looks_like_key(key_id):
        raise Failure("KEY_ID must be the id of a key, got a key: authguard apikeys list shows the ids")
    try:
        return service.api_keys.find_operator(key_id)
    except NotFoundError:
        raise Failure("no key has this id; authguard apikeys list shows the ids") from None


def _echo_new(new: "NewAPIKey", *, as_json: bool) -> None:
    """Write the text of a key. It cannot be shown later."""
    from authguard.identity.api.key_documents import new_key_document

    with showing_secret(f"authguard apikeys rotate {new.key.id}"):
        if as_json:
            echo_json(new_key_document(new))
            return
        click.echo(new.text)
        if new.secret is not None:
            click.echo(new.secret)
    note(
        f"this key is shown only once; its id is {new.key.id}, and it expires on {moment(new.key.expires_at)}"
    )


def _document(key: "StoredAPIKey", now: float) -> "FullKey":
    from authguard.identity.api.key_documents import full_key_document

    return full_key_document(key, now)


def _echo_keys(keys: "Sequence[StoredAPIKey]", now: float) -> None:
    rows = [
        [
            key.name,
            f"{key.shown}...",
            " ".join(sorted(key.scopes)),
            key.tier,
            key.state(now) if key.revoked_for is None else f"{key.state(now)}: {key.revoked_for}",
            moment(key.created_at),
            moment(key.expires_at),
            "never" if key.last_used_at is None else moment(key.last_used_at),
            str(key.usage_count),
            key.id,
        ]
        for key in keys
    ]
    headings = ["name", "key", "scopes", "tier", "state", "created", "expires", "last used", "uses", "id"]
    echo_table(headings, rows)


def _seconds(date: datetime) -> float:
    return date.replace(tzinfo=UTC).timestamp()


def _as_text(start: int) -> str:
    return datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _echo_usage(periods: "Sequence[Period]") -> None:
    """Write a row for each period, with a column for each outcome that occurs."""
    from authguard._core.terms import OUTCOMES

    table: dict[int, dict[str, int]] = {}
    for each in periods:
        row = table.setdefault(each.start, {})
        row[each.outcome] = row.get(each.outcome, 0) + each.uses
    seen = [name for name in OUTCOMES if name == "ok" or any(name in row for row in table.values())]
    rows = [
        [_as_text(start), *(str(row.get(name, 0)) for name in seen), str(sum(row.values()))]
        for start, row in table.items()
    ]
    echo_table(["from", *seen, "all"], rows)
