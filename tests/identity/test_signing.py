"""Signing keys: encrypted at rest, rotated with an overlap, the same for all processes."""

import pytest
from sqlalchemy import func, select

from authguard._core.model import Credential
from authguard.errors import ConfigurationError, InvalidSignatureError
from authguard.identity.storage.schema import signing_keys
from identity.support import CALLER, SECRET, service_at, together
from identity.test_sessions import principal_of, register
from support import judge

DAY = 86_400


@pytest.fixture
def signing(url, clock):
    with service_at(url, clock=clock, algorithm="ES256") as service:
        yield service


def kids(service):
    return [key["kid"] for key in service.keys.public_keys(service.clock())]


def test_first_key_is_made_when_it_is_needed(signing):
    """There is one key, and it signs at once."""
    tokens = register(signing)
    assert len(kids(signing)) == 1
    assert principal_of(signing, tokens.access_token).key_id == kids(signing)[0]


def test_processes_that_start_together_make_one_key(url, clock):
    """Five services that sign their first token at the same time share one key."""

    def start(_):
        with service_at(url, clock=clock, algorithm="ES256") as service:
            return service.keys.current(clock()).kid

    assert len(set(together(5, start))) == 1
    with service_at(url, clock=clock, algorithm="ES256") as service:
        assert len(kids(service)) == 1


def test_key_is_encrypted_at_rest(signing):
    """The row holds no private key in clear."""
    register(signing)
    with signing.database.read() as connection:
        row = connection.execute(select(signing_keys)).first()
    assert "PRIVATE KEY" not in str(row)
    assert '"d"' not in row.public_jwk


def test_key_of_another_secret_cannot_be_read(signing, url, clock):
    """With another secret the service says what is wrong."""
    register(signing)
    with (
        service_at(url, clock=clock, algorithm="ES256", secret=SECRET[::-1]) as other,
        pytest.raises(ConfigurationError, match="secret"),
    ):
        other.keys.current(clock())


def test_new_key_is_published_before_it_signs(signing, clock):
    """After a rotation, the old key signs for ten minutes more, while guards fetch the new one."""
    first = signing.keys.current(clock()).kid
    signing.keys.rotate(clock())
    assert len(kids(signing)) == 2
    assert signing.keys.current(clock()).kid == first
    clock.go_on(600)
    assert signing.keys.current(clock()).kid == kids(signing)[1]


def test_tokens_of_the_old_key_stay_good(signing, clock):
    """A token that the old key has signed is verified until it expires; then the key goes."""
    tokens = register(signing)
    first = kids(signing)[0]
    signing.keys.rotate(clock())
    clock.go_on(28_000)
    assert principal_of(signing, tokens.access_token)
    clock.go_on(DAY)
    signing.keys.rotate(clock())
    assert first not in kids(signing)


def test_key_is_rotated_when_it_is_old(signing, clock):
    """After 90 days a new key signs, and nobody had to do anything."""
    first = signing.keys.current(clock()).kid
    clock.go_on(90 * DAY - 600)
    assert signing.keys.current(clock()).kid == first
    clock.go_on(600)
    assert signing.keys.current(clock()).kid != first


def test_another_process_learns_of_a_new_key(signing, url, clock):
    """A token signed by a key that another process has just made is verified."""
    with service_at(url, clock=clock, algorithm="ES256") as other:
        other.keys.current(clock())
        signing.keys.rotate(clock())
        clock.go_on(600)
        tokens = register(signing)
        assert not other.keys.knows(signing.keys.current(clock()).kid)
        assert principal_of(other, tokens.access_token).subject == tokens.user.id


def test_unknown_key_is_refused(signing, clock):
    """A token of a key that nobody has made is refused, and costs at most one look a second."""
    tokens = register(signing)
    with signing.database.write() as connection:
        connection.execute(signing_keys.delete())
    clock.go_on(2)
    signing.keys.rotate(clock())
    signing.keys._keys = signing.keys._keys[-1:]
    with pytest.raises(InvalidSignatureError):
        judge(signing.own_tokens, Credential(tokens.access_token, "bearer"), clock())


def test_secret_has_no_keys_to_rotate(service, clock):
    """HS256 signs with the secret, and says so."""
    with pytest.raises(ConfigurationError, match="HS256"):
        service.keys.rotate(clock())
    assert service.keys.public_keys(clock()) == []


__all__ = ["CALLER", "func"]
