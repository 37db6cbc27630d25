"""A change of the secret: credentials of the previous one remain valid, and are renewed at their use."""

import pytest
from sqlalchemy import select

from authguard.errors import ConfigurationError, InvalidSignatureError, InvalidTokenError
from authguard.identity.storage.schema import signing_keys
from authguard.identity.tokens.derive import derive_fernet
from identity.support import CALLER, ISSUER, SECRET, service_at, settings
from identity.test_sessions import principal_of, register

pytestmark = pytest.mark.slow_on_postgresql

NEW = "an0ther-0nly-Secret-of-enough-bytes-8Rw4"
THIRD = "a-th1rd-0nly-Secret-of-enough-bytes-2Jd7"


@pytest.fixture(params=["HS256", "ES256"])
def algorithm(request):
    return request.param


@pytest.fixture
def before(url, clock, algorithm):
    """Return tokens from before the change."""
    with service_at(url, clock=clock, algorithm=algorithm) as service:
        return register(service)


@pytest.fixture
def during(url, clock, algorithm, before):
    with service_at(url, clock=clock, algorithm=algorithm, secret=NEW, previous_secret=SECRET) as service:
        yield service


def test_access_token_stays_good(during, before):
    """An access token from before the change is accepted."""
    assert principal_of(during, before.access_token).issuer == ISSUER


def test_refresh_token_stays_good(during, before):
    """A refresh token from before the change is accepted, and continues its session."""
    assert during.sessions.refresh(before.refresh_token, CALLER).session_id == before.session_id


def test_after_the_change_the_previous_secret_can_be_forgotten(url, clock, algorithm, during, before):
    """Tokens that are issued during the change need the new secret only."""
    tokens = during.sessions.refresh(before.refresh_token, CALLER)
    with service_at(url, clock=clock, algorithm=algorithm, secret=NEW) as after:
        assert principal_of(after, tokens.access_token).subject == tokens.user.id
        assert after.sessions.refresh(tokens.refresh_token, CALLER).session_id == before.session_id


def test_without_the_previous_secret_its_tokens_are_refused(url, clock):
    """Without `previous_secret`, tokens of the previous secret are refused."""
    with service_at(url, clock=clock) as service:
        before = register(service)
    with service_at(url, clock=clock, secret=NEW) as service:
        with pytest.raises(InvalidSignatureError):
            principal_of(service, before.access_token)
        with pytest.raises(InvalidTokenError):
            service.sessions.refresh(before.refresh_token, CALLER)


def test_a_third_secret_counts_for_nothing(url, clock):
    """Tokens of a third secret are refused."""
    with service_at(url, clock=clock, secret=THIRD) as service:
        foreign = register(service)
    with service_at(url, clock=clock, secret=NEW, previous_secret=SECRET) as service:
        with pytest.raises(InvalidSignatureError):
            principal_of(service, foreign.access_token)
        with pytest.raises(InvalidTokenError):
            service.sessions.refresh(foreign.refresh_token, CALLER)


def test_signing_keys_are_encrypted_anew(url, clock):
    """The change keeps the key set, and encrypts the signing keys with the new secret."""
    with service_at(url, clock=clock, algorithm="ES256") as service:
        before = register(service)
        kids = [key["kid"] for key in service.keys.public_keys(clock())]
    with service_at(url, clock=clock, algorithm="ES256", secret=NEW, previous_secret=SECRET) as service:
        assert [key["kid"] for key in service.keys.public_keys(clock())] == kids
    with service_at(url, clock=clock, algorithm="ES256", secret=NEW) as service:
        assert principal_of(service, before.access_token).key_id == kids[0]
        with service.database.read() as connection:
            encrypted = connection.execute(select(signing_keys.c.encrypted_key)).scalar_one()
    derive_fernet(NEW, "signing keys").decrypt(encrypted)


def test_no_secret_before_is_no_empty_secret(url, clock):
    """Without a previous secret, a signing key that is encrypted with an empty secret is refused."""
    with service_at(url, clock=clock, algorithm="ES256") as service:
        register(service)
        with service.database.write() as connection:
            row = connection.execute(select(signing_keys.c.encrypted_key)).scalar_one()
            pem = derive_fernet(SECRET, "signing keys").decrypt(row)
            forged = derive_fernet("", "signing keys").encrypt(pem).decode()
            connection.execute(signing_keys.update().values(encrypted_key=forged))
    with (
        service_at(url, clock=clock, algorithm="ES256") as service,
        pytest.raises(ConfigurationError, match="secret"),
    ):
        service.keys.current(clock())


def test_previous_secret_is_checked_and_hidden(url):
    """The previous secret must be strong and differ from the secret, and is not in the repr of settings."""
    with pytest.raises(ConfigurationError, match="previous_secret must .* 32 random"):
        settings(url, previous_secret="short")
    with pytest.raises(ConfigurationError, match="previous_secret"):
        settings(url, previous_secret=SECRET)
    assert NEW not in repr(settings(url, previous_secret=NEW))


@pytest.mark.parametrize("around", ['"{}"', "{} # of 2025", "{}\n"], ids=["quotes", "comment", "line break"])
def test_a_previous_secret_may_have_more_than_the_secret(url, clock, around):
    """Tokens of a secret in quotes, or with a comment or a line break, are accepted during the change."""
    previous = around.format(SECRET)
    old = settings(url, secret=NEW, previous_secret=previous)
    with service_at(url, clock=clock, secret=NEW, previous_secret=previous) as service:
        assert service.settings.secrets == old.secrets
        assert principal_of(service, register(service).access_token).issuer == ISSUER
