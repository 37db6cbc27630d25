"""Provide the servers of providers for the tests of this folder."""

from collections.abc import Iterator

import pytest

from authguard._connecting import certificates
from providers.internet import Internet, connected


@pytest.fixture(scope="module", name="internet")
def _internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """Run the servers of providers for all clients of this process, using only the environment."""
    with connected(tmp_path_factory.mktemp("internet")) as internet, pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        patch.setenv("HTTPS_PROXY", internet.proxy)
        patch.setenv("https_proxy", internet.proxy)
        patch.setenv("SSL_CERT_FILE", str(internet.authority))
        patch.setenv("CLUSTER_CA", str(internet.authority))
        certificates._usual_tls.cache_clear()
        yield internet
    certificates._usual_tls.cache_clear()
