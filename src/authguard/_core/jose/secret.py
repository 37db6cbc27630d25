"""Refuse text that is given as a secret but is not one: paths, placeholders, quoted and guessable text."""

import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal, TypeAlias

from authguard._core.jose.vault_names import is_vault_name
from authguard._core.options.text import COMMENT
from authguard.errors import ConfigurationError

#: The kind of thing that a text is or refers to: a file, a network resource, a placeholder, a secret in a
#: vault, a token, or the hash of a password.
Place: TypeAlias = Literal["path", "URL", "placeholder", "name", "token", "hash"]

MIN_DISTINCT_CHARACTERS = 6  # different characters; 32 random bytes have about 30, digits alone have 10
MIN_UNIT = 32  # bytes; repeated text is only as strong as the repeated unit
_NEEDED = 0.3  # phrases of common words score up to 0.2, secrets with a random part at least 0.35
_GROUP = 4  # characters; shorter than an alphabet or a row of keys, and too long to occur by chance

#: Punctuation that generated secrets of all characters have many of, and paths and names of files hardly any.
ODD = r"!\"#$%&'()*+,;<=>?@\[\]^`{|}~"
_ONE_ODD_AT_MOST = rf"(?=[^{ODD}]*[{ODD}]?[^{ODD}]*\Z)"
_ODD_CHARACTERS = re.compile(rf"[{ODD}]")
_SEPARATORS = re.compile(r"[/\\]")
_MIN_SEPARATORS = 3  # of a path that has an odd character: /Volumes/Shared#1/jwt

_URL = re.compile(r"(?:[A-Za-z][a-z0-9+.-]+|[A-Z][A-Z0-9+.-]+)://")
_QUERY = r"(?:[?#][\w=&.%-]*)?"
# Without a scheme: a host with a dot or a port, and a path.
_ADDRESS = re.compile(
    rf"(?:data|mailto|urn):|(?:localhost(?=[:/])|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?=:[0-9]{{2}}))"
    rf"(?::[0-9]{{1,5}})?/[^{ODD}]*{_QUERY}\Z"
)
_PATH = re.compile(r"file:|@?(?:\.{1,2}|~)[/\\]|@/|[a-z]:[/\\]|\\\\", re.IGNORECASE)
_SECRET_IN_BASE64 = re.compile(r"/[A-Za-z0-9+/\r\n]{31,}={0,2}\Z")  # 32 characters encode 24 bytes
_LOWER_CASE_PATH = re.compile(r"(?:/[a-z0-9._-]+)+/?\Z")
_WELL_KNOWN_PATH = re.compile(
    r"/(?:run|etc|var|home|root|Users|usr|opt|mnt|srv|tmp|proc|dev|secrets|vault|app|data|config|keys|certs)/"
)
_KEY_FILE = re.compile(
    rf"{_ONE_ODD_AT_MOST}[^\s{{]+\.(?:json|jwks?|pem|crt|cer|der|pub|key|p8|p12|pfx|txt|secret|env){_QUERY}\Z",
    re.IGNORECASE,
)
# Names of variables, which are short enough to occur in a generated secret: a name counts if it has one of
# these words, is one of the short words, or is in capitals and longer.
_LONG_WORD = (
    r"\w{0,60}(?:secret|token|passw|sign(?:ing|ature)|auth|hmac|salt|nonce|pepper|session|credential|private"
    r"|client|django|flask|fastapi|config)\w{0,60}"
)
_SHORT_WORD = r"(?:\w{1,60}_)?(?:key|jwt|jwk|pwd)+(?:_\w{1,60})?"
_VARIABLE = (
    rf"(?:(?i:{_LONG_WORD}|{_SHORT_WORD})|(?=[A-Z0-9_]{{8}})[A-Z]+[0-9]{{0,2}}(?:_[A-Z]+[0-9]{{0,2}})+)"
)
_PLACEHOLDERS = re.compile(
    rf"""
      \$(?:env:)?[A-Z_][A-Z0-9_]*\Z                    # $JWT_SECRET
    | \$[a-z][a-z0-9]*(?:_[a-z0-9]+)+\Z                # $jwt_secret
    | \$\(\s*<?\s*[\w./~-]+(?:\s.*)?\)\Z               # $(cat /run/secrets/jwt)
    | \$\{{[A-Za-z_][\w.]*(?:[:/?-].*)?\}}\Z           # ${{jwt}}
    | .*\$\{{(?:[A-Z_]{{4,}}[A-Z0-9_]*|[a-z]{{2,}}(?:[_.-][a-z]{{2,}})+|{_VARIABLE})(?:[.:/?-][\w.:/?-]*)?\}}
    | \$?\{{\{{[^{{}}]+\}}\}}\Z                            # {{{{ secret }}}}
    | .*\{{\{{(?:-?\s[^{{}}]*|[a-z_.]{{3,}}|[A-Z_.]{{3,}}|{_VARIABLE})\}}\}}    # a-{{{{ secret }}}}
    | %[A-Z_][A-Z0-9_]*%\Z                             # %JWT_SECRET%
    | <[A-Za-z][\w -]*>\Z                              # <secret>
    | \{{[A-Za-z_]\w*\}}\Z                              # {{secret}}
    | (?:\$(?:env:)?[A-Z_][A-Z0-9_]{{2,}}|%[A-Z_][A-Z0-9_]*%)[/\\][^{ODD}]*\Z   # $HOME/jwt
    | (?:env|vault|ssm|arn|k8s|secretsmanager|keyring)(?::|\([^()]*\)\Z) | env\.[A-Z] | [a-z-]+vault:
    | @Microsoft\.KeyVault\( | \{{cipher\}} | ENC\[ | ENC\( | \$ANSIBLE_VAULT; | !vault\b   # not resolved
    | <%=.*%>\Z
    | (?:os\.)?(?:environ\b|getenv\b) | process\.env\b
    | [A-Z]+[0-9]{{0,2}}(?:_(?:[A-Z]+[0-9]{{0,2}}|[0-9]{{1,2}}))+\Z   # JWT_SECRET
    """,
    re.VERBOSE | re.DOTALL,
)

_TOKEN = re.compile(r"eyJ[\w-]{5,}\.eyJ[\w-]{5,}\.[\w-]+\Z", re.ASCII)
_HASH = re.compile(
    r"(?:\$(?:[156y]|2[abxy]?|argon2id?|argon2d|scrypt|pbkdf2[\w-]*)"
    r"|pbkdf2_sha(?:1|256)|bcrypt(?:_sha256)?|argon2|scrypt)\$[\w./+=,$-]+\Z"  # salt, cost and digest
    r"|sha(?:1|224|256|384|512):[0-9A-Za-z+/=]+\Z",
    re.ASCII,
)
# Texts that no user chooses as a secret; another party may have issued them.
_NOT_CHOSEN: Mapping[Place, re.Pattern[str]] = {
    "URL": _ADDRESS,
    "path": _KEY_FILE,
    "token": _TOKEN,
    "hash": _HASH,
}

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_BYTE_ORDER_MARK = "\ufeff"
# Text with more than the secret, each with the remedy. A secret in base64 may have several lines.
_WRAPPED = {
    "that begins with a byte order mark: save the file as UTF-8 without it": re.compile(
        rf"\A{_BYTE_ORDER_MARK}"
    ),
    "that begins or ends with a space or a line break: write .strip() behind it": re.compile(r"\A\s|\s\Z"),
    # Other characters inside are a sign of a secret of random punctuation, which has a quote at both ends by
    # chance; generators without quotes, such as that of Django, have none of them.
    "in quotes: leave them out": re.compile(r"\A([\"'`])(?=.*\s|[\w!@#$%^&*()=+/.-]*.\Z).*\1\Z", re.DOTALL),
    "with white space and `#`, as before a comment: leave the comment out, or choose a secret without them": (
        COMMENT
    ),
    "that begins with the name of a variable: leave out the name and `=`": re.compile(
        rf"\A(?i:export\s+)?{_VARIABLE}\s*=\s*\S{{8}}", re.ASCII
    ),
    "that begins with `base64:`: give base64.b64decode(…) of the rest": re.compile(
        r"\Abase64:", re.IGNORECASE
    ),
    "with several lines: leave out all but the secret": re.compile(
        r"\A(?![A-Za-z0-9+/\r\n]+={0,2}\Z).*[\r\n]", re.DOTALL
    ),
}

_SEQUENCES = (
    "".join(map(chr, range(256))),
    "0123456789abcdef0123",
    "02468ace13579bdf02468",
    "acegikmoqsuwybdfhjlnprtvxz",
    "01234567890123",
    "abcdefghijklmnopqrstuvwxyzabc",
    "abcdefghijklmnopqrstuvwxyz01234567890abc",
    "qwertyuiop[]",
    "qwertzuiop",
    "azertyuiop",
    "qwertyuiopasdfghjklzxcvbnm",
    "asdfghjkl;'",
    "qsdfghjklm",
    "zxcvbnm,./",
    "yxcvbnm",
    "wxcvbn",
    "!@#$%^&*()_+",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "qazwsxedcrfvtgbyhnujmikolp",
    "q1w2e3r4t5y6u7i8o9p0",
    "1q2w3e4r5t6y7u8i9o0p",
    "a1b2c3d4e5f6g7h8i9j0",
)
_WORDS = frozenset(
    """
    admin and api app application auth authentication authguard authorization bar base64 baz bearer
    before bit byte change char character characters chars commit company default demo deploy deploying
    deployment dev development django dragon dummy enough enter example fastapi flask foo foobar for
    from generate generated github goes hello here hmac hs256 hs384 hs512 iloveyou insecure insert jwt
    key least length letmein local login long make master max maximum min minimum monkey must my need
    new not only openssl p4ssw0rd p@ssw0rd p@ssword passw0rd passwd password passwort paste phrase
    placeholder please print private prod production project public put python qwerty rand random
    replace required root s3cr3t safe sample secret secure security server service session sha256 should
    sign signature signing some something staging string strong super supersecret test testing that the
    this todo token token_hex ultra unit until use user value very welcome with world you your
    """.split()  # noqa: SIM905 (a list would be a hundred lines)
)
_ANY_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))
_WORD = re.compile(rf"(?:[\W_]*(?:{_ANY_WORD})(?:s(?![a-z]))?)+[\W_]*")


def _groups(text: str) -> set[str]:
    return {text[start : start + _GROUP] for start in range(len(text) - _GROUP + 1)}


def _stretched(text: str) -> list[str]:
    """Return the text with each character once to four times, forwards and backwards."""
    rows = ["".join(character * times for character in text) for times in range(1, _GROUP + 1)]
    return [*rows, *(row[::-1] for row in rows)]


_PREDICTABLE = frozenset(
    group for text in _SEQUENCES for row in _stretched(text.lower()) for group in _groups(row)
)
# Looking for words is the slowest step, and most random secrets contain no part of a word.
_PARTS_OF_WORDS = frozenset(group for word in _WORDS for group in _groups(word))


def readable(secret: object) -> str | None:
    """Return the secret as text; None for bytes that cannot have been typed."""
    if isinstance(secret, str):
        return secret
    if not isinstance(secret, bytes):
        return None
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return None
    return text if "".join(text.split()).removeprefix(_BYTE_ORDER_MARK).isprintable() else None


def decoded(data: bytes) -> list[bytes]:
    """Return the data of a text in base64 or in hexadecimal, as tools print keys; empty for other text."""
    text = b"".join(data.split()).rstrip(b"=").translate(_TO_STANDARD)
    digits = text.replace(b":", b"").removeprefix(b"0x")
    forms = []
    with suppress(binascii.Error):
        forms.append(binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True))
    with suppress(binascii.Error):
        forms.append(binascii.unhexlify(digits))
    return forms


def place_of(text: str, *, chosen_here: bool) -> Place | None:
    """Return the kind of thing that a text refers to, if it is not a secret.

    Files are not checked, because this does no I/O.

    Args:
        text: the given text.
        chosen_here: whether the user of this package chose the secret, so that it must be random. A secret
            from another party may begin with a slash, and be short.
    """
    text = text.strip(" \t\r\n\"'`")
    if _URL.match(text):
        return "path" if text[:5].lower() == "file:" else "URL"
    if _is_path(text, chosen_here=chosen_here):
        return "path"
    if _PLACEHOLDERS.match(text):
        return "placeholder"
    for place, pattern in _NOT_CHOSEN.items() if chosen_here else ():
        if pattern.match(text):
            return place
    return "name" if is_vault_name(text) else None


def _is_path(text: str, *, chosen_here: bool) -> bool:
    begins_as_path = _PATH.match(text) is not None
    if text.lower().startswith("file:") or not (begins_as_path or text.startswith("/")):
        return begins_as_path
    # A random secret in base64 has capital letters.
    if _LOWER_CASE_PATH.match(text) or _WELL_KNOWN_PATH.match(text):
        return True
    if _has_random_punctuation(text):
        return False
    is_secret = _SECRET_IN_BASE64.match(text) is not None and not is_vault_name(text)
    return begins_as_path or (chosen_here and not is_secret)


def _has_random_punctuation(text: str) -> bool:
    """Return whether a text that begins like a path has more punctuation than paths have.

    A path with white space may have any. No generator writes white space, except line breaks.
    """
    text = text.lstrip("@~")
    odd = len(_ODD_CHARACTERS.findall(text))
    if not odd or len(text.split()) > 1:
        return False
    return odd > 1 or len(_SEPARATORS.findall(text)) < _MIN_SEPARATORS


def shown_path(path: object) -> str:
    """Return the path of a file for an error. Text that may be the secret of the file itself is not shown."""
    return repr(str(path)) if place_of(str(path), chosen_here=True) == "path" else "text that is not shown"


_ADVICE: Mapping[Place, str] = {
    "path": 'a path: read the file, for example Path("/run/secrets/jwt").read_text().strip()',
    "URL": "a URL",
    "name": "the name of a secret in a vault, or of a file: read its value, and give the value",
    "token": "a token: give the secret that tokens are signed with",
    "hash": "the hash of a password, which stands in a database: make a secret of its own",
    "placeholder": 'a placeholder or the name of a variable: for example os.environ["JWT_SECRET"] reads one',
}


def check_not_place(
    secret: str | bytes, option: str, *, chosen_here: bool = True, advice: Mapping[Place, str] = _ADVICE
) -> None:
    """Check that a secret is not a path, a URL, a placeholder or the name of a secret in a vault.

    Args:
        secret: the given text.
        option: the name of the option, for the error.
        chosen_here: see `place_of`.
        advice: a description of the text, with the spelling that works.

    Raises:
        ConfigurationError: if it is one of these; the text itself is never shown.
    """
    text = readable(secret)
    place = None if text is None else place_of(text, chosen_here=chosen_here)
    if place is not None:
        raise ConfigurationError(
            f"{option} must be the secret itself, got text that is {advice.get(place, _ADVICE[place])}"
        )


def check_unwrapped(secret: str | bytes, option: str) -> None:
    """Check that a secret has nothing around it that a file, a shell or an editor has added.

    Other programs that read the same file or variable may leave it out. Their tokens would be refused.

    Args:
        secret: the given text.
        option: the name of the option, for the error.

    Raises:
        ConfigurationError: if it has; the text itself is never shown.
    """
    text = readable(secret) or ""
    for fault, pattern in _WRAPPED.items():
        if pattern.search(text):
            raise ConfigurationError(f"{option} must be the secret alone, got text {fault}")


def weakness_of(secret: bytes) -> str | None:
    """Return why a secret of sufficient length can be guessed; None if no weakness is known.

    The function counts different groups of four characters that belong to no sequence and no common word. A
    random secret has nearly as many groups as characters. Three tenths of that are required, so that no
    random secret is refused.
    """
    if len(set(secret)) < MIN_DISTINCT_CHARACTERS:
        return f"it has fewer than {MIN_DISTINCT_CHARACTERS} different characters"
    units = range(1, min(len(secret) // 2 + 1, MIN_UNIT))
    if any(secret.startswith(secret[unit:]) for unit in units):
        return "it repeats itself"
    text = secret.decode("latin-1").lower()
    groups = _groups(text)
    if not groups.isdisjoint(_PARTS_OF_WORDS):
        groups = _groups(_WORD.sub(" ", text))
    # Text of more than 256 characters needs no more groups than one of 256, because a few digits form only so
    # many groups.
    needed = (min(len(text), 256) - _GROUP + 1) * _NEEDED
    if len(groups - _PREDICTABLE) < needed:
        return "it repeats itself, or is made of common words, alphabets or rows of keys"
    return None
