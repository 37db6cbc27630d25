"""Limits on network addresses, each of which counts one address and refuses no other."""

import pytest

from authguard.errors import RateLimitedError, RefusedError
from authguard.identity.errors import OAuthError
from authguard.identity.limits import Limit
from authguard.identity.model import Caller
from identity.support import ANN, GENEROUS, PASSWORD, service_at
from identity.test_sessions import principal_of, register

DAY = 86_400
HERE, ELSEWHERE = Caller("192.0.2.1", "tests"), Caller("198.51.100.7", "tests")
BOB = "bob@example.com"
NEW = "NewSecurePass456!"

#: Attempts by their flow, each with the limit that counts it.
ATTEMPTS = {
    "register": ("register_address", lambda s, me, by: s.accounts.register("bob", NEW, "", by)),
    "login": ("login_address", lambda s, me, by: s.accounts.count_sign_in(ANN["email"], by)),
    "login, an account": ("login", lambda s, me, by: s.accounts.count_sign_in(ANN["email"], by)),
    "change_password": ("login", lambda s, me, by: s.accounts.change_password(me, "wrong", NEW, by)),
    "delete": ("login", lambda s, me, by: s.deletion.delete(me, "wrong", by)),
    "ask_email_change": ("login", lambda s, me, by: s.address_changes.ask(me, BOB, "wrong", by)),
    "ask_email_change, mails": (
        "mail_address",
        lambda s, me, by: s.address_changes.ask(me, BOB, PASSWORD, by),
    ),
    "forgot_password": (
        "mail_address",
        lambda s, me, by: s.links.request_password_reset(BOB, by),
    ),
    "resend_verification": ("mail", lambda s, me, by: s.links.resend_verification(BOB, by)),
    "reset_password": ("secret_address", lambda s, me, by: s.links.reset_password("no", NEW, by)),
    "verify_email": ("secret_address", lambda s, me, by: s.links.confirm_email("no", by)),
    "change_email": ("secret_address", lambda s, me, by: s.address_changes.change("no", by)),
    "client": ("secret_address", lambda s, me, by: s.clients.authenticate("no", "no", by)),
    "authorize": ("authorize_address", lambda s, me, by: s.admit_to_provider(by)),
}


def is_limited(attempt, *given):
    """Make an attempt; return whether the limit refused it."""
    try:
        attempt(*given)
    except RateLimitedError:
        return True
    except (RefusedError, OAuthError):
        return False
    return False


@pytest.mark.one_database
@pytest.mark.parametrize("flow", ATTEMPTS)
def test_an_address_that_is_refused_keeps_no_other_one_out(url, flow):
    """An address beyond a limit is refused, and another address is not."""
    limit, attempt = ATTEMPTS[flow]
    with service_at(url, limits={**GENEROUS, limit: Limit(1, DAY)}) as service:
        me = principal_of(service, register(service).access_token)
        if limit == "register_address":  # counted already, for the address of the tests
            service.limiter.clear(limit, address=HERE.address)
        limited = [is_limited(attempt, service, me, by) for by in (HERE, HERE, ELSEWHERE, ELSEWHERE)]
        assert limited == [False, True, False, True]
