"""The exceptions of HTTP clients and of redis that show an outage of the other side."""

import http.client
import ssl
import urllib.error
from email.message import Message
from typing import Any

import httpx
import pytest
import redis
import requests
import urllib3

from authguard._core.answer.denials import as_refused
from authguard.errors import UnexpectedError, VerificationUnavailableError


def status_error(status: int) -> httpx.HTTPStatusError:
    """Return the exception of `raise_for_status`."""
    request = httpx.Request("GET", "https://users.example/?key=hunter2-hunter2")
    return httpx.HTTPStatusError("hunter2", request=request, response=httpx.Response(status))


def url_error(status: int) -> urllib.error.HTTPError:
    """Return the exception of `urlopen` for a status, as after its answer was read."""
    url = "https://users.example/?key=hunter2-hunter2"
    error = urllib.error.HTTPError(url, status, "no", Message(), None)
    error.close()
    return error


def requests_error(status: int) -> requests.HTTPError:
    """Return the exception of `raise_for_status` of requests."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("hunter2", response=response)


def aiohttp_error(status: int) -> Exception:
    """Return an exception as that of aiohttp, which is not installed here."""
    kind: Any = type("ClientResponseError", (Exception,), {"__module__": "aiohttp.client_exceptions"})
    error: Exception = kind()
    error.status = status  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.RemoteProtocolError("hunter2"), "httpx.RemoteProtocolError"),
        (httpx.ReadTimeout("hunter2"), "httpx.ReadTimeout"),
        (httpx.ConnectError("hunter2"), "httpx.ConnectError"),
        (http.client.IncompleteRead(b"hunter2"), "http.client.IncompleteRead"),
        (http.client.BadStatusLine("hunter2"), "http.client.BadStatusLine"),
        (ssl.SSLError("hunter2"), "ssl.SSLError"),
        (urllib3.exceptions.ProtocolError("hunter2"), "urllib3.exceptions.ProtocolError"),
        (redis.exceptions.ReadOnlyError("hunter2"), "redis.exceptions.ReadOnlyError"),
        (redis.exceptions.ClusterDownError("hunter2"), "redis.exceptions.ClusterDownError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_server_that_breaks_off_is_an_outage(error: Exception, reason: str) -> None:
    """A server that breaks off, or cannot take a command now, is 503; the reason has no text of it."""
    refused = as_refused(error)
    assert isinstance(refused, VerificationUnavailableError)
    assert refused.reason == f"a callback or verifier raised {reason}"


CLIENTS = pytest.mark.parametrize(
    "make", [status_error, url_error, requests_error, aiohttp_error], ids=lambda make: make.__name__
)


@CLIENTS
@pytest.mark.parametrize("status", [429, 500, 503, 599])
def test_a_failure_of_the_other_side_is_an_outage(make: Any, status: int) -> None:
    """An exception for a status 429 or 5xx is 503; the reason has the status, and not the URL."""
    refused = as_refused(make(status))
    assert isinstance(refused, VerificationUnavailableError)
    assert refused.reason.endswith(f"Error (status {status})")
    assert "hunter2" not in refused.reason


@CLIENTS
@pytest.mark.parametrize("status", [400, 401, 403, 404, 600])
def test_another_status_is_no_outage(make: Any, status: int) -> None:
    """An exception for another status is a mistake of the application: 500."""
    assert type(as_refused(make(status))) is UnexpectedError


@pytest.mark.parametrize(
    "error",
    [
        httpx.LocalProtocolError("a header"),
        httpx.UnsupportedProtocol("ftp"),
        http.client.InvalidURL("a space"),
        http.client.CannotSendRequest(),
        redis.exceptions.ResponseError("a command"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_mistake_of_the_caller_is_no_outage(error: Exception) -> None:
    """A request that the client itself refuses is 500."""
    assert type(as_refused(error)) is UnexpectedError


def while_handling(raised: type[Exception], *, hidden: bool = False) -> Exception:
    """Return an exception that is raised while an outage is handled."""
    try:
        try:
            raise ConnectionRefusedError("hunter2")
        except OSError:
            if hidden:
                raise raised("no users") from None
            raise raised("no users")  # noqa: B904 (which the test is about)
    except Exception as error:
        return error


@pytest.mark.parametrize("raised", [RuntimeError, Exception, OSError])
def test_an_exception_in_the_place_of_an_outage(raised: type[Exception]) -> None:
    """An exception that an application raises because of an outage is 503, also without `from`."""
    refused = as_refused(while_handling(raised))
    assert isinstance(refused, VerificationUnavailableError)
    assert refused.reason.endswith(f"{raised.__name__} from ConnectionRefusedError")


@pytest.mark.parametrize("raised", [RuntimeError, Exception, OSError])
def test_an_exception_that_hides_the_outage(raised: type[Exception]) -> None:
    """An exception `from None` is no outage, because the application has hidden the cause."""
    assert type(as_refused(while_handling(raised, hidden=True))) is UnexpectedError


@pytest.mark.parametrize("raised", [TypeError, KeyError, AttributeError, ValueError])
def test_a_bug_while_an_outage_is_handled(raised: type[Exception]) -> None:
    """A bug in the code that handles an outage is still a bug: 500."""
    assert type(as_refused(while_handling(raised))) is UnexpectedError
