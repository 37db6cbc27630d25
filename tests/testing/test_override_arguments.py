"""`override` refuses arguments that would make a test pass or fail for another reason than it seems."""

from typing import Any

import pytest

from authguard import ConfigurationError, Guard, JWTVerifier, Principal
from authguard.testing import override
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
    """With what works."""
    with pytest.raises(ConfigurationError, match=says):
        override(*arguments, **options)
