"""The exceptions of drivers that are not installed here; `tests/frameworks` has the drivers themselves."""

from typing import Any

import pytest

from authguard._core.answer.denials import as_refused
from authguard.errors import UnexpectedError, VerificationUnavailableError


def raised(module: str, name: str, *arguments: Any, **attributes: Any) -> Exception:
    """Return an exception of a class of a driver."""
    error: Exception = type(name, (Exception,), {"__module__": module})(*arguments)
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            raised("pymysql.err", "OperationalError", 2003, "no route"),
            "pymysql.err.OperationalError (error 2003)",
        ),
        (raised("pymysql.err", "InterfaceError", 0, ""), "pymysql.err.InterfaceError (error 0)"),
        (raised("MySQLdb", "OperationalError", 1040, "too many"), "MySQLdb.OperationalError (error 1040)"),
        (
            raised("mysql.connector.errors", "ProgrammingError", "1045 (28000)", errno=1045),
            "mysql.connector.errors.ProgrammingError (error 1045)",
        ),
        (
            raised("mysql.connector.errors", "OperationalError", -1, "not available", errno=-1),
            "mysql.connector.errors.OperationalError (error -1)",
        ),
        (raised("mariadb", "OperationalError", "lost", errno=2013), "mariadb.OperationalError (error 2013)"),
        (raised("pymongo.errors", "ConnectionFailure", "refused"), "pymongo.errors.ConnectionFailure"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_outage_of_a_driver(error: Exception, reason: str) -> None:
    """The reason has the class and the number of the exception, and not its text."""
    refused = as_refused(error)
    assert isinstance(refused, VerificationUnavailableError)
    assert refused.reason == f"a callback or verifier raised {reason}"


class OwnError(type(raised("pymysql.err", "OperationalError"))):  # type: ignore[misc]
    """An application's own exception of the class of a driver."""


def test_a_subclass_of_a_driver_s_exception_is_an_outage() -> None:
    """Its number is that of the driver."""
    assert isinstance(as_refused(OwnError(2006, "gone")), VerificationUnavailableError)


@pytest.mark.parametrize(
    "error",
    [
        raised("pymysql.err", "OperationalError", 1054, "unknown column"),
        raised("pymysql.err", "ProgrammingError", 0, ""),
        raised("pymysql.err", "OperationalError"),
        raised("mysql.connector.errors", "ProgrammingError", "no number"),
        raised("shop.errors", "OperationalError", 2003, "of another package"),
        raised("pymysqlx", "OperationalError", 2003),
        raised("pymongo.errors", "OperationFailure", "a mistake"),
    ],
    ids=repr,
)
def test_a_mistake_is_no_outage(error: Exception) -> None:
    """A mistake in a statement is answered with 500."""
    assert type(as_refused(error)) is UnexpectedError
