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
from authguard.identity.passwords.hashing import PasswordHasher, PasswordPolicy
from authguard.identity.storage.schema import users
from identity.support import CALLER, PASSWORD, Clock, Postbox, service_at, together
from identity.test_sessions import is_alive, principal_of, register

pytestmark = pytest.mark.slow_on_postgresql

NEW = "NewSecurePass456!"


def count(service):
    with service.database.read() as connection:
        return connection.execute(select(func.count()).select_from(users)).scalar()


def login(service, email="ann@example.com", password=PASSWORD, caller=CALLER):
    return service.accounts.login(email, password, caller)


def test_registered_account_signs_in(service):
    """A user signs in with any case of the address, and the account keeps the registered spelling."""
    register(service, "Ann@Example.com")
    assert login(service, "aNN@eXAMPLE.COM").user.email == "Ann@example.com"


def test_many_parallel_registrations_make_one_account(service):
    """Of 20 parallel registrations of one address in different case, one succeeds and 19 are conflicts."""
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
    """Text that is no e-mail address is refused, and the error names the field."""
    with pytest.raises(InvalidFieldsError) as raised:
        register(service, email)
    assert list(raised.value.fields) == ["email"]


@pytest.mark.parametrize(
    ("password", "missing"),
    [("Ab1!", 1), ("securepass", 3), ("SECUREPASS1!", 1), ("SecurePass!!", 1), ("SecurePass12", 1)],
)
def test_registration_names_what_a_password_lacks(service, password, missing):
    """Each requirement of the policy that a password does not meet has a message."""
    with pytest.raises(InvalidFieldsError) as raised:
        service.accounts.register("ann@example.com", password, "", CALLER)
    assert len(raised.value.fields["password"]) == missing


def test_breached_password_is_refused_everywhere(url, postbox):
    """A breached password can be neither registered, nor changed to, nor reset to."""

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


@pytest.mark.parametrize("answer", [None, "no", [], {"breached": False}], ids=repr)
def test_a_list_of_breached_passwords_says_yes_or_no(url, answer):
    """An answer of `is_breached` that is not a bool raises a TypeError, and the password is not accepted."""

    class Breaches:
        def is_breached(self, password):
            return answer

    with (
        service_at(url, breaches=Breaches()) as service,
        pytest.raises(TypeError, match=r"^is_breached\(\) of breaches must return True or False, got "),
    ):
        register(service)


@pytest.mark.parametrize("answer", ["no", None, {"ok": False}, b"0"], ids=repr)
def test_a_hasher_says_yes_or_no(url, answer):
    """An answer of a hasher that is not a bool raises a TypeError: the text "no" is true in Python."""

    class Doubtful(PasswordHasher):
        def verify(self, kept, password):
            return answer

    with service_at(url) as service:
        register(service)
        object.__setattr__(service.accounts._base, "hasher", Doubtful.cheap())
        with pytest.raises(TypeError, match=r"^verify\(\) of hasher must return True or False, got "):
            login(service)


@pytest.mark.parametrize("answer", [None, True, "weak", [5]], ids=repr)
def test_a_policy_returns_a_list_of_problems(url, answer):
    """An answer of a policy that is not a list raises a TypeError, as after a forgotten `return`."""

    class Silent(PasswordPolicy):
        def check(self, password, **options):
            return answer

    with service_at(url) as service:
        object.__setattr__(service.accounts._base, "policy", Silent())
        with pytest.raises(TypeError, match=r"^check\(\) of policy must return a list of texts, got "):
            register(service)


def test_registration_refuses_control_characters_in_names(service):
    """A name with a control character is refused."""
    with pytest.raises(InvalidFieldsError):
        service.accounts.register("ann@example.com", PASSWORD, "Ann\x00", CALLER)


def test_nothing_of_a_password_is_stored(service):
    """The database has an argon2id hash, but no password and no token."""
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
    """A wrong password, an unknown address and an invalid address get the same refusal."""
    register(service)
    with pytest.raises(InvalidCredentialsError):
        login(service, email, password)


def test_disabled_account_does_not_sign_in(service):
    """A disabled account gets the refusal of a wrong password."""
    service.accounts.disable(register(service).user.id)
    with pytest.raises(InvalidCredentialsError):
        login(service)


@pytest.mark.slow
def test_password_that_is_changed_during_a_login_does_not_sign_in(url):
    """A login whose password is replaced during its check gets no session, and the failure is audited."""
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
    """Disabling an unknown account raises NotFoundError."""
    with pytest.raises(NotFoundError):
        service.accounts.disable("nobody")


def test_parameters_are_upgraded_at_login(url):
    """A hash of older parameters is replaced when its owner signs in, and the password remains valid."""
    with service_at(url) as service:
        register(service)
    with service_at(url) as service:
        object.__setattr__(service.accounts._base, "hasher", PasswordHasher(memory=16, time=2))
        login(service)
        with service.database.read() as connection:
            assert "m=16,t=2" in connection.execute(select(users.c.password_hash)).scalar()
        login(service)


def test_password_is_changed(service):
    """After a change the new password works, the old one does not, and all other sessions end."""
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
    """A wrong current password and a weak new password are refused, and the error names the field."""
    tokens = register(service)
    with pytest.raises(InvalidFieldsError) as raised:
        service.accounts.change_password(principal_of(service, tokens.access_token), current, new, CALLER)
    assert list(raised.value.fields) == [field]
    assert login(service)


def test_owner_is_told_of_a_new_password(service, postbox):
    """A change of the password sends a mail to the owner."""
    tokens = register(service)
    service.accounts.change_password(principal_of(service, tokens.access_token), PASSWORD, NEW, CALLER)
    assert service.outbox.flush()
    assert "was changed" in postbox.mails[-1].subject


def test_unverified_address_does_not_sign_in_where_that_is_required(url, postbox):
    """With `require_verified_email`, registration gives no tokens, and a login needs a verified address."""
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
    """With `enumeration_safe`, a known address gets the same answer, and its owner gets a mail."""
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
    """After ten logins from one address that address is refused, and the owner signs in from another one."""
    with service_at(url, limits=DEFAULT_LIMITS) as service:
        register(service)
        for _ in range(10):
            service.accounts.count_sign_in("ann@example.com", CALLER)
        with pytest.raises(RateLimitedError):
            service.accounts.count_sign_in("Ann@example.com", CALLER)
        assert service.accounts.count_sign_in("ann@example.com", Caller("192.0.2.2")) == 0
        assert login(service, caller=Caller("192.0.2.2"))


# Social accounts


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
    """A social account that is not known gets an account, and keeps it when its address changes."""
    first = service.sign_in_with(identity())
    again = service.sign_in_with(identity(email="other@example.com"))
    assert first.user.id == again.user.id
    assert (first.user.email_verified, first.user.name) == (True, "Ann")
    assert count(service) == 1


@pytest.mark.parametrize("here", [True, False])
def test_social_account_is_linked_when_its_provider_has_verified_the_address(service, here):
    """A social account with a verified address is linked to the account of that address."""
    if here:
        verified(service)
    else:
        register(service)
    assert service.sign_in_with(identity()).user.email_verified
    assert count(service) == 1


@pytest.mark.parametrize("here", [True, False])
def test_social_account_is_not_linked_otherwise(service, here):
    """A social account with an unverified address is not linked to the account of that address."""
    if here:
        verified(service)
    else:
        register(service)
    with pytest.raises(LinkRefusedError):
        service.sign_in_with(identity(email_verified=False))


def test_social_account_without_an_address(service):
    """A social account without an address gets no account."""
    with pytest.raises(NoAddressError):
        service.sign_in_with(identity(email=None))


@pytest.mark.parametrize(("length", "accepted"), [(255, True), (256, False)])
def test_the_longest_subject_of_a_social_account(service, length, accepted):
    """A provider's subject may have up to 255 characters (OpenID Connect Core section 2)."""
    named = identity(subject="s" * length)
    with nullcontext() if accepted else pytest.raises(NoAddressError):
        assert service.sign_in_with(named).user.email == "ann@example.com"


def test_disabled_account_is_not_signed_in_by_its_social_account(service):
    """A disabled account cannot sign in with its social account."""
    service.accounts.disable(service.sign_in_with(identity()).user.id)
    with pytest.raises(InvalidCredentialsError):
        service.sign_in_with(identity())


def test_account_without_a_password_does_not_sign_in_with_one(service):
    """The account of a social sign-in has no password, so that each password is refused."""
    service.sign_in_with(identity())
    with pytest.raises(InvalidCredentialsError):
        login(service)


def test_parallel_social_sign_ins_make_one_account(service):
    """Ten sign-ins with the same social account at once make one account."""
    answers = together(10, lambda _: service.sign_in_with(identity()))
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert count(service) == 1


def test_accounts_are_listed(service):
    """Accounts are listed in the order of their addresses, page by page."""
    for name in ("cem", "ann", "Bob"):
        service.accounts.create(f"{name}@example.com", PASSWORD)
    assert [user.email for user in service.accounts.list(2)] == ["ann@example.com", "Bob@example.com"]
    assert [user.email for user in service.accounts.list(2, "bob@example.com")] == ["cem@example.com"]


__all__ = ["Clock", "Postbox"]


def test_tokens_are_issued_without_a_password(service):
    """Tokens that an operator issues are of a new session, which its owner recognizes by its user agent."""
    user = register(service).user
    tokens = service.accounts.issue_tokens(user.id, Caller(user_agent="by hand"))
    assert is_alive(service, tokens.access_token)
    listed = service.sessions.list(principal_of(service, tokens.access_token))
    assert [each.user_agent for each in listed if each.id == tokens.session_id] == ["by hand"]
    assert service.audit.counts()["issue_tokens", "success"] == 1


def test_tokens_of_nobody_are_not_issued(service):
    """An unknown account gets no tokens, and an event reports the failure."""
    with pytest.raises(NotFoundError):
        service.accounts.issue_tokens("nobody")
    assert ("issue_tokens", "success") not in service.audit.counts()
    assert service.audit.counts()["issue_tokens", "not_found"] == 1


def test_tokens_of_a_disabled_account_are_not_issued(service):
    """A disabled account gets no tokens until it is enabled again."""
    user = register(service).user
    service.accounts.disable(user.id)
    with pytest.raises(InvalidCredentialsError):
        service.accounts.issue_tokens(user.id)
    assert service.audit.counts()["issue_tokens", "disabled"] == 1
    service.accounts.disable(user.id, disabled=False)
    assert is_alive(service, service.accounts.issue_tokens(user.id).access_token)
