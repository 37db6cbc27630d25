"""Wrong arguments of `issue_token` and `FakeIssuer` are refused by name."""

from functools import partial
from typing import Any

import pytest

from authguard import ConfigurationError
from authguard.testing import FakeIssuer, issue_token
from support import SECRET

MARKER = "hunter2-hunter2-hunter2-hunter2-hunter2"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"key": None}, "key must be a secret or a private key for HS256, got NoneType"),
        ({"key": [MARKER]}, "key must be a secret or a private key for HS256, got list"),
        ({"key": MARKER, "algorithm": "ES256"}, "key must be a secret or a private key for ES256, got str"),
        ({"algorithm": "HS265"}, "algorithm must be one such as HS256 or ES256, got 'HS265'"),
        ({"scopes": [1]}, "each of scopes must be text that is not empty, got 1"),
        ({"scopes": [None]}, "each of scopes must be text that is not empty, got None"),
        ({"scopes": "read"}, "scopes must be a list, got 'read'"),
        ({"subject": b"ann"}, "subject must be a value of JSON, got bytes"),
        ({"tenant": {"a"}}, "tenant must be a value of JSON, got set"),
        ({"headers": ["kid"]}, "headers must be a mapping, got list"),
        ({"headers": {"kid": b"a"}}, "kid must be a value of JSON, got bytes"),
    ],
)
def test_issue_token_names_the_argument(wrong: dict[str, Any], error: str) -> None:
    """A wrong argument of `issue_token` is refused by name, and the key is not shown."""
    with pytest.raises(ConfigurationError) as raised:
        issue_token(**{"key": SECRET, **wrong})
    assert str(raised.value).startswith(error)
    assert MARKER not in str(raised.value)


@pytest.mark.parametrize("audience", [5, None, [1], [], {"a": 1}])
def test_the_audience_of_an_issuer_is_text_or_a_list_of_texts(audience: Any) -> None:
    """An audience of a fake issuer that is neither text nor a list of texts is refused."""
    with pytest.raises(ConfigurationError, match="audience must "):
        FakeIssuer(audience=audience)


@pytest.mark.parametrize("issue", [FakeIssuer().issue])
def test_a_claim_is_a_value_of_json(issue: Any) -> None:
    """A claim that is no value of JSON is refused."""
    with pytest.raises(ConfigurationError, match="tenant must be a value of JSON, got bytes"):
        issue(tenant=b"a")


ISSUES = {
    "issue_token": partial(issue_token, SECRET),
    "issue": FakeIssuer().issue,
    "issue_opaque": FakeIssuer().issue_opaque,
}


@pytest.mark.parametrize("issue", ISSUES.values(), ids=ISSUES)
@pytest.mark.parametrize(("name", "claim"), [("issuer", "iss"), ("audience", "aud"), ("expires_at", "exp")])
def test_a_claim_has_the_name_of_a_claim(issue: Any, name: str, claim: str) -> None:
    """The name of an option in place of a claim is refused, and the error names the claim."""
    with pytest.raises(ConfigurationError) as raised:
        issue(**{name: "https://issuer"})
    assert str(raised.value) == f"claims must have the names of JWT claims, got {name}: write {claim}="


LIFETIMES = ("expire_in", "expires", "expiry", "expiration", "expire", "lifetime", "max_age", "ttl")


@pytest.mark.parametrize("issue", ISSUES.values(), ids=ISSUES)
@pytest.mark.parametrize("name", LIFETIMES)
def test_another_name_of_the_lifetime_is_no_claim(issue: Any, name: str) -> None:
    """Another name of `expires_in` is refused, because the token would have the usual lifetime."""
    with pytest.raises(ConfigurationError) as raised:
        issue(**{name: -60})
    assert str(raised.value) == f"claims must have the names of JWT claims, got {name}: write expires_in=60"


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("kid", 'headers={"kid": "a"}'),
        ("key_id", 'headers={"kid": "a"}'),
        ("header", 'headers={"kid": "a"}'),
        ("alg", 'algorithm="HS256"'),
    ],
)
def test_a_parameter_of_the_header_is_no_claim(name: str, write: str) -> None:
    """A parameter of the header in place of a claim is refused, and the error names the option for it."""
    with pytest.raises(ConfigurationError) as raised:
        issue_token(SECRET, **{name: "a"})
    assert str(raised.value) == f"claims must have the names of JWT claims, got {name}: write {write}"


@pytest.mark.parametrize("issue", ["issue", "issue_opaque"])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        *((name, "issue_token(key, …), ") for name in ("alg", "algorithm", "header", "headers", "kid")),
        ("now", "FakeIssuer(clock=…)"),
    ],
)
def test_an_option_of_issue_token_is_no_claim_of_an_issuer(issue: str, name: str, write: str) -> None:
    """An option that only `issue_token` has is refused by an issuer, which chooses its keys itself."""
    with pytest.raises(ConfigurationError) as raised:
        getattr(FakeIssuer(), issue)(**{name: "a"})
    start = f"claims must have the names of JWT claims, got {name}: write {write}"
    assert str(raised.value).startswith(start)


@pytest.mark.parametrize("issue", ISSUES.values(), ids=ISSUES)
@pytest.mark.parametrize("name", ["claims", "additional_claims"])
def test_claims_are_separate_arguments(issue: Any, name: str) -> None:
    """A mapping of claims, as `TokenIssuer.issue` and other packages take it, is not a claim of that name."""
    with pytest.raises(ConfigurationError, match=rf"got the mapping {name}: write \*\*{name} in place of"):
        issue(**{name: {"org_id": "o"}})
    assert issue(claims="read")
