"""Accounts: registration, sign-in, passwords, disabling, social accounts."""

from contextlib import nullcontext

import pytest
from sqlalchemy import func, select

from authguard.errors import InvalidTokenError, RateLimitedError
from authguard.identity import Caller, SocialIdentity
from authguard.identity.errors import (
    EmailNotVerifiedError,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidFieldsError,
    LinkRefusedError,
    NoAddressError,
    NotFoundError,
)
from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.identity.storage.schema import users
from identity.support import CALLER, PASSWORD, Clock, Postbox, service_at, together
from identity.test_sessions import is_alive, principal_of, register

NEW = "NewSecurePass456!"


def count(service):
    with service.database.read() as connection:
        return connection.execute(select(func.count()).select_from(users)).scalar()


def login(service, email="ann@example.com", password=PASSWORD, caller=CALLER):
    return service.accounts.login(email, password, caller)


def test_registered_account_signs_in(service):
    """Whoever registered signs in with any case of the address, and keeps the one that was written."""
    register(service, "Ann@Example.com")
    assert login(service, "aNN@eXAMPLE.COM").user.email == "Ann@example.com"


def test_many_parallel_registrations_make_one_account(service):
    """20 registrations of one address in different case: one row, 19 conflicts and nothing else."""
    address = "somebody@example.com"

    def run(index):
        mixed = "".join(c.upper() if (index >> n) & 1 else c for n, c in enumerate(address))
        return service.accounts.register(mixed, PASSWORD, "", CALLER)

    answers = together(20, run)
    assert sum(isinstance(answer, EmailTakenError) for answer in answers) == 19
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1
    assert count(service) == 1


@pytest.mark.parametrize(
    "email", ["", "ann", "ann@", "@example.com", "a b@example.com", "ann@example.com\nx"]
)
def test_registration_wants_an_address(service, email):
    """What is no e-mail address is refused, by the name of its field."""
    with pytest.raises(InvalidFieldsError) as raised:
        register(service, email)
    assert list(raised.value.fields) == ["email"]


@pytest.mark.parametrize(
    ("password", "missing"),
    [("Ab1!", 1), ("securepass", 3), ("SECUREPASS1!", 1), ("SecurePass!!", 1), ("SecurePass12", 1)],
)
def test_registration_names_what_a_password_lacks(service, password, missing):
    """Each thing that the policy asks for and the password lacks has a message."""
    with pytest.raises(InvalidFieldsError) as raised:
        service.accounts.register("ann@example.com", password, "", CALLER)
    assert len(raised.value.fields["password"]) == missing


def test_breached_password_is_refused_everywhere(url, postbox):
    """With a list of breached passwords, none of them can be registered, changed to or reset to."""

    class Breaches:
        def is_breached(self, password):
            return password == NEW

    with service_at(url, postbox=postbox, breaches=Breaches()) as service:
        tokens = register(service)
        assert service.outbox.flush()
        service.links.request_password_reset("ann@example.com", CALLER)
        assert service.outbox.flush()
        me = principal_of(service, tokens.access_token)
        for use_case in (
            lambda: service.accounts.register("bob@example.com", NEW, "", CALLER),
            lambda: service.accounts.change_password(me, PASSWORD, NEW, CALLER),
            lambda: service.links.reset_password(postbox.token(), NEW, CALLER),
        ):
            with pytest.raises(InvalidFieldsError) as raised:
                use_case()
            assert "breach" in str(list(raised.value.fields.values()))


def test_registration_refuses_control_characters_in_names(service):
    """A name is printable text."""
    with pytest.raises(InvalidFieldsError):
        service.accounts.register("ann@example.com", PASSWORD, "Ann\x00", CALLER)


def test_nothing_of_a_password_is_stored(service):
    """The database has an argon2id hash, and neither passwords nor tokens."""
    tokens = register(service)
    with service.database.read() as connection:
        rows = [
            str(row)
            for table in ("users", "sessions")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")
        ]
    assert "$argon2id$" in rows[0]
    assert not any(
        secret in "".join(rows) for secret in (PASSWORD, tokens.refresh_token, tokens.access_token)
    )


@pytest.mark.parametrize(
    ("email", "password"), [("ann@example.com", NEW), ("bob@example.com", PASSWORD), ("nobody", PASSWORD)]
)
def test_wrong_and_unknown_get_one_answer(service, email, password):
    """A wrong password, an unknown address and what is none are not told apart."""
    register(service)
    with pytest.raises(InvalidCredentialsError):
        login(service, email, password)


def test_disabled_account_does_not_sign_in(service):
    """A disabled account gets the answer of a wrong password."""
    service.accounts.disable(register(service).user.id)
    with pytest.raises(InvalidCredentialsError):
        login(service)


def test_password_that_is_changed_during_a_login_does_not_sign_in(url):
    """Whoever signs in with a password that is replaced meanwhile gets no session, and that is audited."""
    events = []
    with service_at(url, hook=events.append) as service:
        tokens = register(service)
        me = principal_of(service, tokens.access_token)

        class Overtaken(PasswordHasher):
            def verify(self, kept, password):
                object.__setattr__(service.accounts._base, "hasher", usual)
                service.accounts.change_password(me, PASSWORD, NEW, CALLER)
                return super().verify(kept, password)

        usual = service.accounts._base.hasher
        object.__setattr__(service.accounts._base, "hasher", Overtaken.cheap())
        with pytest.raises(InvalidCredentialsError):
            login(service)
    told = [(event.succeeded, event.user_id) for event in events if event.name == "login"]
    assert told == [(False, tokens.user.id)]


def test_disabling_nobody(service):
    """There is no account of this id."""
    with pytest.raises(NotFoundError):
        service.accounts.disable("nobody")


def test_parameters_are_upgraded_at_login(url):
    """A hash of older parameters is replaced when its owner signs in, and works on."""
    with service_at(url) as service:
        register(service)
    with service_at(url) as service:
        object.__setattr__(service.accounts._base, "hasher", PasswordHasher(memory=16, time=2))
        login(service)
        with service.database.read() as connection:
            assert "m=16,t=2" in connection.execute(select(users.c.password_hash)).scalar()
        login(service)


def test_password_is_changed(service):
    """The new password works, the old one does not; other sessions end, this one goes on."""
    this, other = register(service), login(service)
    service.accounts.change_password(principal_of(service, this.access_token), PASSWORD, NEW, CALLER)
    assert is_alive(service, this.access_token)
    assert not is_alive(service, other.access_token)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(other.refresh_token, CALLER)
    with pytest.raises(InvalidCredentialsError):
        login(service)
    assert login(service, password=NEW)


@pytest.mark.parametrize(
    ("current", "new", "field"), [(NEW, NEW, "current_password"), (PASSWORD, "weak", "new_password")]
)
def test_password_is_not_changed(service, current, new, field):
    """A wrong current password and a weak new one are refused by the names of their fields."""
    tokens = register(service)
    with pytest.raises(InvalidFieldsError) as raised:
        service.accounts.change_password(principal_of(service, tokens.access_token), current, new, CALLER)
    assert list(raised.value.fields) == [field]
    assert login(service)


def test_owner_is_told_of_a_new_password(service, postbox):
    """A mail says that the password was changed."""
    tokens = register(service)
    service.accounts.change_password(principal_of(service, tokens.access_token), PASSWORD, NEW, CALLER)
    assert service.outbox.flush()
    assert "was changed" in postbox.mails[-1].subject


def test_unverified_address_does_not_sign_in_where_that_is_required(url, postbox):
    """With require_verified_email, registering gives no tokens, and signing in waits for the mail."""
    with service_at(url, postbox=postbox, require_verified_email=True) as service:
        assert register(service) is None
        with pytest.raises(EmailNotVerifiedError):
            login(service)
        with pytest.raises(InvalidCredentialsError):
            login(service, password=NEW)
        assert service.outbox.flush()
        service.links.confirm_email(postbox.token(), CALLER)
        assert login(service)


def test_registration_tells_nothing_where_that_is_set(url, postbox):
    """With enumeration_safe, a known address gets the same answer, and its owner gets a mail."""
    with service_at(url, postbox=postbox, enumeration_safe=True) as service:
        assert register(service) is None
        assert register(service) is None
        assert service.outbox.flush()
        assert [mail.subject for mail in postbox.mails] == [
            "Verify your e-mail address",
            "You have an account already",
        ]
        assert count(service) == 1


def test_tries_are_limited_by_address(url):
    """After ten wrong passwords from one address that address waits; the owner, elsewhere, does not."""
    with service_at(url, limits=DEFAULT_LIMITS) as service:
        register(service)
        for _ in range(10):
            service.accounts.count_sign_in("ann@example.com", CALLER)
        with pytest.raises(RateLimitedError):
            service.accounts.count_sign_in("Ann@example.com", CALLER)
        assert service.accounts.count_sign_in("ann@example.com", Caller("192.0.2.2")) == 0
        assert login(service, caller=Caller("192.0.2.2"))


# Social accounts.


def identity(**given):
    return SocialIdentity(
        **{
            "provider": "github",
            "subject": "1",
            "email": "ann@example.com",
            "email_verified": True,
            "name": "Ann",
        }
        | given
    )


def verified(service):
    service.accounts.create("ann@example.com", PASSWORD)


def test_social_account_makes_an_account(service):
    """Somebody new gets an account; the next time it is the same one, whatever the address is by then."""
    first = service.sign_in_with(identity())
    again = service.sign_in_with(identity(email="other@example.com"))
    assert first.user.id == again.user.id
    assert (first.user.email_verified, first.user.name) == (True, "Ann")
    assert count(service) == 1


@pytest.mark.parametrize("here", [True, False])
def test_social_account_is_linked_when_its_provider_has_verified_the_address(service, here):
    """The account of the same address is signed in to; tests/identity/test_linking.py has what ends then."""
    if here:
        verified(service)
    else:
        register(service)
    assert service.sign_in_with(identity()).user.email_verified
    assert count(service) == 1


@pytest.mark.parametrize("here", [True, False])
def test_social_account_is_not_linked_otherwise(service, here):
    """If the provider has not verified the address, its account does not get into another's."""
    if here:
        verified(service)
    else:
        register(service)
    with pytest.raises(LinkRefusedError):
        service.sign_in_with(identity(email_verified=False))


def test_social_account_without_an_address(service):
    """A provider that tells no address cannot make an account."""
    with pytest.raises(NoAddressError):
        service.sign_in_with(identity(email=None))


@pytest.mark.parametrize(("length", "accepted"), [(255, True), (256, False)])
def test_the_longest_subject_of_a_social_account(service, length, accepted):
    """A provider may name its accounts by up to 255 characters (OpenID Connect Core section 2)."""
    named = identity(subject="s" * length)
    with nullcontext() if accepted else pytest.raises(NoAddressError):
        assert service.sign_in_with(named).user.email == "ann@example.com"


def test_disabled_account_is_not_signed_in_by_its_social_account(service):
    """Disabled is disabled, by whichever way."""
    service.accounts.disable(service.sign_in_with(identity()).user.id)
    with pytest.raises(InvalidCredentialsError):
        service.sign_in_with(identity())


def test_account_without_a_password_does_not_sign_in_with_one(service):
    """A social account has no password, and none works."""
    service.sign_in_with(identity())
    with pytest.raises(InvalidCredentialsError):
        login(service)


def test_parallel_social_sign_ins_make_one_account(service):
    """The same social account from ten threads at once is one account."""
    answers = together(10, lambda _: service.sign_in_with(identity()))
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert count(service) == 1


def test_accounts_are_listed(service):
    """In the order of their addresses, in parts."""
    for name in ("cem", "ann", "Bob"):
        service.accounts.create(f"{name}@example.com", PASSWORD)
    assert [user.email for user in service.accounts.list(2)] == ["ann@example.com", "Bob@example.com"]
    assert [user.email for user in service.accounts.list(2, "bob@example.com")] == ["cem@example.com"]


__all__ = ["Clock", "Postbox"]


def test_tokens_are_issued_without_a_password(service):
    """Whoever runs the service gets tokens of a new session, which its owner can tell apart."""
    user = register(service).user
    tokens = service.accounts.issue_tokens(user.id, Caller(user_agent="by hand"))
    assert is_alive(service, tokens.access_token)
    listed = service.sessions.list(principal_of(service, tokens.access_token))
    assert [each.user_agent for each in listed if each.id == tokens.session_id] == ["by hand"]
    assert service.audit.counts()["issue_tokens", "success"] == 1


def test_tokens_of_nobody_are_not_issued(service):
    """For an account that is not there no tokens are issued, and an event says so."""
    with pytest.raises(NotFoundError):
        service.accounts.issue_tokens("nobody")
    assert ("issue_tokens", "success") not in service.audit.counts()
    assert service.audit.counts()["issue_tokens", "not_found"] == 1


def test_tokens_of_a_disabled_account_are_not_issued(service):
    """For a disabled account no session begins; once it is enabled, one does."""
    user = register(service).user
    service.accounts.disable(user.id)
    with pytest.raises(InvalidCredentialsError):
        service.accounts.issue_tokens(user.id)
    assert service.audit.counts()["issue_tokens", "disabled"] == 1
    service.accounts.disable(user.id, disabled=False)
    assert is_alive(service, service.accounts.issue_tokens(user.id).access_token)
