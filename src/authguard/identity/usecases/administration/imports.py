"""Create the accounts of a file, whose passwords another system has hashed."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import NamedTuple
from uuid import UUID, uuid4

from authguard.identity.errors import InvalidFieldsError
from authguard.identity.mail.addresses import email_key, parse_email
from authguard.identity.model import MAX_NAME, NO_CALLER, User
from authguard.identity.passwords.imported import UnusableHashError, stored_form
from authguard.identity.person_names import is_name, trim_name
from authguard.identity.storage import queries as store
from authguard.identity.storage.queries import NewUser
from authguard.identity.usecases.administration.account_files import AccountRecord, Line, RecordError
from authguard.identity.usecases.administration.rights import role_problem, scope_problem
from authguard.identity.usecases.context import Base, records

_BATCH = 500  # accounts in one transaction
_SHOWN = 20  # lines with problems after which the rest is not checked


class Problem(NamedTuple):
    """Describe why the record of a line is not accepted.

    Attributes:
        line: its number.
        text: a sentence that contains no part of the record.
    """

    line: int
    text: str


class Imported(NamedTuple):
    """Hold the result of an import.

    Attributes:
        made: the number of created accounts.
        existing: the number of records with the address or the id of an existing account, which stays
            unchanged.
    """

    made: int
    existing: int


class _NewAccount(NamedTuple):
    """Hold the account of a line."""

    line: int
    row: NewUser


class AccountImport:
    """Check files of accounts, and create the accounts.

    Args:
        base: the common parts of use cases.
    """

    def __init__(self, base: Base) -> None:
        self._base = base

    def check(self, lines: Iterable[Line]) -> list[Problem]:
        """Return the reasons why records are not accepted, at most twenty; nothing is written.

        Two records with the same address or id are a problem. Addresses and ids are stored in a temporary
        file.

        Args:
            lines: the records of a file.
        """
        problems: list[Problem] = []
        with closing(sqlite3.connect("")) as seen:
            seen.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
            for line in lines:
                try:
                    account = self._account(line)
                    self._note(seen, account)
                except RecordError as error:
                    problems.append(Problem(line.number, str(error)))
                if len(problems) == _SHOWN:
                    break
        return problems

    def _note(self, seen: sqlite3.Connection, account: _NewAccount) -> None:
        user = account.row.user
        for name, key in (("email", email_key(user.email)), ("id", user.id)):  # an address has an @
            if seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, account.line)).rowcount == 0:
                (first,) = seen.execute("SELECT line FROM seen WHERE key = ?", (key,)).fetchone()
                raise RecordError(f"{name} must be there once, and is that of line {first}")

    @records("create")
    def add(self, lines: Iterable[Line]) -> Imported:
        """Create the accounts of records that have been checked; existing accounts are not changed.

        Every 500 accounts are one transaction, and a second run creates the accounts that the first one did
        not.

        Args:
            lines: the records of a file.

        Raises:
            InvalidFieldsError: if the file has changed, and a record is not accepted.
            StoreUnavailableError: if the database does not answer.
        """
        made = existing = 0
        for batch in self._batches(lines):
            with self._base.database.write() as connection:
                new = store.insert_users(connection, [account.row for account in batch])
            for user_id in new:
                self._base.succeeded("create", NO_CALLER, reason="imported", user_id=user_id)
            made += len(new)
            existing += len(batch) - len(new)
        return Imported(made, existing)

    def _batches(self, lines: Iterable[Line]) -> Iterator[list[_NewAccount]]:
        batch: list[_NewAccount] = []
        for line in lines:
            try:
                batch.append(self._account(line))
            except RecordError as error:
                raise InvalidFieldsError({f"line {line.number}": [str(error)]}) from None
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _account(self, line: Line) -> _NewAccount:
        """Return the account of a record.

        Raises:
            RecordError: if it is not accepted.
        """
        record = line.record
        if isinstance(record, RecordError):
            raise record
        address = parse_email(record.email)
        if address is None:
            raise RecordError("email must be an e-mail address")
        password_hash = self._check(record)
        role, *further = record.roles or (self._base.settings.default_role,)
        user = User(
            id=_id_of(record),
            email=address,
            email_verified=record.verified,
            name=trim_name(record.name),
            role=role,
            disabled=record.disabled,
            created_at=self._base.clock(),
            further_roles=tuple(dict.fromkeys(name for name in further if name != role)),
            scopes=tuple(dict.fromkeys(record.scopes)),
        )
        is_proven = record.verified and password_hash is not None
        return _NewAccount(line.number, NewUser(user, password_hash, is_proven))

    def _check(self, record: AccountRecord) -> str | None:
        """Return the hash of a record as it is stored.

        Raises:
            RecordError: if the record is not accepted.
        """
        if not is_name(record.name):
            raise RecordError(f"name must have at most {MAX_NAME} characters, and no control characters")
        if problem := role_problem(record.roles):
            raise RecordError(f"roles {problem}")
        if problem := scope_problem(record.scopes):
            raise RecordError(f"scopes {problem}")
        if record.password_hash is None:
            return None
        try:
            return stored_form(record.password_hash)
        except UnusableHashError as error:
            raise RecordError(f"password_hash {error}") from None


def _id_of(record: AccountRecord) -> str:
    """Return the id of an account: that of the record, otherwise a new one.

    Raises:
        RecordError: if it is not a UUID in the form of `str(UUID(…))`.
    """
    if record.id is None:
        return str(uuid4())
    try:
        is_canonical = str(UUID(record.id)) == record.id
    except ValueError:
        is_canonical = False
    if not is_canonical:
        raise RecordError("id must be a UUID of 36 characters in lower case, with hyphens")
    return record.id
