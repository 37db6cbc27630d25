"""Compare claims, header parameters and the client of a token with the application's expectations."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

from authguard._core.jose.claim_paths import ClaimName, ClaimPath, claim_path, shown_name
from authguard._core.jose.compact import Token, base64url
from authguard._core.jose.subject import CLIENT_CLAIMS
from authguard._core.options import check_identifier, check_list, check_mapping, got
from authguard._core.strict_json import parse_object_bytes
from authguard.errors import ConfigurationError, InvalidTokenError

MAX_NAMES = 100
MAX_VALUES = 100
MAX_CLIENTS = 10_000

Value: TypeAlias = str | int | float | bool
#: Names, each with the required value, or with a list of accepted values.
Values: TypeAlias = Mapping[Any, Value | Collection[Value]]

# Claims and header parameters that another option checks, each with that option.
_CLAIM_OPTIONS = {
    "iss": 'issuer="https://auth.example.com"',
    "aud": 'audience="https://api.example.com"',
    "exp": 'required_claims=["exp"]',
    "nbf": 'required_claims=["nbf"]',
    "iat": 'required_claims=["iat"]',
}
_HEADER_OPTIONS = {"alg": 'algorithms=["ES256"]', "typ": 'token_types=["at+jwt"]'}
_NEVER_IN_HEADER = ("crit", "b64", "jwk", "x5u", "cty")


class Condition(NamedTuple):
    """Require one member to have one of several values, with the same type, so that True is not 1."""

    path: ClaimPath
    accepted: frozenset[tuple[type, Value]]

    def check(self, members: Mapping[str, Any], what: str) -> None:
        """Raise an error unless the member is present and has one of the values."""
        value = self.path.find(members)
        kind = type(value)
        if kind not in (str, int, float, bool) or (kind, value) not in self.accepted:
            name = shown_name(self.path.name)
            state = "is not there" if value is None else "has another value than is expected"
            raise InvalidTokenError(f"the {what} {name} {state}", claim=name if what == "claim" else None)


class Conditions(NamedTuple):
    """Hold the conditions of a verifier besides issuer and audience; see `JWTVerifier`.

    Attributes:
        claims: conditions of claims.
        clients: the clients whose tokens are accepted; None for any.
    """

    claims: tuple[Condition, ...] = ()
    clients: frozenset[str] | None = None

    def check(self, claims: Mapping[str, Any], client: str | None) -> str | None:
        """Raise an error unless all conditions are met.

        Returns:
            the client.
        """
        for condition in self.claims:
            condition.check(claims, "claim")
        return client if self.clients is None else _check_client(claims, self.clients)


def _check_client(claims: Mapping[str, Any], clients: frozenset[str]) -> str:
    """Return the client that a token names; raise an error if it names a client that is not listed.

    `cid` and `appid` count only if the token has neither `client_id` nor `azp`.
    """
    for names in (CLIENT_CLAIMS[:2], CLIENT_CLAIMS[2:]):
        named = [(name, claims[name]) for name in names if claims.get(name) is not None]
        for name, client in named:
            if type(client) is not str or client not in clients:
                raise InvalidTokenError("of a client that is not one of client_ids", claim=name)
        if named:
            return str(named[0][1])
    raise InvalidTokenError("it names no client, but client_ids requires one", claim="client_id")


def check_header(token: Token, conditions: tuple[Condition, ...]) -> None:
    """Raise an error unless the header of a token has the values; its signature has been verified."""
    # The padding, if allowed, has been checked before.
    members = parse_object_bytes(base64url(token.signed.partition(b".")[0].rstrip(b"=")))
    for condition in conditions:
        condition.check(members, "header parameter")


def claim_conditions(values: object, option: str = "claims") -> tuple[Condition, ...]:
    """Check the option for required claims.

    Raises:
        ConfigurationError: unless it maps names to values, and names no claim that another option checks.
    """
    return tuple(
        Condition(claim_path(name, f"each name of {option}"), accepted)
        for name, accepted in _accepted(values, option, _CLAIM_OPTIONS, 'claims={"hd": "example.com"}')
    )


def header_conditions(values: object) -> tuple[Condition, ...]:
    """Check the option for required header parameters.

    Raises:
        ConfigurationError: unless it maps names to values, and names no parameter that another option checks.
    """
    option = "header_claims"
    conditions = []
    for name, accepted in _accepted(values, option, _HEADER_OPTIONS, 'header_claims={"signer": "…"}'):
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"each name of {option} must be text that is not empty, got {got(name)}")
        if name in _NEVER_IN_HEADER:
            raise ConfigurationError(
                f"{option} must not name {name!r}, which no token may have in its header, got {got(name)}"
            )
        conditions.append(Condition(ClaimPath(name), accepted))
    return tuple(conditions)


def _accepted(
    values: object, option: str, elsewhere: Mapping[str, str], example: str
) -> list[tuple[ClaimName, frozenset[tuple[type, Value]]]]:
    """Return the names of an option, each with the values that are accepted."""
    mapping = check_mapping(values, option, example)
    if not 1 <= len(mapping) <= MAX_NAMES:
        raise ConfigurationError(
            f"{option} must name between 1 and {MAX_NAMES}, got {len(mapping)}: write {example}"
        )
    accepted = []
    for name, value in mapping.items():
        if isinstance(name, str) and name in elsewhere:
            raise ConfigurationError(
                f"{option} must not name {name!r}, for which there is another option, got {got(name)}: "
                f"write {elsewhere[name]}"
            )
        accepted.append((name, _accepted_values(value, f"{option}[{name!r}]")))
    return accepted


def _accepted_values(value: Any, option: str) -> frozenset[tuple[type, Value]]:
    must = "be text that is not empty, a number, True or False, or a list of these"
    several = isinstance(value, (list, tuple, set, frozenset))
    values = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
    if several and not 1 <= len(values) <= MAX_VALUES:
        raise ConfigurationError(f"{option} must have between 1 and {MAX_VALUES} values, got {len(values)}")
    for each in values:
        is_scalar = type(each) in (str, int, float, bool) and each == each and each != ""  # noqa: PLR0124 (NaN)
        if not is_scalar:
            raise ConfigurationError(f"{option} must {must}, got {got(each)}")
    return frozenset((type(each), each) for each in values)


def client_list(clients: object) -> frozenset[str]:
    """Check `client_ids`: a name, or a list of names that is not empty.

    Raises:
        ConfigurationError: for anything else.
    """
    names = [clients] if isinstance(clients, str) else check_list(clients, "client_ids", '"my-client"')
    if not 1 <= len(names) <= MAX_CLIENTS:
        raise ConfigurationError(
            f"client_ids must name between 1 and {MAX_CLIENTS} clients, got {len(names)}"
        )
    return frozenset(check_identifier(name, "each of client_ids") for name in names)
