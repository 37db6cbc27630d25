"""Check that constructors accept each list, and that attributes have the type after it; this is never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, assert_type

from authguard import APIKey, Guard, Principal, Quota, Rule
from authguard.testing import issue_token

LIST, LATER, QUOTAS = ["read"], datetime(2030, 1, 1, tzinfo=UTC), [Quota(10, 60)]

principal = Principal("ada", scopes=LIST, roles=("admin",), expires_at=LATER, quotas=QUOTAS)
Principal("ada", {"read"}, frozenset({"admin"}), {"tenant": "a"}, expires_at=5, quotas=(Quota(10, 60),))
Principal(subject="ada", scopes=(name for name in LIST), claims=MappingProxyType({"tenant": "a"}))
assert_type(principal.scopes, frozenset[str])
assert_type(principal.roles, frozenset[str])
assert_type(principal.claims, Mapping[str, Any])
assert_type(principal.expires_at, float | None)
assert_type(principal.quotas, tuple[Quota, ...])

key = APIKey("ada", scopes=LIST, roles={"admin"}, expires_at=LATER, quotas=QUOTAS)
assert_type(key.scopes, frozenset[str])
assert_type(key.roles, frozenset[str])
assert_type(key.expires_at, float | None)
assert_type(key.quotas, tuple[Quota, ...])

Principal("ada", scopes=[1])  # type: ignore[list-item]
Principal("ada", method="basic")  # type: ignore[arg-type]
Principal()  # type: ignore[call-arg]
Principal("ada", scope=LIST)  # type: ignore[call-arg]
APIKey("ada", scope=LIST)  # type: ignore[call-arg]
principal.subject = "bob"  # type: ignore[misc]

by_tier, by_default = {"pro": QUOTAS}, {None: [Quota(1, 60)]}
Guard(quotas={"pro": QUOTAS, None: []})
Guard(quotas={None: [Quota(1, 60)]})
Guard(quotas={None: []})
Guard(quotas=by_tier)
Guard(quotas=by_default)
Guard(quotas={5: QUOTAS})  # type: ignore[arg-type]

assert_type(Rule("/items", methods=["GET"]).methods, frozenset[str])
issue_token("secret", now=5, headers=MappingProxyType({"kid": "a"}))
