"""Another address for one's account: who can change it, what the link is good for, and what ends."""

import contextlib

import pytest
from sqlalchemy import event

from authguard.errors import InsufficientUserAuthenticationError, InvalidTokenError, RateLimitedError
from authguard.identity import Caller, SocialIdentity
from authguard.identity.errors import EmailTakenError, InvalidFieldsError, InvalidLinkError
from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.storage import queries as user_queries
from authguard.identity.usecases.notices import Notices
from identity.api_key_support import create, rows, verify
from identity.keys import bearer
from identity.people import EMAIL, NEW
from identity.support import CALLER, GENEROUS, PASSWORD, browser, service_at, together
from identity.test_sessions import is_alive, principal_of

NEXT = "ann@new.example"


def token_to(address, postbox):
    """The token in the newest mail to an address."""
    mail = [each for each in postbox.mails if each.to == address][-1]
    return mail.text.partition("token=")[2].split()[0]


@contextlib.contextmanager
def listening(service, seen):
    """Note the statements of the database."""

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
        """Ask for another address; the token of the mail to it."""
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
    """It is the new one, verified, from then on, and the one of before signs nobody in any more."""
    token = owner.link()
    assert owner.address == EMAIL
    assert owner.change(token) == owner.user.id
    assert (owner.address, service.accounts.find_by_id(owner.user.id).email_verified) == (NEXT, True)
    assert service.accounts.login(NEXT, PASSWORD, CALLER).user.id == owner.user.id
    assert service.accounts.find(EMAIL) is None
    assert service.accounts.register(EMAIL, NEW, "", CALLER).user.id != owner.user.id


def test_both_addresses_are_told(owner):
    """The one of now is told of the wish, and of the change; neither mail names the other address."""
    owner.change(owner.link())
    assert owner.subjects == [
        (EMAIL, "Your e-mail address is about to change"),
        (EMAIL, "Your e-mail address was changed"),
        (NEXT, "Confirm your new e-mail address"),
    ]
    assert not any(NEXT in mail.text for mail in owner.postbox.mails if mail.to == EMAIL)
    assert not any(EMAIL in mail.text for mail in owner.postbox.mails if mail.to == NEXT)


def test_the_other_sessions_end(service, owner):
    """Only the session that has changed it goes on; API keys do, too."""
    key = create(service, owner.principal)
    owner.change(owner.link())
    assert is_alive(service, owner.own.access_token) and not is_alive(service, owner.other.access_token)
    with pytest.raises(InvalidTokenError):
        service.sessions.refresh(owner.other.refresh_token, CALLER)
    assert verify(service, key.text).subject == owner.user.id


def test_links_to_the_address_of_before_end(service, owner, postbox):
    """A link for a new password that was mailed to the old address sets none."""
    token = owner.link()
    service.links.request_password_reset(EMAIL, CALLER)
    assert service.outbox.flush()
    (reset,) = [mail for mail in postbox.mails if "Set a new password" in mail.subject]
    owner.change(token)
    with pytest.raises(InvalidLinkError):
        service.links.reset_password(reset.text.partition("token=")[2].split()[0], NEW, CALLER)


@pytest.mark.parametrize("ask", ["request_password_reset", "resend_verification"])
def test_no_link_is_made_for_an_address_of_before(service, owner, postbox, monkeypatch, ask):
    """The address changes while a mail to the old one is made: its link would set a password."""
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
    """Whichever comes first: no mail to the old address has a link that sets a password afterwards."""
    token = owner.link()
    service.links.request_password_reset(EMAIL, CALLER)
    changed, _ = together(2, lambda index: service.outbox.flush() if index else owner.change(token))
    assert changed == owner.user.id
    for mail in postbox.mails:
        if mail.to == EMAIL and "token=" in mail.text:
            assert not service.links.resets_password(mail.text.partition("token=")[2].split()[0])


@pytest.mark.parametrize("password", [None, "wrong", ""])
def test_it_needs_the_password(owner, password):
    """A session alone, which may be stolen, changes nothing and sends no mail."""
    with pytest.raises(InvalidFieldsError) as caught:
        owner.ask(password=password)
    assert list(caught.value.fields) == ["password"]
    assert owner.subjects == []


def test_wrong_passwords_are_limited(url, postbox, clock):
    """Of those that are guessed by a session, as many are checked as at the login page."""
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
    """Whoever asks again and again sends few mails to an address that is not theirs."""
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
    """Other text is refused, by the name of the field."""
    with pytest.raises(InvalidFieldsError) as caught:
        owner.ask(address)
    assert list(caught.value.fields) == ["new_email"]


def test_not_to_the_same(owner):
    """The address of now is no new one, but another spelling of it is."""
    with pytest.raises(InvalidFieldsError):
        owner.ask(EMAIL)
    owner.change(owner.link(EMAIL.capitalize()))
    assert owner.address == EMAIL.capitalize()


def test_an_account_without_a_password_needs_a_recent_sign_in(service, postbox, clock):
    """With a provider that says when it was; another one is asked for ten minutes later."""
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
    """Who reads the mail by mistake gets no account: it needs a session or the password of the account."""
    token = owner.link()
    for given in ({"principal": None}, {"principal": None, "password": "wrong"}):
        with pytest.raises(InvalidFieldsError) as caught:
            owner.change(token, **given)
        assert list(caught.value.fields) == ["password"]
    assert owner.address == EMAIL
    owner.change(token, principal=None, password=PASSWORD)
    assert owner.address == NEXT


def test_a_session_of_another_account_is_no_proof(service, owner):
    """Nor does the other account get the address."""
    token = owner.link()
    eve = service.accounts.register("eve@example.com", PASSWORD, "", CALLER)
    with pytest.raises(InvalidFieldsError):
        owner.change(token, principal=principal_of(service, eve.access_token))
    assert owner.address == EMAIL and service.accounts.find("eve@example.com") is not None


def test_with_the_password_all_sessions_end(service, owner):
    """There is none that has changed it."""
    owner.change(owner.link(), principal=None, password=PASSWORD)
    assert not any(is_alive(service, each.access_token) for each in (owner.own, owner.other))


def test_the_link_is_good_once(owner):
    """Pressed again it gets the same answer, and changes nothing: not even back."""
    first = owner.link()
    owner.change(first)
    second = owner.link("third@example.com")
    assert owner.change(second) == owner.user.id and owner.change(second) == owner.user.id
    with pytest.raises(InvalidLinkError):
        owner.change(first)
    assert owner.address == "third@example.com"


def test_the_link_ends(owner, clock):
    """After an hour it is good for nothing, and wrong ones never are."""
    token = owner.link()
    clock.go_on(3_601)
    for wrong in (token, "", "x" * 43):
        with pytest.raises(InvalidLinkError):
            owner.change(wrong)
    assert owner.address == EMAIL


def test_a_newer_wish_ends_the_older_link(owner):
    """The link to one address never gives the account another one."""
    first = owner.link("first@example.com")
    second = owner.link("second@example.com")
    with pytest.raises(InvalidLinkError):
        owner.change(first)
    owner.change(second)
    assert owner.address == "second@example.com"


def test_a_link_that_is_mailed_late_is_for_its_own_address(service, owner, monkeypatch):
    """A wish for another address, while the mail is made, leaves no token that is good for that address."""
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
    """What the owner does about a wish that was not theirs ends the link; so does disabling the account."""
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
    """The owner signs in with a provider, and would use a link by which a stranger takes the account over."""
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


# --- who else has the address


def test_the_answer_does_not_tell_of_other_accounts(service, owner):
    """The same for an address that an account has; its owner gets a mail without a link to press."""
    service.accounts.create(NEXT, PASSWORD)
    owner.ask()
    assert (NEXT, "You have an account already") in owner.subjects
    assert not any("token=" in mail.text for mail in owner.postbox.mails)


def test_who_registers_first_has_the_address(service, owner):
    """The link is refused then; who presses it reads the mail of that address, and may know why."""
    token = owner.link()
    service.accounts.register(NEXT, NEW, "", CALLER)
    with pytest.raises(EmailTakenError):
        owner.change(token)
    assert owner.address == EMAIL
    assert service.accounts.login(EMAIL, PASSWORD, CALLER).user.id == owner.user.id


@pytest.mark.parametrize("round_", range(3))
def test_of_two_who_change_to_one_address_one_gets_it(service, postbox, round_):
    """And who registers with it at the same moment does, or does not; nobody is answered with a fault."""
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
    """All get the same answer, and the address is changed once."""
    token = owner.link()
    assert together(6, lambda _: owner.change(token)) == [owner.user.id] * 6
    assert [subject for _, subject in owner.subjects].count("Your e-mail address was changed") == 1


@pytest.mark.parametrize("round_", range(3))
def test_beside_a_new_password(service, postbox, round_):
    """If the password changes first, the link is refused; in both cases both hold afterwards."""
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


# --- what is left


def test_old_wishes_are_deleted(service, owner, clock):
    """Nobody comes back for them."""
    owner.link()
    clock.go_on(3_601)
    service.purge.run()
    assert rows(service, "address_changes") == []


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
    """As the link of the first mail does, with the password."""
    tokens = service.accounts.register(EMAIL, PASSWORD, "", Caller())
    principal = principal_of(service, tokens.access_token)
    service.address_changes.ask(principal, NEXT, PASSWORD, CALLER)
    assert service.outbox.flush()
    service.address_changes.change(token_to(NEXT, postbox), CALLER, password=PASSWORD)
    with service.database.read() as connection:
        proven = connection.exec_driver_sql("SELECT email_verified, password_proven FROM users").one()
    assert tuple(map(bool, proven)) == (True, True)


# --- over HTTP


@pytest.mark.one_database
def test_by_the_api(app, service, postbox):
    """The new address gets the link; its token comes with the password, or with a token of the account."""
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
    """The same statements for an address that an account has: all that differs comes after the answer."""
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
