"""Send the requests of a sign-in to a provider, limited in time and size, and without cookies."""

from collections.abc import Mapping
from typing import Any

from authguard._core.flow import Fetch, FetchFailedError, Response
from authguard._core.strict_json import JSONError, parse_array_bytes, parse_object_bytes
from authguard.drivers.blocking import ask
from authguard.identity.errors import ProviderUnavailableError
from authguard.identity.social.attempts import NoAnswerError
from authguard.verifiers.http import HTTPOptions, Remote

#: Bytes of an answer; profiles have a few thousand.
MAX_ANSWER = 1024 * 1024
_CONNECT_SECONDS = 1.0
_SHARE_OF_KEYS = 0.6  # the share of one request in the seconds of an attempt


class ProviderClient:
    """Send requests to one provider, using the package's driver for threads, and parse its answers.

    Args:
        name: of the provider.
        url: the URL of the provider.
        seconds: the timeout of one request.
        allow_private: whether its metadata may refer to private networks.

    Attributes:
        http: the connection options, for a verifier of its tokens.
    """

    def __init__(self, name: str, url: str, seconds: float, *, allow_private: bool = False) -> None:
        self._name = name
        self._seconds = seconds
        self._connect_seconds = min(_CONNECT_SECONDS, seconds)
        # The timeout is shorter, so that an attempt has time left to report that the keys did not arrive.
        self.http = HTTPOptions(
            timeout=_SHARE_OF_KEYS * seconds,
            connect_timeout=min(_CONNECT_SECONDS, _SHARE_OF_KEYS * seconds),
            allow_private=allow_private,
        )
        self._channel = Remote(self.http, seconds, url).channel

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Return the answer to a request, with any status.

        Raises:
            ProviderUnavailableError: if no answer comes, or it is too large; `NoAnswerError` if it is too
                late.
        """
        question = Fetch(
            self._channel,
            method,
            url,
            headers={"accept": "application/json", **headers},
            body=body,
            timeout=self._seconds,
            connect_timeout=self._connect_seconds,
            max_bytes=MAX_ANSWER,
        )
        try:
            response: Response = ask(question)
        except FetchFailedError as error:
            raise self.outage(error) from None
        return response

    def outage(self, error: FetchFailedError) -> ProviderUnavailableError:
        """Return the error for a request without an answer."""
        is_late = error.kind == "timeout" or (
            # other failures are reported at once
            error.kind == "connect" and error.took >= self._connect_seconds / 2
        )
        reason = f"{self._name} is down: {error}"
        return NoAnswerError(reason) if is_late else ProviderUnavailableError(reason)

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        for opened in list(self._channel.opened.values()):
            opened.close()


def read_document(response: Response) -> Any:
    """Return the JSON object or array of an answer, with any media type; None if it is not JSON."""
    read = parse_array_bytes if response.body.lstrip()[:1] == b"[" else parse_object_bytes
    try:
        return read(response.body)
    except JSONError:
        return None
