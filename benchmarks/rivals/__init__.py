"""What a user would pick instead: a file for each, configured as its documentation says."""

from importlib import import_module

from benchmarks.apps import Contestant

NAMES = (
    "starlette_pyjwt", "starlette_joserfc", "base_http_middleware", "fastapi_users_jwt", "authx_dependency",
    "litestar_jwt", "mcp_bearer", "fastmcp_bearer",
    "flask_jwt_extended_view", "flask_httpauth_view", "before_request", "authlib_protector",
)  # fmt: skip


def rivals() -> list[Contestant]:
    """All of them; a rival that is not installed is an error, and not a row less."""
    return [import_module(f"{__name__}.{name}").RIVAL for name in NAMES]
