"""`override` and `issue_token` refuse arguments with which a test would fail for another reason."""

from typing import Any

import pytest

from authguard import ConfigurationError, Guard, JWTVerifier, Principal
from authguard.testing import issue_token, override
from support import SECRET

GUARD = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None))
ANN = Principal("ann")


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((ANN, GUARD), {}, r"guard must be Guard, got Principal: write override\(guard, user\)"),
        ((GUARD, Principal), {}, r"got the class Principal: write override\(guard, Principal\(…\)\)"),
        ((GUARD, "ann"), {"principal": "ann"}, "principal must be Principal, got str: write principal="),
        ((GUARD, ANN), {"everywhere": "no"}, "everywhere must be True or False"),
    ],
    ids=["swapped", "class", "principal", "everywhere"],
)
def test_it_is_refused_before_the_context_is_entered(
    arguments: tuple[Any, Any], options: dict[str, Any], says: str
) -> None:
    """Wrong arguments of `override` are refused at the call, with the correction."""
    with pytest.raises(ConfigurationError, match=says):
        override(*arguments, **options)


def test_scopes_of_a_token_are_a_list() -> None:
    """Text as the scopes of a token is refused, because its letters would be the scopes."""
    with pytest.raises(ConfigurationError, match=r"scopes must be a list, .*: write scopes=\['read'\]"):
        issue_token(SECRET, scopes="read")
