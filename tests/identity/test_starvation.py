"""Stores of limits that hang and databases that are locked: only the requests that need them wait."""

import asyncio
import contextlib
import sqlite3
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import create_engine, text

from authguard.errors import VerificationUnavailableError
from authguard.identity import Identity
from authguard.identity.limits import Limiter, stores
from identity.fake_servers import hanging
from identity.support import ANN, CALLER, ISSUER, PASSWORD, service_at

pytestmark = pytest.mark.slow

SIGN_INS = 40


def a_client(app):
    """Return a client inside of the event loop."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER)


def bearer(tokens):
    """Return the field with an access token."""
    return {"Authorization": f"Bearer {tokens.access_token}"}


WAYS_IN = {
    "login": ("/v1/auth/login", {"username": "bob@example.com", "password": "x"}),
    "token": ("/v1/oauth/token", {"grant_type": "password", "username": "bob@example.com", "password": "x"}),
    "client": ("/v1/oauth/introspect", {"client_id": "a", "client_secret": "b", "token": "c"}),
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_guarded_requests_do_not_wait_for_a_hanging_store_of_limits(url, way, monkeypatch):
    """While the store of limits hangs, `users/me` is answered before each sign-in."""
    monkeypatch.setattr(stores, "STORE_SECONDS", 60)  # longer than three requests on any machine
    path, form = WAYS_IN[way]
    with contextlib.ExitStack() as stack:
        life_of_store = stack.enter_context(contextlib.ExitStack())
        store, taken = life_of_store.enter_context(hanging())
        service = stack.enter_context(service_at(url, limiter=Limiter(store)))
        tokens = service.accounts.issue_tokens(service.accounts.create(ANN["email"], PASSWORD).id)

        async def main():
            async with a_client(Identity(service)) as client:
                sign_ins = [asyncio.create_task(client.post(path, data=form)) for _ in range(SIGN_INS)]
                while not taken:
                    await asyncio.sleep(0)
                for _ in range(3):
                    me = await client.get("/v1/users/me", headers=bearer(tokens))
                    assert me.status_code == 200
                assert not any(task.done() for task in sign_ins)
                life_of_store.close()
                return [response.status_code for response in await asyncio.gather(*sign_ins)]

        assert set(asyncio.run(main())) == {503}


def test_a_store_that_hangs_is_not_asked_by_everybody():
    """After the first time-out of a store, further attempts are refused without a connection."""
    with hanging() as (store, taken):
        counting = Limiter(store)
        for _ in range(50):
            with pytest.raises(VerificationUnavailableError):
                counting.count_login(ANN["email"], CALLER.address)
    assert len(taken) <= 4


@contextlib.contextmanager
def locked(url):
    """Hold the write lock of the database, as another program."""
    if urlsplit(url).scheme.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.partition(":///")[2])) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.rollback()
    else:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE sessions IN SHARE MODE"))
            yield
        engine.dispose()


def test_guarded_requests_do_not_wait_for_writers(url):
    """While another program holds the write lock, `users/me` is answered before each logout."""
    with service_at(url) as service:
        user = service.accounts.create(ANN["email"], PASSWORD)
        tokens = [service.accounts.issue_tokens(user.id) for _ in range(SIGN_INS)]

        async def main():
            async with a_client(Identity(service)) as client:
                with locked(url):
                    leaving = [
                        asyncio.create_task(client.post("/v1/auth/logout", headers=bearer(token)))
                        for token in tokens[1:]
                    ]
                    await asyncio.sleep(0)
                    for _ in range(3):
                        me = await client.get("/v1/users/me", headers=bearer(tokens[0]))
                        assert me.status_code == 200
                    assert not any(task.done() for task in leaving)
                return [response.status_code for response in await asyncio.gather(*leaving)]

        assert set(asyncio.run(main())) <= {200, 503}
