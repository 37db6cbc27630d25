"""Check the requested properties of an API key."""

import json
import re
from collections.abc import Collection, Mapping
from typing import TypeGuard

from authguard._core.networks import parse_network
from authguard._core.options import several_names
from authguard.identity.errors import InvalidFieldsError
from authguard.identity.model import MAX_NAME, APIKeyRequest
from authguard.identity.person_names import is_name, trim_name
from authguard.identity.settings import Settings

MAX_DAYS = 3_650
MAX_METADATA = 2_048  # bytes of JSON
# levels of metadata: the code that reads it may have less stack left than the code that checks it
MAX_DEPTH = 32
MAX_NETWORKS = 32
MAX_SCOPES = 64
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}\Z")  # RFC 6749 section 3.3
_NAME = f"has 1 to {MAX_NAME} characters, and no control characters"
_SCOPES = f"has at most {MAX_SCOPES} scopes of 1 to 64 characters, without spaces and commas"
_DAYS = f"is a whole number between 1 and {MAX_DAYS}"
_METADATA = f"is an object of JSON of at most {MAX_METADATA} bytes, nested at most {MAX_DEPTH} deep"
_NETWORKS = (
    f"is a list of at most {MAX_NETWORKS} addresses or networks, such as 192.0.2.7 or 192.0.2.0/24, "
    "not 192.0.2.7/24"
)


def check_fields(request: APIKeyRequest, settings: Settings) -> None:
    """Check each field of a request for a key, by any caller.

    Raises:
        InvalidFieldsError: names each wrong field and its correction, without the sent value.
    """
    kinds = [prefix.removesuffix("_") for prefix in settings.key_prefixes]
    tiers = list(settings.api_key_tiers)
    checks = {
        "name": (_is_name(request.name), _NAME),
        "scopes": (_are_scopes(request.scopes), _SCOPES),
        "kind": (request.kind in kinds, f"is one of {', '.join(kinds)}"),
        "expires_in_days": (_are_days(request.expires_in_days), _DAYS),
        "tier": (request.tier is None or request.tier in tiers, f"is one of {', '.join(tiers)}"),
        "metadata": (_is_metadata(request.metadata), _METADATA),
        "networks": (_are_networks(request.networks), _NETWORKS),
    }
    if wrong := {field: [advice] for field, (is_right, advice) in checks.items() if not is_right}:
        raise InvalidFieldsError(wrong)


def check_tier(tier: object, settings: Settings) -> None:
    """Check the name of a tier.

    Raises:
        InvalidFieldsError: if the settings have no such tier.
    """
    if tier not in settings.api_key_tiers:
        raise InvalidFieldsError({"tier": [f"is one of {', '.join(settings.api_key_tiers)}"]})


def _is_name(name: object) -> bool:
    return isinstance(name, str) and is_name(name) and trim_name(name) != ""


def _are_scopes(scopes: object) -> bool:
    return _is_list(scopes, MAX_SCOPES) and all(
        isinstance(scope, str) and _SCOPE.match(scope) and not several_names(scope) for scope in scopes
    )


def _is_list(values: object, most: int) -> TypeGuard[Collection[object]]:
    if not isinstance(values, Collection) or isinstance(values, (str, bytes, Mapping)):
        return False
    return len(values) <= most


def _are_days(days: object) -> bool:
    return days is None or (type(days) is int and 1 <= days <= MAX_DAYS)


def _is_metadata(metadata: object) -> bool:
    if not isinstance(metadata, Mapping) or not all(isinstance(name, str) for name in metadata):
        return False
    try:
        text = json.dumps(dict(metadata), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return len(text.encode()) <= MAX_METADATA and _is_shallow(metadata, MAX_DEPTH)
    except (TypeError, ValueError, RecursionError):  # half of a surrogate pair also raises a ValueError
        return False


def _is_shallow(value: object, depth: int) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, (list, tuple)):
        return True
    return depth > 0 and all(_is_shallow(part, depth - 1) for part in value)


def _are_networks(networks: object) -> bool:
    return _is_list(networks, MAX_NETWORKS) and all(
        isinstance(network, str) and parse_network(network) is not None for network in networks
    )
