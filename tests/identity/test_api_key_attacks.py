"""Attacks on API keys by callers with a current or former secret."""

import pytest

from authguard import Credential, Principal
from authguard.errors import InsufficientScopeError, InvalidTokenError, RateLimitedError
from authguard.identity import IdentityService, SocialIdentity
from authguard.identity.errors import InvalidFieldsError, OAuthError
from authguard.identity.limits import Limit
from authguard.identity.model import ROTATE_SELF
from authguard.identity.usecases.api_key_fields import MAX_DEPTH
from identity.api_key_support import create, owner, verify
from identity.people import EMAIL, NEW
from identity.support import CALLER, GENEROUS, PASSWORD, Clock, Postbox, service_at
from identity.test_sessions import principal_of
from support import judge

pytestmark = pytest.mark.slow_on_postgresql

DAY = 86_400


def rotate(service: IdentityService, principal: Principal, key_id: str, grace_seconds: int = 0) -> None:
    """Replace the secret of a key."""
    service.api_keys.rotate(principal, key_id, CALLER, grace_seconds=grace_seconds)


# Requests that were verified before a rotation, and whose body came after it


def test_a_secret_that_was_replaced_meanwhile_makes_no_key(service: IdentityService) -> None:
    """A request that was verified before the rotation of its key can create, rotate and revoke no key."""
    ann = owner(service)
    made = create(service, ann, name="leaked", scopes=["read", "write", ROTATE_SELF])
    held = verify(service, made.text)
    rotate(service, ann, made.key.id)
    with pytest.raises(InvalidTokenError):
        create(service, held, name="to stay")
    with pytest.raises(InvalidTokenError):
        rotate(service, held, made.key.id)
    with pytest.raises(InvalidTokenError):
        service.api_keys.revoke(held, made.key.id, CALLER)


def test_a_secret_that_ends_meanwhile_makes_no_key(service: IdentityService) -> None:
    """A request with a secret in its grace creates and rotates no key, because that outlives the grace."""
    ann = owner(service)
    made = create(service, ann, name="leaked", scopes=["read", "write", ROTATE_SELF])
    held = verify(service, made.text)
    rotate(service, ann, made.key.id, grace_seconds=DAY)
    with pytest.raises(InsufficientScopeError):
        create(service, held, name="to stay")
    with pytest.raises(InsufficientScopeError):
        rotate(service, held, made.key.id)
    assert len(service.api_keys.list(held)) == 1


def test_a_secret_whose_grace_is_over_meanwhile_lists_no_keys(service: IdentityService, clock: Clock) -> None:
    """A request whose secret expires before its body arrives cannot list keys."""
    ann = owner(service)
    made = create(service, ann, name="leaked")
    rotate(service, ann, made.key.id, grace_seconds=60)
    held = verify(service, made.text)
    clock.now += 60
    with pytest.raises(InvalidTokenError):
        service.api_keys.list(held)


# Limits of the owner


def test_keys_that_may_not_manage_keys_use_up_no_limit(url: str, clock: Clock) -> None:
    """A refused attempt of a key that cannot manage keys does not count against the limit of its owner."""
    with service_at(url, clock=clock, limits={**GENEROUS, "api_key": Limit(2, 3600)}) as service:
        ann = owner(service)
        made = create(service, ann, name="page", scopes=["read"])
        thief = verify(service, made.text)
        for _ in range(3):
            with pytest.raises(InsufficientScopeError):
                create(service, thief, name="mine")
            with pytest.raises(InsufficientScopeError):
                rotate(service, thief, made.key.id)
        rotate(service, ann, made.key.id)
        with pytest.raises(RateLimitedError):
            rotate(service, ann, made.key.id)


# Tokens of keys


def token_of(service: IdentityService, scopes: list[str], scope: str | None, role: str) -> Principal:
    """Return the principal of a token for a key with some scopes."""
    made = create(service, owner(service, role=role), name="pair", kind="claw", scopes=scopes)
    response = service.api_keys.issue_token(made.text, made.secret or "", scope, CALLER)
    credential = Credential(response["access_token"], "bearer")
    return judge(service.own_tokens, credential, service.clock()).principal


@pytest.mark.one_database
def test_a_token_without_admin_has_no_role_of_admins(service: IdentityService) -> None:
    """A token of an admin's key without the scope admin has no role of admins."""
    assert token_of(service, ["read", "admin"], "read", "ADMIN").roles == frozenset()


@pytest.mark.one_database
def test_a_token_with_admin_has_the_role_of_its_owner(service: IdentityService) -> None:
    """A token with the scope admin has the role of the key's owner."""
    assert token_of(service, ["read", "admin"], "admin", "ADMIN").roles == {"ADMIN"}


@pytest.mark.one_database
def test_a_token_of_a_key_has_its_tier(service: IdentityService) -> None:
    """A token of a key has the key's tier, so that the same limits apply."""
    assert token_of(service, ["read"], None, "USER").tier == "free"


@pytest.mark.one_database
def test_a_refused_token_does_not_begin_a_generation(service: IdentityService) -> None:
    """A refused request for a token is no first use, and the old secret remains valid."""
    ann = owner(service)
    made = create(service, ann, name="pair", kind="claw", networks=["192.0.2.0/24"])
    newer = service.api_keys.rotate(ann, made.key.id, CALLER, activate="first_use")
    with pytest.raises(OAuthError) as error:
        service.api_keys.issue_token(newer.text, newer.secret or "", None, CALLER)
    assert error.value.error == "unauthorized_client"
    assert verify(service, made.text).key_id == made.key.id


# Metadata


def nested(depth: int) -> dict[str, object]:
    """Return an object with nested lists."""
    inner: list[object] = []
    for _ in range(depth - 2):
        inner = [inner]
    return {"a": inner}


@pytest.mark.one_database
def test_deep_metadata_is_refused(service: IdentityService) -> None:
    """Metadata beyond the maximum depth is refused, because deep JSON could exhaust a reader's stack."""
    ann = owner(service)
    create(service, ann, name="deep", metadata=nested(MAX_DEPTH))
    with pytest.raises(InvalidFieldsError):
        create(service, ann, name="deeper", metadata=nested(MAX_DEPTH + 1))
    assert [key.name for key in service.api_keys.list(ann)] == ["deep"]


@pytest.mark.parametrize("is_proven", [False, True], ids=["registered by a stranger", "proven before"])
@pytest.mark.parametrize("how", ["provider", "reset"])
def test_keys_of_a_stranger_end_when_the_owner_takes_the_account_over(
    service: IdentityService, postbox: Postbox, how: str, is_proven: bool
) -> None:
    """Keys of an unproven registration end when the owner of the address proves it; proven keys remain."""
    user = service.accounts.create(EMAIL, PASSWORD, verified=is_proven)
    tokens = service.accounts.login(EMAIL, PASSWORD, CALLER)
    key = create(service, principal_of(service, tokens.access_token))
    if how == "provider":
        assert service.sign_in_with(SocialIdentity("op", "ann", EMAIL, True)).user.id == user.id
    else:
        service.links.request_password_reset(EMAIL, CALLER)
        assert service.outbox.flush()
        service.links.reset_password(postbox.token(), NEW, CALLER)
    if is_proven:
        assert verify(service, key.text).subject == user.id
    else:
        with pytest.raises(InvalidTokenError):
            verify(service, key.text)
