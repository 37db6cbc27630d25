"""The imports of the first request to an issuer, which would block an event loop."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

# Port 9 of this machine has no server: the fetch imports all its modules, and fails to connect.
PROGRAM = """
    import asyncio, sys
    from authguard import Credential, JWTVerifier
    from authguard.drivers.asynchronous import run
    from authguard.errors import VerificationUnavailableError
    from support import NOW, claims, ec_key, make_token

    issuer = "https://127.0.0.1:9"
    verifier = JWTVerifier.from_issuer(issuer, audience="api", algorithms=["ES256"])
    text = make_token(claims(iss=issuer, aud="api"), algorithm="ES256", key=ec_key(), kid="a")

    async def fetch():
        before = set(sys.modules)
        try:
            await run(verifier.flow(Credential(text, "bearer"), NOW))
        except VerificationUnavailableError:
            print([name for name in sorted(sys.modules.keys() - before) if "authguard" not in name])

    asyncio.run(fetch())
"""


@pytest.mark.slow
def test_the_first_fetch_imports_no_library():
    """The modules of a fetch are imported when the verifier is built."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout == "[]\n"
