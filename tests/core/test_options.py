"""Options of the wrong type are refused when the object is built, and the error names them."""

from datetime import datetime, timedelta
from functools import partial, wraps
from unittest.mock import ANY, Mock

import pytest

from authguard import (
    AccessCookie,
    APIKey,
    APIKeyFile,
    APIKeyVerifier,
    ConfigurationError,
    DPoP,
    Guard,
    HTTPOptions,
    IntrospectionVerifier,
    JWTVerifier,
    MemoryRevocations,
    MutualTLS,
    RemoteKeySet,
    ResourceMetadata,
    Rule,
)
from authguard._core.options import (
    check_choice,
    check_function,
    check_identifier,
    check_identifiers,
    check_moment,
    check_url,
)
from support import AUDIENCE, ISSUER, SECRET

JWT = {"algorithms": ["HS256"], "issuer": ISSUER, "audience": AUDIENCE}
REMOTE = {"url": "https://issuer.example/keys"}
ASKED = {"endpoint": "https://issuer.example/ask", "client_id": "api", "client_secret": SECRET}
KEYS = {"keys": {"sk_live_0123456789": APIKey("bob")}}

KINDS = {
    "Guard": lambda **options: Guard(JWTVerifier(SECRET, **JWT), **options),
    "JWTVerifier": lambda **options: JWTVerifier(SECRET, **{**JWT, **options}),
    "RemoteKeySet": lambda **options: RemoteKeySet(**{**REMOTE, **options}),
    "IntrospectionVerifier": lambda **options: IntrospectionVerifier(**{**ASKED, **options}),
    "HTTPOptions": HTTPOptions,
    "APIKeyVerifier": lambda **options: APIKeyVerifier(**{**KEYS, **options}),
    "APIKey": lambda **options: APIKey("bob", **options),
    "APIKeyFile": APIKeyFile,
    "AccessCookie": AccessCookie,
    "DPoP": lambda **options: DPoP(**{"origin": "https://api.example", **options}),
    "MutualTLS": lambda **options: MutualTLS(**{"header": "X-C", "proxies": ["10.0.0.1"], **options}),
    "ResourceMetadata": lambda **options: ResourceMetadata("https://api.example", **options),
    "Rule": lambda **options: Rule("/a", **options),
}

#: Values of other types, such as a class that was not called.
WRONG = {
    ("Guard", "cookie"): [True, "access_token", AccessCookie, {}],
    ("Guard", "revocations"): [{"id"}, "redis://", MemoryRevocations, 5],
    ("Guard", "user_loader"): ["load_user", 5, {}],
    ("Guard", "on_error"): ["handler", 5, []],
    ("Guard", "proofs"): [DPoP("https://api.example"), 5, None, True, {"dpop": True}],
    ("Guard", "resource"): ["https://api.example", True, {}],
    ("Guard", "realm"): [None, 5, b"api"],
    ("JWTVerifier", "algorithms"): [None, 5, [None], b"HS256", {"HS256": 1}],
    ("JWTVerifier", "audience"): [5, True, {"aud": "x"}, [5]],
    ("JWTVerifier", "leeway"): ["30", None, [30]],
    ("JWTVerifier", "required_claims"): [None, 5, [None], {"exp": True}],
    ("JWTVerifier", "token_types"): [5, b"JWT", [5]],
    ("JWTVerifier", "scope_claims"): [None, True, [5]],
    ("JWTVerifier", "role_claims"): [None, {"roles": 1}, [None]],
    ("RemoteKeySet", "ttl"): ["300", None, True],
    ("RemoteKeySet", "max_stale"): ["0", None, timedelta(days=8)],
    ("RemoteKeySet", "http"): ["proxy", True, {"timeout": 3}, HTTPOptions],
    ("IntrospectionVerifier", "audience"): [5, True, {"aud": "x"}],
    ("IntrospectionVerifier", "cache_ttl"): ["30", None],
    ("IntrospectionVerifier", "leeway"): ["30", None],
    ("IntrospectionVerifier", "jwt"): [True, SECRET, JWTVerifier, {}],
    ("HTTPOptions", "headers"): [[("X-A", "b")], "X-A: b", {5: "b"}, {"X-A": 5}],
    ("HTTPOptions", "timeout"): ["3", [3]],
    ("HTTPOptions", "connect_timeout"): ["3", timedelta(minutes=2)],
    ("APIKeyVerifier", "keys"): [{"sk_live_0123456789": "bob"}, "keys.toml", ["sk_live_0123456789"], None],
    ("APIKeyVerifier", "prefixes"): [None, 5, [5], b"sk_"],
    ("APIKeyVerifier", "cache_ttl"): ["30", None],
    ("APIKey", "scopes"): [5, None, [5]],
    ("APIKey", "roles"): [5, True, "admin"],
    ("APIKeyFile", "path"): [5, None, b"keys.toml", ["keys.toml"]],
    ("AccessCookie", "name"): [None, True, 5, b"access_token"],
    ("AccessCookie", "trusted_origins"): [None, 5, [5], {"https://app.example": 1}],
    ("DPoP", "origin"): [None, 5, True],
    ("DPoP", "algorithms"): [None, 5, [5]],
    ("MutualTLS", "proxies"): [None, 5, {"10.0.0.1": 1}],
    ("MutualTLS", "header"): [5, True, b"X-C"],
    ("ResourceMetadata", "authorization_servers"): [None, 5, True],
    ("ResourceMetadata", "scopes_supported"): [None, 5, {"read": 1}],
    ("Rule", "acr"): [5, True, {"phr": 1}],
}


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [(kind, option, value) for (kind, option), values in WRONG.items() for value in values],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value)[:40],
)
def test_an_option_of_the_wrong_type_is_a_configuration_error(kind, option, value):
    """An option of a wrong type is a ConfigurationError when the object is built."""
    with pytest.raises(ConfigurationError):
        KINDS[kind](**{option: value})


@pytest.mark.parametrize(
    ("kind", "option", "value", "says"),
    [
        ("Guard", "cookie", True, r"must be AccessCookie, got True \(bool\): write cookie=AccessCookie\(\)"),
        ("Guard", "cookie", AccessCookie, "got the class AccessCookie"),
        ("Guard", "revocations", {"id"}, r"got set: write revocations=MemoryRevocations\(\)"),
        ("Guard", "revocations", "redis://x", r'revocations=RedisStore\("redis://…"\).revocations'),
        ("Guard", "user_loader", "load_user", "must be a function, got str: write user_loader=name"),
        ("Guard", "proofs", DPoP("https://api.example"), r"write proofs=\[DPoP\(…\)\]"),
        ("JWTVerifier", "leeway", timedelta(hours=1), r"and 300 seconds, got 1:00:00 \(timedelta\)"),
        ("Guard", "cache_size", 0, "must be a whole number of credentials of at least 1, got 0$"),
        ("JWTVerifier", "leeway", timedelta, "and 300 seconds, got the class timedelta$"),
        ("JWTVerifier", "leeway", 301, "leeway must be between 0 and 300 seconds, got 301$"),
        ("JWTVerifier", "algorithms", None, "algorithms must be a list, got None: write algorithms="),
        ("RemoteKeySet", "ttl", 0, "ttl must be between 1 and 86400 seconds, got 0$"),
        ("RemoteKeySet", "ttl", "300", r"ttl must be between 1 and 86400 seconds, got '300' \(str\)"),
        ("RemoteKeySet", "http", {"timeout": 3}, r"must be HTTPOptions, got dict: write http=HTTPOptions"),
        ("APIKeyVerifier", "keys", {"sk_live_0123456789": "bob"}, r"in its place: write APIKey\('bob'\)"),
        ("APIKeyVerifier", "keys", "keys.toml", r"got str: write .*APIKeyFile\(path\) for a file"),
    ],
    ids=str,
)  # fmt: skip
def test_the_error_says_what_to_write(kind, option, value, says):
    """The error names the option, the given type and the correct spelling."""
    with pytest.raises(ConfigurationError, match=says):
        KINDS[kind](**{option: value})


class Called:
    def __call__(self, first, two, three):
        """Take three arguments."""


@pytest.mark.parametrize(
    ("kind", "option", "takes"),
    [
        ("Guard", "user_loader", "principal"),
        ("Guard", "on_error", "request, refusal"),
        ("Guard", "on_decision", "event"),
        ("DPoP", "replays", "digest, seconds"),
        ("APIKeyVerifier", "keys", "digest"),
        ("JWTVerifier", "issuer", "iss"),
    ],
)
@pytest.mark.parametrize(
    "function", [lambda: None, lambda first, two, three: None, Called()], ids=["few", "many", "object"]
)
def test_a_function_of_other_arguments_is_a_configuration_error(kind, option, takes, function):
    """A function with the wrong number of arguments is refused, because each call would fail."""
    number = "2 arguments" if "," in takes else "one argument"
    says = rf"^{option} must be a function of {number}, got .* write def name\({takes}\)$"
    with pytest.raises(ConfigurationError, match=says):
        KINDS[kind](**{option: function})


def _of_two(first, two=None, /, *, three=None):
    """Take one or two arguments."""


@wraps(lambda first, two, three: None)
def _decorated(*arguments, **options):
    """Take any arguments, although its signature seems to be another one."""


@pytest.mark.parametrize("function", [_of_two, _decorated, partial(Called(), 1, 2), dict, max, Mock()])
def test_a_function_that_may_take_what_it_gets_is_taken(function):
    """A function is accepted if its other arguments have defaults, or its signature is unknown."""
    check_function(function, "option", takes="one")


def test_a_choice_is_text():
    """An object that is equal to every text is refused as a choice."""
    with pytest.raises(ConfigurationError, match='kind must be "a" or "b", got'):
        check_choice(ANY, "kind", ["a", "b"])


def test_the_class_of_a_moment_is_no_moment():
    """The class datetime is refused as a moment."""
    with pytest.raises(ConfigurationError, match="until must be seconds .*, got the class datetime$"):
        check_moment(datetime, "until")


def test_an_error_does_not_show_what_may_be_a_secret():
    """The error names the type of a value that may be a secret, and not the value."""
    with pytest.raises(ConfigurationError) as caught:
        KINDS["IntrospectionVerifier"](jwt=SECRET)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("quote", ['"', "'", "`"])
def test_an_identifier_in_quotes_is_refused_with_the_spelling_that_works(quote: str) -> None:
    """Quotes around an issuer or audience are an error, because no token would match it."""
    for check in (check_identifier, check_identifiers):
        with pytest.raises(ConfigurationError, match="without quotes around it, got .*: write 'demo'$"):
            check(f"{quote}demo{quote}", "issuer")


def test_a_url_in_quotes_is_refused_with_the_spelling_that_works() -> None:
    """Quotes around a URL are an error that has the URL without them."""
    with pytest.raises(ConfigurationError, match="write 'https://auth.example.com'$"):
        check_url('"https://auth.example.com"', "issuer")
