"""Buttons that are pressed twice, and links that are used again: the second answer and its effect."""

import pytest
from sqlalchemy.event import listen
from starlette.testclient import TestClient

from authguard.errors import InvalidTokenError, RateLimitedError
from authguard.identity.errors import (
    InvalidCredentialsError,
    InvalidFieldsError,
    InvalidLinkError,
    UsedLinkError,
)
from authguard.identity.limits import DEFAULT_LIMITS
from identity.keys import bearer, is_problem
from identity.people import EMAIL, NEW
from identity.support import CALLER, ISSUER, PASSWORD, Page, Postbox, browser, service_at, together
from identity.test_sessions import principal_of

pytestmark = pytest.mark.slow_on_postgresql

OTHER = "Yet-Another-Pass-789!"


def press_meanwhile(service, statement_part, press):
    """Call a function once, in another thread, after the first statement that contains a text."""
    answers = []

    def run(connection, cursor, statement, *_):
        if statement_part in statement and not answers:
            answers.append(None)
            answers[:] = together(1, lambda _: press())

    listen(service.database.engine, "after_cursor_execute", run)
    return answers


def location(response):
    """Return the target of a redirect."""
    assert response.status_code == 303, response.text
    return response.headers["location"]


def signs_in(service, password):
    """Return whether a password is that of the account."""
    try:
        service.accounts.login(EMAIL, password, CALLER)
    except InvalidCredentialsError:
        return False
    return True


@pytest.fixture
def ann_there(service, postbox):
    """Return the tokens of Ann, whose first mail has arrived."""
    tokens = service.accounts.register(EMAIL, PASSWORD, "Ann", CALLER)
    assert service.outbox.flush()
    return tokens


@pytest.fixture
def verify_token(ann_there, postbox):
    """Return the token of the first mail."""
    return postbox.token()


@pytest.fixture
def reset_token(ann_there, service, postbox):
    """Return the token of a mail that resets the password."""
    service.links.request_password_reset(EMAIL, CALLER)
    assert service.outbox.flush()
    return postbox.token()


# --- delete the account


@pytest.mark.parametrize("round_", range(3))
def test_deleting_twice_at_once(service, ann_there, round_):
    """Of simultaneous deletions one succeeds, and the others are refused as with a token that has ended."""
    principal = principal_of(service, ann_there.access_token)
    answers = together(4, lambda _: service.deletion.delete(principal, PASSWORD, CALLER))
    assert answers.count(None) == 1
    assert {type(answer) for answer in answers if answer is not None} == {InvalidTokenError}


def test_deleting_during_a_deletion(service, ann_there):
    """A deletion that reads the account before another one has ended is refused as a token that has ended."""
    principal = principal_of(service, ann_there.access_token)
    looks = press_meanwhile(
        service, "users.password_hash", lambda: service.deletion.delete(principal, PASSWORD, CALLER)
    )
    with pytest.raises(InvalidTokenError):
        service.deletion.delete(principal, PASSWORD, CALLER)
    assert looks == [None]


@pytest.mark.one_database
@pytest.mark.parametrize("face", ["pages", "api"])
def test_the_answer_to_a_second_deletion(app, ann, service, face):
    """On the page both presses lead to the notice of a deletion; by the API the second is 401."""
    token = ann.cookies["access_token"]

    def delete():
        if face == "pages":
            return ann.post("/account/delete", data={"password": PASSWORD})
        fields = bearer(token) | {"accept": "application/json"}
        client = TestClient(app, base_url=ISSUER)
        return client.post("/v1/auth/delete-account", json={"password": PASSWORD}, headers=fields)

    looks = press_meanwhile(service, "users.password_hash", delete)
    second = delete()
    (first,) = looks
    if face == "pages":
        assert location(first) == location(second) == "/login?notice=deleted"
        assert "access_token=;" in second.headers["set-cookie"]
    else:
        assert first.status_code == 200
        assert is_problem(second, 401, "invalid_token")


# --- change the password


def change(service, tokens, current=PASSWORD, new=NEW):
    """Change the password in the session of tokens."""
    principal = principal_of(service, tokens.access_token)
    service.accounts.change_password(principal, current, new, CALLER)


def test_changing_twice(service, ann_there, postbox):
    """The same change again gets the same answer, and sends no second mail."""
    change(service, ann_there)
    change(service, ann_there)
    assert service.outbox.flush()
    assert [mail.subject for mail in postbox.mails].count("Your password was changed") == 1
    assert signs_in(service, NEW)


def test_changing_at_once(service, ann_there):
    """Simultaneous changes to the same password get the same answer."""
    assert together(4, lambda _: change(service, ann_there)) == [None] * 4
    assert signs_in(service, NEW)


def test_another_change_is_no_repetition(service, ann_there):
    """A change to a third password with the previous one is refused."""
    change(service, ann_there)
    with pytest.raises(InvalidFieldsError):
        change(service, ann_there, new=OTHER)
    assert signs_in(service, NEW) and not signs_in(service, OTHER)


def test_a_later_change_is_no_repetition(service, ann_there, clock):
    """After a minute the new password is not compared."""
    change(service, ann_there)
    clock.go_on(61)
    with pytest.raises(InvalidFieldsError):
        change(service, ann_there)


def test_the_new_password_is_no_guess(service, ann_there):
    """A session that has changed nothing learns nothing about the password by the field of the new one."""
    with pytest.raises(InvalidFieldsError) as caught:
        change(service, ann_there, current=OTHER, new=PASSWORD)
    assert caught.value.fields == {"current_password": ["is not right"]}


def test_another_session_is_no_repetition(service, ann_there):
    """The change of one session is no change of another session, such as a stolen one."""
    change(service, ann_there)
    other = service.accounts.login(EMAIL, NEW, CALLER)
    with pytest.raises(InvalidFieldsError):
        change(service, other, current=OTHER)


def test_repetitions_count(url, postbox):
    """Repeated changes count for the limit of tries."""
    with service_at(url, postbox=postbox, limits=DEFAULT_LIMITS) as service:
        tokens = service.accounts.register(EMAIL, PASSWORD, "", CALLER)
        for _ in range(10):
            change(service, tokens)
        with pytest.raises(RateLimitedError):
            change(service, tokens)


# --- verify the address with a new password


def test_a_new_password_twice(service, verify_token, postbox):
    """A link that has verified an address with a new password gets the same answer again."""
    links = service.links
    for _ in range(2):
        links.confirm_email_with_new_password(verify_token, NEW, CALLER)
    assert links.confirm_email(verify_token, CALLER) == service.accounts.find(EMAIL).id
    assert service.outbox.flush()
    assert [mail.subject for mail in postbox.mails].count("Your password was changed") == 1


def test_a_new_password_many_times_at_once(service, verify_token):
    """Simultaneous uses of one link with one new password get the same answer."""
    confirm = service.links.confirm_email_with_new_password
    user_id = service.accounts.find(EMAIL).id
    assert together(4, lambda _: confirm(verify_token, NEW, CALLER)) == [user_id] * 4
    assert signs_in(service, NEW)


def test_a_used_link_sets_no_other_password(service, verify_token, clock):
    """A used link sets no second password, closes no account, and is invalid after its time."""
    links = service.links
    links.confirm_email_with_new_password(verify_token, NEW, CALLER)
    with pytest.raises(UsedLinkError):
        links.confirm_email_with_new_password(verify_token, OTHER, CALLER)
    with pytest.raises(InvalidLinkError):
        links.decline_registration(verify_token, CALLER)
    assert signs_in(service, NEW) and not signs_in(service, OTHER)
    clock.go_on(3_601)
    for again in (
        links.confirm_email,
        lambda *given: links.confirm_email_with_new_password(given[0], NEW, CALLER),
    ):
        with pytest.raises(InvalidLinkError) as caught:
            again(verify_token, CALLER)
        assert not isinstance(caught.value, UsedLinkError)


@pytest.mark.one_database
def test_the_page_of_a_link_that_has_set_a_password(app, ann, service, postbox):
    """The page of a link gives the same answer to each press, and to each later visit."""
    assert service.outbox.flush()
    link = f"/verify-email?token={postbox.token()}"
    client = browser(app)
    for _ in range(2):
        client.get(link)
        answer = client.post("/verify-email", data={"new_password": NEW})
        assert location(answer) == "/login?notice=verified-password"
    client.get(link)
    assert location(client.get("/verify-email")) == "/login?notice=verified"


# --- reset the password


def test_resetting_twice(service, reset_token):
    """A second reset with one link is told that the link was used, with any password, and ends no session."""
    reset = service.links.reset_password
    reset(reset_token, NEW, CALLER)
    session = service.accounts.login(EMAIL, NEW, CALLER)
    for password in (NEW, OTHER):
        with pytest.raises(UsedLinkError):
            reset(reset_token, password, CALLER)
    assert service.sessions.refresh(session.refresh_token, CALLER)
    assert signs_in(service, NEW) and not signs_in(service, OTHER)


def test_resetting_at_once(service, reset_token):
    """Of simultaneous resets with different passwords one succeeds; the others are told of the use."""
    passwords = [NEW, OTHER, NEW + "x", OTHER + "x"]
    answers = together(4, lambda index: service.links.reset_password(reset_token, passwords[index], CALLER))
    user_id = service.accounts.find(EMAIL).id
    assert answers.count(user_id) == 1
    assert {type(answer) for answer in answers if answer != user_id} == {UsedLinkError}
    assert signs_in(service, passwords[answers.index(user_id)])


def test_a_used_link_is_no_way_around_the_limit(url, postbox):
    """Passwords that are tried with a used link count as sign-ins, up to the same limit."""
    with service_at(url, postbox=postbox, limits=DEFAULT_LIMITS) as service:
        service.accounts.register(EMAIL, PASSWORD, "", CALLER)
        assert service.outbox.flush()
        token = postbox.token()
        confirm = service.links.confirm_email_with_new_password
        confirm(token, NEW, CALLER)
        for index in range(5):
            with pytest.raises(UsedLinkError):
                confirm(token, f"{OTHER}{index}", CALLER)
        for _ in range(5):
            service.accounts.count_sign_in(EMAIL, CALLER)
        with pytest.raises(RateLimitedError):
            confirm(token, NEW, CALLER)
        with pytest.raises(RateLimitedError):
            service.accounts.count_sign_in(EMAIL, CALLER)


def test_a_reset_link_after_a_change(service, reset_token):
    """A used reset link says nothing about a password that was set afterwards."""
    service.links.reset_password(reset_token, NEW, CALLER)
    change(service, service.accounts.login(EMAIL, NEW, CALLER), current=NEW, new=OTHER)
    with pytest.raises(InvalidLinkError):
        service.links.reset_password(reset_token, OTHER, CALLER)


@pytest.mark.slow
@pytest.mark.one_database
def test_the_page_of_a_used_reset_link(app, ann, service, postbox):
    """The page of a used link tells so without a form; that of an unknown link does not."""
    service.links.request_password_reset(EMAIL, CALLER)
    assert service.outbox.flush()
    link = f"/reset-password?token={postbox.token()}"
    client = browser(app)
    client.get(link)
    assert location(client.post("/reset-password", data={"new_password": NEW})).startswith("/login?notice=")
    client.get(link)
    for answer in (client.get("/reset-password"), _post_again(client, link)):
        page = Page(answer)
        assert (answer.status_code, "The link was used already" in page.words) == (400, True)
        assert not [each for each in page.all("input") if each.get("type") == "password"]
    client.get("/reset-password?token=unknown")
    assert "used already" not in Page(client.get("/reset-password")).words


def _post_again(client, link):
    client.get(link)
    return client.post("/reset-password", data={"new_password": OTHER})


# --- the first mail after a reset


def test_the_first_mail_after_a_reset(service, verify_token, reset_token, clock):
    """After a reset the link of the first mail says that the address is verified, until it expires."""
    links = service.links
    links.reset_password(reset_token, NEW, CALLER)
    assert links.confirm_email(verify_token, CALLER) == service.accounts.find(EMAIL).id
    with pytest.raises(InvalidLinkError):
        links.confirm_email_with_new_password(verify_token, OTHER, CALLER)
    with pytest.raises(InvalidLinkError):
        links.decline_registration(verify_token, CALLER)
    assert signs_in(service, NEW)
    with pytest.raises(InvalidLinkError):
        links.confirm_email(verify_token + "x", CALLER)
    clock.go_on(3_601)
    with pytest.raises(InvalidLinkError):
        links.confirm_email(verify_token, CALLER)


@pytest.mark.one_database
def test_the_page_of_the_first_mail_after_a_reset(app, ann, service, postbox):
    """The page of the first mail leads to the notice that the address is verified."""
    assert service.outbox.flush()
    first = postbox.token()
    service.links.request_password_reset(EMAIL, CALLER)
    assert service.outbox.flush()
    service.links.reset_password(postbox.token(), NEW, CALLER)
    client = browser(app)
    client.get(f"/verify-email?token={first}")
    assert location(client.get("/verify-email")) == "/login?notice=verified"


@pytest.mark.one_database
def test_another_address_ends_all_of_them(url):
    """After a change of the address, the links to the old one get the answer of unknown links."""
    postbox = Postbox()
    with service_at(url, postbox=postbox) as service:
        service.accounts.register(EMAIL, PASSWORD, "", CALLER)
        assert service.outbox.flush()
        first = postbox.token()
        service.links.confirm_email_with_new_password(first, NEW, CALLER)
        tokens = service.accounts.login(EMAIL, NEW, CALLER)
        principal = principal_of(service, tokens.access_token)
        service.address_changes.ask(principal, "ann@new.example", NEW, CALLER)
        assert service.outbox.flush()
        (mail,) = [each for each in postbox.mails if each.to == "ann@new.example"]
        token = mail.text.partition("token=")[2].split()[0]
        service.address_changes.change(token, CALLER, principal=principal)
        with pytest.raises(InvalidLinkError):
            service.links.confirm_email(first, CALLER)
