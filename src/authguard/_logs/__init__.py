"""Log refusals: in few lines, once, and never with a credential (laws 4 and 9)."""

import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote

from authguard._core.answer.decision import Deny
from authguard._core.guard import Guard
from authguard._core.request import RequestView
from authguard._logs.by_reason import LineCounts, reason_of
from authguard.errors import RefusedError, VerificationUnavailableError

logger = logging.getLogger("authguard")

_MAX_PATH = 200
_MAX_METHOD = 40
# A shorter text may occur in a traceback by accident, and no credential is shorter: API keys have at least 16
# characters, and 128 random bits have 22.
_MIN_SECRET = 16
# The caller chooses the number of cookies, and may influence the text. Searching for them takes at most about
# 20 ms.
_MAX_SECRETS = 200
_MAX_FIELD_BYTES = 64 * 1024
_MAX_SEARCHED = 6_000_000  # characters of the text, times the number of secrets
_REDACTED = "[redacted]"
_COOKIE = re.compile(rb"[^;]{%d,}" % _MIN_SECRET)  # a shorter cookie contains no secret
_RUN = re.compile(rb"[A-Za-z0-9._~+/%-]{16,}=*")
_ALSO_SECRET = (b"dpop", b"proxy-authorization", b"x-api-key")  # even if this guard does not read them
# A client that puts its token or API key into the path is refused, but the credential may be valid.
_IN_PATH = (
    r"eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_=-]*)+|[a-z]{2,8}_(?:live|test)_[A-Za-z0-9_-]{8,}"
    r"|(?<![A-Za-z0-9])(?:rt|clsk)_[A-Za-z0-9_-]{16,}"  # those of `authguard.identity`
)
_refusals = LineCounts()
_outages = LineCounts()
_hinted: set[str] = set()  # the hints that were logged
# The claims of tokens are those that issuers choose, and some may be in a line.
_MAX_HINTS = 20


class _KeysInPaths:
    """Find API keys and tokens in paths.

    Attributes:
        prefixes: the prefixes of the keys that the guards of this process verify.
        pattern: finds such keys, and credentials of common forms.
    """

    def __init__(self) -> None:
        self.prefixes: frozenset[str] = frozenset()
        self.pattern = re.compile(_IN_PATH)

    def add(self, prefixes: frozenset[str]) -> None:
        """Add prefixes of keys to find."""
        if not prefixes <= self.prefixes:
            self.prefixes |= prefixes
            keys = (
                rf"(?<![A-Za-z0-9]){re.escape(each)}[A-Za-z0-9._~-]{{{max(8, _MIN_SECRET - len(each))},}}"
                for each in sorted(self.prefixes, key=len, reverse=True)
            )
            self.pattern = re.compile("|".join((_IN_PATH, *keys)))


_keys_in_paths = _KeysInPaths()


def redact_keys_of(guard: Guard) -> None:
    """Remove API keys that a guard verifies from the paths in log lines.

    Args:
        guard: the guard. Its prefixes apply to the log lines of all guards.
    """
    _keys_in_paths.add(
        frozenset(prefix for verifier in guard.verifiers for prefix in verifier.prefixes if prefix)
    )


def redact_path(path: str) -> str:
    """Return a path without the tokens and API keys in it."""
    return _keys_in_paths.pattern.sub(_REDACTED, path)


class _TooManyError(Exception):
    """Report that a request has more secrets than are searched for."""


def log_refusal(request: RequestView, denied: Deny) -> None:
    """Log faults of the server as errors and warnings, those of the caller at level DEBUG.

    A line contains the public name of the API key, if any.

    Outages, and at level INFO the caller's faults, have no line each, but one line a minute for each reason.
    """
    if denied.error.status_code == 500:
        cause = denied.error.__cause__ or denied.error
        text = "".join(traceback.format_exception(cause))
        try:
            text = _redacted(text, request)
        except _TooManyError:
            text = (
                f"{type(cause).__name__}; the traceback is left out: it is too long, or the request has "
                "too many cookies, to look for all of its credentials in it"
            )
        logger.error("%s %s: %s\n%s", *where(request), denied.error.reason, text)
    elif isinstance(denied.error, VerificationUnavailableError):
        _log_outage(request, denied, is_logged=denied.error.is_logged)
    else:
        _log_hint(request, denied)
        if logger.isEnabledFor(logging.DEBUG):
            reason = _reason(request, denied)  # a custom verifier may return a long text
            if denied.error.key_id is not None:
                reason = f"{reason}; key_id {denied.error.key_id}"
            logger.debug("%s %s: %s (%s)", *where(request), denied.error.code, ascii(reason)[1:-1])
        elif logger.isEnabledFor(logging.INFO):
            _log_counted(denied.error)


def _log_counted(error: RefusedError) -> None:
    """Log a refusal at level INFO if its line is due, with nothing from the caller."""
    reason = reason_of(error)
    more = _refusals.take(reason)
    if more is not None:
        logger.info("refused with %d: %s%s", error.status_code, reason, more)


def _log_outage(request: RequestView, denied: Deny, *, is_logged: bool) -> None:
    """Log an outage as a WARNING if its line is due, and otherwise at level DEBUG."""
    if logger.isEnabledFor(logging.DEBUG if is_logged else logging.WARNING):
        reason = _reason(request, denied)
        more = None if is_logged else _outages.take(reason)
        level = logging.DEBUG if more is None else logging.WARNING
        logger.log(level, "%s %s: %s%s", *where(request), reason, more or "")


def log_raised(request: RequestView, denied: Deny) -> None:
    """Log a refusal that the application has raised, as by `Guard.verify`.

    The reason is left out, unless it is an outage: a credential from a message is unknown here, so it could
    not be found in the reason and removed.
    """
    if isinstance(denied.error, VerificationUnavailableError):
        log_refusal(request, denied)
    elif logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s %s: %s (raised by the application)", *where(request), denied.error.code)
    elif logger.isEnabledFor(logging.INFO):
        _log_counted(denied.error)


def _log_hint(request: RequestView, denied: Deny) -> None:
    """Warn once about a setting that the operator must change."""
    hint = denied.error.hint
    if hint is not None and hint not in _hinted and len(_hinted) < _MAX_HINTS:
        _hinted.add(hint)
        logger.warning("%s %s: %s", *where(request), hint)


def where(request: RequestView) -> tuple[str, str]:
    """Return method and path for a log line, without JWTs and API keys in the path."""
    path = redact_path(request.path[:_MAX_PATH])
    # ascii() escapes line breaks and escape sequences, which could forge a log line.
    return ascii(request.method[:_MAX_METHOD])[1:-1], ascii(path)


def _reason(request: RequestView, denied: Deny) -> str:
    try:
        return _redacted(denied.error.reason, request)
    except _TooManyError:
        return "the reason is left out, because the request has too many cookies to search for in it"


def _redacted(text: str, request: RequestView) -> str:
    """Return the text without the request's credentials, which a callback's error may contain.

    Raises:
        _TooManyError: if the search would take too long.
    """
    fields = [value for name, value in request.presented if name != b"cookie"]
    fields += [value for name in _ALSO_SECRET for value in request.fields(name)]
    cookies = request.fields(b"cookie")
    if sum(map(len, (*fields, *cookies))) > _MAX_FIELD_BYTES:
        raise _TooManyError
    values: set[bytes] = set()
    for value in _values(fields, cookies):
        values.add(value)
        if len(values) > _MAX_SECRETS:
            raise _TooManyError
    secrets = {form for value in values for form in _forms(value) if len(form) >= _MIN_SECRET}
    if len(secrets) * len(text) > _MAX_SEARCHED:
        raise _TooManyError
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _REDACTED)
    return text


def _values(fields: Iterable[bytes], cookies: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the values of credential fields and of all cookies, and the credentials inside these values."""
    parts = [part.partition(b"=") for field in cookies for part in _COOKIE.findall(field)]
    in_cookies = [(value if equals else name).strip(b' \t"') for name, equals, value in parts]
    for value in (*fields, *in_cookies):
        if len(value) >= _MIN_SECRET:
            yield value
            # Also a token without its scheme, and text between characters that repr() may escape differently.
            yield from _RUN.findall(value)


def _forms(value: bytes) -> Iterator[str]:
    """Yield the forms in which an error may show a value: as text or bytes, and percent-encoded or not."""
    text = value.decode("latin-1")
    plain = unquote(text)
    for shown in {text, value.decode("utf-8", "replace"), plain}:
        yield shown
        yield repr(shown)[1:-1]
        yield ascii(shown)[1:-1]
    yield repr(value)[2:-1]
    yield quote(value, safe="")
    yield from (run.decode("ascii") for run in _RUN.findall(plain.encode("ascii", "replace")))
