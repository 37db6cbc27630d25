"""Define the decisions of the guard: let the request pass, or send this answer."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, final

from authguard._core.answer.charge import Charge
from authguard._core.answer.refusal import Refusal
from authguard._core.answer.response_fields import ResponseFields
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH, Auth
from authguard._core.policy.rules import Preflight
from authguard._core.terms import Terms
from authguard.errors import RefusedError


@final
@dataclass(slots=True)  # not frozen, because that would make each first-seen credential slower
class Allow:
    """Let the request pass.

    Attributes:
        auth: the principal and its scopes; anonymous on open paths.
        user: the result of `user_loader`, or the principal.
        error: the reason why a credential on an open path was not accepted; None if it was accepted.
        response_fields: fields that the adapter adds to the application's response, by `merged`.
        charge: the amounts that the request has taken from the quotas of its caller; it then has the response
            fields.
        preflight: set for a CORS preflight of a protected path: `"answer"` if no handler of the application
            may run; `"pass"` if the application receives it without its body, and its response is sealed.
        terms: conditions for each request with the credential; None for no conditions.
    """

    auth: Auth
    user: Any
    error: RefusedError | None = None
    response_fields: ResponseFields = ()
    preflight: Preflight | None = None
    charge: Charge | None = None
    terms: Terms | None = None

    is_decision: ClassVar[Literal[True]] = True

    @property
    def reaches_app(self) -> bool:
        """Return whether the application receives the request; the adapter answers or seals a preflight."""
        return self.preflight is None


@final
class Known:
    """Let the request of a verified caller pass. The object is remembered, and has the attributes of `Allow`.

    `reaches_app` and `is_decision` cost each request less than `isinstance`.

    Args:
        auth: the principal and its scopes.
        response_fields: as in `Allow`.
        until: the time in seconds since the epoch after which the credential must be verified again.
        terms: conditions for each request with the credential; None for no conditions.

    Attributes:
        user: the result of `user_loader` for the principal, or the principal.
        revision: the revision of the store of revocations at which the caller was last found not to be
            revoked; see `Logouts`.
        takes: the amounts that its last request took from quotas; see `Quotas`.
        loaded: the same caller with its user, until the user must be loaded again; None if the user is not
            remembered.
    """

    __slots__ = ("auth", "loaded", "response_fields", "revision", "takes", "terms", "until", "user")

    reaches_app: ClassVar[Literal[True]] = True
    is_decision: ClassVar[Literal[True]] = True
    error = None
    preflight = None
    charge = None

    def __init__(
        self, auth: Auth, response_fields: ResponseFields, until: float, terms: Terms | None = None
    ) -> None:
        self.auth = auth
        self.user: Any = auth.principal
        self.response_fields = response_fields
        self.until = until
        self.terms = terms
        self.revision = -1  # no store has checked the caller yet
        self.takes: Any = None
        self.loaded: Known | None = None

    def with_user(self, user: Any) -> "Known":
        """Return the same caller with the application's own user."""
        known = Known(self.auth, self.response_fields, self.until, self.terms)
        known.user = user
        return known


#: For requests without a credential, on paths that need none.
NOBODY = Known(ANONYMOUS_AUTH, (), 0)


@final
@dataclass(slots=True)  # not frozen, as above
class Deny:
    """Refuse the request; `refusal` is the answer, an error or a login redirect."""

    reaches_app: ClassVar[Literal[False]] = False
    is_decision: ClassVar[Literal[True]] = True
    # As in `Allow`; a refused caller is anonymous.
    auth: ClassVar[Auth] = ANONYMOUS_AUTH
    user: ClassVar[Any] = ANONYMOUS
    response_fields: ClassVar[ResponseFields] = ()
    charge: ClassVar[None] = None
    terms: ClassVar[None] = None

    error: RefusedError
    refusal: Refusal
    #: The caller, if known, for `on_decision`.
    caller: Auth | None = None


@final
@dataclass(slots=True)
class Prepared:
    """Hold the answer to a request of which only the credential was checked.

    It is a problem document. `Guard.present` turns it into a page if a browser is to show it.
    """

    is_decision: ClassVar[Literal[False]] = False

    error: RefusedError
    refusal: Refusal
    caller: Auth | None = None


Decision: TypeAlias = Allow | Known | Deny
