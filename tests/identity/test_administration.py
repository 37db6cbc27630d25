"""Acts of an operator on accounts: they apply at once, and leave no rows."""

import pytest

from authguard.errors import InvalidTokenError
from authguard.identity import Caller, SocialIdentity
from authguard.identity.errors import (
    InvalidCredentialsError,
    InvalidFieldsError,
    NotFoundError,
    StoreUnavailableError,
)
from authguard.identity.model import Tokens
from identity.api_key_support import create, rows, verify
from identity.people import EMAIL, NEW
from identity.support import CALLER, PASSWORD, together
from identity.test_sessions import is_alive, principal_of

pytestmark = pytest.mark.slow_on_postgresql

NOBODY = "00000000-0000-4000-8000-000000000000"
OWNED = ("sessions", "one_time_tokens", "linked_identities", "api_keys", "mails")


def sign_in(service, email=EMAIL):
    return service.accounts.login(email, PASSWORD, CALLER)


@pytest.fixture
def ann(service):
    """Return an account that signs in with a password and with GitHub, and has an open reset link."""
    user = service.accounts.create(EMAIL, PASSWORD)
    service.sign_in_with(SocialIdentity("github", "1", EMAIL, email_verified=True))
    service.links.request_password_reset(EMAIL, CALLER)
    assert service.outbox.flush()
    return user


def test_deleting_leaves_nothing(service, ann):
    """No table has a row of a deleted account, and its address can be registered again."""
    create(service, principal_of(service, sign_in(service).access_token))
    service.administration.delete(ann.id)
    assert {name: rows(service, name) for name in OWNED} == {name: [] for name in OWNED}
    assert service.accounts.find(EMAIL) is None
    assert service.accounts.register(EMAIL, NEW, "", Caller()).user.id != ann.id


def test_deleting_ends_tokens_and_keys(service, ann):
    """Access tokens, refresh tokens and API keys of a deleted account are refused."""
    tokens = sign_in(service)
    principal = principal_of(service, tokens.access_token)
    key = create(service, principal)
    service.administration.delete(ann.id)
    assert not is_alive(service, tokens.access_token)
    assert service.revocations.is_revoked(principal)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(tokens.refresh_token, CALLER)
    with pytest.raises(InvalidTokenError):
        verify(service, key.text)
    with pytest.raises(InvalidCredentialsError):
        sign_in(service)


def test_guards_elsewhere_forget_keys_of_a_deleted_account(service, ann):
    """A guard that remembers a key learns from the log that the key has ended."""
    key = create(service, principal_of(service, sign_in(service).access_token))
    remembered = verify(service, key.text)
    assert not service.revocations.is_revoked(remembered)
    service.administration.delete(ann.id)
    assert service.revocations.is_revoked(remembered)


@pytest.mark.parametrize("round_", range(3))
def test_logins_beside_a_deletion_leave_no_session(service, round_):
    """A login at the moment of the deletion leaves no session, and gets no error of the server."""
    email = f"ann{round_}@example.com"
    user = service.accounts.create(email, PASSWORD)

    def act(index):
        if index == 3:
            return service.administration.delete(user.id)
        return sign_in(service, email) if index % 2 else service.accounts.issue_tokens(user.id)

    answers = together(7, act)
    assert answers[3] is None
    kinds = {type(None), Tokens, InvalidCredentialsError, NotFoundError}
    assert {type(answer) for answer in answers} <= kinds, answers
    assert not any(is_alive(service, answer.access_token) for answer in answers if isinstance(answer, Tokens))


def test_a_row_of_a_deleted_account_is_an_outage(service):
    """A row for an account that was deleted meanwhile raises StoreUnavailableError with a second to wait."""
    from authguard.identity.storage import queries

    with pytest.raises(StoreUnavailableError) as caught, service.database.write() as connection:
        queries.upsert_one_time_token(connection, NOBODY, "reset", "0" * 64, 2_000_000_000.0)
    assert (caught.value.reason, caught.value.retry_after) == ("an account was deleted meanwhile", 1)


def test_a_new_password_ends_sessions_and_links(service, ann, postbox):
    """A password that an operator sets ends the old one, sessions and links, and the owner gets a mail."""
    tokens, link = sign_in(service), postbox.token()
    service.administration.set_password(ann.id, NEW)
    assert not is_alive(service, tokens.access_token)
    assert rows(service, "one_time_tokens") == []
    with pytest.raises(InvalidCredentialsError):
        sign_in(service)
    assert service.accounts.login(EMAIL, NEW, CALLER).user.id == ann.id
    assert service.outbox.flush()
    assert link not in postbox.mails[-1].text and "password" in postbox.mails[-1].subject.lower()


def test_a_new_password_has_to_be_accepted(service, ann):
    """A password that an operator sets must pass the policy of registration, else nothing changes."""
    tokens = sign_in(service)
    for password in ("short", EMAIL):
        with pytest.raises(InvalidFieldsError) as caught:
            service.administration.set_password(ann.id, password)
        assert "password" in caught.value.fields
    assert is_alive(service, tokens.access_token) and sign_in(service)


@pytest.mark.parametrize("is_verified", [True, False])
def test_a_set_password_is_as_proven_as_the_address(service, is_verified):
    """A sign-in with a provider removes a set password only if the address was not verified before."""
    user = service.accounts.create(EMAIL, PASSWORD, verified=is_verified)
    service.administration.set_password(user.id, NEW)
    service.sign_in_with(SocialIdentity("github", "1", EMAIL, email_verified=True))
    assert bool(service.administration.show(user.id).password) == is_verified


def test_verifying_proves_no_password(service):
    """Verifying an address proves no password: a sign-in with a provider removes an unproven one."""
    user = service.accounts.create(EMAIL, PASSWORD, verified=False)
    service.administration.verify(user.id)
    service.administration.verify(user.id)
    assert service.accounts.find(EMAIL).email_verified
    service.sign_in_with(SocialIdentity("github", "1", EMAIL, email_verified=True))
    with pytest.raises(InvalidCredentialsError):
        sign_in(service)


def test_roles_and_scopes_are_in_tokens(service, ann):
    """A token has all roles and scopes in the default claims, and the first role in `role`."""
    service.administration.set_roles(ann.id, ["EDITOR", "Team B", "EDITOR"], ["invoices:read", "b"])
    principal = principal_of(service, sign_in(service).access_token)
    assert principal.roles == {"EDITOR", "Team B"}
    assert principal.scopes == {"invoices:read", "b"}
    assert (principal.claims["role"], principal.claims["roles"]) == ("EDITOR", ["EDITOR", "Team B"])
    assert principal.claims["scope"] == "invoices:read b"


def test_a_token_without_roles_has_its_role(service, ann):
    """A token that was issued before accounts could have several roles is accepted, with its one role."""
    issue = service._base.access_tokens
    session = service.sessions.list(principal_of(service, sign_in(service).access_token))[0]
    claims = {"sub": ann.id, "role": "USER", "sid": session.id, "email": EMAIL, "email_verified": True}
    principal = principal_of(service, issue._sign(claims, 600, service.clock()))
    assert principal.roles == {"USER"}
    assert service.sessions.authenticate(principal).id == ann.id


def test_a_role_that_is_given_ends_nothing(service, ann):
    """An account that gets a role keeps its sessions, and the next token has the role."""
    tokens = sign_in(service)
    service.administration.set_roles(ann.id, ["USER", "ADMIN"])
    assert is_alive(service, tokens.access_token)
    new = service.sessions.refresh(tokens.refresh_token, CALLER)
    assert principal_of(service, new.access_token).roles == {"USER", "ADMIN"}


@pytest.mark.parametrize(("roles", "scopes"), [(["USER"], None), (["USER", "ADMIN"], ["a"])])
def test_a_role_or_scope_that_is_taken_away_ends_tokens(service, ann, roles, scopes):
    """A removed role or scope ends the tokens and sessions that have it, for guards elsewhere as well."""
    service.administration.set_roles(ann.id, ["USER", "ADMIN"], ["a", "b"])
    tokens = sign_in(service)
    principal = principal_of(service, tokens.access_token)
    service.administration.set_roles(ann.id, roles, scopes)
    assert not is_alive(service, tokens.access_token)
    assert service.revocations.is_revoked(principal)


@pytest.mark.parametrize("round_", range(3))
def test_a_login_beside_a_loss_of_a_role_has_it_not(service, round_):
    """A login at the moment when a role is removed gets no valid token with that role."""
    email = f"ann{round_}@example.com"
    user = service.accounts.create(email, PASSWORD)
    service.administration.set_roles(user.id, ["USER", "ADMIN"])

    def act(index):
        if index == 3:
            return service.administration.set_roles(user.id, ["USER"])
        return sign_in(service, email) if index % 2 else service.accounts.issue_tokens(user.id)

    answers = [each for each in together(7, act) if isinstance(each, Tokens)]
    assert len(answers) == 6
    living = [each.access_token for each in answers if is_alive(service, each.access_token)]
    assert all(principal_of(service, token).roles == {"USER"} for token in living)


def test_an_admin_by_a_further_role_has_admin_keys(service, ann):
    """A further role of admins allows keys with the scope admin, and only those keys get that role."""
    service.administration.set_roles(ann.id, ["USER", "ADMIN"])
    principal = principal_of(service, sign_in(service).access_token)
    admin = create(service, principal, scopes=["read", "admin"])
    reader = create(service, principal, scopes=["read"])
    assert verify(service, admin.text).roles == {"USER", "ADMIN"}
    assert verify(service, reader.text).roles == {"USER"}
    service.administration.set_roles(ann.id, ["USER"])
    assert "admin" not in verify(service, admin.text).scopes


@pytest.mark.parametrize(
    ("roles", "scopes"),
    [
        ([], None),
        ([""], None),
        (["a" * 65], None),
        ([" a"], None),
        (["a\n"], None),
        (["\u202ea"], None),
        ([f"r{number}" for number in range(33)], None),
        (["a"], ["a b"]),
        (["a"], ['"']),
        (["a"], ["é"]),
        (["a"], [""]),
        (["a,b"], None),
        (["a"], ["a,b"]),
    ],
)
@pytest.mark.one_database
def test_roles_and_scopes_are_checked(service, ann, roles, scopes):
    """Roles and scopes that a token or a table cannot hold are refused, and nothing is changed."""
    with pytest.raises(InvalidFieldsError):
        service.administration.set_roles(ann.id, roles, scopes)
    assert service.accounts.find(EMAIL).roles == ("USER",)


def test_an_account_is_shown(service, ann):
    """An operator sees the numbers of sessions and keys of an account, and not the hash of its password."""
    create(service, principal_of(service, sign_in(service).access_token))
    view = service.administration.show(ann.id)
    assert (view.user.id, view.password, view.api_keys) == (ann.id, "argon2id", 1)
    assert (view.sessions, [identity.provider for identity in view.identities]) == (2, ["github"])
    assert "$argon2" not in repr(view)


@pytest.mark.parametrize(
    ("flow", "act"),
    [
        ("delete", lambda care, user_id: care.delete(user_id)),
        ("set_password", lambda care, user_id: care.set_password(user_id, NEW)),
        ("set_roles", lambda care, user_id: care.set_roles(user_id, ["A"])),
        ("verify_email", lambda care, user_id: care.verify(user_id)),
    ],
)
@pytest.mark.one_database
def test_each_flow_leaves_an_event(service, ann, flow, act):
    """Each act leaves an event at success, and one for an unknown account."""
    act(service.administration, ann.id)
    with pytest.raises(NotFoundError):
        act(service.administration, NOBODY)
    counts = service.audit.counts()
    assert counts[flow, "operator" if flow == "verify_email" else "success"] == 1
    assert counts[flow, "not_found"] == 1
