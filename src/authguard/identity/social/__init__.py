"""Sign in with other providers."""

from authguard.identity.social.openid import LinkedIn, OpenIDProvider
from authguard.identity.social.provider import GitHub, Provider

__all__ = ["GitHub", "LinkedIn", "OpenIDProvider", "Provider"]
