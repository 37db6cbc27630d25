"""Sign in with other providers."""

from authguard.identity.social.configured import providers_from
from authguard.identity.social.github import GitHub
from authguard.identity.social.openid import LinkedIn, OpenIDProvider
from authguard.identity.social.provider import Provider

__all__ = ["GitHub", "LinkedIn", "OpenIDProvider", "Provider", "providers_from"]
