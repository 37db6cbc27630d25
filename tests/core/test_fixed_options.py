"""Options that are assigned to a built object are errors with the right spelling."""

import copy
from typing import Any

import pytest

from authguard import (
    APIKeyVerifier,
    DPoP,
    Guard,
    IntrospectionVerifier,
    JWTVerifier,
    Principal,
    TokenIssuer,
)
from authguard.errors import ConfigurationError
from authguard.testing import override
from support import SECRET

SUBJECT = "fixed-options"


def jwt_verifier(kind: type[JWTVerifier] = JWTVerifier) -> JWTVerifier:
    """Return a verifier of a local secret."""
    return kind(SECRET, algorithms=["HS256"], issuer="https://i.example", audience="https://a.example")


BUILT: dict[str, tuple[Any, str, str]] = {
    "guard": (Guard(jwt_verifier()), "user_loader", "Guard(…, user_loader=…)"),
    "rules": (Guard(jwt_verifier()), "protected_paths", "Guard(…, protected_paths=…)"),
    "quotas": (Guard(jwt_verifier()), "quotas", "Guard(…, quotas=…)"),
    "verifiers": (Guard(jwt_verifier()), "verifiers", "Guard(*verifiers)"),
    "revocations": (Guard(jwt_verifier()), "revocations", "Guard(…, revocations=…)"),
    "tokens": (jwt_verifier(), "audience", "JWTVerifier(…, audience=…)"),
    "issuer": (jwt_verifier(), "issuer", "JWTVerifier(…, issuer=…)"),
    "keys of tokens": (jwt_verifier(), "keys", "JWTVerifier(keys)"),
    "keys": (APIKeyVerifier(lambda digest: None), "header", "APIKeyVerifier(…, header=…)"),
    "introspection": (
        IntrospectionVerifier(
            "https://i.example/introspect",
            client_id="a",
            client_secret="b" * 32,
            issuer="https://i.example",
            audience="https://a.example",
        ),
        "cache_ttl",
        "IntrospectionVerifier(…, cache_ttl=…)",
    ),
    "proofs": (DPoP("https://a.example"), "origin", "DPoP(origin)"),
    "tokens of a service": (
        TokenIssuer(SECRET, algorithm="HS256", issuer="https://i.example", audience="https://a.example"),
        "ttl",
        "TokenIssuer(…, ttl=…)",
    ),
}


@pytest.mark.parametrize("case", BUILT)
def test_an_option_that_is_assigned_later(case: str) -> None:
    """An option that is assigned to a built object is an error, because it would have no effect."""
    built, option, write = BUILT[case]
    with pytest.raises(ConfigurationError) as refused:
        setattr(built, option, None)
    kind = type(built).__name__
    assert str(refused.value) == f"{option} must be given to {kind}(…), got it assigned later: write {write}"


def test_an_option_as_a_decorator() -> None:
    """An option that is read as a decorator names the place of the option."""
    guard: Any = Guard(jwt_verifier())
    with pytest.raises(AttributeError, match="user_loader must be given to Guard"):
        guard.user_loader(lambda principal: principal)
    with pytest.raises(AttributeError, match="'Guard' object has no attribute 'nonsense'"):
        _ = guard.nonsense
    assert not hasattr(guard, "user_loader")


class OwnVerifier(JWTVerifier):
    """Have attributes of its own, of which one has the name of an option."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.audience = options["audience"]
        self.tenant = "a"
        self._set()

    def _set(self) -> None:
        self.leeway = 30


def test_a_subclass_with_attributes_of_its_own() -> None:
    """A subclass may set any attribute while it is built, and other attributes later."""
    verifier: Any = jwt_verifier(OwnVerifier)
    verifier.tenant = "b"
    assert (verifier.audience, verifier.tenant, verifier.leeway) == ("https://a.example", "b", 30)
    with pytest.raises(ConfigurationError, match=r"write OwnVerifier\(…, issuer=…\)"):
        verifier.issuer = "https://other.example"


def test_a_built_object_can_still_be_copied_and_overridden() -> None:
    """A guard can be copied, overridden in tests, and have an attribute that is no option."""
    guard: Any = Guard(jwt_verifier())
    guard.label = "a"
    assert copy.copy(guard).label == "a"
    with override(guard, Principal(SUBJECT)):
        assert guard.label == "a"


class Denied:
    """Be a store of logouts by token."""

    def is_revoked(self, jti: str) -> bool:
        """Return whether the token is revoked."""
        return jti == "revoked"


WRONG = {
    "user_id": (lambda user_id: None, "subject"),
    "username": (lambda username: None, "subject"),
    "sub": (lambda sub, more=1: None, "subject"),
    "payload": (lambda payload: None, "claims"),
    "claims": (lambda claims: None, "claims"),
    "jti": (lambda jti: None, "token_id"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_function_of_another_argument(name: str) -> None:
    """A function whose parameter cannot mean a principal is refused, with the attribute to read."""
    loader, attribute = WRONG[name]
    with pytest.raises(ConfigurationError) as refused:
        Guard(jwt_verifier(), user_loader=loader)
    assert str(refused.value) == (
        f"user_loader must be a function of the principal, got one of {name}: write def name(principal), and "
        f"read principal.{attribute} in it"
    )


def test_a_store_of_tokens() -> None:
    """A store whose method takes the id of a token is refused, because it would find no token revoked."""
    store: Any = Denied()
    with pytest.raises(ConfigurationError, match="is_revoked of revocations must be a function of the pr"):
        Guard(jwt_verifier(), revocations=store)


@pytest.mark.parametrize("name", ["p", "user", "caller", "identity", "principal", "subject", "who", "_"])
def test_a_function_of_a_principal(name: str) -> None:
    """A parameter may have any name that can mean a principal."""
    Guard(jwt_verifier(), user_loader=eval(f"lambda {name}: None"))  # noqa: S307 (the names above)
