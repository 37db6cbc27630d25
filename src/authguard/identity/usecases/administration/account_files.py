"""Read files of accounts, CSV or JSON Lines, record by record; memory does not grow with the file."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from authguard._core.options import several_names

#: The columns of a record; only `email` is required.
COLUMNS = ("email", "id", "password_hash", "name", "roles", "scopes", "verified", "disabled")
_MAX_LINE = 64 * 1024  # characters; otherwise a single quote in CSV could make the rest of the file one value
_MAX_SHOWN = 5  # unknown names
_NAME = re.compile(r"[A-Za-z][A-Za-z_ -]{0,39}\Z")
_FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


class RecordError(ValueError):
    """Report why a record cannot be read. The text contains no part of the record."""


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """Hold the account of a record, as it was written.

    Attributes:
        email: its address.
        id: a UUID, or None for a new one.
        password_hash: of another system, or None.
        name: the name of its owner.
        roles: its roles; empty for the default role.
        scopes: its scopes.
        verified: whether the address is known to belong to its owner.
        disabled: whether the account is disabled.
    """

    email: str
    id: str | None
    password_hash: str | None
    name: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    verified: bool
    disabled: bool


class Line(NamedTuple):
    """Hold a record of a file.

    Attributes:
        number: the line on which it begins, counted from 1.
        record: the account, or the reason why it cannot be read.
    """

    number: int
    record: AccountRecord | RecordError


def open_accounts(path: Path) -> TextIO:
    """Open a file of accounts. A byte order mark is skipped.

    Invalid UTF-8 is reported for its record, whose line is known.
    """
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_csv(file: TextIO) -> Iterator[Line]:
    """Read records of CSV (RFC 4180), whose first line names the columns.

    Raises:
        RecordError: for a first line that is not accepted.
    """
    rows = _rows(file)
    _, columns = next(rows, (1, []))
    if isinstance(columns, RecordError):
        raise columns
    _check_columns(columns)
    for number, row in rows:
        if isinstance(row, RecordError):
            yield Line(number, row)
        elif len(row) != len(columns):
            yield Line(number, RecordError(f"must have {len(columns)} fields, got {len(row)}"))
        elif any(row):
            yield Line(number, _record(dict(zip(columns, row, strict=True)), _of_csv))


def _rows(text: TextIO) -> Iterator[tuple[int, list[str] | RecordError]]:
    reader = csv.reader(text, strict=True)
    limit = csv.field_size_limit(_MAX_LINE)
    try:
        while True:
            number = reader.line_num + 1
            csv.field_size_limit(_MAX_LINE)
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield number, RecordError("must be CSV: quotes that are closed, and doubled in quoted fields")
                return  # the beginning of the next record is not known
            if row:
                yield number, row
    finally:
        csv.field_size_limit(limit)


def _check_columns(columns: list[str]) -> None:
    if "email" not in columns:
        raise RecordError("the first line must name the columns, with one that is called email")
    if unknown := _unknown(columns):
        raise RecordError(f"the columns must be of {', '.join(COLUMNS)}, got {unknown}")
    if len(set(columns)) < len(columns):
        raise RecordError("each column must be there once, got one of them twice")


def _unknown(names: Iterable[str]) -> str:
    """Return the names that are no columns, and the correction; empty for none.

    A name that is not like one of a column may be a value of an account, so that its place is shown instead.
    """
    unknown = [(place, name) for place, name in enumerate(names, 1) if name not in COLUMNS]
    if not unknown:
        return ""
    shown = ", ".join(
        repr(name) if _NAME.match(name) else f"one at place {place}" for place, name in unknown[:_MAX_SHOWN]
    )
    more = f" and {len(unknown) - _MAX_SHOWN} more" if len(unknown) > _MAX_SHOWN else ""
    return f"{shown}{more}: rename or delete {'it' if len(unknown) == 1 else 'them'}"


def read_json_lines(file: TextIO) -> Iterator[Line]:
    """Read records of JSON Lines: an object on each line."""
    number = 0
    while line := file.readline(_MAX_LINE):
        number += 1
        if len(line) == _MAX_LINE and not line.endswith("\n"):
            yield Line(number, RecordError(f"must have less than {_MAX_LINE} characters"))
            return
        if line.strip():
            yield Line(number, _json_record(line))


def _json_record(line: str) -> AccountRecord | RecordError:
    try:
        members = json.loads(line, object_pairs_hook=_once)
    except RecordError as error:
        return error
    except (ValueError, RecursionError):
        return RecordError("must be an object in JSON")
    if not isinstance(members, dict):
        return RecordError("must be an object in JSON")
    if unknown := _unknown(members):
        return RecordError(f"must have no members but {', '.join(COLUMNS)}, got {unknown}")
    return _record(members, _of_json)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise RecordError("must have each member once")
    return members


class _Reading(NamedTuple):
    """Read the values of a record, in the notation of its format."""

    text: Any
    texts: Any
    flag: Any


def _record(values: Mapping[str, Any], read: _Reading) -> AccountRecord | RecordError:
    name = ""
    try:
        for name in ("email", "id", "name", "password_hash"):
            read.text(values.get(name))
        email = read.text(values.get("email"))
        fields: dict[str, Any] = {}
        for name in ("roles", "scopes"):
            fields[name] = read.texts(values.get(name))
        for name in ("verified", "disabled"):
            fields[name] = read.flag(values.get(name))
    except RecordError as error:
        return RecordError(f"{name} {error}")
    return AccountRecord(
        email=email,
        id=read.text(values.get("id")) or None,
        password_hash=read.text(values.get("password_hash")) or None,
        name=read.text(values.get("name")),
        **fields,
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RecordError("must be text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise RecordError("must be UTF-8")
    return value


def _texts_of_csv(value: object) -> tuple[str, ...]:
    parts = tuple(filter(None, (part.strip() for part in _text(value).split(";"))))
    if any(map(several_names, parts)):
        raise RecordError("must have semicolons between them, got commas: write A;B")
    return parts


def _flag_of_csv(value: object) -> bool:
    flag = _FLAGS.get(_text(value).strip().lower())
    if flag is None:
        raise RecordError("must be true or false")
    return flag


def _texts_of_json(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RecordError("must be a list of texts")
    return tuple(map(_text, value))


def _flag_of_json(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        raise RecordError("must be true or false")
    return bool(value)


_of_csv = _Reading(_text, _texts_of_csv, _flag_of_csv)
_of_json = _Reading(_text, _texts_of_json, _flag_of_json)
