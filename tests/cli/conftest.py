"""The command: the service that commands work on."""

import pytest

from databases import empty_url, postgres_url, sqlite_url  # noqa: F401  # fixtures


@pytest.fixture
def service(url):
    """The variables with which commands work on the service."""
    from cli_support import ISSUER, SECRET

    return {"AUTHGUARD_DATABASE": url, "AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": ISSUER}
