"""Write and check the text of API keys: `<prefix><id>_<secret>_<check>`.

The checksum distinguishes a random or mistyped text from a key without a query. The id identifies a key in a
log without disclosing it. All characters are letters, digits and `_`, so that a double click selects the
whole key.
"""

import hmac
import re
import secrets
import string
from binascii import crc32
from collections.abc import Iterable

from authguard._core.jose.secret import check_not_place, weakness_of
from authguard._core.options import check_list, check_text
from authguard.errors import ConfigurationError

#: Characters of the longest text that is checked.
MAX_KEY = 512

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BASE = len(_ALPHABET)
_ID_CHARACTERS = 16  # 95 bits
_SECRET_BYTES = 32
_SECRET_CHARACTERS = 43  # of 32 bytes
_CHECK_CHARACTERS = 6  # 35 bits
_CHECK_VALUES = _BASE**_CHECK_CHARACTERS
# Two digits are computed at a time: a division for each of the six digits would be half of the cost of a
# check.
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_PAIR_BASE = _BASE**2
_MIN_CHECK_SECRET = 16  # characters
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*_\Z")
# Longer ids and secrets are accepted, so that a later format needs no new verifiers.
_DIGITS = "[0-9A-Za-z]"
_BODY = f"{_DIGITS}{{{_ID_CHARACTERS},}}_{_DIGITS}{{{_SECRET_CHARACTERS},}}_{_DIGITS}{{{_CHECK_CHARACTERS}}}"

# Keys with the default prefixes of verifiers, which other programs may have made, and keys of `KeyFormat`
# with any prefix. The first twelve characters of a key, which lists show, are too short.
_LIKE_A_KEY = re.compile(rf"sk_(?:live|test)_[\w-]{{20,}}\Z|\w{{2,32}}_{_BODY}\Z", re.ASCII)


class KeyFormat:
    """Create API keys with a prefix, and recognise texts that are not keys.

    Without `check_secret` the checksum is a CRC32, which detects every mistyped character. With it the
    checksum is an HMAC, which others cannot compute: an invented text is then refused without a query.

    Args:
        prefixes: the prefixes of keys, such as `sk_live_`: letters, digits and `_`, with `_` at the end.
        check_secret: the key of the HMAC; empty for CRC32. Keys with another checksum are refused.

    Raises:
        ConfigurationError: if a prefix has other characters, or a secret has fewer than 16.
    """

    def __init__(self, prefixes: Iterable[str], *, check_secret: str = "") -> None:
        self.prefixes = check_prefixes(prefixes, "prefixes")
        if not self.prefixes:
            raise ConfigurationError('prefixes must name at least one, such as "sk_live_", got an empty list')
        key = check_check_secret(check_secret, "check_secret").encode()
        self._hmac = hmac.new(key, digestmod="sha256") if key else None
        beginnings = "|".join(map(re.escape, sorted(self.prefixes, key=len, reverse=True)))
        #: The text of a regular expression that matches all keys, for secret scanners.
        self.pattern = rf"\b(?:{beginnings}){_BODY}\b"
        self._shape = re.compile(rf"(?:{beginnings}){_BODY}\Z")

    def make(self, prefix: str, readable_id: str | None = None) -> str:
        """Return the text of a new key, with 32 random bytes.

        Args:
            prefix: one of `prefixes`.
            readable_id: 16 letters and digits that identify the key; None for random ones.
        """
        if prefix not in self.prefixes:
            raise ValueError("the prefix must be one of the format")
        if readable_id is None:
            readable_id = make_readable_id()
        number = int.from_bytes(secrets.token_bytes(_SECRET_BYTES))
        body = f"{prefix}{readable_id}_{_base62(number, _SECRET_CHARACTERS)}"
        return f"{body}_{self._check(body)}"

    def is_well_formed(self, text: str) -> bool:
        """Return whether a text has the form of a key, and the right checksum; takes a few microseconds."""
        if len(text) > MAX_KEY or self._shape.match(text) is None:
            return False
        check = self._check(text[: -_CHECK_CHARACTERS - 1])
        return hmac.compare_digest(check, text[-_CHECK_CHARACTERS:])

    def _check(self, body: str) -> str:
        data = body.encode("ascii")
        if self._hmac is None:
            number = crc32(data)
        else:
            keyed = self._hmac.copy()
            keyed.update(data)
            number = int.from_bytes(keyed.digest()[:8]) % _CHECK_VALUES
        number, low = divmod(number, _PAIR_BASE)
        high, middle = divmod(number, _PAIR_BASE)
        return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]

    def __repr__(self) -> str:
        return f"KeyFormat({list(self.prefixes)})"


def looks_like_key(text: str) -> bool:
    """Return whether a text is probably an API key or a client secret, and not the id of one."""
    return _LIKE_A_KEY.match(text[: MAX_KEY + 1]) is not None


def check_not_key(text: str, option: str) -> None:
    """Check that the public id of a key is not the key itself, which logs and databases would then contain.

    Raises:
        ConfigurationError: if the text looks like a key.
    """
    if looks_like_key(text):
        raise ConfigurationError(f"{option} must be the public id of a key, got a key: write its id")


def make_readable_id() -> str:
    """Return 16 random letters and digits, which identify a key and are not secret."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARACTERS))


def readable_id_of(text: str) -> str:
    """Return the id in the text of a well-formed key."""
    return text.rsplit("_", 3)[1]


def check_prefixes(prefixes: object, option: str) -> tuple[str, ...]:
    """Check the prefixes of API keys; none may be the beginning of another.

    Raises:
        ConfigurationError: if a prefix has other characters, or is the beginning of another.
    """
    checked = tuple(check_list(prefixes, option, '"ak_"'))
    must = 'be 3 to 32 letters, digits and "_", with a letter first and "_" last, such as "ak_"'
    for prefix in checked:
        check_text(prefix, f"each of {option}", pattern=_PREFIX, must=must)
        if not 3 <= len(prefix) <= 32:
            raise ConfigurationError(f"each of {option} must {must}, got {len(prefix)} characters")
    for prefix in checked:
        if any(other != prefix and other.startswith(prefix) for other in checked):
            raise ConfigurationError(
                f"each of {option} must lead to one kind of keys, got {prefix!r}, with which another begins"
            )
    return tuple(dict.fromkeys(checked))


def check_check_secret(secret: object, option: str) -> str:
    """Check the key of the HMAC in API keys; empty for none.

    Raises:
        ConfigurationError: if the type is wrong, it has fewer than 16 characters, or it can be guessed.
    """
    if secret == "":
        return ""
    text = check_text(secret, option, must="be text, or empty for CRC32", secret=True)
    if len(text) < _MIN_CHECK_SECRET:
        raise ConfigurationError(
            f"{option} must have at least {_MIN_CHECK_SECRET} random characters, got {len(text)}"
        )
    check_not_place(text, option)
    if (reason := weakness_of(text.encode())) is not None:
        raise ConfigurationError(f"{option} must be random, got text that can be guessed: {reason}")
    return text


def _base62(number: int, characters: int) -> str:
    digits = []
    for _ in range(characters):
        number, digit = divmod(number, _BASE)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
