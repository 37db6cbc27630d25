"""List other packages for the same purpose: a file for each, configured as in its documentation."""

from importlib import import_module

from benchmarks.apps import Contestant

NAMES = (
    "starlette_pyjwt", "starlette_joserfc", "base_http_middleware", "fastapi_users_jwt", "authx_dependency",
    "litestar_jwt", "mcp_bearer", "fastmcp_bearer",
    "flask_jwt_extended_view", "flask_httpauth_view", "before_request", "authlib_protector",
)  # fmt: skip


def rivals() -> list[Contestant]:
    """Return all rivals; a rival that is not installed is an error."""
    return [import_module(f"{__name__}.{name}").RIVAL for name in NAMES]
