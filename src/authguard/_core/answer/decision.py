"""What the guard decides: the request may pass, or this is the answer."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from authguard._core.answer.refusal import Refusal
from authguard._core.model import Auth
from authguard._core.policy.rules import Preflight
from authguard.errors import RefusedError


@dataclass(slots=True)  # not frozen: 0.4 µs less for each first-seen credential
class Allow:
    """The request may pass.

    Attributes:
        auth: the principal and its scopes; anonymous on paths that are not protected.
        user: what `user_loader` made of the principal, or the principal.
        error: why a credential that was presented on an open path was not taken, if so.
        vary: fields that the response depends on and that shared caches would not look at.
        preflight: set for a CORS preflight of a protected path: `"answer"` if no handler of the application
            may run, `"pass"` if the application gets it without its body, and its response is sealed.
        nonce: for the caller's next DPoP proofs; the response is to carry it (RFC 9449 section 8.2).
    """

    auth: Auth
    user: Any
    error: RefusedError | None = None
    vary: str = ""
    nonce: str = ""
    preflight: Preflight | None = None


@dataclass(slots=True)  # not frozen, as above
class Deny:
    """The request may not pass; `refusal` is the answer, be it an error or a login redirect."""

    error: RefusedError
    refusal: Refusal


Decision: TypeAlias = Allow | Deny
