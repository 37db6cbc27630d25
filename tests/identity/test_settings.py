"""Settings: checked when they are built, from the environment or a file, each of them documented."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from authguard.errors import ConfigurationError, RateLimitedError
from authguard.identity import IdentityService, Settings
from authguard.identity.limits import DEFAULT_LIMITS, Limit
from identity.support import SECRET

GOOD = {"secret": SECRET, "issuer": "https://auth.example.com"}
VARIABLES = {"AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": "https://a.example"}
DOCS = Path(__file__).parents[2] / "docs" / "identity.md"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("secret", "short"),
        ("secret", "changeme-changeme-changeme-changeme-12"),
        ("issuer", "auth.example.com"),
        ("issuer", "http://auth.example.com"),
        ("issuer", "https://auth.example.com?x"),
        ("issuer", "https://user@auth.example.com"),
        ("issuer", "https://auth.example.com//"),
        ("issuer", "https://auth.example.com/id//x"),
        ("audience", ""),
        ("database", "mysql://localhost/x"),
        ("algorithm", "none"),
        ("algorithm", "HS512"),
        ("access_lifetime", 0),
        ("access_lifetime", True),
        ("access_lifetime", 31 * 86_400),
        ("refresh_grace", 301),
        ("api_key_lifetime", 90),  # days, in other programs
        ("refresh_lifetime", 400 * 86_400),
        ("signing_key_lifetime", 3_600),
        ("prefixes", "/v1"),
        ("prefixes", []),
        ("prefixes", ["v1"]),
        ("default_role", ""),
        ("dev", "yes"),
        ("smtp_url", "smtp://127.0.0.1"),
        ("cookie_name", "a b"),
        ("worker_threads", 0),
    ],
)
def test_setting_is_checked(name, value):
    """A setting that is out of range, malformed or of another type is refused."""
    with pytest.raises(ConfigurationError):
        Settings(**GOOD | {name: value})


@pytest.mark.parametrize(
    "settings",
    [{"default_role": "ADMIN"}, {"admin_roles": ["USER"]}, {"default_role": "A", "admin_roles": ["B", "A"]}],
)
def test_new_accounts_are_no_administrators(settings):
    """A default role that is a role of admins is refused, because each new account could make admin keys."""
    with pytest.raises(
        ConfigurationError, match=r"^default_role and admin_roles must have no role in common.*set-role"
    ):
        Settings(**GOOD | settings)


def test_the_role_of_everybody_in_the_roles_of_admins_names_the_variables():
    """The error about the default role as a role of admins names both settings, and takes it out of one."""
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_env(VARIABLES | {"AUTHGUARD_ADMIN_ROLES": "USER"})
    assert str(refused.value).startswith("default_role and AUTHGUARD_ADMIN_ROLES must have no role in common")
    assert "got 'USER' (str) in both: take it out of admin_roles, or write another default_role" in str(
        refused.value
    )


@pytest.mark.parametrize("settings", [{"default_role": "admin"}, {"admin_roles": []}])
def test_other_roles_may_be_those_of_new_accounts(settings):
    """The default role and the roles of admins are compared exactly."""
    assert Settings(**GOOD | settings)


def test_secrets_do_not_show():
    """The repr has neither the secret nor a URL that may have a password."""
    shown = repr(
        Settings(
            **GOOD, database="postgresql://u:hidden@h/d", smtp_url="smtps://u:hidden@h", mail_from="a@b.c"
        )
    )
    assert SECRET not in shown
    assert "hidden" not in shown


def test_environment():
    """Variables become text, numbers, flags and lists, and arguments take precedence."""
    environment = {
        "AUTHGUARD_SECRET": SECRET,
        "AUTHGUARD_ISSUER": "https://auth.example.com/",
        "AUTHGUARD_ACCESS_LIFETIME": "900",
        "AUTHGUARD_ENUMERATION_SAFE": "true",
        "AUTHGUARD_PREFIXES": "/a, /b",
        "AUTHGUARD_DATABASE": "sqlite:///x.db",
        "OTHER": "x",
    }
    result = Settings.from_env(environment, database="sqlite:///y.db")
    assert (result.access_lifetime, result.enumeration_safe, result.prefixes) == (900, True, ("/a", "/b"))
    assert (result.issuer, result.database) == ("https://auth.example.com", "sqlite:///y.db")


@pytest.mark.parametrize(
    ("name", "value"), [("NONSENSE", "x"), ("ACCESS_LIFETIME", "soon"), ("DEV", "perhaps")]
)
def test_environment_is_checked(name, value):
    """An unknown variable, and one that cannot be read, is an error that names it."""
    environment = {
        "AUTHGUARD_SECRET": SECRET,
        "AUTHGUARD_ISSUER": "https://a.example",
        f"AUTHGUARD_{name}": value,
    }
    with pytest.raises(ConfigurationError, match=f"AUTHGUARD_{name}"):
        Settings.from_env(environment)


def test_missing_settings_are_named():
    """The error about missing secret and issuer names the variables to set."""
    with pytest.raises(ConfigurationError, match="AUTHGUARD_SECRET and AUTHGUARD_ISSUER"):
        Settings.from_env({})


def test_file(tmp_path):
    """Settings of a TOML file are used, and variables take precedence."""
    path = tmp_path / "authguard.toml"
    path.write_text(f'secret = "{SECRET}"\nissuer = "https://a.example"\naccess_lifetime = 900\n')
    assert Settings.from_toml(str(path)).access_lifetime == 900
    environment = {"AUTHGUARD_CONFIG": str(path), "AUTHGUARD_ACCESS_LIFETIME": "600"}
    assert Settings.from_env(environment).access_lifetime == 600


@pytest.mark.parametrize("text", ["nonsense", "nonsense = 1", None])
def test_file_is_checked(tmp_path, text):
    """A file that is missing, is no TOML, or has an unknown setting is an error."""
    path = tmp_path / "authguard.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError):
        Settings.from_toml(str(path))


def test_the_error_of_a_file_names_the_line_and_no_value(tmp_path):
    """The error about invalid TOML names the line, and not the value, which may be a secret."""
    path = tmp_path / "authguard.toml"
    path.write_text('issuer = "https://auth.example.com"\nsecret = M4RKER-of-the-service\n')
    with pytest.raises(ConfigurationError, match=r"got .*: Invalid value \(at line 2, column 10\)") as raised:
        Settings.from_toml(str(path))
    assert "M4RKER" not in str(raised.value)


LIMITS = {"login": Limit(5, 60), "mail_address": Limit(7, 3600)}


@pytest.mark.parametrize("given", [
    LIMITS,
    {"login": "5/60", "mail_address": "7/3600"},
    {"login": {"count": 5, "seconds": 60}, "mail_address": " 7 / 3600 "},
])  # fmt: skip
def test_limits_in_a_program(given):
    """A limit is an object, a text or a table."""
    assert Settings(**GOOD, limits=given).limits == LIMITS


@pytest.mark.parametrize("text", [
    "login=5/60,mail_address=7/3600", " mail_address = 7/3600 ,\n login = 5/60 , ",
])  # fmt: skip
def test_limits_in_the_environment(text):
    """The variable of the limits has all of them, separated by commas."""
    assert Settings.from_env(VARIABLES | {"AUTHGUARD_LIMITS": text}).limits == LIMITS
    assert Settings.from_env(VARIABLES | {"AUTHGUARD_LIMITS": ""}).limits == {}


@pytest.mark.parametrize("text", [
    '[limits]\nlogin = "5/60"\nmail_address = "7/3600"\n',
    "[limits]\nlogin = { count = 5, seconds = 60 }\nmail_address = { count = 7, seconds = 3600 }\n",
])  # fmt: skip
def test_limits_in_a_file(tmp_path, text):
    """A file has the limits as a table."""
    path = tmp_path / "authguard.toml"
    path.write_text(f'secret = "{SECRET}"\nissuer = "https://a.example"\n{text}')
    assert Settings.from_toml(str(path)).limits == LIMITS


@pytest.mark.parametrize("given", [
    {"logins": "5/60"}, {"login": "5"}, {"login": "5/0"}, {"login": "0/5"}, {"login": "-5/60"},
    {"login": "5/60/60"}, {"login": 5}, {"login": (5, 60)}, {"login": {"count": 5}}, {"login": None},
    {"login": {"count": True, "seconds": 60}}, {"login": "a/b"}, {"login": "\u0665/60"},
    "login=5/60", ["login"], None,
])  # fmt: skip
def test_limits_are_checked(given):
    """An unknown name of a limit, and a value that is no limit, are refused."""
    with pytest.raises(ConfigurationError, match="limit"):
        Settings(**GOOD, limits=given)


@pytest.mark.parametrize(
    "text", ["login", "login:5/60", "login=5/60,login=6/60", "=5/60", "x=5/60", "login=5"]
)
def test_limits_in_the_environment_are_checked(text):
    """A variable of the limits that cannot be read is an error."""
    with pytest.raises(ConfigurationError, match="(?i)limit"):
        Settings.from_env(VARIABLES | {"AUTHGUARD_LIMITS": text})


@pytest.mark.parametrize("name", DEFAULT_LIMITS)
def test_every_limit_is_a_setting(tmp_path, name):
    """The service uses each limit of its settings."""
    service = IdentityService(
        Settings(**GOOD, database=f"sqlite:///{tmp_path}/x.db", dev=True, limits={name: "2/60"})
    )
    service.limiter.hit(name, "key")
    service.limiter.hit(name, "key")
    with pytest.raises(RateLimitedError) as caught:
        service.limiter.hit(name, "key")
    assert (caught.value.quota, caught.value.window) == (2, 60)
    service.close()


def test_every_limit_is_documented():
    """docs/identity.md has a row for each limit, with its numbers, and no other row."""
    table = DOCS.read_text(encoding="utf-8").partition("## Limits")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) in (\d+) s \|", table, re.MULTILINE)
    assert rows == [(name, str(each.count), str(each.seconds)) for name, each in DEFAULT_LIMITS.items()]


def test_every_setting_is_documented():
    """docs/identity.md has a row for each setting, and no other row."""
    table = DOCS.read_text(encoding="utf-8").partition("## Settings")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [field.name for field in fields(Settings)]


def test_all_faults_are_in_one_error():
    """All faults of the environment are in one error."""
    environment = {
        "AUTHGUARD_ALGORITHM": "none",
        "AUTHGUARD_DATABASE": "mysql://x",
        "AUTHGUARD_WORKER_THREADS": "many",
        "AUTHGUARD_ACCESS_LIFETIME": "1",
        "AUTHGUARD_LINK_LIFETIME": "1",
        "AUTHGUARD_USAGE_MINUTES_KEPT": "86400000",
        "AUTHGUARD_USAGE_HOURS_KEPT": "172800",
        "AUTHGUARD_COOKIE_NAME": "a b",
        "AUTHGUARD_DEV": "perhaps",
        "AUTHGUARD_ISSUR": "https://a.example",
        "AUTHGUARD_PREFIXES": "v1",
    }
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(environment)
    faults = str(caught.value).split("; ")
    for start in (
        "each variable AUTHGUARD_… must be a setting, got AUTHGUARD_ISSUR: write AUTHGUARD_ISSUER",
        "AUTHGUARD_WORKER_THREADS must be a whole number",
        "AUTHGUARD_DEV must be true or false",
        "secret and issuer must be given, got nothing: set AUTHGUARD_SECRET and AUTHGUARD_ISSUER",
        "AUTHGUARD_ALGORITHM must",
        "AUTHGUARD_DATABASE must",
        "AUTHGUARD_ACCESS_LIFETIME must",
        "AUTHGUARD_LINK_LIFETIME must",
        "AUTHGUARD_USAGE_MINUTES_KEPT must",
        "AUTHGUARD_COOKIE_NAME must",
        "AUTHGUARD_PREFIXES must",
    ):
        assert any(fault.startswith(start) for fault in faults), start


@pytest.mark.parametrize(
    ("variable", "text", "error"),
    [
        ("AUTHGUARD_LIMITS_URL", "memcached://a", "AUTHGUARD_LIMITS_URL must be memory://"),
        (
            "AUTHGUARD_REFRESH_COOKIE_NAME",
            "__Host-a",
            "AUTHGUARD_REFRESH_COOKIE_NAME must be without",
        ),
        ("AUTHGUARD_REDIRECT_URIS", "http://a.example/cb", "each of AUTHGUARD_REDIRECT_URIS must be https"),
        (
            "AUTHGUARD_REDIRECT_URIS",
            "https://a.example/*",
            "each of AUTHGUARD_REDIRECT_URIS must be a whole",
        ),
        ("AUTHGUARD_DEFAULT_ROLE", " USER", "AUTHGUARD_DEFAULT_ROLE must be without white space"),
        ("AUTHGUARD_AUDIENCE", "api ", "AUTHGUARD_AUDIENCE must be without white space"),
        ("AUTHGUARD_PASSWORD_POLICY", "min_length=2", "AUTHGUARD_PASSWORD_POLICY: min_length must"),
    ],
)
def test_an_error_names_the_variable_that_was_set(variable, text, error):
    """The error about a variable has the name of the variable."""
    with pytest.raises(ConfigurationError, match=f"^{re.escape(error)}"):
        Settings.from_env({**VARIABLES, variable: text})


def test_an_error_names_the_file_of_a_secret(tmp_path):
    """The error about a secret from a file has the name of the variable with the file."""
    file = tmp_path / "secret"
    file.write_text("short")
    with pytest.raises(ConfigurationError, match="^AUTHGUARD_SECRET_FILE must be at least 32 random bytes"):
        Settings.from_env({"AUTHGUARD_SECRET_FILE": str(file), "AUTHGUARD_ISSUER": "https://a.example"})


def test_an_error_about_an_argument_names_the_argument():
    """The error about an argument has the name of the argument, which precedes the variable."""
    with pytest.raises(ConfigurationError, match="^cookie_name must"):
        Settings.from_env(VARIABLES | {"AUTHGUARD_COOKIE_NAME": "a"}, cookie_name="a b")


def test_a_prefix_may_end_in_a_slash():
    """A prefix may end in a slash."""
    assert Settings(**GOOD, prefixes=["/v1/"]).prefixes == ("/v1",)


def test_a_secret_that_cannot_be_read_is_not_missing(tmp_path):
    """The error about a file of a secret that cannot be read does not call the secret missing."""
    environment = {"AUTHGUARD_SECRET_FILE": str(tmp_path / "none"), "AUTHGUARD_ISSUER": "https://a.example"}
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(environment)
    assert "AUTHGUARD_SECRET_FILE must be the path" in str(caught.value)
    assert "must be given, got nothing" not in str(caught.value)


def test_all_faults_of_a_program_are_in_one_error():
    """All faults of a program's arguments are in one error, also those of wrong types."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(
            secret="short",
            issuer=5,
            api_key_prefixes=5,
            api_key_tiers=5,
            pages_path=5,
            cookie_name=None,
            limits=5,
        )
    for name in (
        "secret",
        "issuer",
        "api_key_prefixes",
        "api_key_tiers",
        "pages_path",
        "cookie_name",
        "limits",
    ):
        assert f"{name} must" in str(caught.value), name
    assert str(caught.value).count("pages_path") == 1


@pytest.mark.parametrize("text", ["ADMIN,OWNER", " ADMIN , OWNER ", '["ADMIN", "OWNER"]'])
def test_a_list_in_a_variable_has_commas_or_is_json(text):
    """A list in a variable is separated by commas, or is JSON."""
    assert Settings.from_env({**VARIABLES, "AUTHGUARD_ADMIN_ROLES": text}).admin_roles == ("ADMIN", "OWNER")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[ADMIN, OWNER]", "AUTHGUARD_ADMIN_ROLES must be values separated by commas, or a JSON list"),
        ("[1]", "each of AUTHGUARD_ADMIN_ROLES must be text"),
    ],
)
def test_a_list_in_a_variable_that_cannot_be_read(text, error):
    """A list in a variable that is malformed JSON is refused."""
    with pytest.raises(ConfigurationError, match=f"^{error}"):
        Settings.from_env({**VARIABLES, "AUTHGUARD_ADMIN_ROLES": text})
