"""Parse the formats in which issuers publish keys.

JWK sets, single JWKs, maps of PEM by `kid`, and PEM text.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from authguard._core.jose.jwk import ALIASES, UnusableKeyError, VerificationKey, from_jwk
from authguard._core.jose.pem import BEGIN, from_pem
from authguard._core.options import type_of
from authguard.errors import ConfigurationError

#: The greatest number of keys with which a token without a `kid` is tried.
MAX_TRIED = 4
#: A key set in JSON, or PEM text.
Document: TypeAlias = Mapping[str, Any] | str

#: A token names a key by its `kid` and its algorithm.
Name: TypeAlias = tuple[str | None, str]

_SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(slots=True)
class Reading:
    """Hold the contents of a document.

    Attributes:
        keys: the usable keys, including keys that cannot be distinguished.
        skipped: why other keys are unusable (RFC 7517 section 5 requires to skip them).
        broken: `kid` and algorithm of signature keys that are invalid: another key of the same name cannot be
            distinguished from them.
    """

    keys: list[VerificationKey] = field(default_factory=list)
    skipped: list[ConfigurationError] = field(default_factory=list)
    broken: set[Name] = field(default_factory=set)

    def add(self, read: Callable[[], Iterable[VerificationKey]], member: object = None) -> None:
        """Add the keys of one part of the document, or note why it has none."""
        try:
            self.keys += read()
        except ConfigurationError as error:
            self.skipped.append(error)
            if isinstance(member, Mapping) and member.get("use") in (None, "sig"):
                algorithm = str(member.get("alg"))
                self.broken.add((str(member.get("kid")), ALIASES.get(algorithm, algorithm)))

    @property
    def ambiguous(self) -> list[Name]:
        """Return each `kid` of several keys of one algorithm, with the algorithm (RFC 7517 section 4.5)."""
        return [
            (key_id, algorithm)
            for (key_id, algorithm), group in group_by_name(distinct(self.keys)).items()
            if key_id is not None and (len(group) > 1 or (key_id, algorithm) in self.broken)
        ]

    @property
    def reasons(self) -> str:
        """Return the reasons why keys were skipped, in words."""
        return "; ".join(map(str, self.skipped))


def read_document(
    document: Document,
    algorithms: frozenset[str],
    *,
    hinted: frozenset[str] | None = None,
    published: bool = False,
    most: int = 100,
) -> Reading:
    """Read all keys of a document.

    Args:
        document: a JWK set, a JWK, a mapping of `kid` to PEM, or PEM text.
        algorithms: the allowed algorithms of the keys.
        hinted: the algorithms of a key without `alg`; None for all of the algorithms.
        published: whether the document is public, so that its secret or private keys must not be used.
        most: the greatest number of keys.

    Raises:
        ConfigurationError: if it has another format, or more keys.
    """
    reading = Reading()
    hinted = algorithms if hinted is None else hinted
    if isinstance(document, str):
        reading.add(partial(from_pem, document, hinted))
    elif "keys" in document or not is_pem_map(document):
        # A document without `keys` gets an error about the set, unless it seems to be a single key.
        is_set = "keys" in document or (published and "kty" not in document)
        members = _members_of(document) if is_set else [document]
        _check_number(len(members), most)
        for member in members:
            reading.add(partial(_from_member, member, algorithms, hinted, published=published), member)
    else:
        _check_number(len(document), most)
        for key_id, text in document.items():
            reading.add(partial(_from_pem, key_id, text, hinted))
    return reading


def _members_of(document: Mapping[str, Any]) -> list[Any]:
    members = document.get("keys")
    if not isinstance(members, list):
        raise ConfigurationError(
            f"keys of the key set must be a list of objects (RFC 7517 section 5), got {type_of(members)}"
        )
    return members


def _check_number(number: int, most: int) -> None:
    if number > most:
        raise ConfigurationError(f"the key set must have at most {most} keys, got {number}")


def is_pem_map(document: Mapping[str, Any]) -> bool:
    """Return whether a document maps each `kid` to PEM, as that of Google's certificates does.

    Args:
        document: a document of any form.
    """
    return "kty" not in document and any(
        isinstance(text, str) and text.lstrip().startswith(BEGIN) for text in document.values()
    )


def _from_pem(key_id: object, text: object, algorithms: frozenset[str]) -> list[VerificationKey]:
    if not isinstance(key_id, str) or not isinstance(text, str) or BEGIN not in text:
        raise UnusableKeyError(
            f"key {str(key_id)[:200]!r} must be PEM text like the others, got {type_of(text)}"
        )
    return from_pem(text, algorithms, key_id)


def _from_member(
    member: object, algorithms: frozenset[str], hinted: frozenset[str], *, published: bool
) -> list[VerificationKey]:
    if not isinstance(member, Mapping):
        shown = "null" if member is None else type_of(member)
        raise UnusableKeyError(f"keys of the key set must be a list of objects, got {shown} among them")
    # Some programs write null instead of leaving a member out.
    present = {name: value for name, value in member.items() if value is not None}
    if published and (present.get("kty") == "oct" or not _SECRET_MEMBERS.isdisjoint(present)):
        # Every client that has fetched the set knows the secret or private key now (RFC 7517 section 9.2).
        raise UnusableKeyError("each key of the key set must be public, got a secret or private key")
    return [from_jwk(present, algorithms if "alg" in present else hinted, lenient=True)]


def distinct(keys: Iterable[VerificationKey]) -> list[VerificationKey]:
    """Return the keys in their order, each once: a set may contain the same key twice."""
    kept: list[VerificationKey] = []
    for key in keys:
        if key not in kept:
            kept.append(key)
    return kept


def group_by_name(
    keys: Iterable[VerificationKey],
) -> dict[Name, list[VerificationKey]]:
    """Return the keys by the name that a token can use: `kid` and algorithm (RFC 7517 section 4.5)."""
    groups: dict[Name, list[VerificationKey]] = {}
    for key in keys:
        groups.setdefault((key.key_id, key.algorithm), []).append(key)
    return groups


def told_apart(reading: Reading) -> list[VerificationKey]:
    """Return the keys that tokens can name or be tried with; record the other keys as skipped."""
    ambiguous = reading.ambiguous
    kept: list[VerificationKey] = []
    for (key_id, algorithm), group in group_by_name(distinct(reading.keys)).items():
        if (key_id, algorithm) in ambiguous:
            reading.skipped.append(
                UnusableKeyError(
                    f"each kid must be of one key for {algorithm}, got several with the same kid {key_id!r}"
                )
            )
            continue
        kept += group[:MAX_TRIED]
        if len(group) > MAX_TRIED:
            reading.skipped.append(
                UnusableKeyError(
                    f"the key set must have at most {MAX_TRIED} keys for {algorithm} without kid, got "
                    f"{len(group)}: only the first are tried"
                )
            )
    return kept
