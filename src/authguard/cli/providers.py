"""List the providers for signing in: `authguard providers`."""

import secrets
from typing import TYPE_CHECKING, Any

import click

from authguard.cli.configuration import raw_settings, read_settings, with_config
from authguard.cli.output import Failure, echo_json, note, printable

if TYPE_CHECKING:
    from authguard.identity import Settings
    from authguard.identity.social import Provider


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write the providers as JSON.")
@with_config
def providers(*, as_json: bool, config: str | None) -> None:
    """List each provider for signing in, and the redirect URIs to register there.

    The command sends no request, and does not use the database. Exit status: 0 if a provider is configured, 1
    if none is, 2 if a provider lacks settings.
    """
    # No secret is needed, but the issuer is, because redirect URIs begin with it.
    given = {} if "secret" in raw_settings(config) else {"secret": secrets.token_urlsafe(32)}
    settings = read_settings(config, None, **given)
    from authguard.identity.social.configured import missing_settings, providers_from

    made = providers_from(settings)
    described = [_describe(settings, provider) for provider in made]
    for provider in made:
        provider.close()
    if as_json:
        echo_json(described)
    elif described:
        click.echo("\n\n".join(map(_in_words, described)))
    for name, missing in missing_settings(settings).items():
        variables = " and ".join(f"AUTHGUARD_{setting.upper()}" for setting in missing)
        note(f"{name} is not configured: set {variables}")
    if not described:
        raise Failure("no provider is configured")


def _describe(settings: "Settings", provider: "Provider") -> dict[str, Any]:
    from authguard.identity.social.configured import callback_urls

    callbacks = callback_urls(settings, provider.name)
    return {
        "name": provider.name,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "redirect_uris": {
            "pages": callbacks[:1] if settings.pages else [],
            "api": callbacks,
            "applications": sorted(settings.redirect_uris),
        },
    }


def _in_words(provider: dict[str, Any]) -> str:
    uris = provider["redirect_uris"]
    rows = [("issuer", provider["issuer"] or "none: it uses OAuth 2 without OpenID Connect")]
    rows.append(("client id", provider["client_id"]))
    for label, where in (("pages", "pages"), ("API", "api"), ("applications", "applications")):
        rows += [(f"redirect URI, {label}", uri) for uri in uris[where]]
    width = max(len(label) for label, _ in rows)
    lines = [f"  {label.ljust(width)}  {printable(value)}" for label, value in rows]
    return "\n".join([provider["name"], *lines])
