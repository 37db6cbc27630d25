"""Wrong arguments of `issue_token` and `FakeIssuer` are refused by name."""

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
