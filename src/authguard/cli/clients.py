"""Register, list and disable OAuth clients, and rotate their secrets: `authguard clients`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from authguard.cli.configuration import read_settings_without_secret, with_settings
from authguard.cli.output import (
    Failure,
    check_separate,
    echo_json,
    echo_table,
    moment,
    note,
    showing_secret,
    write_scopes,
)
from authguard.cli.service import open_service

if TYPE_CHECKING:
    from authguard.identity.model import Client
    from authguard.identity.usecases.oauth.clients import Clients


@click.group()
def clients() -> None:
    """Manage the OAuth clients of the service. Use the same settings as the service.

    create and rotate write the secret of a client to standard output. It is never shown again.
    """


@clients.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="A scope that the client may request for itself. May be repeated.",
)
@click.option(
    "--public",
    is_flag=True,
    help="Register a public client: it has no secret, such as a browser page or a mobile app. Users "
    "sign in through it, and it gets no tokens for itself.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the client as JSON.")
@with_settings
def create(
    *,
    name: str,
    scopes: tuple[str, ...],
    public: bool,
    as_json: bool,
    database: str | None,
    config: str | None,
) -> None:
    """Register a client, with the name that is shown to people."""
    check_separate(scopes, "each --scope must be one scope", write_scopes)
    with _open(database, config) as registry:
        client, secret = registry.create(name, frozenset(scopes), public=public)
    with showing_secret(f"authguard clients {'list' if public else f'rotate {client.id}'}"):
        if as_json:
            echo_json(_document(client) | ({} if public else {"client_secret": secret}))
            return
        note(f"the client_id is {client.id}" + ("" if public else ", and this its client_secret:"))
        click.echo(client.id if public else secret)


@clients.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write the clients as JSON.")
@with_settings
def list_clients(*, as_json: bool, database: str | None, config: str | None) -> None:
    """List all clients, the oldest first. Their secrets are not stored."""
    with _open(database, config) as registry:
        registrations = registry.list()
    if as_json:
        echo_json([_document(client) | {"created_at": created_at} for client, created_at in registrations])
        return
    rows = [
        [
            client.id,
            client.name,
            "public" if client.is_public else "secret",
            "disabled" if client.disabled else "active",
            " ".join(sorted(client.scopes)),
            moment(created_at),
        ]
        for client, created_at in registrations
    ]
    echo_table(["id", "name", "kind", "state", "scopes", "created"], rows)


@clients.command()
@click.argument("client_id")
@with_settings
def disable(client_id: str, database: str | None, config: str | None) -> None:
    """Disable a client by its id. It gets no new tokens and cannot refresh."""
    with _open(database, config) as registry:
        registry.disable(client_id)
    click.echo("The client is disabled.")


@clients.command()
@click.argument("client_id")
@with_settings
def enable(client_id: str, database: str | None, config: str | None) -> None:
    """Enable a client by its id."""
    with _open(database, config) as registry:
        registry.disable(client_id, disabled=False)
    click.echo("The client is enabled.")


@clients.command()
@click.argument("client_id")
@click.option("--json", "as_json", is_flag=True, help="Write the id and the secret as JSON.")
@with_settings
def rotate(*, client_id: str, as_json: bool, database: str | None, config: str | None) -> None:
    """Give a client a new secret, by its id. The old secret is refused at once."""
    with _open(database, config) as registry:
        secret = registry.rotate(client_id)
    with showing_secret(f"authguard clients rotate {client_id}"):
        if as_json:
            echo_json({"client_id": client_id, "client_secret": secret})
        else:
            click.echo(secret)


@contextmanager
def _open(database: str | None, config: str | None) -> Iterator["Clients"]:
    from authguard.identity.errors import NotFoundError

    with open_service(read_settings_without_secret(config, database)) as service:
        try:
            yield service.clients
        except NotFoundError:
            raise Failure("no client has this id") from None


def _document(client: "Client") -> dict[str, Any]:
    return {
        "client_id": client.id,
        "name": client.name,
        "public": client.is_public,
        "scopes": sorted(client.scopes),
        "disabled": client.disabled,
    }
