"""Check that a secret is one, with a look at the file system, which the core does not take."""

import os

from authguard._core.jose.secret import check_not_place, readable
from authguard.errors import ConfigurationError

_READ_IT = 'read it, for example Path("/run/secrets/jwt").read_text().strip()'


def check_secret_text(secret: str | bytes, option: str, *, chosen_here: bool) -> None:
    """Check that a secret is not a path, a URL, a placeholder, or the name of a file.

    Args:
        secret: what was given.
        option: the name of the option, for the error.
        chosen_here: the user of this package makes the secret; if another party does, it may begin with
            a slash.

    Raises:
        ConfigurationError: if it is one; the text itself is never shown.
    """
    check_not_place(secret, option, chosen_here=chosen_here)
    check_no_file(secret, option)


def check_no_file(secret: str | bytes, option: str, *, advice: str = _READ_IT) -> None:
    """Check that a secret is not the name of a file that is there, on a relative path or another.

    Raises:
        ConfigurationError: if it is.
    """
    text = readable(secret)
    # Unlike Path.is_file it takes text that is too long for the name of a file.
    if text is not None and os.path.isfile(text.strip()):  # noqa: PTH113
        raise ConfigurationError(
            f"{option} must be the secret itself, got the name of a file that exists here: {advice}"
        )
