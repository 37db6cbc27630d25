"""The settings of API keys."""

from typing import Any

import pytest

from authguard.errors import ConfigurationError
from authguard.identity import Settings
from authguard.identity.model import KEY_EVENTS
from authguard.identity.tiers import DEFAULT_TIERS, Tier

GOOD: dict[str, Any] = {"secret": "t3st-0nly-Secret-of-enough-bytes-5Kp2", "issuer": "https://a.example"}
TIERS = {**DEFAULT_TIERS, "free": Tier(20, 2_000), "gold": Tier(7, 70)}


def test_the_defaults_are_those_of_the_documents() -> None:
    """By default keys live 90 days, with 10 requests a minute and 1,000 a day."""
    settings = Settings(**GOOD)
    assert settings.api_key_lifetime == 90 * 86_400
    assert (settings.api_key_tier, settings.api_key_tiers["free"]) == ("free", Tier(10, 1_000))
    assert list(settings.api_key_tiers) == ["free", "basic", "pro", "enterprise"]
    assert settings.key_prefixes == ("sk_live_", "sk_test_", "claw_", "ak_")


@pytest.mark.parametrize(
    "given",
    [
        {"free": Tier(20, 2_000), "gold": Tier(7, 70)},
        {"free": "20/2000", "gold": " 7 / 70 "},
        {"free": {"per_minute": 20, "per_day": 2_000}, "gold": "7/70"},
    ],
    ids=["objects", "texts", "a table"],
)
def test_tiers_in_a_program(given: dict[str, Any]) -> None:
    """Tiers are accepted as objects, texts and tables, and tiers that are not named keep their values."""
    assert Settings(**GOOD, api_key_tiers=given).api_key_tiers == TIERS


def test_lists_and_tiers_in_the_environment() -> None:
    """Lists and tiers in the environment are separated by commas."""
    variables = {
        "AUTHGUARD_SECRET": GOOD["secret"],
        "AUTHGUARD_ISSUER": GOOD["issuer"],
        "AUTHGUARD_API_KEY_TIERS": "free=20/2000, gold=7/70",
        "AUTHGUARD_API_KEY_PREFIXES": "acme_live_, acme_test_",
        "AUTHGUARD_API_KEY_SCOPES": "invoices:read",
        "AUTHGUARD_ADMIN_ROLES": "ROOT,ADMIN",
        "AUTHGUARD_API_KEYS_MANAGE_KEYS": "false",
    }
    settings = Settings.from_env(variables)
    assert settings.api_key_tiers == TIERS
    assert settings.key_prefixes[-2:] == ("acme_live_", "acme_test_")
    assert settings.api_key_scopes == ("invoices:read",)
    assert settings.admin_roles == ("ROOT", "ADMIN")
    assert not settings.api_keys_manage_keys


def test_tiers_in_a_file(tmp_path: Any) -> None:
    """Tiers in a file are read from a table."""
    path = tmp_path / "authguard.toml"
    lines = [f'secret = "{GOOD["secret"]}"', f'issuer = "{GOOD["issuer"]}"', "[api_key_tiers]"]
    path.write_text("\n".join([*lines, 'free = "20/2000"', "gold = { per_minute = 7, per_day = 70 }"]))
    assert Settings.from_toml(str(path)).api_key_tiers == TIERS


WRONG = {
    "api_key_tiers": [
        {"free": "10"},
        {"free": "0/10"},
        {"free": 10},
        {"a b": "1/1"},
        {"": "1/1"},
        {"free": None},
    ],
    "api_key_tier": ["gold", ""],
    "api_key_prefixes": [["sk_live_x_"], ["claw_"[:3] + "_w_", "cla_"], ["ak_ak_"], ["-_"], ["x"]],
    "api_key_check_secret": ["short", 7],
    "api_key_scopes": [["admin"], ["a b"], ["x" * 65], "read"],
    "admin_roles": ["ADMIN", [""], [7]],
    "api_key_lifetime": [0, 3_599, 3_651 * 86_400, "90"],
}


@pytest.mark.parametrize(
    ("option", "index"), [(option, index) for option, values in WRONG.items() for index in range(len(values))]
)
def test_a_wrong_setting_is_named(option: str, index: int) -> None:
    """A wrong setting is refused by its name, and a secret is not shown."""
    value = WRONG[option][index]  # type: ignore[index]
    name = "tier" if option == "api_key_tiers" else option
    with pytest.raises(ConfigurationError, match=name) as error:
        Settings(**GOOD, **{option: value})
    if option == "api_key_check_secret":
        assert "short" not in str(error.value)


def test_tiers_that_are_named_twice_are_refused() -> None:
    """A tier that a variable names twice, and one without limits, are refused."""
    variables = {"AUTHGUARD_SECRET": GOOD["secret"], "AUTHGUARD_ISSUER": GOOD["issuer"]}
    for text in ("free=1/1,free=2/2", "free"):
        with pytest.raises(ConfigurationError, match="AUTHGUARD_API_KEY_TIERS"):
            Settings.from_env({**variables, "AUTHGUARD_API_KEY_TIERS": text})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"secret_scanning": True, "api_keys": False}, "secret_scanning must be False where api_keys is"),
        ({"secret_scanning": "yes"}, "secret_scanning must be True or False"),
        (
            {"secret_scanning_keys_url": "http://api.github.com/keys"},
            "secret_scanning_keys_url must be https",
        ),
        ({"secret_scanning_keys_url": ""}, "secret_scanning_keys_url must be a URL"),
        (
            {"secret_scanning_keys_url": "https://u:p@api.github.com/"},
            "secret_scanning_keys_url must have no user",
        ),
        ({"secret_scanning_token": "ghp_ a"}, "secret_scanning_token must be text of printable ASCII"),
        ({"secret_scanning_token": "ghp_a\r\nX: y"}, "secret_scanning_token must be text of printable ASCII"),
        ({"secret_scanning_token": "/run/secrets/token"}, "secret_scanning_token must"),
    ],
)
def test_settings_of_secret_scanning_that_cannot_be_meant(given: dict[str, Any], says: str) -> None:
    """Settings of secret scanning that contradict each other or are malformed are refused by name."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        Settings(**GOOD, **given)
    assert "ghp_" not in str(caught.value)


def test_secret_scanning_in_the_environment() -> None:
    """Secret scanning is off by default, asks GitHub for its keys, and shows its token in no repr."""
    variables = {"AUTHGUARD_SECRET": GOOD["secret"], "AUTHGUARD_ISSUER": GOOD["issuer"]}
    settings = Settings.from_env(variables)
    assert not settings.secret_scanning
    assert settings.secret_scanning_keys_url == "https://api.github.com/meta/public_keys/secret_scanning"
    variables["AUTHGUARD_SECRET_SCANNING"] = "true"
    variables["AUTHGUARD_SECRET_SCANNING_TOKEN"] = "ghp_t0ken-for-the-list"
    settings = Settings.from_env(variables)
    assert settings.secret_scanning and settings.secret_scanning_token == "ghp_t0ken-for-the-list"
    assert "ghp_" not in repr(settings)


def test_mails_about_keys_are_chosen() -> None:
    """Mails about keys are of all kinds by default, and can be chosen by a list, which may be empty."""
    assert Settings(**GOOD).api_key_mails == KEY_EVENTS
    assert Settings(**GOOD, api_key_mails=["expiring"]).api_key_mails == ("expiring",)
    variables = {f"AUTHGUARD_{name.upper()}": text for name, text in GOOD.items()}
    for text, given in (("expiring, revoked", ("expiring", "revoked")), ("", ())):
        assert Settings.from_env({**variables, "AUTHGUARD_API_KEY_MAILS": text}).api_key_mails == given


@pytest.mark.parametrize("given", ["expiring", ["exposed!"], [1], [["expiring"]], None, {"expiring": True}])
def test_wrong_mails_about_keys_are_refused(given: Any) -> None:
    """A wrong list of mails about keys is refused, and the error names the setting and its values."""
    with pytest.raises(ConfigurationError, match="api_key_mails must be") as refused:
        Settings(**GOOD, api_key_mails=given)
    assert "expiring" in str(refused.value)


@pytest.mark.parametrize("given", [-1, 86_401, "60", 1.5, True])
def test_a_wrong_interval_is_refused(given: Any) -> None:
    """An interval of notices that is not a whole number from 0 to 86,400 is refused."""
    with pytest.raises(ConfigurationError, match="api_key_notice_interval must be"):
        Settings(**GOOD, api_key_notice_interval=given)
    assert Settings(**GOOD, api_key_notice_interval=0).api_key_notice_interval == 0
