"""Read keys from files and variables, to sign and to verify tokens by hand."""

import os
import re
from pathlib import Path
from typing import Literal

from authguard._core.jose.keyset import is_like_json
from authguard._core.jose.secret import shown_path
from authguard.cli.output import MISUSED, Failure

_VARIABLE = re.compile(r"[A-Za-z_]\w{0,39}\Z", re.ASCII)  # a secret is longer


def read_key_file(path: str) -> str:
    """Return the text of a key file, without the last line end."""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"cannot read {shown_path(path)}: {type(error).__name__}", MISUSED) from None


def read_secret(name: str) -> str:
    """Return the secret in an environment variable. An error does not show a secret given as the name."""
    secret = os.environ.get(name)
    if not secret and not _VARIABLE.match(name):
        raise Failure(
            "--secret-env must be the name of a variable, such as JWT_SECRET, got other text: put the secret "
            "into the variable, because other users see arguments",
            MISUSED,
        )
    if not secret:
        raise Failure(f"the variable {name} is not set: put the secret there", MISUSED)
    return secret


def form_of_key(text: str) -> Literal["pem", "jwk", "secret"]:
    """Return the format of a key; a JWK set counts as a JWK."""
    if "-----BEGIN" in text:
        return "pem"
    return "jwk" if is_like_json(text) else "secret"
