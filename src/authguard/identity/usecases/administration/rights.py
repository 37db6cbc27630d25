"""Check roles and scopes that an operator gives accounts."""

import re
from collections.abc import Sequence

from authguard._characters import is_plain
from authguard._core.options import several_names

_MAX_ROLE = 64  # characters; the length of the column `role`
# the greatest number of roles, and of scopes: each token contains them, and must fit into a header field
_MAX_NUMBER = 32
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}")  # RFC 6749 section 3.3

_SEPARATE = "must be one name each, without commas and semicolons between several"


def role_problem(roles: Sequence[str]) -> str:
    """Return the reason why roles are not accepted; empty if they are."""
    if len(roles) > _MAX_NUMBER:
        return f"must be at most {_MAX_NUMBER}"
    if any(map(several_names, roles)):
        return _SEPARATE
    if all(map(_is_role, roles)):
        return ""
    return f"must have 1 to {_MAX_ROLE} characters each, no control characters, and no space around them"


def _is_role(text: str) -> bool:
    return 0 < len(text) <= _MAX_ROLE and text == text.strip() and all(map(is_plain, text))


def scope_problem(scopes: Sequence[str]) -> str:
    """Return the reason why scopes are not accepted; empty if they are."""
    if len(scopes) > _MAX_NUMBER:
        return f"must be at most {_MAX_NUMBER}"
    if any(map(several_names, scopes)):
        return _SEPARATE
    if all(map(_SCOPE.fullmatch, scopes)):
        return ""
    return "must have 1 to 64 printable characters of ASCII each, without spaces, quotes and backslashes"
