"""Deletion of an account by its owner: the proofs, the deleted rows, and simultaneous requests."""

import io

import pytest

from authguard.errors import InsufficientUserAuthenticationError, InvalidTokenError
from authguard.identity import Identity, SocialIdentity
from authguard.identity.errors import InvalidCredentialsError, InvalidFieldsError, StoreUnavailableError
from authguard.identity.model import Tokens
from authguard.identity.usecases.administration.account_files import read_csv
from identity.api_key_support import create, rows, verify
from identity.keys import bearer
from identity.people import EMAIL, NEW
from identity.support import CALLER, PASSWORD, browser, service_at, together
from identity.test_administration import OWNED
from identity.test_sessions import is_alive, principal_of

pytestmark = pytest.mark.slow_on_postgresql


@pytest.fixture
def tokens(service):
    """Return tokens of Ann, who also has GitHub, an open link and an open change of address."""
    service.accounts.create(EMAIL, PASSWORD)
    service.sign_in_with(SocialIdentity("github", "1", EMAIL, email_verified=True))
    tokens = service.accounts.login(EMAIL, PASSWORD, CALLER)
    service.links.request_password_reset(EMAIL, CALLER)
    principal = principal_of(service, tokens.access_token)
    service.address_changes.ask(principal, "ann@new.example", PASSWORD, CALLER)
    assert service.outbox.flush()
    return tokens


def delete(service, tokens, password=PASSWORD):
    service.deletion.delete(principal_of(service, tokens.access_token), password, CALLER)


def test_it_leaves_nothing(service, tokens, postbox):
    """A deleted account has no rows and no mails, and its address can be registered again."""
    principal = principal_of(service, tokens.access_token)
    key = create(service, principal)
    postbox.broken = True
    service.links.request_password_reset(EMAIL, CALLER)
    assert service.outbox.flush() and rows(service, "mails")
    delete(service, tokens)
    names = (*OWNED, "address_changes", "users")
    assert {name: rows(service, name) for name in names} == {name: [] for name in names}
    with pytest.raises(InvalidTokenError):
        verify(service, key.text)
    assert service.accounts.register(EMAIL, NEW, "", CALLER).user.id != principal.subject


def test_all_tokens_end(service, tokens):
    """Access and refresh tokens of a deleted account are refused, also by guards that follow the log."""
    principal = principal_of(service, tokens.access_token)
    delete(service, tokens)
    assert not is_alive(service, tokens.access_token) and service.revocations.is_revoked(principal)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, CALLER)
    with pytest.raises(InvalidCredentialsError):
        service.accounts.login(EMAIL, PASSWORD, CALLER)


def test_an_import_with_the_same_id_revives_nothing(service, tokens):
    """Credentials of a deleted account are refused, also after an import of an account with its id."""
    principal = principal_of(service, tokens.access_token)
    key = create(service, principal)
    delete(service, tokens)
    lines = read_csv(io.StringIO(f"id,email\n{principal.subject},{EMAIL}\n"))
    assert service.account_import.add(lines).made == 1
    assert not is_alive(service, tokens.access_token) and service.revocations.is_revoked(principal)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, CALLER)
    with pytest.raises(InvalidTokenError):
        verify(service, key.text)


@pytest.mark.parametrize("password", [None, "wrong", ""])
def test_it_needs_the_password(service, tokens, password):
    """A session without the password, which may be stolen, deletes nothing."""
    with pytest.raises(InvalidFieldsError) as caught:
        delete(service, tokens, password)
    assert list(caught.value.fields) == ["password"]
    assert is_alive(service, tokens.access_token)


def test_an_account_without_a_password_needs_a_recent_sign_in(service, clock):
    """An account without a password needs a provider's sign-in within the last ten minutes."""
    old = service.sign_in_with(SocialIdentity("op", "1", "ann@example.com", True))
    clock.go_on(601)
    with pytest.raises(InsufficientUserAuthenticationError):
        delete(service, old, None)
    delete(service, service.sign_in_with(SocialIdentity("op", "1", "ann@example.com", True)), None)
    assert rows(service, "users") == []


def test_a_password_that_was_set_meanwhile_is_needed(service, monkeypatch):
    """A recent sign-in is no proof once the account has got a password."""
    tokens = service.sign_in_with(SocialIdentity("op", "1", EMAIL, True))
    proofs = service.deletion._owner_proofs
    prove = proofs.prove

    def prove_and_set(*args):
        proof = prove(*args)
        service.administration.set_password(tokens.user.id, PASSWORD)
        return proof

    monkeypatch.setattr(proofs, "prove", prove_and_set)
    with pytest.raises(InvalidFieldsError):
        delete(service, tokens, None)
    assert len(rows(service, "users")) == 1


@pytest.mark.parametrize("round_", range(3))
def test_beside_logins_and_a_change_of_the_address(service, postbox, tokens, round_):
    """Beside logins and a change of address, the deletion is complete, and no request is a 500."""
    (mail,) = [each for each in postbox.mails if each.to == "ann@new.example"]
    token = mail.text.partition("token=")[2].split()[0]
    principal = principal_of(service, tokens.access_token)

    def act(index):
        if index == 3:
            return delete(service, tokens)
        if index == 4:
            return service.address_changes.change(token, CALLER, principal=principal)
        return service.accounts.login(EMAIL, PASSWORD, CALLER)

    answers = together(6, act)
    assert answers[3] is None
    assert not any(is_alive(service, each.access_token) for each in answers if isinstance(each, Tokens))
    faults = [each for each in answers if isinstance(each, Exception)]
    assert all(
        getattr(each, "status_code", 500) < 500 or isinstance(each, StoreUnavailableError) for each in faults
    )
    assert rows(service, "users") == rows(service, "sessions") == rows(service, "mails") == []


def test_it_leaves_an_event(url, postbox, clock):
    """A deletion, and a failed one, leave an event with the account."""
    events = []
    with service_at(url, clock=clock, postbox=postbox, hook=events.append) as service:
        tokens = service.accounts.register(EMAIL, PASSWORD, "", CALLER)
        with pytest.raises(InvalidFieldsError):
            delete(service, tokens, "wrong")
        delete(service, tokens)
    results = [(event.succeeded, event.reason, event.user_id) for event in events if event.name == "delete"]
    assert results == [(False, "invalid_fields", tokens.user.id), (True, "owner", tokens.user.id)]


# --- over HTTP


@pytest.mark.one_database
def test_by_the_api(app):
    """The API deletes an account with its password, and then refuses its token."""
    client = browser(app)
    token = client.post("/v1/auth/register", json={"email": EMAIL, "password": PASSWORD}).json()[
        "access_token"
    ]
    path, fields = "/v1/auth/delete-account", bearer(token) | {"accept": "application/json"}
    assert client.post(path, json={"password": PASSWORD}).status_code == 401
    refused = client.post(path, json={}, headers=fields)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "password")
    assert client.post(path, json={"password": PASSWORD}, headers=fields).json() == {
        "message": "Account deleted"
    }
    assert client.get("/v1/users/me", headers=fields).status_code == 401


@pytest.mark.one_database
def test_an_old_sign_in_is_told_what_to_do(app, service, clock):
    """A sign-in that is too old gets a challenge by RFC 9470 with `max_age`."""
    tokens = service.sign_in_with(SocialIdentity("op", "1", EMAIL, True))
    clock.go_on(601)
    answer = browser(app).post("/v1/auth/delete-account", json={}, headers=bearer(tokens.access_token))
    assert answer.status_code == 401
    assert 'error="insufficient_user_authentication"' in answer.headers["www-authenticate"]
    assert "max_age" in answer.headers["www-authenticate"]


@pytest.mark.slow
@pytest.mark.one_database
def test_it_can_be_switched_off(url, clock):
    """With `account_deletion` off, the endpoint and the page are 404, and the account has no button."""
    with service_at(url, clock=clock, account_deletion=False) as service:
        client = browser(Identity(service))
        assert client.post("/register", data={"email": EMAIL, "password": PASSWORD}).status_code == 303
        assert client.post("/v1/auth/delete-account", json={"password": PASSWORD}).status_code == 404
        assert client.get("/account/delete").status_code == 404
        assert "/account/delete" not in client.get("/account").text
