"""Make the providers that the settings name."""

from authguard.identity.settings import Settings
from authguard.identity.social.github import GitHub
from authguard.identity.social.openid import LinkedIn, OpenIDProvider
from authguard.identity.social.provider import Provider


def providers_from(settings: Settings) -> list[Provider]:
    """Make the providers of the settings: those whose client id is set.

    Raises:
        ConfigurationError: if one of them lacks something.
    """

    def uris(name: str) -> list[str]:
        service_uris = [f"{settings.issuer}{prefix}/auth/{name}/callback" for prefix in settings.prefixes]
        return [*service_uris, *settings.redirect_uris]

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
    return providers
