"""Texts of a provider that a database refuses: they are refused or left out, and cause no 500."""

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.social_attempts import answering, back, both_kinds, id_token, start
from identity.support import ISSUER


@pytest.fixture
def come_back(service, clock):
    """Return a function that signs a browser in at a provider with some claims, and returns the answer."""
    with answering() as server, both_kinds(server, clock) as providers:
        app = Identity(service, providers=providers)
        client = TestClient(app, base_url=ISSUER, follow_redirects=False, raise_server_exceptions=False)

        def come_back(**claims):
            sent = start(client, "op")
            id_token(server, clock, nonce=sent["nonce"], **claims)
            return back(client, "op", code="c0de", state=sent["state"])

        yield come_back


@pytest.mark.parametrize("subject", ["u\x001", "x" * 256], ids=["null", "long"])
def test_an_identifier_that_cannot_be_stored(service, come_back, subject):
    """A subject that cannot be stored is refused with an event, and no account is made."""
    response = come_back(sub=subject)
    assert (response.status_code, response.json()["code"]) == (403, "no_address")
    assert service.audit.counts() == {("social", "bad_identity"): 1}
    assert service.accounts.list() == []


@pytest.mark.parametrize("end", ["\0", "\n", "\x1b[2J"])
def test_a_picture_that_cannot_be_shown(service, come_back, end):
    """The URL of a picture with control characters is left out, and the sign-in succeeds."""
    assert come_back(picture="https://pictures.test/1" + end).status_code == 303
    assert [user.picture for user in service.accounts.list()] == [None]
