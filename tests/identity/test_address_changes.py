"""Changes of an account's address: their proofs, the life of the link, and which sessions and links end."""

import contextlib

import pytest
from sqlalchemy import event

from authguard.errors import (
    InsufficientUserAuthenticationError,
    InvalidTokenError,
    RateLimitedError,
    RefusedError,
)
from authguard.identity import Caller, SocialIdentity
from authguard.identity.errors import EmailTakenError, InvalidFieldsError, InvalidLinkError
from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.storage import queries as user_queries
from authguard.identity.usecases.notices import Notices
from identity.api_key_support import create, rows, verify
from identity.keys import bearer
from identity.people import EMAIL, NEW
from identity.support import CALLER, GENEROUS, PASSWORD, browser, resets_password, service_at, together
from identity.test_sessions import is_alive, principal_of

pytestmark = pytest.mark.slow_on_postgresql

NEXT = "ann@new.example"


def token_to(address, postbox):
    """Return the token in the newest mail to an address."""
    mail = [each for each in postbox.mails if each.to == address][-1]
    return mail.text.partition("token=")[2].split()[0]


@contextlib.contextmanager
def listening(service, seen):
    """Record the statements that the database executes."""

    def note(connection, cursor, statement, *_):
        seen.append(statement)

    event.listen(service.database.engine, "before_cursor_execute", note)
    yield
    event.remove(service.database.engine, "before_cursor_execute", note)


class Owner:
    """Ann, who is signed in twice, with the mails that she gets."""

    def __init__(self, service, postbox):
        self.service, self.postbox = service, postbox
        self.user = service.accounts.create(EMAIL, PASSWORD)
        self.own, self.other = [service.accounts.login(EMAIL, PASSWORD, CALLER) for _ in range(2)]
        self.principal = principal_of(service, self.own.access_token)

    def ask(self, address=NEXT, password=PASSWORD):
        self.service.address_changes.ask(self.principal, address, password, CALLER)

    def link(self, address=NEXT):
        """Ask for another address, and return the token of the mail to that address."""
        self.ask(address)
        assert self.service.outbox.flush()
        return token_to(address, self.postbox)

    def change(self, token, **given):
        return self.service.address_changes.change(token, CALLER, **{"principal": self.principal} | given)

    @property
    def address(self):
        return self.service.accounts.find_by_id(self.user.id).email

    @property
    def subjects(self):
        assert self.service.outbox.flush()
        return sorted((mail.to, mail.subject) for mail in self.postbox.mails)


@pytest.fixture
def owner(service, postbox):
    return Owner(service, postbox)


def test_the_address_changes_by_the_link(service, owner):
    """After the change the new address is verified, and the old address no longer signs in."""
    token = owner.link()
    assert owner.address == EMAIL
    assert owner.change(token) == owner.user.id
    assert (owner.address, service.accounts.find_by_id(owner.user.id).email_verified) == (NEXT, True)
    assert service.accounts.login(NEXT, PASSWORD, CALLER).user.id == owner.user.id
    assert service.accounts.find(EMAIL) is None
    assert service.accounts.register(EMAIL, NEW, "", CALLER).user.id != owner.user.id


def test_both_addresses_are_told(owner):
    """The old address gets a mail at the request and at the change, and no mail names the other address."""
    owner.change(owner.link())
    assert owner.subjects == [
        (EMAIL, "Your e-mail address is about to change"),
        (EMAIL, "Your e-mail address was changed"),
        (NEXT, "Confirm your new e-mail address"),
    ]
    assert not any(NEXT in mail.text for mail in owner.postbox.mails if mail.to == EMAIL)
    assert not any(EMAIL in mail.text for mail in owner.postbox.mails if mail.to == NEXT)


def test_the_other_sessions_end(service, owner):
    """All sessions but the one that changes the address end, and API keys remain valid."""
    key = create(service, owner.principal)
    owner.change(owner.link())
    assert is_alive(service, owner.own.access_token) and not is_alive(service, owner.other.access_token)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(owner.other.refresh_token, CALLER)
    assert verify(service, key.text).subject == owner.user.id


def test_links_to_the_address_of_before_end(service, owner, postbox):
    """A reset link that was mailed to the old address sets no password after the change."""
    token = owner.link()
    service.links.request_password_reset(EMAIL, CALLER)
    assert service.outbox.flush()
    (reset,) = [mail for mail in postbox.mails if "Set a new password" in mail.subject]
    owner.change(token)
    with pytest.raises(InvalidLinkError):
        service.links.reset_password(reset.text.partition("token=")[2].split()[0], NEW, CALLER)


@pytest.mark.parametrize("ask", ["request_password_reset", "resend_verification"])
def test_no_link_is_made_for_an_address_of_before(service, owner, postbox, monkeypatch, ask):
    """If the address changes while a mail to the old address is made, that address gets no link."""
    token, may_send = owner.link(), Notices.may_send
    with service.database.write() as connection:
        user_queries.update_user(connection, owner.user.id, email_verified=False)

    def change_first(notices, kind, mail, user):
        if owner.address == EMAIL:
            owner.change(token)
        return may_send(notices, kind, mail, user)

    monkeypatch.setattr(Notices, "may_send", change_first)
    getattr(service.links, ask)(EMAIL, CALLER)
    assert service.outbox.flush()
    assert owner.address == NEXT
    assert [mail for mail in postbox.mails if mail.to == EMAIL and "token=" in mail.text] == []


@pytest.mark.parametrize("round_", range(3))
def test_a_link_that_is_made_at_the_same_moment_ends_too(service, owner, postbox, round_):
    """A reset link that is made at the moment of the change resets no password afterwards."""
    token = owner.link()
    service.links.request_password_reset(EMAIL, CALLER)
    changed, _ = together(2, lambda index: service.outbox.flush() if index else owner.change(token))
    assert changed == owner.user.id
    for mail in postbox.mails:
        if mail.to == EMAIL and "token=" in mail.text:
            assert not resets_password(service, mail.text.partition("token=")[2].split()[0])


@pytest.mark.parametrize("password", [None, "wrong", ""])
def test_it_needs_the_password(owner, password):
    """A session without the password, which may be stolen, changes no address and sends no mail."""
    with pytest.raises(InvalidFieldsError) as caught:
        owner.ask(password=password)
    assert list(caught.value.fields) == ["password"]
    assert owner.subjects == []


def test_wrong_passwords_are_limited(url, postbox, clock):
    """Wrong passwords at a change of address are limited like those at the login page."""
    with service_at(
        url, clock=clock, postbox=postbox, limits=GENEROUS | {"login": DEFAULT_LIMITS["login"]}
    ) as service:
        owner = Owner(service, postbox)
        for _ in range(10):
            with pytest.raises(InvalidFieldsError):
                owner.ask(password="wrong")
        with pytest.raises(RateLimitedError):
            owner.ask()


def test_mails_to_others_are_limited(url, postbox, clock):
    """A user can send only few mails to an address by asking for it again and again."""
    with service_at(
        url, clock=clock, postbox=postbox, limits=GENEROUS | {"mail": DEFAULT_LIMITS["mail"]}
    ) as service:
        owner = Owner(service, postbox)
        for _ in range(3):
            owner.ask()
        with pytest.raises(RateLimitedError):
            owner.ask()


@pytest.mark.parametrize("address", ["", "nobody", "a@b", "a b@example.com", "x" * 310 + "@example.com"])
def test_it_has_to_be_an_address(owner, address):
    """A new address that is no e-mail address is refused, and the error names the field."""
    with pytest.raises(InvalidFieldsError) as caught:
        owner.ask(address)
    assert list(caught.value.fields) == ["new_email"]


def test_not_to_the_same(owner):
    """The current address is refused as the new one, but another spelling of it is accepted."""
    with pytest.raises(InvalidFieldsError):
        owner.ask(EMAIL)
    owner.change(owner.link(EMAIL.capitalize()))
    assert owner.address == EMAIL.capitalize()


def test_an_account_without_a_password_needs_a_recent_sign_in(service, postbox, clock):
    """An account without a password needs a provider's sign-in within the last ten minutes."""
    recent, silent = [
        service.sign_in_with(SocialIdentity("op", text, f"{text}@example.com", True, auth_time=at))
        for text, at in (("recent", None), ("silent", 0))
    ]
    ask = service.address_changes.ask
    ask(principal_of(service, recent.access_token), NEXT, None, CALLER)
    with pytest.raises(InsufficientUserAuthenticationError) as caught:
        ask(principal_of(service, silent.access_token), NEXT, None, CALLER)
    assert dict(caught.value.parameters) == {"max_age": "600"}
    clock.go_on(601)
    with pytest.raises(InsufficientUserAuthenticationError):
        ask(principal_of(service, recent.access_token), NEXT, None, CALLER)


# --- the link


def test_the_link_alone_changes_nothing(owner):
    """The link alone changes nothing: it needs a session or the password of the account."""
    token = owner.link()
    for given in ({"principal": None}, {"principal": None, "password": "wrong"}):
        with pytest.raises(InvalidFieldsError) as caught:
            owner.change(token, **given)
        assert list(caught.value.fields) == ["password"]
    assert owner.address == EMAIL
    owner.change(token, principal=None, password=PASSWORD)
    assert owner.address == NEXT


@pytest.mark.parametrize("end", ["disable", "delete"])
@pytest.mark.parametrize(
    "given", [{}, {"principal": None, "password": PASSWORD}], ids=["session", "password"]
)
def test_an_account_that_ends_at_the_same_moment_gets_no_address(service, owner, given, end):
    """An account that is disabled or deleted after the look-up of the link does not get the address."""
    token, waiting = owner.link(), [owner.user.id]
    ends = {"disable": service.accounts.disable, "delete": service.administration.delete}

    def end_it(*_):
        if waiting:
            ends[end](waiting.pop())

    event.listen(service.database.engine, "after_cursor_execute", end_it)
    with pytest.raises(RefusedError):
        owner.change(token, **given)
    event.remove(service.database.engine, "after_cursor_execute", end_it)
    assert not waiting and service.accounts.find(NEXT) is None


def test_a_session_of_another_account_is_no_proof(service, owner):
    """A session of another account cannot use the link, and neither account changes its address."""
    token = owner.link()
    eve = service.accounts.register("eve@example.com", PASSWORD, "", CALLER)
    with pytest.raises(InvalidFieldsError):
        owner.change(token, principal=principal_of(service, eve.access_token))
    assert owner.address == EMAIL and service.accounts.find("eve@example.com") is not None


def test_with_the_password_all_sessions_end(service, owner):
    """If the change is proven by the password, all sessions of the account end."""
    owner.change(owner.link(), principal=None, password=PASSWORD)
    assert not any(is_alive(service, each.access_token) for each in (owner.own, owner.other))


def test_the_link_is_good_once(owner):
    """A second use of the link gets the same answer, and a link of an earlier change is refused."""
    first = owner.link()
    owner.change(first)
    second = owner.link("third@example.com")
    assert owner.change(second) == owner.user.id and owner.change(second) == owner.user.id
    with pytest.raises(InvalidLinkError):
        owner.change(first)
    assert owner.address == "third@example.com"


def test_the_link_ends(owner, clock):
    """A link is refused after an hour, and a wrong token is always refused."""
    token = owner.link()
    clock.go_on(3_601)
    for wrong in (token, "", "x" * 43):
        with pytest.raises(InvalidLinkError):
            owner.change(wrong)
    assert owner.address == EMAIL


def test_a_newer_wish_ends_the_older_link(owner):
    """A newer request for another address ends the older link."""
    first = owner.link("first@example.com")
    second = owner.link("second@example.com")
    with pytest.raises(InvalidLinkError):
        owner.change(first)
    owner.change(second)
    assert owner.address == "second@example.com"


def test_a_link_that_is_mailed_late_is_for_its_own_address(service, owner, monkeypatch):
    """A mail that is made while another address is asked for gives no link to the first address."""
    from authguard.identity.storage.addresses import queries

    find, calls = queries.find_change, []

    def find_and_ask(connection, user_id, now):
        result = find(connection, user_id, now)
        if not calls:
            calls.append(result)
            service.clock.go_on(1)
            owner.ask("second@example.com")
        return result

    monkeypatch.setattr(queries, "find_change", find_and_ask)
    owner.ask("first@example.com")
    assert service.outbox.flush()
    assert calls[0].address == "first@example.com"
    assert "first@example.com" not in {to for to, _ in owner.subjects}


@pytest.mark.parametrize("end", ["change", "reset", "disable", "set"])
def test_a_new_password_stops_it(service, owner, postbox, end):
    """A new password or disabling the account ends the link."""
    token = owner.link()
    if end == "change":
        service.accounts.change_password(owner.principal, PASSWORD, NEW, CALLER)
    elif end == "reset":
        service.links.request_password_reset(EMAIL, CALLER)
        assert service.outbox.flush()
        service.links.reset_password(postbox.token(), NEW, CALLER)
    elif end == "disable":
        service.accounts.disable(owner.user.id)
    else:
        service.administration.set_password(owner.user.id, NEW)
    with pytest.raises(InvalidLinkError):
        owner.change(token)
    assert (owner.address, rows(service, "address_changes")) == (EMAIL, [])


def test_a_proof_of_the_address_ends_the_wish_of_who_had_registered_it(service, postbox):
    """A sign-in with a provider, which proves the address, ends a change that a stranger had asked for."""
    tokens = service.accounts.register(EMAIL, PASSWORD, "", CALLER)
    stranger = principal_of(service, tokens.access_token)
    service.address_changes.ask(stranger, "eve@example.org", PASSWORD, CALLER)
    assert service.outbox.flush()
    token = token_to("eve@example.org", postbox)
    tokens = service.sign_in_with(SocialIdentity("google", "ann", EMAIL, True, "Ann", None))
    owner = principal_of(service, tokens.access_token)
    with pytest.raises(InvalidLinkError):
        service.address_changes.change(token, CALLER, principal=owner)
    assert service.accounts.find_by_id(owner.subject).email == EMAIL


# --- other users of the address


def test_the_answer_does_not_tell_of_other_accounts(service, owner):
    """A taken address gets the same answer, and its owner gets a mail without a link."""
    service.accounts.create(NEXT, PASSWORD)
    owner.ask()
    assert (NEXT, "You have an account already") in owner.subjects
    assert not any("token=" in mail.text for mail in owner.postbox.mails)


def test_who_registers_first_has_the_address(service, owner):
    """The link is refused if another user has registered with the address meanwhile."""
    token = owner.link()
    service.accounts.register(NEXT, NEW, "", CALLER)
    with pytest.raises(EmailTakenError):
        owner.change(token)
    assert owner.address == EMAIL
    assert service.accounts.login(EMAIL, PASSWORD, CALLER).user.id == owner.user.id


@pytest.mark.slow
@pytest.mark.parametrize("round_", range(3))
def test_of_two_who_change_to_one_address_one_gets_it(service, postbox, round_):
    """Of two changes and a registration with one address at the same moment, exactly one succeeds."""
    address = f"wanted{round_}@example.com"
    wishes = []
    for name in ("ann", "bob"):
        tokens = service.accounts.register(f"{name}{round_}@example.com", PASSWORD, "", CALLER)
        principal = principal_of(service, tokens.access_token)
        service.address_changes.ask(principal, address, PASSWORD, CALLER)
        assert service.outbox.flush()
        wishes.append((token_to(address, postbox), principal))

    def act(index):
        if index == 2:
            return service.accounts.register(address, PASSWORD, "", CALLER)
        token, principal = wishes[index]
        return service.address_changes.change(token, CALLER, principal=principal)

    answers = together(3, act)
    refused = [answer for answer in answers if isinstance(answer, EmailTakenError)]
    assert len(refused) == 2, answers
    assert sum(isinstance(answer, Exception) for answer in answers) == 2


@pytest.mark.parametrize("round_", range(3))
def test_pressed_at_the_same_moment(owner, round_):
    """Simultaneous uses of one link get the same answer, and the address is changed once."""
    token = owner.link()
    assert together(6, lambda _: owner.change(token)) == [owner.user.id] * 6
    assert [subject for _, subject in owner.subjects].count("Your e-mail address was changed") == 1


@pytest.mark.parametrize("round_", range(3))
def test_beside_a_new_password(service, postbox, round_):
    """Beside a change of the password, the link is either used or refused, and the new password is valid."""
    owner = Owner(service, postbox)
    token = owner.link()

    def act(index):
        if index:
            return service.accounts.change_password(owner.principal, PASSWORD, NEW, CALLER)
        return owner.change(token)

    changed, password = together(2, act)
    assert password is None
    assert owner.address == (EMAIL if isinstance(changed, InvalidLinkError) else NEXT)
    assert service.accounts.login(owner.address, NEW, CALLER)


# --- old requests, events and proofs


def test_old_wishes_are_deleted(service, owner, clock):
    """Expired requests for another address are deleted."""
    owner.link()
    clock.go_on(3_601)
    service.purge.run()
    assert rows(service, "address_changes") == []


@pytest.mark.slow
def test_no_token_and_no_address_in_events(url, postbox, clock):
    """Each step leaves an event with the account, for success and failure."""
    events = []
    with service_at(url, clock=clock, postbox=postbox, hook=events.append) as service:
        owner = Owner(service, postbox)
        token = owner.link()
        with pytest.raises(InvalidFieldsError):
            owner.ask(password="wrong")
        with pytest.raises(InvalidLinkError):
            owner.change("x" * 43)
        owner.change(token)
        user_id = owner.user.id
    results = [
        (each.name, each.succeeded, each.reason, each.user_id) for each in events if "email" in each.name
    ]
    assert results == [
        ("ask_email_change", True, "", user_id),
        ("ask_email_change", False, "invalid_fields", user_id),
        ("change_email", False, "invalid_link", user_id),
        ("change_email", True, "", user_id),
    ]
    assert not any(EMAIL in repr(each) or NEXT in repr(each) for each in events)


def test_it_proves_address_and_password(service, postbox):
    """A change that is proven by the password marks the address as verified and the password as proven."""
    tokens = service.accounts.register(EMAIL, PASSWORD, "", Caller())
    principal = principal_of(service, tokens.access_token)
    service.address_changes.ask(principal, NEXT, PASSWORD, CALLER)
    assert service.outbox.flush()
    service.address_changes.change(token_to(NEXT, postbox), CALLER, password=PASSWORD)
    with service.database.read() as connection:
        proven = connection.exec_driver_sql("SELECT email_verified, password_proven FROM users").one()
    assert tuple(map(bool, proven)) == (True, True)


# --- over HTTP


@pytest.mark.slow
@pytest.mark.one_database
def test_by_the_api(app, service, postbox):
    """Over HTTP, the token of the link is sent with an access token of the account."""
    client = browser(app, accept="application/json")
    body = {"email": EMAIL, "password": PASSWORD}
    fields = bearer(client.post("/v1/auth/register", json=body).json()["access_token"])
    path = "/v1/auth/change-email"
    assert client.post(path, json={"new_email": NEXT, "password": PASSWORD}).status_code == 401
    for given, field in (
        ({"new_email": "x", "password": PASSWORD}, "new_email"),
        ({"new_email": NEXT}, "password"),
    ):
        refused = client.post(path, json=given, headers=fields)
        assert (refused.status_code, [answer["field"] for answer in refused.json()["errors"]]) == (
            422,
            [field],
        )
    assert (
        client.post(path, json={"new_email": NEXT, "password": PASSWORD}, headers=fields).status_code == 200
    )
    assert service.outbox.flush()
    token = token_to(NEXT, postbox)
    assert client.post(f"{path}/confirm", json={"token": token}).status_code == 422
    assert client.post(f"{path}/confirm", json={"token": "x"}, headers=fields).status_code == 400
    answers = [client.post(f"{path}/confirm", json={"token": token}, headers=fields) for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"message": "E-mail address changed"}] * 2
    assert client.get("/v1/users/me", headers=fields).json()["email"] == NEXT


@pytest.mark.parametrize("enumeration_safe", [False, True])
def test_equal_work_for_addresses_that_are_taken(url, postbox, clock, enumeration_safe):
    """A taken address and a free one cause the same database statements before the answer."""
    with service_at(url, clock=clock, postbox=postbox, enumeration_safe=enumeration_safe) as service:
        owner = Owner(service, postbox)
        service.accounts.create("taken@example.com", PASSWORD)
        service.mails.leave_to_others()
        results = []
        for address in ("warm@example.com", "taken@example.com", "free1@example.com"):
            seen = []
            with listening(service, seen):
                owner.ask(address)
            results.append(seen)
        assert results[1] == results[2] and results[1]
