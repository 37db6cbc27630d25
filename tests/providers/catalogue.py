"""List the providers, by the names of their files, in the order of the documentation."""

from importlib import import_module
from types import ModuleType

from providers.building import Provider

NAMES = (
    "auth0",
    "okta",
    "okta_org",
    "entra",
    "entra_v1",
    "entra_tenants",
    "cognito",
    "cognito_id",
    "keycloak",
    "keycloak_without_sub",
    "google",
    "google_iap",
    "firebase",
    "supabase",
    "clerk",
    "cloudflare",
    "cloudflare_cookie",
    "aws_alb",
    "zitadel",
    "hydra",
    "adfs",
    "kubernetes",
    "github_actions",
    "django_oauth_toolkit",
    "fastapi_users",
    "flask_jwt_extended",
    "simplejwt",
)
MODULES: dict[str, ModuleType] = {name: import_module(f"providers.{name}") for name in NAMES}
PROVIDERS: dict[str, Provider] = {name: module.PROVIDER for name, module in MODULES.items()}
