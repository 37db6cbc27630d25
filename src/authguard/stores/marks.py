"""Store the active revocations of a process, as marks to look up."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Literal, TypeAlias, get_args

from authguard._core.credential.key_format import check_not_key
from authguard._core.model import Principal, api_key_id, session_of
from authguard._core.options import Moment, check_recent_moment, got, is_numeric_date
from authguard.errors import ConfigurationError

Kind: TypeAlias = Literal["token", "key", "session", "subject", "all"]
#: Kind, issuer (empty for all issuers) and name of a revoked thing.
Key: TypeAlias = tuple[str, str, str]

KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_NAME = 200  # characters; of longer names the digest is stored
_FIRST_PURGE = 1000  # marks; after that, whenever their number has doubled
_BY_TIME = ("subject", "all")  # kinds that do not affect tokens issued later
_LIKE_A_TOKEN = re.compile(
    r"(?:bearer +)?eyJ[\w-]+\.[\w-]+\.[\w-]*(?:\.[\w-]*){0,2}\Z", re.ASCII | re.IGNORECASE
)
_OF_THE_CALLER = {
    "token_id": "write token_id=user.token_id",
    "session": "write session=user.claims['sid']",
    "subject": "write subject=user.subject",
    "key_id": "write key_id=user.key_id",
    "issuer": "write issuer=user.issuer",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """Describe one revocation.

    Attributes:
        kind: a token, an API key, a session, a subject, or all tokens.
        issuer: the issuer of the token, key, session or subject; empty for all issuers.
        name: its name, as returned by `mark_name`.
        issued_before: seconds since the epoch; tokens of a subject that were issued (`iat`) later are not
            affected. None for the current time of the store.
        until: seconds since the epoch, after which the mark may be deleted.
    """

    kind: Kind
    issuer: str
    name: str
    issued_before: float | None
    until: float

    @property
    def key(self) -> Key:
        """Return the key by which the mark is looked up."""
        return self.kind, self.issuer, self.name


def mark_name(name: str) -> str:
    """Return a name as stores save it: of limited length, and without characters that a database rejects."""
    if len(name) <= MAX_NAME and name.isprintable():
        return name
    return "sha256:" + sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def make_mark(
    *,
    token_id: str | None = None,
    key_id: str | None = None,
    session: str | None = None,
    subject: str | None = None,
    issuer: str | None = None,
    issued_before: float | Moment | None = None,
    until: float | Moment,
) -> Mark:
    """Build the mark of a revocation from the arguments of `revoke`.

    Raises:
        ConfigurationError: if the arguments name several things or none, a name is not text or is a token,
            `key_id` is a key, or a time is not a number or before 2001.
    """
    named: dict[Kind, str | None] = {"token": token_id, "key": key_id, "session": session, "subject": subject}
    texts = {
        "token_id": token_id, "key_id": key_id, "session": session, "subject": subject, "issuer": issuer,
    }  # fmt: skip
    _check_names(texts)
    given: list[tuple[Kind, str]] = [(kind, name) for kind, name in named.items() if name is not None]
    if not given and issued_before is not None:
        given = [("all", "")]
    if len(given) != 1:
        raise ConfigurationError(
            f"exactly one of token_id, key_id, subject and session must be given, got {len(given)}"
        )
    ((kind, name),) = given
    before = (
        None if issued_before is None else check_recent_moment(issued_before, "issued_before", "time.time()")
    )
    if before is not None and kind not in _BY_TIME:
        raise ConfigurationError(
            f"issued_before must be left out for a {kind}, which has no tokens of later, got {before}"
        )
    ending = check_recent_moment(until, "until", "time.time() + 3600", infinite=True)
    return Mark(kind, mark_name(issuer or ""), mark_name(name), before, ending)


def _check_names(texts: Mapping[str, object]) -> None:
    """Check that each name is text, and not the credential that it belongs to."""
    for option, name in texts.items():
        if name is None:
            continue
        if not isinstance(name, str):
            raise ConfigurationError(f"{option} must be text, got {got(name)}: write str(…)")
        if not name:
            raise ConfigurationError(f"{option} must be text that is not empty, or None, got ''")
        if _LIKE_A_TOKEN.match(name):  # no caller has this name, so that nothing would be revoked
            raise ConfigurationError(
                f"{option} must be a name in the token, got the token itself: {_OF_THE_CALLER[option]}"
            )
        if option == "key_id":
            check_not_key(name, option)


def keys_of(principal: Principal, kinds: Container[str] = KINDS) -> Iterator[Key]:
    """Return each key of some kinds by which a principal may be revoked."""
    issuers = ("",) if principal.issuer is None else ("", mark_name(principal.issuer))
    for kind in KINDS:
        if kind in kinds and (name := _name_of(principal, kind)) is not None:
            yield from ((kind, issuer, mark_name(name)) for issuer in issuers)


def _name_of(principal: Principal, kind: Kind) -> str | None:
    """Return the name of a principal in marks of a kind."""
    if kind == "token":
        return principal.token_id or None
    if kind == "key":
        return api_key_id(principal) or None
    if kind == "session":
        return session_of(principal.claims)
    return principal.subject if kind == "subject" else ""


def revokes(marks: Iterable[Mark], principal: Principal, now: float) -> bool:
    """Return whether one of the principal's marks is active and covers its token."""
    issued = principal.claims.get("iat")
    for mark in marks:
        if now >= mark.until:
            continue
        if mark.kind not in _BY_TIME or not is_numeric_date(issued):
            return True
        if mark.issued_before is None or issued <= mark.issued_before:
            return True
    return False


def merge(older: Mark | None, newer: Mark) -> Mark:
    """Merge two marks of the same key. A later revocation never reduces an earlier one."""
    if older is None:
        return newer
    before = [mark.issued_before for mark in (older, newer) if mark.issued_before is not None]
    until = max(older.until, newer.until)
    return Mark(newer.kind, newer.issuer, newer.name, max(before, default=None), until)


class Marks:
    """Store the marks of a process. Requests read them without a lock; changes are made under one.

    Args:
        revision: the first revision; higher than all revisions of other memories.

    Attributes:
        revision: a number that changes after each change to the marks.
    """

    def __init__(self, revision: int = 0) -> None:
        self._marks: dict[Key, Mark] = {}
        self._kinds: frozenset[str] = frozenset()
        self._lock = Lock()
        self._purge_at = _FIRST_PURGE
        self.revision = revision

    def put(self, mark: Mark, now: float) -> None:
        """Store a mark, and drop old ones when the number of marks has doubled."""
        with self._lock:
            self._marks[mark.key] = merge(self._marks.get(mark.key), mark)
            self._kinds |= {mark.kind}
            if len(self._marks) >= self._purge_at:
                self._purge(now)
            # changed last, because a look-up that missed the mark must have read the old revision
            self.revision += 1

    def purge(self, now: float) -> None:
        """Drop expired marks."""
        with self._lock:
            self._purge(now)

    def _purge(self, now: float) -> None:
        # The dictionary is replaced as a whole, because requests on other threads read it at the same time.
        self._marks = {key: mark for key, mark in self._marks.items() if mark.until > now}
        self._purge_at = max(_FIRST_PURGE, 2 * len(self._marks))

    def is_revoked(self, principal: Principal, now: float) -> bool:
        """Return whether the principal's token, API key, session or subject is revoked."""
        if not self._kinds:
            return False
        marks = self._marks
        mine = [mark for key in keys_of(principal, self._kinds) if (mark := marks.get(key)) is not None]
        return bool(mine) and revokes(mine, principal, now)

    def live(self, now: float) -> list[Mark]:
        """Return the active marks."""
        return [mark for mark in list(self._marks.values()) if mark.until > now]

    def clear(self) -> None:
        """Delete all marks."""
        with self._lock:
            self._marks = {}
            self._kinds = frozenset()
            self._purge_at = _FIRST_PURGE
            self.revision += 1

    def __len__(self) -> int:
        return len(self._marks)
