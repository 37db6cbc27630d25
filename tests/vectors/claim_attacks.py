"""Make claims that a valid access token cannot have: RFC 7519, RFC 8725, RFC 9068, RFC 7800."""

from collections.abc import Iterator
from typing import Any

from support import AUDIENCE, ISSUER, NOW, claims, make_token


def hostile_claims() -> Iterator[str]:
    """Make tokens with a valid form and signature, and invalid claims."""
    changes: list[dict[str, Any]] = []
    dates: tuple[Any, ...] = ("", "1", str(NOW + 600), True, False, [], {}, [NOW], -1, 253402300800, 1e300)
    for name in ("exp", "nbf", "iat"):
        changes += [{name: value} for value in dates]
    changes += [
        {"exp": NOW - 31},
        {"exp": 0},
        {"exp": ...},
        {"exp": None},
        {"nbf": NOW + 31},
        {"iat": NOW + 31},
    ]
    for issuer in (
        ...,
        None,
        "",
        7,
        [ISSUER],
        {"a": ISSUER},
        f"{ISSUER}/",
        ISSUER.upper(),
        f" {ISSUER}",
        f"{ISSUER}\0",
        ISSUER[:-1],
        f"{ISSUER}.evil",
    ):
        changes.append({"iss": issuer})
    for audience in (
        ...,
        None,
        "",
        7,
        [],
        {},
        {AUDIENCE: 1},
        [[AUDIENCE]],
        [AUDIENCE, 7],
        f"{AUDIENCE}/",
        AUDIENCE.upper(),
        AUDIENCE[:-1],
        f"{AUDIENCE} x",
        "*",
        ["*"],
    ):
        changes.append({"aud": audience})
    subjects: tuple[Any, ...] = (..., None, "", 0, 7, True, [], ["ann"], {}, 1.5)
    changes += [{"sub": subject} for subject in subjects]
    no_texts: tuple[Any, ...] = (7, [], {}, True)
    changes += [{name: value} for name in ("jti", "client_id", "azp") for value in no_texts]
    kinds = ("refresh", "id", "reset", "id_token", "refresh_token", "Refresh", "logout", "state")
    changes += [{name: kind} for name in ("token_use", "token_type", "typ") for kind in kinds]
    others: tuple[Any, ...] = ("x", "", {}, [], 7)
    changes += [{name: value} for name in ("at_hash", "c_hash", "s_hash") for value in others]
    changes += [{"events": {}}, {"events": {"https://schemas.example/event": {}}}]
    bindings: tuple[Any, ...] = (
        {"jkt": "x" * 43}, {"x5t#S256": "x"}, {"jwk": {}}, {"kid": "a"}, {}, "x", 7, [],
    )  # fmt: skip
    changes += [{"cnf": value} for value in bindings]
    for name in ("exp", "iss", "aud", "sub"):
        changes += [
            {name: ..., name.upper(): claims()[name]},
            {name: ..., name.title(): claims()[name]},
            {name: ..., f"{name} ": claims()[name]},
        ]
    yield from (make_token(claims(**change)) for change in changes)
