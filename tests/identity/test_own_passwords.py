"""New passwords that are the address or the name of their owner, which are refused."""

import logging
from io import StringIO

import pytest

from authguard.identity.errors import InvalidFieldsError
from authguard.identity.mail import ConsoleMailer
from authguard.identity.passwords.hashing import PasswordPolicy
from authguard.identity.service import IdentityService
from identity.support import CALLER, PASSWORD, settings

pytestmark = pytest.mark.one_database  # the accepted passwords do not depend on the database

EMAIL, NAME = "Ann.Miller1!@Example.com", "Ann Miller 1!"
GUESSES = [EMAIL, EMAIL.lower(), EMAIL.partition("@")[0], NAME, NAME.upper()]


@pytest.fixture
def relaxed(url, postbox, clock):
    """Run a service whose policy only requires a few characters."""
    policy = PasswordPolicy(upper=False, lower=False, digit=False, special=False)
    service = IdentityService(settings(url), mailer=postbox, policy=policy, clock=clock)
    yield service
    service.close()


@pytest.mark.parametrize("guess", GUESSES)
def test_not_when_registering(relaxed, guess):
    """A registration with such a password is refused."""
    with pytest.raises(InvalidFieldsError) as caught:
        relaxed.accounts.register(EMAIL, guess, NAME, CALLER)
    assert list(caught.value.fields) == ["password"]


@pytest.mark.slow
@pytest.mark.parametrize("guess", GUESSES)
def test_not_when_changing(relaxed, guess):
    """A change to such a password is refused, although the current password is right."""
    relaxed.accounts.create(EMAIL, PASSWORD, NAME)
    tokens = relaxed.accounts.login(EMAIL, PASSWORD, CALLER)
    with pytest.raises(InvalidFieldsError) as caught:
        principal = relaxed.clients._verify(tokens.access_token, relaxed.own_tokens)
        relaxed.accounts.change_password(principal, PASSWORD, guess, CALLER)
    assert list(caught.value.fields) == ["new_password"]


@pytest.mark.parametrize("guess", GUESSES)
def test_not_when_resetting(relaxed, postbox, guess):
    """A reset to such a password is refused, and the link remains valid."""
    relaxed.accounts.create(EMAIL, PASSWORD, NAME)
    relaxed.links.request_password_reset(EMAIL, CALLER)
    assert relaxed.outbox.flush()
    with pytest.raises(InvalidFieldsError) as caught:
        relaxed.links.reset_password(postbox.token(), guess, CALLER)
    assert list(caught.value.fields) == ["new_password"]
    relaxed.links.reset_password(postbox.token(), "another password", CALLER)


@pytest.mark.slow
def test_no_row_is_logged(url, caplog):
    """At DEBUG the database's library logs no password hash, no address and no encrypted key."""
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.engine.Engine", "sqlalchemy.pool"):
        caplog.set_level(logging.DEBUG, name)
    service = IdentityService(settings(url, algorithm="ES256"), mailer=ConsoleMailer(StringIO()))
    service.accounts.create("ann@example.com", PASSWORD)
    service.accounts.login("ann@example.com", PASSWORD, CALLER)
    service.keys.public_keys(service.clock())
    service.close()
    assert "SELECT" in caplog.text
    assert "$argon2" not in caplog.text
    assert "ann@example.com" not in caplog.text
    assert "gAAAA" not in caplog.text
