"""Check settings of the identity service that need more than their type."""

from authguard._core.options import check_list, check_text, check_url, got
from authguard.errors import ConfigurationError
from authguard.identity.model import KEY_EVENTS


def check_issuer(issuer: str) -> str:
    """Return the issuer without a slash at its end (RFC 8414 section 2: https, no query, no fragment).

    Raises:
        ConfigurationError: if it is not one.
    """
    check_url(issuer, "issuer", example="https://auth.example.com", reason="passwords are sent there")
    if "?" in issuer:
        raise ConfigurationError(f"issuer must have no query, got {got(issuer)}")
    return issuer.rstrip("/")


def check_text_or_empty(value: object, name: str) -> None:
    """Check a text that may be empty.

    Raises:
        ConfigurationError: if it is no text.
    """
    if value != "":
        check_text(value, name, must="be text")


def check_key_mails(events: object) -> tuple[str, ...]:
    """Return the events of API keys that their owners are told by mail.

    Raises:
        ConfigurationError: for something else than a list of some of `KEY_EVENTS`.
    """
    given = check_list(events, "api_key_mails", '"expiring"')
    if unknown := [event for event in given if event not in KEY_EVENTS]:
        raise ConfigurationError(
            f"api_key_mails must be among {', '.join(KEY_EVENTS)}, got {', '.join(map(got, unknown))}"
        )
    return tuple(given)
