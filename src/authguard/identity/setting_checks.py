"""Check settings of the identity service that need more than their type."""

import re

from authguard._core.options import check_list, check_text, check_url, got
from authguard.errors import ConfigurationError
from authguard.identity.mail.mailer import check_product_name, check_sender
from authguard.identity.model import KEY_EVENTS
from authguard.verifiers.secret_text import check_secret_text

_TOKEN = re.compile(r"[\x21-\x7e]{1,1000}\Z")


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


def check_mail(smtp_url: str | None, sender: str | None, product_name: object) -> None:
    """Check the sender of mails and the name of the product.

    Raises:
        ConfigurationError: if there is a mail server and no sender, or one of them is not what it must be.
    """
    check_product_name(product_name)
    if sender:
        check_sender(sender)
    elif smtp_url is not None:
        raise ConfigurationError(
            "mail_from must be the sender of mails, such as accounts@example.com, where there is an "
            f"smtp_url, got {got(sender)}"
        )


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


def check_scanner(keys_url: object, token: str) -> None:
    """Check where the public keys of a scanner of secrets are, and the token for that address.

    Raises:
        ConfigurationError: if one of them is not what it must be.
    """
    example = "https://api.github.com/meta/public_keys/secret_scanning"
    reason = "whoever changes the answer can end keys"
    check_url(keys_url, "secret_scanning_keys_url", example=example, reason=reason)
    if token != "":
        must = "be text of printable ASCII characters without spaces, or empty for none"
        name = "secret_scanning_token"
        check_text(token, name, pattern=_TOKEN, must=must, secret=True)
        check_secret_text(token, name, chosen_here=False)
