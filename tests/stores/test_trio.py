"""Stores in an event loop of trio."""

import pytest
import trio

from authguard import Guard, JWTVerifier, MemoryRevocations
from authguard.errors import RevokedTokenError
from authguard.stores import SQLiteStore
from authguard.testing import issue_token
from support import NOW, SECRET


@pytest.mark.slow
def test_a_revocation_from_a_run_of_trio(tmp_path):
    """`arevoke` in trio writes in a thread, and the token is refused afterwards."""

    async def main(revocations):
        guard = Guard(
            JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), revocations=revocations
        )
        token = issue_token(SECRET, jti="one", expires_in=4_000_000_000 - NOW, now=NOW)
        assert (await guard.averify(token, now=NOW)).token_id == "one"
        await revocations.arevoke(token_id="one", until=4_000_000_000, wait=True)
        try:
            await guard.averify(token, now=NOW)
        except RevokedTokenError:
            return True
        return False

    store = SQLiteStore(tmp_path / "store.db")
    try:
        assert trio.run(main, store.revocations)
    finally:
        store.close()
    assert trio.run(main, MemoryRevocations())
