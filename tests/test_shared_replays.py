"""DPoP proofs in Redis as a store that processes share, as in docs/reference/options.md."""

import os
import secrets

import pytest
import redis
import redis.asyncio

from authguard import DPoP, VerificationUnavailableError
from authguard._core.model import Credential
from authguard.drivers import run
from authguard.errors import InvalidProofError
from support import NOW, FakeRequest, ec_key, jwk, make_proof, thumbprint

TOKEN = "a.b.c"


@pytest.fixture(name="prefix")
def _prefix():
    """Yield a prefix for names of this test in the Redis of this machine."""
    with redis.Redis(socket_timeout=2) as store:
        try:
            store.ping()
        except redis.ConnectionError:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip("no Redis at 127.0.0.1:6379")
        prefix = f"authguard-test-{secrets.token_hex(8)}"
        yield prefix
        for name in store.scan_iter(f"{prefix}:*"):
            store.delete(name)


def check(own_proofs, proof):
    request = FakeRequest("/a", headers={"dpop": proof})
    run(own_proofs.check(request, Credential(TOKEN, "dpop"), thumbprint(jwk(ec_key())), NOW))


def test_what_one_process_has_seen_the_other_knows(prefix):
    """A proof that one guard has seen is a replay for another one with the same store, until it expires."""
    with redis.Redis(socket_timeout=2) as store:

        def replays(digest, seconds):
            return store.set(f"{prefix}:{digest}", 1, nx=True, ex=seconds)

        own_proofs, other = (DPoP("https://api.example", replays=replays) for _ in range(2))
        proof = make_proof(TOKEN)
        check(own_proofs, proof)
        for again in (own_proofs, other):
            with pytest.raises(InvalidProofError, match="used before"):
                check(again, proof)
        check(other, make_proof(TOKEN))
        names = list(store.scan_iter(f"{prefix}:*"))
        assert len(names) == 2
        assert all(0 < store.ttl(name) <= 31 for name in names)


def test_a_store_with_a_client_that_is_async(prefix):
    """The function of the store may be async."""

    async def replays(digest, seconds):
        async with redis.asyncio.Redis(socket_timeout=2) as store:
            return await store.set(f"{prefix}:{digest}", 1, nx=True, ex=seconds)

    own_proofs, proof = DPoP("https://api.example", replays=replays), make_proof(TOKEN)
    check(own_proofs, proof)
    with pytest.raises(InvalidProofError, match="used before"):
        check(own_proofs, proof)


def test_a_store_that_is_down_says_so():
    """A store that raises VerificationUnavailableError refuses the proof with its Retry-After."""

    def replays(digest, seconds):
        raise VerificationUnavailableError("the store is down", retry_after=7)

    with pytest.raises(VerificationUnavailableError) as caught:
        check(DPoP("https://api.example", replays=replays), make_proof(TOKEN))
    assert caught.value.retry_after == 7
