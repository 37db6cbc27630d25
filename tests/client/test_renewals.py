"""`BearerAuth` and a 401: a new token is obtained only if it can help."""

import httpx
import pytest

from authguard.client.challenges import is_about_token
from identity.support import CALLER, PASSWORD

from .test_client import BOTH, EMAIL, either, world

__all__ = ["world"]  # a fixture

PATH, REFRESH, LOGIN = "/v1/users/me", "/v1/auth/refresh", "/v1/auth/login"

ABOUT_TOKEN = [
    (),
    ("",),
    ("Bearer",),
    ('Bearer realm="a"',),
    ('Bearer error="invalid_token"',),
    ('bearer realm="a, b", ERROR="invalid_token", error_description="it has expired"',),
    ("Bearer error=invalid_token",),
    ('Bearer error = "invalid_token"',),
    ('Basic realm="a"',),
    ('DPoP error="use_dpop_nonce", Bearer realm="a"',),
    ('Bearer realm="a", DPoP error="invalid_dpop_proof"',),
    ("Negotiate YWJj==", 'Bearer error="invalid_token"'),
    ('Bearer error="insufficient_scope"', 'Bearer error="invalid_token"'),
    ('Bearer realm="error=\\"insufficient_scope\\""',),
    ('Bearer error_description="error=insufficient_scope"',),
    ('Bearer realm="',),
    ("=,=,,",),
]
OTHER_REASONS = [
    ('Bearer error="insufficient_user_authentication", max_age="300"',),
    ('Bearer realm="a", error="insufficient_user_authentication", acr_values="high"',),
    ('Bearer error="insufficient_scope", scope="a b"',),
    ('Bearer error="invalid_request"',),
    ("Bearer error=insufficient_scope",),
    ('Basic realm="a", Bearer realm="b, c", error="insufficient_scope"',),
    ("Negotiate YWJj==, Bearer scope=a, error=insufficient_scope",),
    ('Basic realm="a"', 'bEARER ERROR="insufficient_scope"'),
    ('Bearer error="insufficient_scope", DPoP error="invalid_token"',),
]


def challenged(*fields):
    """Return a 401 with these challenges."""
    return httpx.Response(401, headers=[("WWW-Authenticate", field) for field in fields])


@pytest.mark.parametrize("fields", ABOUT_TOKEN)
def test_a_401_may_be_about_the_token(fields):
    """A 401 without an error of Bearer, or with `invalid_token`, may be about the token."""
    assert is_about_token(challenged(*fields))


@pytest.mark.parametrize("fields", OTHER_REASONS)
def test_a_401_has_another_reason(fields):
    """A 401 with another error of Bearer is not about the token."""
    assert not is_about_token(challenged(*fields))


@BOTH
@pytest.mark.parametrize("fields", OTHER_REASONS[:3])
def test_a_401_for_another_reason_is_the_answer(world, asynchronous, fields):
    """A 401 for another reason is returned without a second try and without a new token."""
    world.recorder.answers[PATH] = (401, {"www-authenticate": fields[0]})
    assert {either(world, asynchronous).status_code for _ in range(3)} == {401}
    counts = [world.recorder.count(path) for path in (PATH, LOGIN, REFRESH)]
    assert counts == [3, 1, 0]


@BOTH
@pytest.mark.parametrize("fields", [{}, {"www-authenticate": 'Bearer error="invalid_token"'}])
def test_a_path_that_refuses_every_token_causes_one_renewal_a_minute(world, asynchronous, fields):
    """A path that answers 401 to each token causes one renewal a minute, and no login."""
    world.recorder.answers[PATH] = (401, fields)
    for _ in range(10):
        assert either(world, asynchronous).status_code == 401
    assert world.recorder.count(REFRESH) == 1
    world.clock.go_on(59)
    either(world, asynchronous)
    assert world.recorder.count(REFRESH) == 1
    world.clock.go_on(1)
    either(world, asynchronous)
    assert (world.recorder.count(REFRESH), world.recorder.count(LOGIN)) == (2, 1)


@BOTH
def test_an_old_token_is_replaced_by_the_current_one_at_once(world, asynchronous):
    """An old token that is refused is replaced by the current one, even if that was refused as well."""
    either(world, asynchronous)
    old = world.auth._session.current(None)
    world.recorder.answers[PATH] = [(401, {}), (401, {})]
    assert either(world, asynchronous).status_code == 401
    session = world.auth._session
    assert session.can_replace(old) and not session.can_replace(session.current(None))


@BOTH
def test_renewals_that_help_are_not_limited(world, asynchronous):
    """Sessions that end one after another cause a login each, without a pause."""
    either(world, asynchronous)
    for count in range(2, 5):
        tokens = world.service.accounts.login(EMAIL, PASSWORD, CALLER)
        token = {"Authorization": f"Bearer {tokens.access_token}"}
        assert httpx.post(world.base + "/auth/logout-all", headers=token).status_code == 200
        assert either(world, asynchronous).status_code == 200
        assert world.recorder.count(LOGIN) == count
