"""Check that a text is a secret, using the file system, which the core must not access."""

import os

from authguard._core.jose.secret import check_not_place, check_unwrapped, readable
from authguard.errors import ConfigurationError

_READ_IT = 'read it, for example Path("/run/secrets/jwt").read_text().strip()'


def check_secret_text(secret: str | bytes, option: str, *, chosen_here: bool) -> None:
    """Check that a secret is not a path, a URL, a placeholder, or the name of a file, and is not in quotes.

    Args:
        secret: the given text.
        option: the name of the option, for the error.
        chosen_here: whether the user of this package chooses the secret; one from another party may begin
            with a slash.

    Raises:
        ConfigurationError: if it is one of these; the text itself is never shown.
    """
    check_not_place(secret, option, chosen_here=chosen_here)
    check_unwrapped(secret, option)
    check_no_file(secret, option)


def check_no_file(secret: str | bytes, option: str, *, advice: str = _READ_IT) -> None:
    """Check that a secret is not the name of an existing file, by a relative or absolute path.

    Raises:
        ConfigurationError: if it is.
    """
    text = readable(secret)
    # Unlike Path.is_file, it accepts text that is too long for a file name.
    if text is not None and os.path.isfile(text.strip()):  # noqa: PTH113
        raise ConfigurationError(
            f"{option} must be the secret itself, got the name of a file that exists here: {advice}"
        )
