"""Parse and compare e-mail addresses: one form decides uniqueness, another decides access."""

import string
import unicodedata

from email_validator import EmailNotValidError, validate_email

#: Characters: 64 before the `@`, and 255 after it (RFC 5321 section 4.5.3.1). Normalising and parsing take
#: time that grows faster than the text, so longer text is not parsed.
MAX_ADDRESS = 320

# White space of all scripts, the byte order mark, and spaces and joiners without a width.
_AROUND = (
    string.whitespace
    + "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"
    + "".join(map(chr, range(0x2000, 0x200E)))
)
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def parse_email(text: str) -> str | None:
    """Return the address in the form for storing and sending; None for other text (RFC 5321, RFC 6531).

    White space around it is removed, because pasting and some keyboards add it.
    """
    if len(text) > MAX_ADDRESS:
        return None
    text = text.strip(_AROUND)
    try:
        # Sending a mail shows whether the domain has a mail server.
        address = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    # NFC turns the Kelvin sign into the letter K, and so would merge two mailboxes.
    is_respelled = address.local_part.isascii() and not text.rpartition("@")[0].isascii()
    return None if is_respelled else address.normalized


def ascii_domain(domain: str) -> str:
    """Return the A-labels of a domain (RFC 5891); a domain without any is returned unchanged."""
    if domain.isascii():
        return domain
    try:
        parsed = validate_email(f"a@{domain}", check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return domain
    return parsed.ascii_domain


def lookup_address(text: str) -> str | None:
    """Return the address for looking up an account, from text typed by a caller; None for other text."""
    if len(text) > MAX_ADDRESS:
        return None
    text = text.strip(_AROUND)
    if text.isascii() and text.isprintable() and "xn--" not in text.casefold():
        return text  # parsing would change the case of the domain, which look-ups ignore
    return parse_email(text)


def canonical_key(text: str) -> str:
    """Return the form by which attempts are counted, for addresses and for any other text."""
    return text if len(text) > MAX_ADDRESS else email_key(lookup_address(text) or text)


def mailbox_key(email: str) -> str:
    """Return the form by which mails to one mailbox are counted, without the tag after a plus sign.

    Args:
        email: the address of an account.
    """
    local, _, domain = email_key(email).rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def is_same_address(address: str, other: str) -> bool:
    """Compare an address of an account with one that would give access to it.

    Two addresses may have one `email_key` and two owners: `ann@faß.de` and `ann@fass.de` are different
    domains (IDNA 2008). Here domains are the same if their A-labels are, and local parts if only the
    case of ASCII letters differs.

    Args:
        address: as `parse_email` returned it.
        other: as `parse_email` or `lookup_address` returned it.
    """
    return address.translate(_ASCII_LOWER) == other.translate(_ASCII_LOWER)


def email_key(email: str) -> str:
    """Return the form by which addresses are unique: `Ann@Example.com` and `ann@example.com` are the same.

    Args:
        email: at most `MAX_ADDRESS` characters.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold())
