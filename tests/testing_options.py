"""List the options of `authguard.testing`, for the tables of `option_tables.py`."""

from authguard import testing
from option_kinds import Built
from support import SECRET

_ISSUED = {"scopes": "list", "roles": "list", "expires_in": "any seconds"}
_OTHERS = frozenset({"subject", "claims"})  # the subject is that of TokenIssuer.issue


TESTING = {
    "issue_token": Built(
        testing.issue_token,
        {"key": SECRET},
        {"expires_in": "any seconds", "now": "moment?", "algorithm": "text", "headers": "mapping?"},
        frozenset({"key", "subject", "scopes", "claims"}),  # any text is valid as a scope, for tests
    ),
    "FakeIssuer": Built(
        testing.FakeIssuer,
        {},
        {"url": "text", "clients": "mapping?", "clock": "function"},
        frozenset({"audience"}),  # that of TokenIssuer, where None is refused
    ),
    "FakeIssuer.issue": Built(testing.FakeIssuer().issue, {}, _ISSUED, _OTHERS),
    "FakeIssuer.issue_opaque": Built(testing.FakeIssuer().issue_opaque, {}, _ISSUED, _OTHERS),
    "FakeIssuer.rotate": Built(testing.FakeIssuer().rotate, {}, {"withdraw": "flag"}),
    "FakeIssuer.revoke": Built(testing.FakeIssuer().revoke, {"token": "a"}, {"token": "text"}),
    "Clock": Built(testing.Clock, {}, {"now": "moment?"}),
    "Clock.advance": Built(testing.Clock().advance, {"seconds": 1}, {"seconds": "any seconds"}),
    "Clock.set": Built(testing.Clock().set, {"now": 1}, {"now": "moment"}),
}
