"""Open keys: given in the program, read from files, or fetched."""

import re
from os import PathLike, fspath
from pathlib import Path

from authguard._core.jose.jwk import SYMMETRIC
from authguard._core.jose.keyset import PLACES_OF_KEYS, KeySet, parse_keys
from authguard._core.jose.secret import place_of
from authguard._core.options import type_of
from authguard.errors import ConfigurationError
from authguard.verifiers.key_files import KeyFiles, unreadable
from authguard.verifiers.key_source import KeySource
from authguard.verifiers.remote import RemoteKeySet
from authguard.verifiers.secret_text import check_no_file

_DER = b"\x30"
_FILE_NAME = re.compile(r"[^\n{]+\.(?:json|jwks|jwk|pem|crt|cer|pub)\Z")


def open_keys(source: object, algorithms: frozenset[str]) -> KeySet | KeyFiles | KeySource:
    """Return the keys of `JWTVerifier(keys)`, from any source.

    Args:
        source: a secret, PEM, JWK, JWK set, a path, or a list of these; or a `RemoteKeySet`.
        algorithms: the allowed algorithms.

    Raises:
        ConfigurationError: if it has another form, cannot be read, or has no usable key.
    """
    if isinstance(source, RemoteKeySet):
        return source.open(algorithms)
    paths: list[Path] = []
    source = _with_paths(source, paths)
    if not paths:
        return KeySet(parse_keys(source, algorithms))
    return KeyFiles(paths, lambda: KeySet(parse_keys(_with_files_read(source, algorithms), algorithms)))


def _with_paths(source: object, paths: list[Path]) -> object:
    """Replace names of files by paths, and collect the paths; text may be the name of a key file."""
    if isinstance(source, PathLike) or (isinstance(source, str) and _is_key_file_name(source)):
        paths.append(Path(fspath(source)))
        return paths[-1]
    if isinstance(source, (str, bytes)):
        check_no_file(source, "keys", advice=PLACES_OF_KEYS["path"])
    if isinstance(source, RemoteKeySet) or source is RemoteKeySet:
        raise ConfigurationError(
            f"keys must be one RemoteKeySet, or local keys, got {type_of(source)} "
            f"{'without its URL' if isinstance(source, type) else 'in a list'}: write "
            'JWTVerifier(RemoteKeySet("https://…"), …) for each'
        )
    if isinstance(source, (list, tuple)):
        return [_with_paths(item, paths) for item in source]
    return source


def _with_files_read(source: object, algorithms: frozenset[str]) -> object:
    if isinstance(source, Path):
        return _read(source, algorithms)
    return [_with_files_read(item, algorithms) for item in source] if isinstance(source, list) else source


def _is_key_file_name(text: str) -> bool:
    is_url = text[:5].lower() == "file:" or place_of(text, chosen_here=True) in ("URL", "placeholder")
    return bool(_FILE_NAME.match(text)) and not is_url


def _read(path: Path, algorithms: frozenset[str]) -> str | bytes:
    try:
        data = path.read_bytes()
        if not _is_text(data) and (algorithms & SYMMETRIC or data.startswith(_DER)):
            return data  # a secret of random bytes, which must not be changed, or a key in binary form
        return data.decode("utf-8-sig").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None  # its text has the path


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
