"""Build the providers of the settings."""

from authguard.errors import ConfigurationError
from authguard.identity.setting_variables import ENVIRONMENT
from authguard.identity.settings import Settings
from authguard.identity.social.github import GitHub
from authguard.identity.social.openid import LinkedIn, OpenIDProvider
from authguard.identity.social.provider import Provider

_NEEDED = {
    "github": ("github_client_id", "github_client_secret"),
    "linkedin": ("linkedin_client_id", "linkedin_client_secret"),
    "oidc": ("oidc_issuer", "oidc_client_id", "oidc_client_secret"),
}


def providers_from(settings: Settings) -> list[Provider]:
    """Build the providers of the settings whose client id is set.

    Raises:
        ConfigurationError: if a setting of one of them is missing.
    """

    def uris(name: str) -> list[str]:
        return [*callback_urls(settings, name), *settings.redirect_uris]

    _check_complete(settings)
    providers: list[Provider] = []
    if settings.github_client_id:
        secret = settings.github_client_secret
        providers.append(GitHub(settings.github_client_id, secret, redirect_uris=uris("github")))
    if settings.linkedin_client_id:
        secret = settings.linkedin_client_secret
        providers.append(LinkedIn(settings.linkedin_client_id, secret, redirect_uris=uris("linkedin")))
    if settings.oidc_client_id:
        providers.append(
            OpenIDProvider(
                "oidc",
                settings.oidc_issuer,
                settings.oidc_client_id,
                settings.oidc_client_secret,
                redirect_uris=uris("oidc"),
                allow_private=settings.oidc_allow_private,
            )
        )
    for name, given in settings.oidc_providers.items():
        providers.append(
            OpenIDProvider(
                name,
                given.issuer,
                given.client_id,
                given.client_secret,
                redirect_uris=uris(name),
                scope=given.scope,
                auth_method=given.auth_method,
                allow_private=given.allow_private,
                repeats_nonce=given.repeats_nonce,
            )
        )
    return providers


def callback_urls(settings: Settings, name: str) -> list[str]:
    """Return the callback URLs of a provider, by prefix; the first is that of the pages."""
    return [f"{settings.issuer}{prefix}/auth/{name}/callback" for prefix in settings.prefixes]


def missing_settings(settings: Settings) -> dict[str, list[str]]:
    """Return the providers that have some of their settings but not all, with the missing ones."""
    lacks = {
        name: [setting for setting in needed if not getattr(settings, setting)]
        for name, needed in _NEEDED.items()
    }
    return {name: missing for name, missing in lacks.items() if missing}


def _check_complete(settings: Settings) -> None:
    """Check that each provider has all or none of its settings."""
    for name, missing in missing_settings(settings).items():
        if given := [setting for setting in _NEEDED[name] if setting not in missing]:
            variables = " and ".join(ENVIRONMENT + setting.upper() for setting in missing)
            raise ConfigurationError(
                f"{' and '.join(missing)} must be given where {given[0]} is, got nothing: set {variables}, "
                f"as a provider has all of {', '.join(_NEEDED[name])}, or none"
            )
