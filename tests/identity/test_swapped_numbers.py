"""Limits and tiers whose two numbers are probably swapped: a WARNING for limits, an error for tiers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from authguard.errors import ConfigurationError
from authguard.identity import IdentityService, Settings, Tier, tier_quotas
from authguard.identity.limits import DEFAULT_LIMITS, Limiter
from identity.support import SECRET, Postbox

VARIABLES = {"AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": "https://a.example"}


@pytest.fixture
def lines_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Return a function that returns the WARNINGs of a service with limits."""

    def build(limits: str, limiter: Limiter | None = None) -> list[str]:
        given = {"AUTHGUARD_LIMITS": limits, "AUTHGUARD_DATABASE": f"sqlite:///{tmp_path}/authguard.db"}
        IdentityService(Settings.from_env(VARIABLES | given), mailer=Postbox(), limiter=limiter).close()
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    return build


@pytest.mark.parametrize("name", [name for name in DEFAULT_LIMITS if name != "secret_address"])
def test_a_swapped_limit_is_noted(lines_about: Callable[..., list[str]], name: str) -> None:
    """A limit with seconds before the count causes one WARNING with the form and the default."""
    default = DEFAULT_LIMITS[name]
    (line,) = lines_about(f"{name}={default.seconds}/{default.count}")
    assert line == (
        f"the limit {name} allows {default.seconds} in {default.count} seconds: "
        f"the form is COUNT/SECONDS, such as {default.count}/{default.seconds}"
    )


def test_each_swapped_limit_is_noted(lines_about: Callable[..., list[str]]) -> None:
    """Each of several swapped limits causes a WARNING, and the limit beside them causes none."""
    lines = lines_about("login=900/20,mail=5/900,login_account=3600/30")
    assert [line.partition(" allows")[0] for line in lines] == ["the limit login", "the limit login_account"]


@pytest.mark.parametrize("limits", ["login=20/900", "login=500/900", "login=1/60", "login_address=5000/900"])
def test_a_generous_limit_is_not_noted(lines_about: Callable[..., list[str]], limits: str) -> None:
    """A limit of up to fifty times the default causes no WARNING."""
    assert lines_about(limits) == []


def test_a_limit_that_is_not_used_is_not_noted(lines_about: Callable[..., list[str]]) -> None:
    """A service with a limiter of its own does not use the setting, and logs no WARNING about it."""
    assert lines_about("login=900/20", Limiter()) == []


@pytest.mark.parametrize("value", ["1000/10", Tier(1000, 10), {"per_minute": 1000, "per_day": 10}])
def test_a_swapped_tier_is_refused(value: object) -> None:
    """A tier that allows more requests a minute than a day is refused in each of its forms."""
    says = "^the tier free must not allow more requests a minute than a day, got 1000 a minute and 10 a day"
    with pytest.raises(ConfigurationError, match=says):
        Settings(secret=SECRET, issuer="https://a.example", api_key_tiers={"free": value})
    with pytest.raises(ConfigurationError, match=says):
        tier_quotas({"free": value})


def test_a_swapped_tier_in_a_variable_is_refused() -> None:
    """A swapped tier in a variable is refused, and one with two equal numbers is accepted."""
    with pytest.raises(ConfigurationError, match="the tier free must not allow more requests a minute"):
        Settings.from_env(VARIABLES | {"AUTHGUARD_API_KEY_TIERS": "pro=600/100000,free=1000/10"})
    settings = Settings.from_env(VARIABLES | {"AUTHGUARD_API_KEY_TIERS": "free=10/10"})
    assert settings.api_key_tiers["free"] == Tier(10, 10)
