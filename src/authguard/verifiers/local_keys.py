"""Load keys that are at hand: in the program, or in files."""

import re
from os import PathLike, fspath
from pathlib import Path

from authguard._core.jose.keyset import PLACES_OF_KEYS, KeySet, parse_keys
from authguard._core.jose.secret import place_of
from authguard.errors import ConfigurationError
from authguard.verifiers.secret_text import check_no_file

_FILE_NAME = re.compile(r"[^\n{]+\.(?:json|jwks|jwk|pem|crt|cer|pub)\Z")


def load_keys(source: object, algorithms: frozenset[str]) -> KeySet:
    """Return the keys of `JWTVerifier(keys)`; paths are read.

    Args:
        source: a secret, PEM, JWK, JWK set, a path, or a list of these.
        algorithms: what they may be for.

    Raises:
        ConfigurationError: if it is none of these, cannot be read, or holds no usable key.
    """
    return KeySet(parse_keys(_read_files(source), algorithms))


def _read_files(source: object) -> object:
    """Replace paths by what the files hold; text that is the name of a key file is a path, too."""
    if isinstance(source, PathLike) or (isinstance(source, str) and _is_key_file_name(source)):
        return _read(Path(fspath(source)))
    if isinstance(source, (str, bytes)):
        check_no_file(source, "keys", advice=PLACES_OF_KEYS["path"])
    if isinstance(source, (list, tuple)):
        return [_read_files(item) for item in source]
    return source


def _is_key_file_name(text: str) -> bool:
    is_url = text[:5].lower() == "file:" or place_of(text, chosen_here=True) in ("URL", "placeholder")
    return bool(_FILE_NAME.match(text)) and not is_url


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        advice = "; ~ is not expanded: Path(…).expanduser()" if str(path).startswith("~") else ""
        raise ConfigurationError(
            f"keys must be in a file that can be read, got {str(path)!r}: {type(error).__name__}{advice}"
        ) from error
