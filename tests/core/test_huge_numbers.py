"""Numbers that are too large for a float, and text that UTF-8 cannot encode."""

from math import inf

import pytest

from authguard import APIKey, APIKeyVerifier, ConfigurationError, DPoP
from authguard._core.options import check_moment, check_seconds, check_whole_seconds
from authguard._core.options.clocks import check_clock
from authguard.identity import Settings
from support import SECRET

HUGE = [10**309, 10**400, -(10**400), 10**4000]


@pytest.mark.parametrize("number", HUGE, ids=range(len(HUGE)))
@pytest.mark.parametrize("most", [60, inf])
def test_a_duration_that_no_float_can_hold_is_refused(number, most):
    """The error has no digits of such a number, and no OverflowError comes."""
    with pytest.raises(ConfigurationError, match="timeout must be .* seconds, got int"):
        check_seconds(number, "timeout", most)
    with pytest.raises(ConfigurationError, match="timeout must be .* seconds"):
        check_seconds(number, "timeout", most, least=-inf)
    with pytest.raises(ConfigurationError, match="timeout must be a whole number of seconds"):
        check_whole_seconds(number, "timeout", 60)


def test_a_moment_that_no_float_can_hold_is_never():
    """Such a moment is after all dates, which is never where that is allowed."""
    for number in (10**309, 10**400):
        assert check_moment(number, "expires_at", infinite=True) == inf
        with pytest.raises(ConfigurationError, match="expires_at must be seconds"):
            check_moment(number, "expires_at")
    assert check_moment(10**20, "expires_at", infinite=True) == 10**20
    with pytest.raises(ConfigurationError, match="must be seconds since the epoch"):
        APIKeyVerifier({"sk_live_0123456789abcdef": APIKey("robot", expires_at=10**400)})


def test_a_clock_with_such_a_reading_is_refused():
    """A clock must return a number that a float can hold."""
    with pytest.raises(ConfigurationError, match="clock must return seconds, got int"):
        check_clock(lambda: 10**400)


@pytest.mark.parametrize("secret", ["\ud800", "\ud800" * 40, "x" * 40 + "\udcff", "\udfff" + "y7Kq" * 12])
def test_a_nonce_secret_that_cannot_be_encoded_is_refused(secret):
    """A text with a surrogate, as of a variable in another encoding, is an error without the text."""
    with pytest.raises(ConfigurationError, match="nonce_secret must be Unicode, or bytes") as raised:
        DPoP("https://api.example", nonce_secret=secret)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("name", ["SESSION_LIFETIME", "ACCESS_LIFETIME", "API_KEY_LIFETIME"])
@pytest.mark.parametrize("text", ["1" + "0" * 400, "9" * 5000, " " + "9" * 5000, "1" + "0" * 400 + "d"])
def test_a_setting_of_thousands_of_digits_is_refused(name, text):
    """Python reads no number of so many digits; the error names the variable."""
    with pytest.raises(ConfigurationError, match=f"AUTHGUARD_{name} must be a whole number of seconds"):
        _settings(name, text)


def test_a_setting_may_have_leading_zeros():
    """Zeros before a number do not change it."""
    assert _settings("ACCESS_LIFETIME", "0" * 200 + "600").access_lifetime == 600


def _settings(name, text):
    required = {"AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": "https://auth.example"}
    return Settings.from_env({**required, f"AUTHGUARD_{name}": text})
