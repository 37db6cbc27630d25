"""One-time tokens: hashed, valid once and for an hour, only the newest, equal for unknown addresses."""

import logging

import pytest
from sqlalchemy import select
from sqlalchemy.event import listen

from authguard.errors import RateLimitedError
from authguard.identity.errors import InvalidFieldsError, InvalidLinkError
from authguard.identity.limits import DEFAULT_LIMITS
from authguard.identity.storage.queries import find_user_by_address
from authguard.identity.storage.schema import one_time_tokens
from identity.support import CALLER, PASSWORD, service_at, together
from identity.test_accounts import NEW, login
from identity.test_sessions import is_alive, register

pytestmark = pytest.mark.slow_on_postgresql


def reset_token(service, postbox, email="ann@example.com"):
    assert service.outbox.flush()
    service.links.request_password_reset(email, CALLER)
    assert service.outbox.flush()
    return postbox.token()


def test_reset_sets_the_password(service, postbox):
    """The token of the mail sets a new password, verifies the address, and ends all sessions."""
    tokens = register(service)
    service.links.reset_password(reset_token(service, postbox), NEW, CALLER)
    assert not is_alive(service, tokens.access_token)
    assert login(service, password=NEW).user.email_verified


def test_token_is_stored_hashed(service, postbox):
    """The database has digests of one-time tokens, and not the tokens."""
    register(service)
    token = reset_token(service, postbox)
    with service.database.read() as connection:
        digests = connection.execute(select(one_time_tokens.c.digest)).scalars().all()
    assert token not in digests
    assert all(len(digest) == 64 for digest in digests)


def test_token_is_good_once(service, postbox):
    """A used token is refused."""
    register(service)
    token = reset_token(service, postbox)
    service.links.reset_password(token, NEW, CALLER)
    with pytest.raises(InvalidLinkError):
        service.links.reset_password(token, NEW, CALLER)


def test_of_many_at_once_one_gets_it(service, postbox):
    """Of ten parallel uses of a token, one sets the password."""
    register(service)
    token = reset_token(service, postbox)
    answers = together(10, lambda index: service.links.reset_password(token, f"{NEW}{index}", CALLER))
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert sum(isinstance(answer, InvalidLinkError) for answer in answers) == 9


def test_newest_token_only(service, postbox):
    """A newer token ends the older one."""
    register(service)
    first = reset_token(service, postbox)
    second = reset_token(service, postbox)
    with pytest.raises(InvalidLinkError):
        service.links.reset_password(first, NEW, CALLER)
    service.links.reset_password(second, NEW, CALLER)


def test_token_expires(service, postbox, clock):
    """A token is refused after an hour."""
    register(service)
    token = reset_token(service, postbox)
    clock.go_on(3600)
    with pytest.raises(InvalidLinkError):
        service.links.reset_password(token, NEW, CALLER)


def test_token_is_for_one_purpose(service, postbox):
    """The token of a verification mail resets no password."""
    register(service)
    assert service.outbox.flush()
    with pytest.raises(InvalidLinkError):
        service.links.reset_password(postbox.token(), NEW, CALLER)
    service.links.confirm_email(postbox.token(), CALLER)


def test_weak_password_does_not_use_the_token_up(service, postbox):
    """A weak password is refused without using up the token."""
    register(service)
    token = reset_token(service, postbox)
    with pytest.raises(InvalidFieldsError):
        service.links.reset_password(token, "weak", CALLER)
    service.links.reset_password(token, NEW, CALLER)


def test_changing_the_password_kills_the_token(service, postbox):
    """A change of the password ends a token for a reset."""
    from identity.test_sessions import principal_of

    tokens = register(service)
    token = reset_token(service, postbox)
    service.accounts.change_password(principal_of(service, tokens.access_token), PASSWORD, NEW, CALLER)
    with pytest.raises(InvalidLinkError):
        service.links.reset_password(token, NEW, CALLER)


def test_changing_the_password_keeps_the_link_of_the_first_mail(service, postbox):
    """A change of the password before the address is verified does not end the link of the first mail."""
    from identity.test_sessions import principal_of

    principal = principal_of(service, register(service).access_token)
    assert service.outbox.flush()
    link = postbox.token()
    service.accounts.change_password(principal, PASSWORD, NEW, CALLER)
    service.links.confirm_email(link, CALLER, owner_id=principal.subject)
    assert login(service, password=NEW).user.email_verified


def test_unknown_address_gets_no_mail(service, postbox, caplog):
    """An unknown or invalid address gets no mail, and causes no error and no warning."""
    service.links.request_password_reset("nobody@example.com", CALLER)
    service.links.request_password_reset("nonsense", CALLER)
    service.links.resend_verification("nobody@example.com", CALLER)
    assert service.outbox.flush()
    assert postbox.mails == []
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_verification_is_sent_again(service, postbox):
    """A second verification mail has the only valid token, and a verified address gets no mail."""
    register(service)
    assert service.outbox.flush()
    service.links.resend_verification("ANN@example.com", CALLER)
    assert service.outbox.flush()
    with pytest.raises(InvalidLinkError):
        service.links.confirm_email(postbox.token(0), CALLER)
    service.links.confirm_email(postbox.token(1), CALLER)
    service.links.resend_verification("ann@example.com", CALLER)
    assert service.outbox.flush()
    assert len(postbox.mails) == 2


def test_links_lead_to_the_issuer(service, postbox):
    """Links begin with the configured issuer."""
    register(service)
    assert service.outbox.flush()
    assert "\nhttp://127.0.0.1:8000/verify-email?token=" in postbox.mails[0].text


def test_mails_are_limited_for_known_and_unknown_addresses(url):
    """The fourth request for a mail is refused, for known and unknown addresses."""
    with service_at(url, limits=DEFAULT_LIMITS) as service:
        register(service)
        for email in ("ann@example.com", "nobody@example.com"):
            for _ in range(3):
                service.links.request_password_reset(email, CALLER)
            with pytest.raises(RateLimitedError):
                service.links.request_password_reset(email, CALLER)


def verify_token(service, postbox):
    register(service)
    assert service.outbox.flush()
    return postbox.token()


def test_a_second_press_on_verify_is_no_error(service, postbox):
    """A second use of a verification token gets the same answer."""
    token = verify_token(service, postbox)
    first = service.links.confirm_email(token, CALLER)
    assert service.links.confirm_email(token, CALLER) == first


def test_a_press_during_another_one_is_no_error(service, postbox):
    """A verification token that another request uses at the same moment gets the same answer."""
    token = verify_token(service, postbox)
    looks = []

    def press(connection, cursor, statement, *_):
        if "one_time_tokens" in statement and not looks:
            looks.append(statement)
            assert together(1, lambda _: service.links.confirm_email(token, CALLER)) == [owner]

    with service.database.read() as connection:
        owner = find_user_by_address(connection, "ann@example.com").user.id
    listen(service.database.engine, "after_cursor_execute", press)
    assert service.links.confirm_email(token, CALLER) == owner
    assert looks


def test_many_presses_at_once_are_no_error(service, postbox):
    """Ten parallel uses of a verification token get the same answer."""
    token = verify_token(service, postbox)
    answers = together(10, lambda _: service.links.confirm_email(token, CALLER))
    assert len({str(answer) for answer in answers}) == 1
    assert isinstance(answers[0], str)


def test_a_used_verification_is_good_for_nothing_else(service, postbox):
    """A used verification token sets no password, closes no account, and expires."""
    token = verify_token(service, postbox)
    service.links.confirm_email(token, CALLER)
    with pytest.raises(InvalidLinkError):
        service.links.confirm_email_with_new_password(token, NEW, CALLER)
    with pytest.raises(InvalidLinkError):
        service.links.decline_registration(token, CALLER)
    with pytest.raises(InvalidLinkError):
        service.links.reset_password(token, NEW, CALLER)
    service.clock.go_on(3_601)
    with pytest.raises(InvalidLinkError):
        service.links.confirm_email(token, CALLER)
