"""Signing keys: encrypted in the database, rotated with an overlap, the same for all processes."""

import pytest
from sqlalchemy import func, select

from authguard._core.model import Credential
from authguard.errors import ConfigurationError, ExpiredTokenError, InvalidSignatureError
from authguard.identity.storage.schema import signing_keys
from authguard.identity.tokens.signing import MAX_KEYS
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
    """The first signing key is made at the first token, and signs at once."""
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


def test_the_first_key_signs_for_requests_that_began_before_it(signing, url, clock):
    """The first key signs requests that began before it was made, in one process or in two."""
    kid = signing.keys.current(clock() + 0.1).kid
    assert signing.keys.current(clock()).kid == kid
    with service_at(url, clock=clock, algorithm="ES256") as other:
        assert other.keys.current(clock()).kid == kid


def test_keys_are_read_again_when_the_clock_was_set_back(signing, url, clock):
    """Keys are read again after the clock was set back, so that keys of other processes are known."""
    register(signing)
    clock.go_on(-DAY)
    with service_at(url, clock=clock, algorithm="ES256") as other:
        other.keys.rotate(clock())
        other.keys.rotate(clock())
    assert len(kids(signing)) == 3


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_a_token_of_a_machine_whose_clock_is_ahead_is_good(url, clock, algorithm):
    """A token from a clock that is half a minute ahead is accepted, and not for a longer time."""
    with service_at(url, clock=clock, algorithm=algorithm) as service:
        clock.go_on(30)
        token = Credential(register(service).access_token, "bearer")
        clock.go_on(-30)
        assert judge(service.own_tokens, token, clock()).principal.subject
        with pytest.raises(ExpiredTokenError):
            judge(service.own_tokens, token, clock() - 1)
        with pytest.raises(ExpiredTokenError):
            judge(service.own_tokens, token, clock() + 30 + service.settings.access_lifetime)


@pytest.mark.slow
def test_rotations_without_end_leave_a_set_that_guards_take(signing, clock):
    """More than 32 keys are refused, until tokens of old keys have expired."""
    signing.keys.current(clock())
    for _ in range(MAX_KEYS - 1):
        signing.keys.rotate(clock())
    with pytest.raises(ConfigurationError, match="at most 32"):
        signing.keys.rotate(clock())
    assert len(kids(signing)) == MAX_KEYS
    clock.go_on(DAY)
    signing.keys.rotate(clock())
    assert len(kids(signing)) == 2


def test_key_is_encrypted_at_rest(signing):
    """The row of a signing key has no private key in plain text."""
    register(signing)
    with signing.database.read() as connection:
        row = connection.execute(select(signing_keys)).first()
    assert "PRIVATE KEY" not in str(row)
    assert '"d"' not in row.public_jwk


def test_key_of_another_secret_cannot_be_read(signing, url, clock):
    """A signing key of another secret is an error that names the secret."""
    register(signing)
    with (
        service_at(url, clock=clock, algorithm="ES256", secret=SECRET[::-1]) as other,
        pytest.raises(ConfigurationError, match="secret"),
    ):
        other.keys.current(clock())


def test_new_key_is_published_before_it_signs(signing, clock):
    """After a rotation the old key signs for ten more minutes, while guards fetch the new one."""
    first = signing.keys.current(clock()).kid
    signing.keys.rotate(clock())
    assert len(kids(signing)) == 2
    assert signing.keys.current(clock()).kid == first
    clock.go_on(600)
    assert signing.keys.current(clock()).kid == kids(signing)[1]


def test_tokens_of_the_old_key_stay_good(signing, clock):
    """A token of the old key is verified until it expires, and then the key is deleted."""
    tokens = register(signing)
    first = kids(signing)[0]
    signing.keys.rotate(clock())
    clock.go_on(28_000)
    assert principal_of(signing, tokens.access_token)
    clock.go_on(DAY)
    signing.keys.rotate(clock())
    assert first not in kids(signing)


def test_key_is_rotated_when_it_is_old(signing, clock):
    """After 90 days a new key signs, without an act of an operator."""
    first = signing.keys.current(clock()).kid
    clock.go_on(90 * DAY - 600)
    assert signing.keys.current(clock()).kid == first
    clock.go_on(600)
    assert signing.keys.current(clock()).kid != first


def test_another_process_learns_of_a_new_key(signing, url, clock):
    """A token of a key that another process has just made is verified."""
    with service_at(url, clock=clock, algorithm="ES256") as other:
        other.keys.current(clock())
        signing.keys.rotate(clock())
        clock.go_on(600)
        tokens = register(signing)
        assert not other.keys.knows(signing.keys.current(clock()).kid)
        assert principal_of(other, tokens.access_token).subject == tokens.user.id


def test_unknown_key_is_refused(signing, clock):
    """A token of an unknown key is refused."""
    tokens = register(signing)
    with signing.database.write() as connection:
        connection.execute(signing_keys.delete())
    clock.go_on(2)
    signing.keys.rotate(clock())
    signing.keys._keys = signing.keys._keys[-1:]
    with pytest.raises(InvalidSignatureError):
        judge(signing.own_tokens, Credential(tokens.access_token, "bearer"), clock())


def test_secret_has_no_keys_to_rotate(service, clock):
    """The rotation of keys with HS256 is refused, because it signs with the secret."""
    with pytest.raises(ConfigurationError, match="HS256"):
        service.keys.rotate(clock())
    assert service.keys.public_keys(clock()) == []


__all__ = ["CALLER", "func"]
