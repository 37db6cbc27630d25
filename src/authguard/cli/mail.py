"""List waiting mails, retry them, and test the mail server: `authguard mail`."""

from typing import TYPE_CHECKING, Any

import click

from authguard.cli.configuration import read_settings_without_secret, with_settings
from authguard.cli.output import Failure, echo_json, echo_table, moment, note
from authguard.cli.service import open_service

if TYPE_CHECKING:
    from authguard.identity.storage.mails.queries import WaitingMail

_PAGE_SIZE, _MAX_PAGE_SIZE = 100, 10_000
_SHOWN_ID = 12  # characters of an id; enough to distinguish mails


@click.group()
def mail() -> None:
    """Manage the mails that the service has not sent yet. Use the same settings as the service."""


@mail.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1, _MAX_PAGE_SIZE),
    default=_PAGE_SIZE,
    show_default=True,
    help="The greatest number of mails.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the mails as JSON.")
@with_settings
def list_mails(*, limit: int, as_json: bool, database: str | None, config: str | None) -> None:
    """List waiting mails, the next attempt first. Links are created when a mail is sent."""
    with open_service(read_settings_without_secret(config, database)) as service:
        waiting = service.mails.list(limit)
        total = service.mails.state().waiting
    if as_json:
        echo_json([_document(each) for each in waiting])
    else:
        headings = ["id", "kind", "account", "asked for", "next try", "tries", "reason"]
        echo_table(headings, [_row(each) for each in waiting])
    if total > len(waiting):
        note(f"{total} mails wait; these are the first {len(waiting)}")


def _document(waiting: "WaitingMail") -> dict[str, Any]:
    document = waiting._asdict()
    del document["details"]
    return document | {"address": None if waiting.address is None else mask(waiting.address)}


def _row(waiting: "WaitingMail") -> list[str]:
    whom = waiting.user_id or mask(waiting.address or "")
    times = [moment(waiting.asked_at), moment(waiting.try_at)]
    return [waiting.id[:_SHOWN_ID], waiting.kind, whom, *times, str(waiting.tries), waiting.reason]


def mask(address: str) -> str:
    """Mask an address: show only the first letter of the local part."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}"


@mail.command()
@click.argument("mail_id", metavar="ID", required=False)
@click.option("--all", "all_of_them", is_flag=True, help="Retry all waiting mails.")
@with_settings
def retry(*, mail_id: str | None, all_of_them: bool, database: str | None, config: str | None) -> None:
    """Retry one mail or all mails at once. Each is then retried for one more day.

    The running service sends them within half a minute. ID is the id shown by `mail list`, or its beginning.
    """
    if all_of_them == (mail_id is not None):
        raise click.UsageError("give the ID of a mail, or --all")
    if mail_id is not None and len(mail_id) < _SHOWN_ID:
        raise click.UsageError(f"an ID has {_SHOWN_ID} characters or more: see `authguard mail list`")
    with open_service(read_settings_without_secret(config, database)) as service:
        number = service.mails.retry(mail_id)
    if mail_id is not None and not number:
        raise Failure("no waiting mail has this ID: it was sent, or can no longer be sent")
    click.echo(f"Mails to be retried now: {number}.")


@mail.command()
@click.argument("address")
@with_settings
def test(*, address: str, database: str | None, config: str | None) -> None:
    """Send a test mail to an address, and show why the mail server refuses it.

    It needs smtp_url and mail_from, does not use the database, and does not retry.
    """
    from authguard.identity.mail.addresses import parse_email
    from authguard.identity.mail.mailer import Mail
    from authguard.identity.service import mailer_from

    settings = read_settings_without_secret(config, database)
    mailer, to = mailer_from(settings), parse_email(address)
    if to is None:
        raise click.UsageError("ADDRESS is not an e-mail address")
    text = "The operator of the service sent this mail to test the mail server. You need not do anything."
    mailer.send(Mail(to, "A test of the mail server", text).of_product(settings.product_name))
    click.echo("The mail server accepted the mail.")
