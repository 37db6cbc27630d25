"""E-mail addresses: which are accepted, and by which one form they are unique."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

#: Characters: 64 before the `@`, and 255 after it (RFC 5321 section 4.5.3.1). Normalising and parsing
#: take time that grows faster than the text, so that nothing longer is looked at.
MAX_ADDRESS = 320


def parse_email(text: str) -> str | None:
    """Return the address as it is stored and written to; None for other text (RFC 5321, RFC 6531)."""
    if len(text) > MAX_ADDRESS:
        return None
    try:
        # Whether the domain has a mail server is found out by sending a mail.
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None


def lookup_key(text: str) -> str | None:
    """Return the form by which an account with this address is looked up; None if there can be none."""
    if len(text) > MAX_ADDRESS:
        return None
    if text.isascii() and text.isprintable() and "xn--" not in text.casefold():
        return email_key(text)  # as parsing would have it, a quarter of a millisecond earlier
    address = parse_email(text)
    return None if address is None else email_key(address)


def canonical_key(text: str) -> str:
    """Return the form by which tries are counted, for text that is an address and for any other."""
    return text if len(text) > MAX_ADDRESS else lookup_key(text) or email_key(text)


def email_key(email: str) -> str:
    """Return the form by which an address is unique: `Ann@Example.com` and `ann@example.com` are one.

    Args:
        email: at most `MAX_ADDRESS` characters.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold())
