"""E-mail addresses: which are accepted, and by which one form they are unique."""

import unicodedata

from email_validator import EmailNotValidError, validate_email


def parse_email(text: str) -> str | None:
    """The address as it is stored and written to; None if it is not one (RFC 5321, RFC 6531)."""
    try:
        # Whether the domain has a mail server is found out by sending a mail.
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None


def lookup_key(text: str) -> str | None:
    """The form by which an account with this address would be found; None if there can be none."""
    if text.isascii() and text.isprintable() and "xn--" not in text.casefold():
        return email_key(text)  # as parsing would have it, a quarter of a millisecond earlier
    address = parse_email(text)
    return None if address is None else email_key(address)


def canonical_key(text: str) -> str:
    """The form by which an address is counted, be it one or not."""
    return lookup_key(text) or email_key(text)


def email_key(email: str) -> str:
    """The form by which an address is unique: `Ann@Example.com` and `ann@example.com` are one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold())
